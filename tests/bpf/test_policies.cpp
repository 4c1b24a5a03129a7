// The shipped policies, packets in and verdicts out, on every engine.

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "sim/error.hpp"
#include "tests/bpf/policy_fixture.hpp"

using namespace rxpool;
using namespace rxpool::bpf;

namespace {

const PacketBuilder udp_9 = packet().ipv4("10.0.0.1", "10.0.0.2").udp(1000, 9).payload(18);
const PacketBuilder tcp_ack = packet().ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 80, 0x10);
const PacketBuilder tcp_syn = packet().ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 80, 0x02);

struct CountingRandom final : RandomSource {
  std::uint32_t next = 0;
  std::uint32_t next_u32() override { return next++; }
};

Bytes bytes_of(std::initializer_list<int> values) {
  Bytes bytes;
  for (const int value : values) {
    bytes.push_back(static_cast<std::uint8_t>(value));
  }
  return bytes;
}

}  // namespace

TEST_CASE("drop_udp_port drops UDP to its port and nothing else", "[policies]") {
  PolicyUnderTest policy("drop_udp_port", any_engine());
  CHECK(policy.verdict(udp_9) == xdp_drop);
  CHECK(policy.verdict(packet().ipv6("2001:db8::1", "2001:db8::2").udp(1000, 9)) == xdp_drop);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2").udp(9, 1000)) == xdp_pass);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2").tcp(1000, 9, 0x10)) == xdp_pass);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2", 100).udp(1000, 9)) == xdp_pass);  // a later fragment
  CHECK(policy.verdict(packet().arp()) == xdp_pass);
  CHECK(policy.verdict(packet()) == xdp_pass);
  CHECK(policy->map("verdicts").read_u64(xdp_drop) == 2);
  CHECK(policy->map("verdicts").read_u64(xdp_pass) == 5);
}

TEST_CASE("a knob from params changes what drop_udp_port drops", "[policies][params]") {
  PolicyUnderTest policy("drop_udp_port", any_engine(), {{"port", 53}});
  CHECK(policy.verdict(udp_9) == xdp_pass);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2").udp(1000, 53)) == xdp_drop);
}

TEST_CASE("every cut of a packet gets a verdict without a fault", "[policies][hostile]") {
  PolicyUnderTest policy("drop_udp_port", any_engine());
  for (std::size_t length = 0; length <= udp_9.bytes().size(); ++length) {
    const PacketInput input{std::span(udp_9.bytes()).first(length), {}};
    CHECK(policy->run_xdp(std::span(&input, 1))[0].outcome.abort == 0);
  }
}

