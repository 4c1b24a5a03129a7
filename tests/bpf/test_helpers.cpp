// Helpers and kfuncs on every engine: the pure ones against this machine's kernel, the others against the host that the
// test gives them; and one object with subprograms, callbacks, tail calls and maps of maps, run.

#include <sys/socket.h>

#include <catch2/catch.hpp>

#include "models/bpf/policy.hpp"
#include "tests/bpf/kernel_policy.hpp"
#include "tests/bpf/packet_builder.hpp"

using namespace rxpool;
using namespace rxpool::bpf;

namespace {

const PacketBuilder frame = packet().ipv4("10.0.0.1", "10.0.0.2").udp(1000, 9).payload(100);

std::unique_ptr<Policy> load(const std::string& name, PolicyOptions options = {}) {
  options.engine = GENERATE(Engine::interpreter, Engine::checked, Engine::jit);
  options.helper_costs = {{}, 0};
  return Policy::load(RXPOOL_TEST_OBJECTS "/" + name + ".bpf.o", options);
}

PacketResult run(Policy& policy, const PacketMeta& meta = {}) {
  const PacketInput input{frame.bytes(), meta};
  PacketResult result = policy.run_xdp(std::span(&input, 1))[0];
  INFO(policy.vm().last_abort());
  REQUIRE(result.outcome.abort == 0);
  return result;
}

std::int64_t note(Policy& policy, std::uint32_t index) {
  return static_cast<std::int64_t>(policy.map("results").read_u64(index));
}

struct Seven final : RandomSource {
  std::uint32_t next_u32() override { return 7; }
};

struct Lines final : Trace {
  std::vector<std::string> lines;
  std::vector<std::vector<std::byte>> events;
  void print(Time, std::uint32_t, std::string_view text) override { lines.emplace_back(text); }
  void event(Time, std::uint32_t, std::uint32_t, std::span<const std::byte> data) override {
    events.emplace_back(data.begin(), data.end());
  }
};

}  // namespace

TEST_CASE("helpers answer what the kernel's answer", "[helpers][kernel][differential]") {
  const std::string reason = kernel::refusal();
  if (!reason.empty()) {
    WARN("skipped: " << reason);
    return;
  }
  PolicyOptions options;
  options.cpus = static_cast<std::uint32_t>(libbpf_num_possible_cpus());
  const auto policy = load("helpers", options);
  KernelPolicy kernel(RXPOOL_TEST_OBJECTS "/helpers.bpf.o", {}, {"helpers", "tail_target"});
  PacketMeta meta;
  meta.ingress_ifindex = 1;
  const PacketResult ours = run(*policy, meta);
  const KernelPolicy::Run theirs = kernel.run("helpers", frame.bytes());
  CHECK(ours.outcome.r0 == theirs.verdict);
  Bytes all = ours.metadata;
  all.insert(all.end(), ours.bytes.begin(), ours.bytes.end());
  CHECK(all == theirs.bytes);
  for (const auto& [key, value] : kernel.dump("results")) {
    CAPTURE(static_cast<int>(key[0]));
    CHECK(policy->map("results").read(key) == value);
  }
  CHECK(note(*policy, 57) == 1);  // the tail call was made
}

TEST_CASE("bpf_redirect_map over an XSKMAP answers what the kernel's answers",
          "[helpers][kernel][differential][XD-41]") {
  const std::string reason = kernel::refusal();
  const int socket = ::socket(AF_XDP, SOCK_RAW, 0);
  if (!reason.empty() || socket < 0) {
    WARN("skipped: " << (reason.empty() ? "no AF_XDP sockets here" : reason));
    return;
  }
  const std::int64_t key = GENERATE(0, 1, 4, std::int64_t{1} << 32, (std::int64_t{1} << 32) + 1);
  const std::int64_t flags = GENERATE(0, 1, 2, 3, 4, 8, 16);
  CAPTURE(key, flags);
  PolicyOptions options;
  options.params = {{"key", key}, {"flags", flags}};
  const auto policy = load("xskmap", options);
  KernelPolicy kernel(RXPOOL_TEST_OBJECTS "/xskmap.bpf.o", options.params, {"to_socket"});
  const Bytes slot(4, 0);
  REQUIRE(policy->map("sockets").write(slot, Bytes{1, 0, 0, 0}) == 0);
  Bytes descriptor(4);
  std::memcpy(descriptor.data(), &socket, sizeof socket);
  REQUIRE(kernel.write("sockets", slot, descriptor) == 0);
  CHECK(run(*policy).outcome.r0 == kernel.run("to_socket", frame.bytes()).verdict);
  CHECK(policy->map("found").read(slot) == kernel.dump("found").at(slot));
  close(socket);
}

