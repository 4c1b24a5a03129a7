// Shipped policies in the native XDP hook of a veth, in a network namespace of this process: frames sent on the other
// end, every map compared with ours afterwards. Clock and random numbers are given through a map and change every
// hundred frames. Entries that ask the device for its hash run here too, bound to the veth. The kernel hashes these
// frames itself, with a key that it draws at boot: what the driver says of each frame is written down first and given
// to ours.

#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "models/bpf/policy.hpp"
#include "sim/error.hpp"
#include "tests/bpf/kernel_policy.hpp"
#include "tests/bpf/packet_corpus.hpp"

using namespace rxpool;
using namespace rxpool::bpf;

namespace {

constexpr std::size_t frames_per_policy = 10'000;
constexpr std::size_t frames_at_once = 100;
constexpr std::size_t largest_frame = 1514;

struct GivenRandom final : RandomSource {
  std::uint32_t value = 0;
  std::uint32_t next_u32() override { return value; }
};

/// Two ends of a veth in a namespace that goes with this process; frames are sent on one and met by XDP on the other.
class Veth {
 public:
  /// Empty reason: it is there.
  static std::string make() {
    if (unshare(CLONE_NEWNET) != 0) {
      return std::string("no network namespace: ") + std::strerror(errno);
    }
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof first, &first);
    const bool made = std::system(
                          "ip link add name rx0 type veth peer name tx0 && ip link set rx0 up arp off && "
                          "ip link set tx0 up arp off && "
                          "sysctl -qw net.ipv6.conf.all.disable_ipv6=1") == 0;
    return made ? "" : "ip makes no veth";
  }

  Veth() : socket_(socket(AF_PACKET, SOCK_RAW, 0)) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = static_cast<int>(if_nametoindex("tx0"));
    bound_ = bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  ~Veth() { close(socket_); }
  Veth(const Veth&) = delete;
  Veth& operator=(const Veth&) = delete;

  bool bound() const { return bound_; }
  static std::uint32_t receiver() { return if_nametoindex("rx0"); }
  bool send(const std::vector<std::uint8_t>& frame) const {
    return ::send(socket_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
  }

 private:
  int socket_;
  bool bound_ = false;
};

bool prepared() {
  static const std::string reason = kernel::refusal().empty() ? Veth::make() : kernel::refusal();
  if (!reason.empty()) {
    WARN("skipped: " << reason);
  }
  return reason.empty();
}

std::uint64_t counted(const std::map<Bytes, Bytes>& verdicts) {
  std::uint64_t sum = 0;
  for (const auto& [key, value] : verdicts) {
    for (std::size_t at = 0; at + 8 <= value.size(); at += 8) {
      std::uint64_t one = 0;
      std::memcpy(&one, value.data() + at, 8);
      sum += one;
    }
  }
  return sum;
}

/// Softirqs may run in their thread: waits until the program has seen `frames`, a second at most.
bool all_seen(const KernelPolicy& policy, std::uint64_t frames, const char* counters = "verdicts") {
  for (int turn = 0; turn < 10'000; ++turn) {
    if (counted(policy.dump(counters)) >= frames) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return false;
}

struct Case {
  const char* name;
  const char* program;
  bool bound;
  Params params;
};

PacketCorpus frames() {
  PacketCorpus packets = captured_packets();
  std::erase_if(packets, [](const auto& packet) { return packet.size() > largest_frame; });
  return packets;
}

/// What the driver says of the hash of each frame (rx_hash.bpf.c).
std::vector<PacketMeta> hints_of(const PacketCorpus& packets, const Veth& veth) {
  struct Hint {
    std::uint32_t hash, type;
    std::int32_t error;
    std::uint32_t reserved;
  };
  KernelPolicy recorder(RXPOOL_TEST_OBJECTS "/rx_hash.bpf.o", {}, {"rx_hash"}, Veth::receiver());
  recorder.attach("rx_hash", Veth::receiver());
  const std::size_t count = std::min(packets.size(), frames_per_policy);
  for (std::size_t sent = 0; sent < count; ++sent) {
    REQUIRE(veth.send(packets[sent]));
    if ((sent + 1) % frames_at_once == 0 || sent + 1 == count) REQUIRE(all_seen(recorder, sent + 1, "seen"));
  }
  const std::map<Bytes, Bytes> recorded = recorder.dump("hints");
  std::vector<PacketMeta> hints;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto* key = reinterpret_cast<const std::uint8_t*>(&i);
    Hint hint{};
    std::memcpy(&hint, recorded.at(Bytes(key, key + sizeof i)).data(), sizeof hint);
    PacketMeta& meta = hints.emplace_back();
    meta.has_hash = hint.error == 0;
    meta.rx_hash = hint.hash;
    meta.rx_hash_type = hint.type;
  }
  REQUIRE(std::any_of(hints.begin(), hints.end(), [](const PacketMeta& meta) { return meta.has_hash; }));
  return hints;
}

}  // namespace

