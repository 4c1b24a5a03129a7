// libFuzzer target: any bytes as a policy object, through our parser, the load-time checks and, if they accept it, a
// whole Policy with box, maps and engine that runs two packets. Nothing may crash, hang, leak or leave the box; an
// InputError is the right answer to nearly everything. libbpf's own reading stays in its child process and is not
// fuzzed.
//
// Build with clang: -fsanitize=fuzzer,address,undefined. Seeds: compiled policies.

#include <cstddef>
#include <cstdint>

#include "models/bpf/policy.hpp"
#include "sim/error.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace rxpool;
  using namespace rxpool::bpf;
  try {
    PolicyOptions options;
    options.engine = Engine::interpreter;
    options.ask_libbpf = false;
    options.fuel = 10'000;
    options.packet_slots = 2;
    const auto policy = Policy::load({data, size}, "fuzz.bpf.o", options);
    const std::uint8_t bytes[64] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45};
    const PacketInput packets[2] = {{bytes, {}}, {std::span(bytes).first(14), {}}};
    for (const Hook hook : {Hook::xdp, Hook::xdp_devmap, Hook::xdp_cpumap}) {
      if (policy->has(hook)) {
        policy->run(hook, packets);
      }
    }
    if (policy->has(Hook::rxpool_return)) {
      policy->run_return({});
    }
  } catch (const InputError&) {
  }
  return 0;
}
