// Shipped policies in our engines and in the kernel of this machine, packet by packet: verdict, bytes, and at the end
// every map. Our side runs the shipped object; the kernel's is the same source with clock and random numbers given
// through a map. Entries that need a device's RX hash are not compared here (a kernel loads them bound to a device
// only); their software-hash twins are.

#include <sched.h>

#include <catch2/catch.hpp>
#include <functional>

#include "models/bpf/policy.hpp"
#include "tests/bpf/kernel_policy.hpp"
#include "tests/bpf/packet_corpus.hpp"

using namespace rxpool;
using namespace rxpool::bpf;

namespace {

constexpr std::size_t packets_per_policy = 10'000;

struct GivenRandom final : RandomSource {
  std::uint32_t value = 0;
  std::uint32_t next_u32() override { return value; }
};

Bytes bytes(std::initializer_list<std::uint32_t> words) {
  Bytes all;
  for (const std::uint32_t word : words) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(&word);
    all.insert(all.end(), first, first + 4);
  }
  return all;
}

Bytes signal_bytes(const Signal& signal) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&signal);
  return {first, first + sizeof signal};
}

Bytes joined(const PacketResult& result) {
  Bytes all = result.metadata;
  all.insert(all.end(), result.bytes.begin(), result.bytes.end());
  return all;
}

// Both worlds side by side.
class Pair {
 public:
  Pair(const std::string& name, const std::string& program, const std::string& return_program, const Params& params,
       Engine engine)
      : program_(program),
        return_program_(return_program),
        kernel_(RXPOOL_TEST_OBJECTS "/given_" + name + ".bpf.o", params,
                return_program.empty() ? std::vector<std::string>{program}
                                       : std::vector<std::string>{program, return_program}) {
    PolicyOptions options;
    options.params = params;
    options.program = program;
    options.engine = engine;
    options.cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
    options.helper_costs = {{}, 0};
    ours_ = Policy::load(RXPOOL_POLICY_OBJECTS "/" + name + ".bpf.o", options);
    ours_->set_random(&random_);
  }

  void write(const std::string& map, const Bytes& key, const Bytes& value) {
    REQUIRE(ours_->map(map).write(key, value) == 0);
    REQUIRE(kernel_.write(map, key, value) == 0);
  }

  // The number of packets on which the worlds differ, with the first difference.
  void run(const PacketCorpus& packets, std::string& difference) {
    for (std::size_t i = 0; i < packets_per_policy && difference.empty(); ++i) {
      const auto& packet = packets[i % packets.size()];
      now_ns_ += 1 + i * 7919 % 100'000;
      random_.value = static_cast<std::uint32_t>(i) * 2654435761U;
      kernel_.give(now_ns_, random_.value);
      const KernelPolicy::Run theirs = kernel_.run(program_, packet);
      ours_->set_now(nanoseconds(static_cast<std::int64_t>(now_ns_)));
      PacketMeta meta;
      meta.ingress_ifindex = 1;
      const PacketInput input{packet, meta};
      const PacketResult result = ours_->run_xdp(std::span(&input, 1))[0];
      ++verdicts_[theirs.verdict];
      if (result.outcome.abort != 0) {
        difference = "packet " + std::to_string(i) + ": aborted: " + ours_->vm().last_abort();
      } else if (result.outcome.r0 != theirs.verdict) {
        difference = "packet " + std::to_string(i) + ": verdict " + std::to_string(result.outcome.r0) + ", kernel " +
                     std::to_string(theirs.verdict);
      } else if (joined(result) != theirs.bytes) {  // TEST_RUN gives the metadata in front of the packet
        difference = "packet " + std::to_string(i) + ": other bytes";
      }
      if (!return_program_.empty() && theirs.verdict == XDP_PASS) {
        give_back(i);
      }
    }
    for (const std::string& map : ours_->map_names()) {
      if (difference.empty() && map[0] != '.') {
        const auto elements = ours_->map(map).dump();
        if (std::map<Bytes, Bytes>(elements.begin(), elements.end()) != kernel_.dump(map)) {
          difference = "map " + map + " differs";
        }
      }
    }
  }