TEST_CASE("policies attached to a veth leave the maps that ours leave", "[policies][kernel][veth]") {
  if (!prepared()) {
    return;
  }
  const Case one = GENERATE(
      Case{"drop_udp_port", "drop_udp_port", false, {{"port", 53}}},
      Case{"token_bucket", "token_bucket", false, {{"rate_pps", 200}, {"burst", 4}}},
      Case{
          "heavy_hitter_shed", "heavy_hitter_shed_soft", false, {{"always", 1}, {"share_percent", 2}, {"window", 512}}},
      Case{"heavy_hitter_shed", "heavy_hitter_shed", true, {{"always", 1}, {"share_percent", 2}, {"window", 512}}},
      Case{"flow_fair_share", "flow_fair_share_soft", false, {{"always", 1}, {"share", 8}, {"return_hook", 0}}},
      Case{"flow_fair_share", "flow_fair_share", true, {{"always", 1}, {"share", 8}, {"return_hook", 0}}},
      Case{"codel_return", "codel_return_soft", false, {}}, Case{"codel_return", "codel_return", true, {}},
      Case{"breaker_approve", "breaker_approve", false, {}}, Case{"rx_overload_shed", "rx_overload_shed", false, {}},
      Case{"syn_guard", "syn_guard", false, {{"syn_per_window", 2}, {"window_ns", 1'000'000'000}}},
      Case{"load_balancer", "load_balancer", false, {{"backends_used", 3}}},
      Case{"redirect_cpu", "redirect_cpu", false, {{"cpus_used", 2}}});
  CAPTURE(one.name, one.program);
  const Veth veth;
  REQUIRE(veth.bound());
  const PacketCorpus packets = frames();
  const std::vector<PacketMeta> hints =
      one.bound ? hints_of(packets, veth) : std::vector<PacketMeta>(std::min(packets.size(), frames_per_policy));
  KernelPolicy theirs(RXPOOL_TEST_OBJECTS "/given_" + std::string(one.name) + ".bpf.o", one.params, {one.program},
                      one.bound ? Veth::receiver() : 0);
  theirs.attach(one.program, Veth::receiver());
  PolicyOptions options;
  options.params = one.params;
  options.program = one.program;
  options.cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  const auto ours = Policy::load(RXPOOL_POLICY_OBJECTS "/" + std::string(one.name) + ".bpf.o", options);
  GivenRandom random;
  ours->set_random(&random);

  std::uint64_t now_ns = 1'000'000'000;
  for (std::size_t sent = 0; sent < frames_per_policy; sent += frames_at_once) {
    now_ns += 1'000'000 + sent * 7919 % 100'000;
    random.value = static_cast<std::uint32_t>(sent) * 2654435761U;
    theirs.give(now_ns, random.value);
    ours->set_now(nanoseconds(static_cast<std::int64_t>(now_ns)));
    for (std::size_t i = sent; i < sent + frames_at_once; ++i) {
      const auto& packet = packets[i % packets.size()];
      REQUIRE(veth.send(packet));
      PacketMeta meta = hints[i % packets.size()];
      meta.ingress_ifindex = Veth::receiver();
      const PacketInput input{packet, meta};
      ours->set_now(nanoseconds(static_cast<std::int64_t>(now_ns)));
      ours->run_xdp(std::span(&input, 1));
    }
    REQUIRE(all_seen(theirs, sent + frames_at_once));
  }
  for (const std::string& map : ours->map_names()) {
    CAPTURE(map);
    if (map[0] != '.') {
      const auto elements = ours->map(map).dump();
      CHECK((std::map<Bytes, Bytes>(elements.begin(), elements.end()) == theirs.dump(map)));
    }
  }
}

TEST_CASE("ip link attaches every shipped object", "[policies][kernel][veth]") {
  if (!prepared()) {
    return;
  }
  const std::string name =
      GENERATE("breaker_approve", "codel_return", "drop_udp_port", "egress_classes", "egress_meter", "flow_fair_share",
               "heavy_hitter_shed", "load_balancer", "redirect_cpu", "rx_overload_shed", "rxq_count", "rxq_read",
               "syn_guard", "token_bucket");
  CAPTURE(name);
  // Entries that ask the device for its hash need a program bound to it, which ip cannot make; their twins do not.
  const bool asks = name == "codel_return" || name == "flow_fair_share" || name == "heavy_hitter_shed";
  const std::string attach = "ip link set dev rx0 xdpdrv obj " RXPOOL_POLICY_OBJECTS "/" + name + ".bpf.o program " +
                             name + (asks ? "_soft" : "");
  CHECK(std::system(attach.c_str()) == 0);
  CHECK(std::system("ip -details link show dev rx0 | grep -q prog/xdp") == 0);
  CHECK(std::system("ip link set dev rx0 xdpdrv off") == 0);
}