TEST_CASE("token_bucket lets a burst through and then the rate", "[policies]") {
  PolicyUnderTest policy("token_bucket", any_engine(), {{"rate_pps", 1000}, {"burst", 8}});
  CHECK(policy.drops(udp_9, 8) == 0);
  CHECK(policy.drops(udp_9, 10) == 10);
  policy.now_ns += 1'000'000;  // one token
  CHECK(policy.drops(udp_9, 3) == 2);
  CHECK(policy.drops(udp_9, 1000, 500'000) == Approx(500).margin(2));  // twice the rate: half is dropped
}

TEST_CASE("token_bucket keeps flows apart", "[policies]") {
  PolicyUnderTest policy("token_bucket", any_engine(), {{"rate_pps", 1000}, {"burst", 1}});
  CHECK(policy.verdict(udp_9) == xdp_pass);
  CHECK(policy.verdict(udp_9) == xdp_drop);
  CHECK(policy.verdict(packet().ipv4("10.0.0.3", "10.0.0.2").udp(1000, 9)) == xdp_pass);
  CHECK(policy->map("buckets").dump().size() == 2);
}

TEST_CASE("heavy_hitter_shed drops the heavy flow under RX overload, and only then", "[policies]") {
  PolicyUnderTest policy("heavy_hitter_shed", any_engine());
  const auto mixture = [&] {  // one flow has half of the packets, 500 share the rest
    std::pair<int, int> dropped{0, 0};
    for (std::uint32_t i = 0; i < 1000; ++i) {
      dropped.first += policy.verdict(tcp_ack, hashed(0xabcdef)) == xdp_drop;
      dropped.second += policy.verdict(tcp_ack, hashed(i % 500 * 7919)) == xdp_drop;
    }
    return dropped;
  };
  CHECK(mixture() == std::pair(0, 0));
  policy.signal(0, signal_state::rx_overload);
  const auto [heavy, light] = mixture();
  CHECK(heavy == 1000);
  CHECK(light < 20);  // those that share a cell with the heavy one
}

TEST_CASE("heavy_hitter_shed leaves packet data untouched", "[policies]") {
  PolicyUnderTest policy("heavy_hitter_shed", any_engine(), {{"always", 1}});
  // No data at all: a program that looked at the packet could not tell flows apart.
  const PacketBuilder same = packet();
  int dropped = 0;
  for (int i = 0; i < 200; ++i) {
    dropped += policy.verdict(same, hashed(42)) == xdp_drop;
  }
  CHECK(dropped == 137);                    // from the 64th packet on
  CHECK(policy.verdict(same) == xdp_pass);  // no hash, no opinion
}

TEST_CASE("heavy_hitter_shed has an entry that hashes in software", "[policies]") {
  PolicyUnderTest policy("heavy_hitter_shed", any_engine(), {{"always", 1}}, 2, "heavy_hitter_shed_soft");
  CHECK(policy.drops(udp_9, 200) == 137);
}

TEST_CASE("breaker_approve approves only while the breaker is open, and nothing in the hard state", "[policies]") {
  PolicyUnderTest policy("breaker_approve", any_engine());
  CHECK(policy.verdict(udp_9) == xdp_pass);
  policy.signal(0, signal_state::circuit_breaker);
  CHECK(policy.verdict(udp_9) == xdp_drop);
  CHECK(policy.verdict(tcp_ack) == xdp_pass);
  CHECK(policy.verdict(tcp_syn) == xdp_drop);
  CHECK(policy.verdict(packet().arp()) == xdp_pass);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2").icmp()) == xdp_pass);
  CHECK(policy.verdict(packet().ipv4("10.0.0.1", "10.0.0.2").udp(53, 4000)) == xdp_pass);
  PacketMeta other_queue;
  other_queue.rx_queue_index = 1;
  CHECK(policy.verdict(udp_9, other_queue) == xdp_pass);  // the breaker is per RX queue
  policy.signal(0, signal_state::circuit_breaker | signal_state::hard);
  CHECK(policy.verdict(tcp_ack) == xdp_drop);
}

TEST_CASE("a signal that is being written is not acted on", "[policies][signal]") {
  PolicyUnderTest policy("breaker_approve", any_engine());
  policy.signal(0, signal_state::circuit_breaker);
  policy->signal(0)->seq = 1;
  CHECK(policy.verdict(udp_9) == xdp_pass);
  policy->signal(0)->seq = 2;
  CHECK(policy.verdict(udp_9) == xdp_drop);
}

TEST_CASE("rx_overload_shed drops a share that grows with the filling of the ring", "[policies]") {
  PolicyUnderTest policy("rx_overload_shed", any_engine(), {{"low_percent", 50}, {"max_percent", 90}});
  CountingRandom random;
  policy->set_random(&random);
  const auto dropped_at = [&](std::uint32_t fill) {
    *policy->signal(0) = Signal{.abi = signal_abi,
                                .state = signal_state::rx_overload,
                                .valid = signal_valid::rx_fill | signal_valid::rx_size,
                                .rx_fill = fill,
                                .rx_size = 1000};
    return policy.drops(udp_9, 1000);
  };
  CHECK(policy.drops(udp_9, 100) == 0);
  CHECK(dropped_at(500) == 0);
  CHECK(dropped_at(750) == 450);
  CHECK(dropped_at(1000) == 900);
  policy->signal(0)->valid = signal_valid::state;  // a host that cannot measure the filling
  CHECK(policy.drops(udp_9, 1000) == 900);
}

TEST_CASE("flow_fair_share gives each flow its share of the pages that are out", "[policies][return]") {
  PolicyUnderTest policy("flow_fair_share", any_engine(), {{"always", 1}, {"share", 16}});
  CHECK(policy.drops(udp_9, 100, 0, hashed(7)) == 84);
  CHECK(policy.drops(udp_9, 10, 0, hashed(8)) == 0);
  for (int i = 0; i < 4; ++i) {  // four pages of the first flow come home
    CHECK(policy->run_return({.rx_hash = 7, .consumer = 2}).abort == 0);
  }
  CHECK(policy.drops(udp_9, 10, 0, hashed(7)) == 6);
  policy->run_return({.rx_hash = 7, .consumer = 0});  // dropped in the driver: never counted
  CHECK(policy.drops(udp_9, 1, 0, hashed(7)) == 1);
}

TEST_CASE("flow_fair_share divides the limit of the signal by the flows that hold pages", "[policies][return]") {
  PolicyUnderTest policy("flow_fair_share", any_engine(), {{"always", 1}});
  *policy->signal(0) = Signal{.abi = signal_abi, .valid = signal_valid::limit, .limit = 100};
  CHECK(policy.verdict(udp_9, hashed(1)) == xdp_pass);
  CHECK(policy.verdict(udp_9, hashed(2)) == xdp_pass);
  CHECK(policy.drops(udp_9, 100, 0, hashed(1)) == 51);
}

namespace {

/// CoDel as include/net/codel_impl.h has it, over packets that leave a queue one by one: whether each is dropped, when
/// the next one has the same time in the queue. Times in units of 1024 ns.
class QueueCodel {
 public:
  QueueCodel(std::uint32_t target, std::uint32_t interval) : target_(target), interval_(interval) {}

  /// A packet leaves; how many are dropped before one passes.
  int leaves(std::uint32_t now, std::uint32_t sojourn) {
    bool drop = should_drop(now, sojourn);
    int dropped = 0;
    if (dropping_) {
      if (!drop) dropping_ = false;
      while (dropping_ && static_cast<std::int32_t>(now - drop_next_) >= 0) {
        ++count_;
        newton();
        ++dropped;
        if (!should_drop(now, sojourn)) {
          dropping_ = false;
        } else {
          drop_next_ += step();
        }
      }
    } else if (drop) {
      ++dropped;
      dropping_ = true;
      const std::uint32_t delta = count_ - last_count_;
      if (delta > 1 && static_cast<std::int32_t>(now - drop_next_ - 16 * interval_) < 0) {
        count_ = delta;
        newton();
      } else {
        count_ = 1;
        inverse_ = 0xffff;
      }
      last_count_ = count_;
      drop_next_ = now + step();
    }
    return dropped;
  }

 private:
  bool should_drop(std::uint32_t now, std::uint32_t sojourn) {
    if (sojourn < target_) {
      first_above_ = 0;
      return false;
    }
    if (first_above_ == 0) {
      first_above_ = now + interval_;
      return false;
    }
    return static_cast<std::int32_t>(now - first_above_) > 0;
  }
  void newton() {
    const std::uint32_t inverse = static_cast<std::uint32_t>(inverse_) << 16;
    const std::uint32_t square = static_cast<std::uint32_t>(static_cast<std::uint64_t>(inverse) * inverse >> 32);
    std::uint64_t value = (std::uint64_t{3} << 32) - static_cast<std::uint64_t>(count_) * square;
    value >>= 2;
    value = value * inverse >> 31;
    inverse_ = static_cast<std::uint16_t>(value >> 16);
  }
  std::uint32_t step() const {
    return static_cast<std::uint32_t>(
        static_cast<std::uint64_t>(interval_) * (static_cast<std::uint64_t>(inverse_) << 16) >> 32);
  }

  std::uint32_t target_;
  std::uint32_t interval_;
  std::uint32_t count_ = 0;
  std::uint32_t last_count_ = 0;
  std::uint32_t first_above_ = 0;
  std::uint32_t drop_next_ = 0;
  std::uint16_t inverse_ = 0;
  bool dropping_ = false;
};

std::uint64_t pending_of(PolicyUnderTest& policy, std::uint8_t group) {
  const auto bytes = policy->map("groups").read(bytes_of({group, 0, 0, 0}));
  std::uint64_t pending = 0;
  std::copy_n(bytes->begin() + 24, 8, reinterpret_cast<std::uint8_t*>(&pending));
  return pending;
}

}  // namespace

TEST_CASE("codel_return decides drop for drop as the kernel's CoDel does", "[policies][return]") {
  PolicyUnderTest policy("codel_return", any_engine(), {{"target_us", 5'000}, {"interval_us", 100'000}});
  QueueCodel kernel(5'000'000 >> 10, 100'000'000 >> 10);
  std::mt19937_64 random(7);
  std::uint64_t decided = 0;
  std::uint64_t expected = 0;
  std::uint64_t fallen = 0;
  std::uint64_t spell = 0;
  bool above = false;
  for (int i = 0; i < 40'000; ++i) {
    if (spell == 0) {
      above = !above;
      spell = 1 + random() % (above ? 8'000 : 700);
    }
    --spell;
    policy.now_ns += static_cast<std::int64_t>(random() % 400'000);
    const std::uint64_t held_ns = above ? 5'000'000 + random() % 20'000'000 : random() % 5'000'000;
    const std::uint64_t before = pending_of(policy, 3);
    policy->set_now(nanoseconds(policy.now_ns));
    CHECK(policy->run_return({.held_ns = held_ns, .rx_hash = 3, .consumer = 2}).abort == 0);
    const std::uint64_t now_decided = pending_of(policy, 3) - before;
    const int wanted =
        kernel.leaves(static_cast<std::uint32_t>(policy.now_ns >> 10), static_cast<std::uint32_t>(held_ns >> 10));
    REQUIRE(now_decided == static_cast<std::uint64_t>(wanted));
    decided += now_decided;
    expected += static_cast<std::uint64_t>(wanted);
    fallen += policy.verdict(udp_9, hashed(3)) == xdp_drop ? 1 : 0;
  }
  CHECK(decided == expected);
  CHECK(decided > 500);
  CHECK(fallen == decided);
}

// RFC 8289, 5.3: drop k + 1 of one spell comes interval / sqrt(k) after drop k. The kernel's law takes one Newton step
// from 1/sqrt(k - 1) to 1/sqrt(k) per drop. From 1 that step gives 0.5 for 1/sqrt(2), so the second gap of the kernel,
// and with it ours, is 29 % too short and the next four are up to 2.6 %: there it cannot be equal to the kernel and to
// the closed form. From the seventh gap on a gap is within 1 %, and the sum of all of them from the 200th on.
TEST_CASE("codel_return follows the closed form within 1 % wherever the kernel's own law does", "[policies][return]") {
  PolicyUnderTest policy("codel_return", any_engine(), {{"target_us", 5'000}, {"interval_us", 100'000}});
  constexpr double step_ms = 0.05;
  std::vector<double> at_ms;
  for (int i = 0; i < 200'000 && at_ms.size() < 400; ++i) {
    policy.now_ns += 50'000;
    policy->set_now(nanoseconds(policy.now_ns));
    policy->run_return({.held_ns = 20'000'000, .rx_hash = 3, .consumer = 2});
    if (policy.verdict(udp_9, hashed(3)) == xdp_drop) at_ms.push_back(static_cast<double>(policy.now_ns) * 1e-6);
  }
  REQUIRE(at_ms.size() == 400);
  double sum_ms = 0;
  std::vector<std::size_t> off;
  for (std::size_t k = 1; k < at_ms.size(); ++k) {
    const double gap_ms = 100 / std::sqrt(static_cast<double>(k));
    sum_ms += gap_ms;
    // A drop falls at the next return, so each gap is known to one step, and the next one makes up for it.
    if (std::abs(at_ms[k] - at_ms[k - 1] - gap_ms) > 0.01 * gap_ms + step_ms) off.push_back(k);
    if (k >= 200) CHECK(at_ms[k] - at_ms[0] == Approx(sum_ms).epsilon(0.01));
  }
  CHECK(off == std::vector<std::size_t>{2, 3, 4, 5});
  for (std::size_t first : {6, 16}) {
    double expected_ms = 0;
    for (std::size_t k = first + 1; k < at_ms.size(); ++k) {
      expected_ms += 100 / std::sqrt(static_cast<double>(k));
      if (k >= first + 10) CHECK(at_ms[k] - at_ms[first] == Approx(expected_ms).epsilon(0.01));
    }
  }
}

TEST_CASE("a drop of codel_return falls on the next packet of the group, and the lag is told", "[policies][return]") {
  PolicyUnderTest policy("codel_return", any_engine(), {{"target_us", 500}, {"interval_us", 10'000}});
  for (int i = 0; i < 200 && pending_of(policy, 3) == 0; ++i) {
    policy.now_ns += 100'000;
    policy->set_now(nanoseconds(policy.now_ns));
    policy->run_return({.held_ns = 2'000'000, .rx_hash = 3, .consumer = 2});
  }
  REQUIRE(pending_of(policy, 3) == 1);
  policy.now_ns += 70'000;
  CHECK(policy.verdict(udp_9, hashed(4)) == xdp_pass);
  CHECK(policy.verdict(udp_9, hashed(3)) == xdp_drop);
  CHECK(policy.verdict(udp_9, hashed(3)) == xdp_pass);
  const auto lag = policy->map("rxpool_lag").read(bytes_of({0, 0, 0, 0}));
  std::array<std::uint64_t, 3> told{};
  std::copy(lag->begin(), lag->end(), reinterpret_cast<std::uint8_t*>(told.data()));
  CHECK(told == std::array<std::uint64_t, 3>{1, 70'000, 70'000});
  policy->run_return({.held_ns = 2'000'000, .rx_hash = 3, .consumer = 0});  // dropped in the driver: not measured
  CHECK(pending_of(policy, 3) == 0);
}

TEST_CASE("codel_return leaves its clock as metadata for the return hook", "[policies][return][metadata]") {
  PolicyUnderTest policy("codel_return", any_engine(), {{"stamp", 1}});
  const PacketResult result = policy.run(udp_9, hashed(3));
  REQUIRE(result.metadata.size() == 8);
  std::uint64_t cookie = 0;
  std::copy(result.metadata.begin(), result.metadata.end(), reinterpret_cast<std::uint8_t*>(&cookie));
  CHECK(cookie == static_cast<std::uint64_t>(policy.now_ns));
  CHECK(result.bytes == udp_9.bytes());
}

TEST_CASE("egress_meter lets out what the consumer gives back within the target", "[policies][return]") {
  PolicyUnderTest policy("egress_meter", any_engine(), {{"target_us", 5'000}, {"window_us", 10'000}, {"least", 8}});
  const auto give_back = [&](int count) {
    policy->set_now(nanoseconds(policy.now_ns));
    for (int i = 0; i < count; ++i) policy->run_return({.cookie = 10, .consumer = 2});
  };
  // Nothing is known of the consumer on port 9 yet, and others are none of its business.
  CHECK(policy.drops(udp_9, 20) == 12);
  CHECK(policy.drops(packet().ipv4("10.0.0.1", "10.0.0.2").udp(1000, 53), 8) == 0);
  // It gives back 100 in a window of 10 ms: 50 may be out for a target of 5 ms.
  give_back(8);
  for (int window = 0; window < 8; ++window) {
    for (int i = 0; i < 100; ++i) {
      policy.verdict(udp_9);
      policy.now_ns += 100'000;
      give_back(1);
    }
  }
  CHECK(200 - policy.drops(udp_9, 200) == Approx(50).margin(2));
  // It stops: after some windows only `least` may be out, and more are.
  policy.now_ns += 200'000'000;
  CHECK(policy.drops(udp_9, 10) == 10);
}

TEST_CASE("egress_meter names the consumer in the cookie, and passes all where nothing comes home",
          "[policies][return]") {
  PolicyUnderTest policy("egress_meter", any_engine());
  const PacketResult result = policy.run(udp_9);
  REQUIRE(result.metadata.size() == 8);
  CHECK(result.metadata[0] == 10);
  PolicyUnderTest without("egress_meter", any_engine(), {{"return_hook", 0}, {"least", 1}});
  CHECK(without.drops(udp_9, 100) == 0);
}

TEST_CASE("syn_guard limits new connections per network and leaves the trusted alone", "[policies]") {
  PolicyUnderTest policy("syn_guard", any_engine(), {{"syn_per_window", 10}});
  CHECK(policy.drops(tcp_syn, 15) == 5);
  CHECK(policy.drops(packet().ipv4("10.0.0.77", "10.0.0.2").tcp(1, 80, 0x02), 3) == 3);  // the same /24
  CHECK(policy.drops(packet().ipv4("10.0.1.77", "10.0.0.2").tcp(1, 80, 0x02), 3) == 0);
  CHECK(policy.drops(tcp_ack, 20) == 0);
  CHECK(policy.verdict(packet().ipv4("10.0.2.1", "10.0.0.2").tcp(1, 80, 0x03)) == xdp_drop);  // SYN and FIN
  CHECK(policy->map("trusted").write(bytes_of({16, 0, 0, 0, 10, 0, 0, 0}), bytes_of({1, 0, 0, 0})) == 0);
  CHECK(policy.drops(tcp_syn, 20) == 0);
  policy.now_ns += 100'000'000;
  CHECK(policy->map("trusted").erase(bytes_of({16, 0, 0, 0, 10, 0, 0, 0})) == 0);
  CHECK(policy.drops(tcp_syn, 10) == 0);
}

TEST_CASE("load_balancer wraps packets to a virtual address and sends them back", "[policies][tx]") {
  PolicyUnderTest policy("load_balancer", any_engine(), {{"backends_used", 1}});
  CHECK(policy.verdict(tcp_ack) == xdp_pass);
  CHECK(policy->map("vips").write(bytes_of({10, 0, 0, 2, 0, 80, 6, 0}), bytes_of({1, 0, 0, 0})) == 0);
  CHECK(policy.verdict(tcp_ack) == xdp_drop);  // no backend is set
  CHECK(policy->map("backends")
            .write(bytes_of({0, 0, 0, 0}), bytes_of({192, 168, 0, 7, 192, 168, 0, 1, 2, 4, 6, 8, 10, 12, 0, 0})) == 0);
  const PacketResult result = policy.run(tcp_ack);
  CHECK(result.outcome.r0 == xdp_tx);
  REQUIRE(result.bytes.size() == tcp_ack.bytes().size() + 20);
  CHECK(std::equal(result.bytes.begin(), result.bytes.begin() + 6, bytes_of({2, 4, 6, 8, 10, 12}).begin()));
  CHECK(std::equal(result.bytes.begin() + 30, result.bytes.begin() + 34, bytes_of({192, 168, 0, 7}).begin()));
  CHECK(result.bytes[23] == 4);  // IP in IP
  CHECK(std::equal(tcp_ack.bytes().begin() + 14, tcp_ack.bytes().end(), result.bytes.begin() + 34));
  std::uint32_t sum = 0;
  for (std::size_t i = 14; i < 34; i += 2) {
    sum += static_cast<std::uint32_t>(result.bytes[i] << 8 | result.bytes[i + 1]);
  }
  CHECK((sum & 0xffff) + (sum >> 16) == 0xffff);
  CHECK(policy->map("sent").read_u64(0) == 1);
}

TEST_CASE("redirect_cpu spreads flows over the CPUs that are set and keeps the rest here", "[policies][XD-30]") {
  PolicyUnderTest policy("redirect_cpu", any_engine(), {{"cpus_used", 2}, {"first_cpu", 1}}, 4);
  CHECK(policy.verdict(udp_9) == xdp_pass);
  for (int cpu = 1; cpu <= 2; ++cpu) {
    CHECK(policy->map("cpus").write(bytes_of({cpu, 0, 0, 0}), bytes_of({0, 8, 0, 0, 0, 0, 0, 0})) == 0);
  }
  std::array<int, 4> chosen{};
  for (std::uint16_t port = 0; port < 200; ++port) {
    const Outcome outcome = policy.run(packet().ipv4("10.0.0.1", "10.0.0.2").udp(port, 80)).outcome;
    REQUIRE(outcome.r0 == xdp_redirect);
    REQUIRE(outcome.redirect.pending);
    REQUIRE(outcome.redirect.ifindex_or_key < 4);
    ++chosen[outcome.redirect.ifindex_or_key];
  }
  CHECK(chosen[0] + chosen[3] == 0);
  CHECK(chosen[1] > 60);
  CHECK(chosen[2] > 60);
}

TEST_CASE("redirect_cpu has a program for the other CPU", "[policies][XD-33]") {
  PolicyUnderTest policy("redirect_cpu", any_engine(), {{"drop_port", 9}});
  REQUIRE(policy->has(Hook::xdp_cpumap));
  const PacketInput input{udp_9.bytes(), {}};
  CHECK(policy->run(Hook::xdp_cpumap, std::span(&input, 1))[0].outcome.r0 == xdp_drop);
}

TEST_CASE("a batch gives the verdicts of its packets one by one", "[policies][batch]") {
  PolicyUnderTest policy("drop_udp_port", any_engine());
  std::vector<PacketInput> inputs;
  for (int i = 0; i < 200; ++i) {
    inputs.push_back({i % 3 == 0 ? udp_9.bytes() : tcp_ack.bytes(), {}});
  }
  const auto results = policy->run_xdp(inputs);
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i].outcome.r0 == (i % 3 == 0 ? xdp_drop : xdp_pass));
  }
}
