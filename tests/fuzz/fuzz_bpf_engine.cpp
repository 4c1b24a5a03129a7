// libFuzzer: any bytes as a program, in all three engines. Whatever the loader's checks would have said, the engine
// must refuse it or run it to an outcome: no crash, no hang, no access outside the box. Where no run aborted for
// leaving an object, the engines must agree. The first byte picks the input; the rest is bytecode.
//   clang++-19 -fsanitize=fuzzer,address …  (tests/fuzz/CMakeLists.txt)

#include <cstdio>
#include <cstdlib>

#include "sim/error.hpp"
#include "tests/bpf/engine_fixture.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;

namespace {

constexpr std::size_t max_insns_fuzzed = 512;

struct Result {
  Outcome outcome;
  std::vector<std::byte> bytes;
};

/// The helpers that take no pointers out of the box are enough to reach every call template.
Result run(Instance& instance, const std::vector<Insn>& code, Engine engine, std::uint8_t input) {
  for (std::uint32_t i = 0; i < Instance::memory_bytes; ++i) {
    *instance.box.at(instance.memory + i) = static_cast<std::byte>(i * input);
  }
  std::memset(instance.box.at(instance.array.value(0)), 0, 64);
  std::memset(instance.box.at(instance.percpu.value(0)), 0, 96);
  instance.load({program_of(code), program_of(Code(mov_reg(0, 1), leave()))}, engine, 5'000);
  instance.vm->runtime().cpu = input % 4;
  Result result{instance.vm->run(0, instance.memory, Instance::memory_bytes), {}};
  result.bytes = instance.bytes();
  instance.vm->last_abort();
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1 + sizeof(Insn)) {
    return 0;
  }
  std::vector<Insn> code((size - 1) / sizeof(Insn));
  code.resize(code.size() < max_insns_fuzzed ? code.size() : max_insns_fuzzed);
  std::memcpy(code.data(), data + 1, code.size() * sizeof(Insn));
  // New boxes each time: the stack of a run must not show in the next.
  std::array<Result, 3> results;
  for (std::size_t e = 0; e < all_engines.size(); ++e) {
    Instance instance({0, 1, -1});
    try {
      results[e] = run(instance, code, all_engines[e], data[0]);
    } catch (const InputError&) {
      return 0;
    }
  }
  const auto differs = [&](std::size_t e) {
    const Outcome& a = results[0].outcome;
    const Outcome& b = results[e].outcome;
    return a.r0 != b.r0 || a.insns != b.insns || a.cost_ps != b.cost_ps || a.abort != b.abort ||
           results[0].bytes != results[e].bytes;
  };
  const bool left_object = results[1].outcome.abort == static_cast<std::uint32_t>(Abort::region);
  if (differs(2) || (!left_object && differs(1))) {
    std::fprintf(stderr, "engines differ: %d %d %d\n", static_cast<int>(results[0].outcome.r0),
                 static_cast<int>(results[1].outcome.r0), static_cast<int>(results[2].outcome.r0));
    std::abort();
  }
  return 0;
}
