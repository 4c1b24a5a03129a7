#pragma once
// A policy ready to run: one object, checked, with its own box, maps and engine. What the datapath, the command line
// and Python use of models/bpf. One Policy serves the hooks of one attach point and is used by one thread at a time;
// two policies share nothing. Packets of a batch lie in the slots of the box: give their bytes with set_packet (or
// write into packet_room), run a batch, read verdict, bytes and metadata back.

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/bpf/contexts.hpp"
#include "models/bpf/helpers/fib.hpp"
#include "models/bpf/helpers/table.hpp"
#include "models/bpf/map_access.hpp"
#include "models/bpf/object.hpp"
#include "models/bpf/vm.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {

struct PolicyOptions {
  Params params;           // const volatile knobs
  std::uint32_t cpus = 1;  // of the host: per-CPU maps have so many values
  Engine engine = Engine::jit;
  CostTable cost;  // instructions
  HelperCosts helper_costs;
  std::int64_t fuel = 1'000'000;  // instructions per run
  std::uint32_t packet_slots = 64;
  std::string program;     // entry of its hook; empty: the one named like the file, else the first
  bool ask_libbpf = true;  // second reading in a child process
};

/// A packet besides its bytes.
struct PacketMeta : PacketFacts {
  std::uint32_t ingress_ifindex = 0;
  std::uint32_t rx_queue_index = 0;
  std::uint32_t egress_ifindex = 0;  // xdp/devmap
  std::int64_t lead_ps = 0;          // clock advance before the program starts on this packet
};

struct PacketInput {
  std::span<const std::uint8_t> bytes;
  PacketMeta meta;
};

struct PacketResult {
  Outcome outcome;
  Bytes bytes;
  Bytes metadata;
};

class Policy {
 public:
  /// Largest packet that fits a slot with its headroom and the kernel's tailroom (XD-3).
  static constexpr std::uint32_t max_packet_bytes = Box::packet_slot_bytes - Box::packet_headroom - 320;

  /// Throw InputError: policy_rejected for the object, bad_input for params, limit for memory.
  static std::unique_ptr<Policy> load(const std::string& path, const PolicyOptions& options);
  static std::unique_ptr<Policy> load(std::span<const std::uint8_t> bytes, const std::string& label,
                                      const PolicyOptions& options);
  ~Policy();

  const Object& object() const { return object_; }
  const PolicyOptions& options() const { return options_; }
  /// Things worth saying about an accepted object: notes of the loader, findings that only a kernel would refuse.
  const std::vector<std::string>& findings() const { return findings_; }

  /// Index of the program that serves a hook, or -1.
  int entry(Hook hook) const { return entries_[static_cast<std::size_t>(hook)]; }
  bool has(Hook hook) const { return entry(hook) >= 0; }
  int program_index(const std::string& name) const;

  Vm& vm() { return *vm_; }
  Runtime& runtime() { return vm_->runtime(); }
  void set_now(Time now) { runtime().now = now; }
  void set_cpu(std::uint32_t cpu, std::uint32_t numa_node = 0) {
    ensure(cpu < options_.cpus, "Policy::set_cpu: the policy was loaded for fewer CPUs");
    runtime().cpu = cpu;
    runtime().numa_node = numa_node;
  }
  void set_random(RandomSource* random) { runtime().random = random; }
  void set_trace(Trace* trace) { runtime().trace = trace; }
  void set_fib(const FibTable* fib) { runtime().fib = fib; }

  // Packets in slots; nothing here allocates.
  std::uint32_t slots() const { return static_cast<std::uint32_t>(views_.size()); }
  /// Copies the bytes behind the headroom and fills context and view. At most max_packet_bytes.
  void set_packet(std::uint32_t slot, std::span<const std::uint8_t> bytes, const PacketMeta& meta);
  /// Room of max_packet_bytes behind the headroom, to be filled before set_packet_size.
  std::span<std::byte> packet_room(std::uint32_t slot) {
    return {box_.at(views_[slot].slot + Box::packet_headroom), max_packet_bytes};
  }
  void set_packet_size(std::uint32_t slot, std::uint32_t bytes, const PacketMeta& meta) {
    PacketView& view = views_[slot];
    const std::uint32_t data = view.slot + Box::packet_headroom;
    context(slot) = {data, data + bytes, data, meta.ingress_ifindex, meta.rx_queue_index, meta.egress_ifindex};
    view.facts = meta;
    view.lead_ps = meta.lead_ps;
  }
  std::span<const std::byte> packet_bytes(std::uint32_t slot) const;
  std::span<const std::byte> packet_metadata(std::uint32_t slot) const;
  PacketView& view(std::uint32_t slot) { return views_[slot]; }
  XdpMd& context(std::uint32_t slot) { return *reinterpret_cast<XdpMd*>(box_.at(views_[slot].context)); }
  /// Runs a program over the packets in slots [0, outcomes.size()).
  void run_batch(int program, std::span<Outcome> outcomes);
  /// Runs a program over packet after packet in one slot; the first is there.
  void run_while(int program, std::uint32_t slot, PacketFeed& feed) {
    vm_->run_while(static_cast<std::uint32_t>(program), views_[slot], feed);
  }

  /// The convenient form: copies in, runs the hook slot batch by slot batch, copies out.
  std::vector<PacketResult> run(Hook hook, std::span<const PacketInput> packets);
  std::vector<PacketResult> run_xdp(std::span<const PacketInput> packets) { return run(Hook::xdp, packets); }

  /// The return hook; its result means nothing, its cost does.
  Outcome run_return(const ReturnContext& context);
  /// The egress hook on the packet in `slot`; `context` comes back with what the program wrote (backoff).
  Outcome run_egress(std::uint32_t slot, EgressContext& context);

  /// Maps by name; throws InputError that lists the names.
  MapAccess map(const std::string& name);
  std::vector<std::string> map_names() const;
  Map& map_at(std::uint32_t index) { return *maps_[index]; }
  /// Puts a map (by name) into a map of maps.
  int write_inner(const std::string& outer, const Bytes& key, const std::string& inner);

  /// The signal of an RX queue in the box, or null if the object does not declare the map or has fewer queues.
  Signal* signal(std::uint32_t queue);
  bool declares_signal() const { return signal_base_ != 0; }

  /// When the earliest bpf_timer is due (ns of the program's clock; ElementTimer::idle: none), and firing those due.
  std::uint64_t next_timer_ns() const;
  std::uint32_t run_timers(std::uint64_t now_ns);

 private:
  Policy(Object object, PolicyOptions options);
  void build_maps();
  void place_programs(std::vector<Program>& programs) const;
  void fill_initial_values();
  void choose_entries();
  void build_slots();

  Object object_;
  PolicyOptions options_;
  std::vector<std::string> findings_;
  Box box_;
  HelperTable helpers_;
  std::vector<std::unique_ptr<Map>> maps_;
  std::unique_ptr<Vm> vm_;
  std::vector<int> entries_;
  std::vector<PacketView> views_;
  BoxOffset extra_context_ = 0;  // return and egress contexts
  BoxOffset signal_base_ = 0;
  std::uint32_t signal_queues_ = 0;
};

}  // namespace rxpool::bpf
