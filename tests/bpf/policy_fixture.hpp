#pragma once
// A shipped policy under test: loaded for one engine, fed packet by packet with a clock that the test moves.

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "models/bpf/policy.hpp"
#include "tests/bpf/packet_builder.hpp"

namespace rxpool::bpf {

class PolicyUnderTest {
 public:
  PolicyUnderTest(const std::string& name, Engine engine, Params params = {}, std::uint32_t cpus = 2,
                  const std::string& program = "") {
    PolicyOptions options;
    options.params = std::move(params);
    options.engine = engine;
    options.cpus = cpus;
    options.program = program;
    options.helper_costs = {{}, 0};  // the clock moves only as the test says
    policy_ = Policy::load(std::string(RXPOOL_POLICY_OBJECTS "/") + name + ".bpf.o", options);
  }

  Policy& operator*() { return *policy_; }
  Policy* operator->() { return policy_.get(); }

  PacketResult run(const PacketBuilder& packet, PacketMeta meta = {}) {
    policy_->set_now(nanoseconds(now_ns));
    const PacketInput input{packet.bytes(), meta};
    return policy_->run_xdp(std::span(&input, 1))[0];
  }
  /// The verdict; an aborted run fails the test with the engine's report.
  std::uint64_t verdict(const PacketBuilder& packet, PacketMeta meta = {}) {
    const PacketResult result = run(packet, meta);
    INFO(policy_->vm().last_abort());
    REQUIRE(result.outcome.abort == 0);
    return result.outcome.r0;
  }
  /// How many of `count` copies are dropped.
  int drops(const PacketBuilder& packet, int count, std::int64_t gap_ns = 0, PacketMeta meta = {}) {
    int dropped = 0;
    for (int i = 0; i < count; ++i) {
      dropped += verdict(packet, meta) == xdp_drop;
      now_ns += gap_ns;
    }
    return dropped;
  }
  void signal(std::uint32_t queue, std::uint32_t state) {
    *policy_->signal(queue) = Signal{.abi = signal_abi, .state = state, .valid = signal_valid::state};
  }

  std::int64_t now_ns = 1'000'000'000;

 private:
  std::unique_ptr<Policy> policy_;
};

inline PacketMeta hashed(std::uint32_t hash, std::uint32_t queue = 0) {
  PacketMeta meta;
  meta.rx_hash = hash;
  meta.rx_hash_type = 1;
  meta.has_hash = true;
  meta.rx_queue_index = queue;
  return meta;
}

inline Engine any_engine() {
  return GENERATE(Engine::interpreter, Engine::checked, Engine::jit);
}

}  // namespace rxpool::bpf