TEST_CASE("the ends of a packet move inside its buffer and no further", "[helpers][XD-1][XD-2]") {
  const auto policy = load("helpers");
  run(*policy);
  CHECK(note(*policy, 34) == -EINVAL);  // past the 40 bytes that a frame keeps in front
  CHECK(note(*policy, 35) == 0);
  CHECK(note(*policy, 36) == -EACCES);  // metadata comes in words of four bytes
  CHECK(note(*policy, 37) == 0);
  CHECK(note(*policy, 39) == -EINVAL);  // past the packet's beginning
  CHECK(note(*policy, 42) == 0);
  CHECK(note(*policy, 43) == -EINVAL);  // into the shared info
  CHECK(note(*policy, 44) == 0);
  CHECK(note(*policy, 45) == -EINVAL);  // an Ethernet header has to stay
}

TEST_CASE("a packet of one page fits 3520 bytes, a longer one asks for several buffers", "[XD-3]") {
  const auto policy = load("xskmap");
  const auto run_with = [&](std::size_t bytes) {
    const Bytes packet(bytes, 0);
    const PacketInput input{packet, {}};
    return policy->run_xdp(std::span(&input, 1))[0].bytes.size();
  };
  CHECK(run_with(3520) == 3520);
  CHECK_THROWS_WITH(run_with(3521), Catch::Contains("a packet of 3521 bytes needs multi-buffer XDP, at most 3520"));
}

TEST_CASE("a ring buffer's records reach the host", "[helpers][maps]") {
  const auto policy = load("helpers");
  run(*policy);
  const auto records = policy->map("ring").drain_ring();
  REQUIRE(records.size() == 2);
  CHECK(records[0].size() == 16);
  CHECK(records[1] == Bytes{1, 2, 3, 4, 5, 6, 7, 8});
}

