// The engines against each other on random programs (random_programs.hpp); the kernel joins in bpf_kernel_differential.

#include <algorithm>
#include <set>

#include "tests/bpf/opcode_name.hpp"
#include "tests/bpf/random_programs.hpp"
#include "tests/bpf/run_all.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;

TEST_CASE("engines agree on random programs in result, memory, instructions and cost", "[bpf][random]") {
  constexpr std::uint64_t programs = 1500;
  std::set<std::string> seen;
  struct Side {
    Box box;
    TestArray array{box, sizeof(RandomValue), 1};
    BoxOffset slot = box.map_packet_slots(1);
    BoxOffset context = box.map_region(ObjectClass::context, sizeof(XdpMd), "context");
    std::unique_ptr<Vm> vm;
  };
  const HelperTable helpers = test_helpers();
  std::array<Side, 3> sides;
  for (std::uint64_t seed = 1; seed <= programs; ++seed) {
    const RandomProgram program = random_program(seed);
    for (const Insn& one : program.insns) {
      seen.insert(opcode_name(one));
    }
    for (std::size_t e = 0; e < sides.size(); ++e) {
      VmOptions options;
      options.engine = all_engines[e];
      options.cost.insn_ps = 271;
      sides[e].vm.reset();
      sides[e].vm = std::make_unique<Vm>(sides[e].box, std::vector<Program>{program_of(program.insns)},
                                         std::vector<Map*>{&sides[e].array}, helpers, options);
    }
    Dice dice(seed);
    for (int input = 0; input < 4; ++input) {
      RandomValue start{};
      random_inputs(dice, start);
      std::array<Outcome, 3> outcomes;
      std::array<RandomValue, 3> values;
      for (std::size_t e = 0; e < sides.size(); ++e) {
        Side& side = sides[e];
        const XdpMd md{side.slot + 256, side.slot + 256 + 64, side.slot + 256, 0, 0, 0};
        std::memcpy(side.box.at(side.context), &md, sizeof md);
        std::memcpy(side.box.at(side.array.value(0)), &start, sizeof start);
        PacketView packet{.context = side.context, .slot = side.slot};
        side.vm->run_batch(0, {&packet, 1}, {&outcomes[e], 1});
        std::memcpy(&values[e], side.box.at(side.array.value(0)), sizeof start);
      }
      CAPTURE(seed, input);
      for (std::size_t e = 1; e < sides.size(); ++e) {
        REQUIRE(outcomes[e].abort == 0);
        REQUIRE(outcomes[e].r0 == outcomes[0].r0);
        REQUIRE(outcomes[e].insns == outcomes[0].insns);
        REQUIRE(outcomes[e].cost_ps == outcomes[0].cost_ps);
        REQUIRE(std::memcmp(&values[e], &values[0], sizeof start) == 0);
      }
    }
  }
  for (const std::string& name : all_opcode_names()) {
    CAPTURE(name);
    CHECK(seen.count(name) == 1);
  }
}