  std::size_t verdict_kinds() const { return verdicts_.size(); }

 private:
  void give_back(std::size_t i) {
    ReturnContext context;
    context.held_ns = i % 4000 < 2000 ? 2'000'000 : 100'000;
    context.rx_hash = static_cast<std::uint32_t>(i) * 40503U;
    context.consumer = 2;
    ours_->run_return(context);
    kernel_.run_return(return_program_, context);
  }

  std::string program_;
  std::string return_program_;
  KernelPolicy kernel_;
  std::unique_ptr<Policy> ours_;
  GivenRandom random_;
  std::uint64_t now_ns_ = 1'000'000'000;
  std::map<std::uint32_t, std::uint64_t> verdicts_;
};

struct Case {
  const char* name;
  const char* program;
  const char* return_program;
  Params params;
  std::size_t verdict_kinds;  // that the packets must bring about, or the comparison compares nothing
  std::function<void(Pair&)> prepare;
};

void nothing(Pair&) {}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"drop_udp_port", "drop_udp_port", "", {{"port", 53}}, 2, nothing},
      {"token_bucket", "token_bucket", "", {{"rate_pps", 200}, {"burst", 4}}, 2, nothing},
      {"heavy_hitter_shed",
       "heavy_hitter_shed_soft",
       "",
       {{"always", 1}, {"share_percent", 2}, {"window", 512}},
       2,
       nothing},
      {"breaker_approve",
       "breaker_approve",
       "",
       {},
       2,
       [](Pair& pair) {
         pair.write("rxpool_signal", bytes({0}),
                    signal_bytes({.abi = signal_abi, .state = signal_state::circuit_breaker}));
       }},
      {"rx_overload_shed",
       "rx_overload_shed",
       "",
       {},
       2,
       [](Pair& pair) {
         pair.write("rxpool_signal", bytes({0}),
                    signal_bytes({.abi = signal_abi,
                                  .state = signal_state::rx_overload,
                                  .valid = signal_valid::rx_fill | signal_valid::rx_size,
                                  .rx_fill = 800,
                                  .rx_size = 1000}));
       }},
      {"flow_fair_share", "flow_fair_share_soft", "", {{"always", 1}, {"share", 8}, {"return_hook", 0}}, 2, nothing},
      {"flow_fair_share", "flow_fair_share_soft", "flow_fair_share_return", {{"always", 1}, {"share", 4}}, 2, nothing},
      {"codel_return", "codel_return_soft", "codel_return_measure", {{"stamp", 1}, {"interval_us", 1000}}, 2, nothing},
      {"egress_meter", "egress_meter", "egress_meter_return", {{"least", 4}, {"window_us", 1000}}, 2, nothing},
      {"syn_guard",
       "syn_guard",
       "",
       {{"syn_per_window", 2}, {"window_ns", 1'000'000'000}},
       2,
       [](Pair& pair) { pair.write("trusted", bytes({16, 0x0000a8c0}), bytes({1})); }},
      {"load_balancer",
       "load_balancer",
       "",
       {{"backends_used", 3}},
       2,
       [](Pair& pair) {
         for (std::uint32_t port : {53U, 80U, 443U, 9U}) {
           for (std::uint32_t last = 0; last < 8; ++last) {
             pair.write("vips", bytes({0x0000090a | last << 24, port << 8 | 17U << 16}), bytes({1}));
           }
         }
         for (std::uint32_t i = 0; i < 3; ++i) {
           pair.write("backends", bytes({i}), bytes({0x0700a8c0 + i, 0x0100a8c0, 0x08060402, 0x0c0a}));
         }
       }},
      {"egress_classes",
       "egress_classes",
       "",
       {{"urgent_port", 53}},
       2,
       [](Pair& pair) {
         pair.write("devices", bytes({0}), bytes({1, 0}));
         pair.write("rxpool_signal", bytes({0}), signal_bytes({.abi = signal_abi, .state = signal_state::tx_overload}));
       }},
      {"rxq_count", "rxq_count", "", {}, 1, nothing},
      {"rxq_read", "rxq_read", "", {{"verdict", XDP_TX}}, 1, nothing},
      {"redirect_cpu",
       "redirect_cpu",
       "",
       {{"cpus_used", 2}},
       2,
       [](Pair& pair) { pair.write("cpus", bytes({0}), bytes({256, 0})); }},
  };
  return all;
}