TEST_CASE("clock, random numbers and places come from the host", "[helpers]") {
  PolicyOptions options;
  options.cpus = 4;
  const auto policy = load("host_helpers", options);
  Seven seven;
  Lines lines;
  FibTable fib;
  fib.links = {{.ifindex = 1, .mtu = 1500}, {.ifindex = 2, .mac = {2, 2, 2, 2, 2, 2}, .mtu = 1500}};
  fib.routes = {{.prefix = {10}, .prefix_length = 8, .ifindex = 2, .has_gateway = true, .gateway = {10, 9, 9, 9}},
                {.prefix = {192, 168}, .prefix_length = 16, .kind = RouteKind::blackhole}};
  fib.neighbours = {{.address = {10, 9, 9, 9}, .ifindex = 2, .mac = {4, 4, 4, 4, 4, 5}}};
  policy->set_random(&seven);
  policy->set_trace(&lines);
  policy->set_fib(&fib);
  policy->set_cpu(3, 1);
  policy->set_now(nanoseconds(5'123'456'789));
  const Bytes third{3, 0, 0, 0};
  CHECK(policy->map("events").write(third, Bytes{1, 0, 0, 0}) == 0);
  PacketMeta meta;
  meta.ingress_ifindex = 1;
  meta.rx_queue_index = 2;
  meta.has_timestamp = true;
  meta.rx_timestamp_ns = 99;
  run(*policy, meta);

  CHECK(note(*policy, 0) == 5'123'456'789);
  CHECK(note(*policy, 1) == 5'123'000'000);
  CHECK(note(*policy, 2) == 5123);
  CHECK(note(*policy, 3) == 7);
  CHECK(note(*policy, 4) == 3);
  CHECK(note(*policy, 5) == 1);
  CHECK(lines.lines == std::vector<std::string>{"queue 2 of nic: abc"});
  CHECK(note(*policy, 6) == 0);
  CHECK(lines.events.size() == 1);
  CHECK(note(*policy, 7) == 0);  // BPF_FIB_LKUP_RET_SUCCESS
  CHECK(note(*policy, 8) == 2);
  CHECK(note(*policy, 9) == 5);
  CHECK(note(*policy, 10) == 1);  // BLACKHOLE
  CHECK(note(*policy, 11) == 8);  // FRAG_NEEDED
  CHECK(note(*policy, 12) == 0);
  CHECK(note(*policy, 13) == 1500);
  CHECK(note(*policy, 14) == 1);
  CHECK(note(*policy, 15) == 0);
  CHECK(note(*policy, 16) == 99);
  CHECK(note(*policy, 17) == -ENODATA);

  CHECK(note(*policy, 19) == -EINVAL);  // started before it was initialised
  CHECK(note(*policy, 20) == 0);
  CHECK(note(*policy, 21) == -EBUSY);
  CHECK(note(*policy, 22) == 0);
}

TEST_CASE("timers fire when their time has come and may arm themselves again", "[helpers][timer]") {
  const auto policy = load("host_helpers");
  CHECK(policy->next_timer_ns() == ElementTimer::idle);
  policy->set_now(nanoseconds(1000));
  run(*policy);
  CHECK(policy->next_timer_ns() == 6000);
  CHECK(policy->run_timers(5999) == 0);
  const auto fired = [&] { return policy->map("alarms").read(Bytes{1, 0, 0, 0})->at(16); };
  for (std::uint64_t now = 6000; now <= 8000; now += 1000) {
    policy->set_now(nanoseconds(static_cast<std::int64_t>(now)));
    CHECK(policy->run_timers(now) == 1);
  }
  CHECK(fired() == 3);
  CHECK(policy->next_timer_ns() == ElementTimer::idle);
}

TEST_CASE("an object with everything runs: subprograms, callbacks, maps of maps, data sections", "[helpers][loader]") {
  PolicyOptions options;
  options.program = "first";
  const auto policy = load("everything", options);
  CHECK(run(*policy).outcome.r0 == xdp_pass);
  CHECK(run(*policy).outcome.r0 == xdp_pass);
  const auto value = policy->map("inner_a").read(Bytes{0, 0, 0, 0});
  CHECK_FALSE(value);  // nobody put the key in
  CHECK(policy->map("inner_a").write(Bytes{0, 0, 0, 0}, Bytes(8)) == 0);
  run(*policy);
  CHECK(policy->map("inner_a").read_u64(0) == 1);
  CHECK(policy->write_inner("outer", Bytes{0, 0, 0, 0}, "inner_b") == 0);
  CHECK(policy->map("inner_b").write(Bytes{0, 0, 0, 0}, Bytes(8)) == 0);
  run(*policy);
  CHECK(policy->map("inner_a").read_u64(0) == 1);
  CHECK(policy->map("inner_b").read_u64(0) == 1);
}

TEST_CASE("a knob decides which program a tail call ends in", "[helpers][params]") {
  PolicyOptions options;
  options.params = {{"enabled", 0}};
  options.program = "first";
  const auto policy = load("everything", options);
  CHECK(run(*policy).outcome.r0 == xdp_tx);
}

TEST_CASE("a program without the device's hash takes its other way", "[helpers][kfunc]") {
  PolicyOptions options;
  options.program = "with_hash";
  const auto policy = load("everything", options);
  CHECK(run(*policy).outcome.r0 == xdp_pass);
  PacketMeta meta;
  meta.has_hash = true;
  meta.rx_hash = 3;
  CHECK(run(*policy, meta).outcome.r0 == xdp_drop);
}

TEST_CASE("the egress hook sees ring and packet, may back off and may redirect", "[egress]") {
  const auto policy = load("everything");
  policy->set_packet(0, frame.bytes(), {});
  EgressContext context{.rx_hash = 1, .ring_fill = 100, .ring_size = 256};
  CHECK(policy->run_egress(0, context).r0 == xdp_pass);
  CHECK(context.backoff == 0);
  context.ring_fill = 200;
  CHECK(policy->run_egress(0, context).r0 == xdp_pass);
  CHECK(context.backoff == 128);
  context.rx_hash = 2;
  const Outcome outcome = policy->run_egress(0, context);
  CHECK(outcome.r0 == xdp_redirect);
  CHECK(outcome.redirect.ifindex_or_key == 7);
  policy->set_packet(0, std::span(frame.bytes()).first(13), {});
  CHECK(policy->run_egress(0, context).r0 == xdp_drop);
}
