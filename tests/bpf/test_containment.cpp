// Hostile programs stay in their box, aborts are reported, and faults of others reach their own handlers.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/bpf/run_all.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;
using Catch::Matchers::Contains;

namespace {

/// Every engine ends the run as XDP_ABORTED for that reason.
void check_aborts(const std::vector<Insn>& code, Abort reason) {
  for (const Engine engine : all_engines) {
    CAPTURE(static_cast<int>(engine));
    const Outcome outcome = run_one(code, engine);
    CHECK(outcome.r0 == xdp_aborted);
    CHECK(abort_name(static_cast<Abort>(outcome.abort)) == std::string(abort_name(reason)));
  }
}

std::vector<Insn> endless() {
  return Code(mov(0, 0), insn(op::ja_insn, 0, 0, -2, 0));
}

}  // namespace

TEST_CASE("hostile: reads past the packet end in the next slot or fault, never outside", "[bpf][hostile]") {
  check_aborts(Code(load_wide(6, 0x7fff0000), load(op::dw, 0, 6, 0), leave()), Abort::memory);
  // Far past the end of its memory, wherever the offset wraps to.
  check_aborts(Code(load_wide(7, 0xffffffff), alu_reg(op::add, 1, 7), load(op::dw, 0, 7, 0x7fff), leave()),
               Abort::memory);
}

TEST_CASE("hostile: the value of a failed lookup is used without a check", "[bpf][hostile]") {
  check_aborts(Code(insn(op::st | op::mem | op::w, 10, 0, -4, 99), mov_reg(2, 10), alu_imm(op::add, 2, -4),
                    load_wide(1, 0, lddw_kind::map), call(helper_lookup), load(op::dw, 0, 0, 0), leave()),
               Abort::memory);
  check_aborts(Code(mov(6, 0), store(op::dw, 6, 0x7000, 6), leave()), Abort::memory);
}

TEST_CASE("hostile: an endless loop runs out of fuel", "[bpf][hostile]") {
  check_aborts(endless(), Abort::fuel);
  const Outcome outcome = run_all(endless(), 1000);
  CHECK(outcome.insns == 1002);  // the turn that passed the limit is counted
  // Recursion and callbacks take from the same fuel.
  check_aborts(Code(mov(1, 100'000'000), load_wide(2, 7, lddw_kind::function), mov(3, 0), mov(4, 0), call(helper_loop),
                    leave(), mov(0, 0), leave()),
               Abort::fuel);
}

TEST_CASE("hostile: stores below and above the frame stay in the stack or fault", "[bpf][hostile]") {
  check_aborts(Code(mov(3, 1), store(op::dw, 10, -5000, 3), leave()), Abort::memory);
  check_aborts(Code(mov(3, 1), store(op::dw, 10, 4096, 3), leave()), Abort::memory);
  // Within the stack's pages only the checked interpreter objects.
  const Code below(mov(0, 2), mov(3, 1), store(op::dw, 10, -520, 3), leave());
  CHECK(run_one(below, Engine::interpreter).r0 == 2);
  CHECK(run_one(below, Engine::jit).r0 == 2);
  CHECK(run_one(below, Engine::checked).abort == static_cast<std::uint32_t>(Abort::region));
}

TEST_CASE("hostile: a host address is only its low half", "[bpf][hostile]") {
  static std::uint64_t victim = 42;
  const auto address = reinterpret_cast<std::uint64_t>(&victim);
  for (const Engine engine : all_engines) {
    run_one(Code(load_wide(3, address), mov(4, 1), store(op::dw, 3, 0, 4), leave()), engine);
  }
  CHECK(victim == 42);
}

TEST_CASE("hostile: writing to read-only data faults", "[bpf][hostile]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    const BoxOffset data = instance.box.map_region(ObjectClass::read_only_data, 64, ".rodata");
    instance.box.protect(data);
    instance.load({program_of(Code(load(op::dw, 0, 1, 0), store(op::dw, 1, 0, 0), leave()))}, engine);
    CHECK(instance.vm->run(0, data).abort == static_cast<std::uint32_t>(Abort::memory));
    CHECK(instance.box.readable(data, 64).size() == 64);
    CHECK(instance.box.writable(data, 64).empty());
  }
}

TEST_CASE("hostile: a bad pointer given to a helper or a lookup ends the run", "[bpf][hostile]") {
  check_aborts(Code(mov(1, 0), call(helper_peek), leave()), Abort::memory);
  check_aborts(Code(load_wide(1, 0xfffffffffffffff8), call(helper_peek), leave()), Abort::memory);
  for (const std::uint64_t map : {0u, 1u, 2u}) {
    check_aborts(Code(mov(2, 0), load_wide(1, map, lddw_kind::map), call(helper_lookup), leave()), Abort::memory);
    check_aborts(Code(load_wide(2, 0x99999999), load_wide(1, map, lddw_kind::map), call(helper_lookup), leave()),
                 Abort::memory);
  }
  // A map reference as a pointer lies in the unmapped bottom.
  check_aborts(Code(load_wide(1, 2, lddw_kind::map), load(op::dw, 0, 1, 0), leave()), Abort::memory);
}