void compare(const Case& one, const PacketCorpus& packets, bool need_kinds) {
  for (const Engine engine : {Engine::jit, Engine::interpreter}) {
    Pair pair(one.name, one.program, one.return_program, one.params, engine);
    one.prepare(pair);
    std::string difference;
    pair.run(packets, difference);
    CHECK(difference == "");
    if (need_kinds) {
      CHECK(pair.verdict_kinds() >= one.verdict_kinds);
    }
  }
}

bool prepared() {
  const std::string reason = kernel::refusal();
  if (!reason.empty()) {
    WARN("skipped: " << reason);
    return false;
  }
  cpu_set_t first;
  CPU_ZERO(&first);
  CPU_SET(0, &first);
  return sched_setaffinity(0, sizeof first, &first) == 0;  // per-CPU values land on CPU 0 in both worlds
}

}  // namespace

TEST_CASE("policies do on generated packets what they do in the kernel", "[policies][kernel][differential]") {
  if (!prepared()) {
    return;
  }
  const auto index = GENERATE(range(std::size_t{0}, cases().size()));
  const Case& one = cases()[index];
  CAPTURE(one.name, one.return_program);
  compare(one, generated_packets(packets_per_policy), true);
}

TEST_CASE("policies do on captured packets what they do in the kernel", "[policies][kernel][differential]") {
  if (!prepared()) {
    return;
  }
  const PacketCorpus packets = captured_packets();
  if (packets.empty()) {
    WARN("skipped: RXPOOL_CAPTURES names a folder without captures");
    return;
  }
  const auto index = GENERATE(range(std::size_t{0}, cases().size()));
  const Case& one = cases()[index];
  CAPTURE(one.name, one.return_program, packets.size());
  compare(one, packets, false);
}

TEST_CASE("an egress hook does in the kernel, as a syscall program, what it does here", "[policies][kernel][egress]") {
  if (!kernel::refusal().empty()) {
    WARN("skipped: " << kernel::refusal());
    return;
  }
  const std::string object = RXPOOL_TEST_OBJECTS "/egress_backoff.bpf.o";
  for (const Engine engine : {Engine::jit, Engine::checked}) {
    PolicyOptions options;
    options.engine = engine;
    const auto ours = Policy::load(object, options);
    KernelPolicy theirs(object, {}, {"egress_backoff"});
    std::uint32_t fill = 0;
    std::map<std::uint32_t, std::uint64_t> results;
    for (std::uint32_t i = 0; i < 5'000; ++i) {
      fill = (fill + i * 2654435761U % 97) % 257;  // of 256: full now and then
      EgressContext context;
      context.rx_hash = i * 40503U;
      context.tx_queue = i % 5;
      context.ring_fill = fill;
      context.ring_size = 256;
      EgressContext kernels = context;
      const std::uint64_t result = ours->run_egress(0, context).r0;
      ++results[static_cast<std::uint32_t>(result)];
      kernels.data = context.data;  // an empty packet: its place is ours
      kernels.data_end = context.data_end;
      REQUIRE(theirs.run_egress("egress_backoff", kernels) == result);
      REQUIRE(std::memcmp(&context, &kernels, sizeof context) == 0);
    }
    CHECK(results.size() == 2);
    const auto elements = ours->map("queues").dump();
    CHECK((std::map<Bytes, Bytes>(elements.begin(), elements.end()) == theirs.dump("queues")));
  }
}