TEST_CASE("hostile: recursion stops at eight frames and a call of a number aborts", "[bpf][hostile]") {
  check_aborts(Code(call_local(-1), leave()), Abort::call_depth);
  check_aborts(Code(mov(6, 12345), insn(op::callx, 6, 0, 0, 0), leave()), Abort::bad_function);
  check_aborts(Code(load_wide(6, ~std::uint64_t{0}), insn(op::callx, 6, 0, 0, 0), leave()), Abort::bad_function);
  check_aborts(Code(mov(1, 3), mov(2, 5), mov(3, 0), mov(4, 0), call(helper_loop), leave()), Abort::bad_function);
}

TEST_CASE("engines report the same instructions and cost for runs that abort", "[bpf][cost]") {
  CHECK(run_all(Code(mov(1, 0), mov(0, 1), call(helper_peek), mov(0, 2), leave())).insns == 3);
  CHECK(run_all(Code(mov(6, 0), load(op::dw, 0, 6, 0), leave())).insns == 2);
  CHECK(run_all(Code(call_local(-1), leave())).insns == 8);
  CHECK(run_all(Code(mov(0, 3), insn(op::st | op::mem | op::w, 10, 0, -4, 0), mov_reg(2, 10), load_wide(2, 0x123456789),
                     load_wide(1, 0, lddw_kind::map), call(helper_lookup), leave()))
            .cost_ps == 6 * 333 + 5'000);
}

TEST_CASE("the report of an abort names the instruction and what was touched", "[bpf][report]") {
  std::string text;
  run_one(Code(mov(0, 2), mov(6, 16), load(op::w, 3, 6, 4), leave()), Engine::checked, &text);
  CHECK_THAT(
      text,
      Contains("program 'test' aborted at instruction 2: read of 4 bytes at offset 20, which is NULL or near it"));
  CHECK_THAT(text, Contains("->     2: r3 = *(u32 *)(r6 + 4)"));
  CHECK_THAT(text, Contains("      1: r6 = 16"));
  run_one(Code(mov(0, 2), mov(6, 16), load(op::w, 3, 6, 4), leave()), Engine::jit, &text);
  CHECK_THAT(text, Contains("instruction 2: access at offset 20"));
  run_one(endless(), Engine::jit, &text);
  CHECK_THAT(text, Contains("more than 1000000 instructions"));
}

TEST_CASE("the checked interpreter sees accesses that leave the packet or a map value", "[bpf][report]") {
  Instance instance;
  const BoxOffset slot = instance.box.map_packet_slots(2);
  const BoxOffset context = instance.box.map_region(ObjectClass::context, 64, "context");
  const XdpMd md{slot + 256, slot + 256 + 60, slot + 256, 0, 0, 0};
  std::memcpy(instance.box.at(context), &md, sizeof md);
  PacketView packet{.context = context, .slot = slot};
  Outcome outcome;
  for (const int offset : {-1, 0, 56, 57}) {
    instance.load({program_of(Code(load(op::w, 2, 1, 0), load(op::w, 0, 2, offset), mov(0, 2), leave()))},
                  Engine::checked);
    instance.vm->run_batch(0, {&packet, 1}, {&outcome, 1});
    const bool inside = offset == 0 || offset == 56;
    CHECK(outcome.abort == static_cast<std::uint32_t>(inside ? Abort::none : Abort::region));
  }
  CHECK_THAT(instance.vm->last_abort(), Contains("outside the object it points into (packet 'packets')"));
  instance.load({program_of(Code(load(op::dw, 0, 1, 8), leave()))}, Engine::checked);
  CHECK(instance.vm->run(0, instance.array.value(1)).abort == static_cast<std::uint32_t>(Abort::region));
}

TEST_CASE("a fault that is not ours reaches the handler that was there before", "[bpf][box]") {
  // In a child: our handler is in place, then a real null access must still kill with SIGSEGV.
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    Instance instance;
    instance.load({program_of(Code(mov(6, 0), load(op::dw, 0, 6, 0), leave()))}, Engine::jit);
    const bool contained = instance.vm->run(0, 0).abort == static_cast<std::uint32_t>(Abort::memory);
    if (contained) {
      raise(SIGSEGV);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFSIGNALED(status));
  CHECK(WTERMSIG(status) == SIGSEGV);
}

TEST_CASE("instances in several threads fault without disturbing each other", "[bpf][box]") {
  std::vector<std::thread> threads;
  std::array<std::uint64_t, 4> faults{};
  for (std::size_t t = 0; t < faults.size(); ++t) {
    threads.emplace_back([&faults, t] {
      Instance instance;
      instance.load({program_of(Code(mov(0, 2), jump(op::jeq, 2, 0, 1), load(op::dw, 0, 6, 0), leave()))},
                    all_engines[t % all_engines.size()]);
      for (std::uint64_t i = 0; i < 500; ++i) {
        instance.vm->run(0, 0, i % 2);
      }
      faults[t] = instance.vm->aborts(Abort::memory);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(faults == std::array<std::uint64_t, 4>{250, 250, 250, 250});
}
