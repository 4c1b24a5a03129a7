#pragma once
// What a running program sees of its host: the box, the virtual clock, its CPU, random numbers, the current packet,
// maps and the places where its side effects land. One Runtime per policy instance, used by one thread at a time. The
// same structure serves the interpreters and compiled code, which addresses it relative to the base of the box. ktime
// is the clock at the start of the program for this packet; between packets the clock advances by executed cost.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "models/bpf/box.hpp"
#include "models/bpf/isa.hpp"
#include "models/bpf/program.hpp"
#include "sim/time.hpp"

namespace rxpool::bpf {

inline constexpr std::uint32_t ethernet_header = 14;  // bytes, ETH_HLEN

class Map;
struct FibTable;  // helpers/fib.hpp
struct MtuTable;  // helpers/fib.hpp
struct VmState;

/// XDP verdicts (enum xdp_action).
constexpr std::uint32_t xdp_aborted = 0, xdp_drop = 1, xdp_pass = 2, xdp_tx = 3, xdp_redirect = 4;

struct RandomSource {
  virtual ~RandomSource() = default;
  virtual std::uint32_t next_u32() = 0;
};

/// Receiver of bpf_trace_printk and perf_event_output; absent in most runs.
struct Trace {
  virtual ~Trace() = default;
  virtual void print(Time now, std::uint32_t cpu, std::string_view text) = 0;
  virtual void event(Time now, std::uint32_t cpu, std::uint32_t map_index, std::span<const std::byte> data) = 0;
};

/// struct xdp_md as the program sees it; data, data_end and data_meta are box offsets.
struct XdpMd {
  std::uint32_t data = 0;
  std::uint32_t data_end = 0;
  std::uint32_t data_meta = 0;
  std::uint32_t ingress_ifindex = 0;
  std::uint32_t rx_queue_index = 0;
  std::uint32_t egress_ifindex = 0;
};
static_assert(sizeof(XdpMd) == 24);

/// What the last redirect helper of a packet recorded (struct bpf_redirect_info).
struct RedirectInfo {
  std::uint64_t flags = 0;
  std::uint32_t map = 0;             // map_handle(), 0 for bpf_redirect(ifindex)
  std::uint32_t ifindex_or_key = 0;  // interface of bpf_redirect, key of bpf_redirect_map
  bool pending = false;
};

/// What a device knows of a packet (XDP metadata kfuncs).
struct PacketFacts {
  std::uint32_t rx_hash = 0;
  std::uint32_t rx_hash_type = 0;  // enum xdp_rss_hash_type; 0: no hash
  std::int64_t rx_timestamp_ns = 0;
  std::uint16_t vlan_proto = 0;
  std::uint16_t vlan_tci = 0;
  bool has_hash = false;
  bool has_timestamp = false;
  bool has_vlan = false;
};

/// One packet of a batch. data, data_end and data_meta are in the context, where the program reads them.
struct PacketView {
  BoxOffset context = 0;  // r1 of the program
  BoxOffset slot = 0;     // start of the frame (headroom begins here)
  std::uint32_t slot_bytes =
      Box::packet_slot_bytes - 320;  // end of the room that adjust_tail may use, from slot (XD-1)
  PacketFacts facts{};
  std::int64_t lead_ps = 0;  // clock advance before the program starts on this packet (work of the driver)
};

/// What one run of a program did.
struct Outcome {
  std::uint64_t r0 = 0;  // 0 (XDP_ABORTED) when aborted
  std::int64_t cost_ps = 0;
  std::uint32_t insns = 0;
  std::uint32_t abort = 0;  // Abort, 0: ran to its exit
  RedirectInfo redirect;    // set when r0 is XDP_REDIRECT
};

/// Why a run ended without reaching its exit; each gives XDP_ABORTED.
enum class Abort : std::uint32_t {
  none,
  memory,        // access outside mapped memory of the box, or a helper was given such a pointer
  fuel,          // instruction budget spent
  call_depth,    // more than 8 frames
  bad_function,  // callx or a callback with something that is no function
  region,        // checked interpreter only: inside the box, but not inside one object
};
const char* abort_name(Abort reason);

/// The engine's own part of the runtime; the same for interpreters and compiled code, which reaches it by fixed
/// offsets.
struct Execution {
  std::int64_t fuel_left = 0;
  std::int64_t helper_ps = 0;      // booked cost of helpers; instructions are counted by the fuel they took
  const void* position = nullptr;  // interpreter: the operation that may fault
  std::uint32_t op = 0;            // compiled code: the operation of the last call out
  BoxOffset frame = 0;             // r10 of the function that made the last call out
  std::uint32_t tail_calls = 0;
  BoxOffset fault_offset = 0;  // address of a memory abort, modulo 2^32
  Abort abort = Abort::none;
  std::uint32_t call_target = 0;    // compiled code: context handed on by a tail call
  std::uint64_t call_register = 0;  // value that CALLX calls
  void* recovery = nullptr;         // where an abort resumes
};

struct Runtime {
  Box* box = nullptr;
  Time now;  // virtual clock
  std::uint32_t cpu = 0;
  std::uint32_t numa_node = 0;
  PacketView* packet = nullptr;  // current one; null outside packet hooks
  RandomSource* random = nullptr;
  RedirectInfo redirect;
  Trace* trace = nullptr;
  std::span<Map* const> maps;
  std::span<const Program> programs;
  const FibTable* fib = nullptr;
  const MtuTable* mtu = nullptr;
  VmState* vm = nullptr;
  Execution execution;

  Map* map(std::uint64_t handle) const { return handle - 1 < maps.size() ? maps[handle - 1] : nullptr; }
  std::uint64_t now_ns() const { return static_cast<std::uint64_t>(now.ps) / 1000; }

  /// Memory a helper was pointed to. An address that is not mapped (or not writable) ends the run as XDP_ABORTED: these
  /// do not return then, so a helper fetches its spans before it changes anything or owns anything. Length 0 is empty.
  /// Outside a run they throw BugError.
  std::span<const std::byte> readable(std::uint64_t pointer, std::uint64_t length);
  std::span<std::byte> writable(std::uint64_t pointer, std::uint64_t length);

  /// Runs a callback of the program (bpf_loop, for_each_map_elem) inside the current run, with its fuel and cost.
  /// `function` is the value of an LDDW with src 4. Does not return if the callback aborts.
  std::uint64_t call_back(std::uint64_t function, std::uint64_t r1, std::uint64_t r2 = 0, std::uint64_t r3 = 0,
                          std::uint64_t r4 = 0, std::uint64_t r5 = 0);
  /// Charges work of a helper that depends on its arguments.
  void charge(std::int64_t cost_ps) { execution.helper_ps += cost_ps; }
  /// Ends the run as XDP_ABORTED.
  [[noreturn]] void abort(Abort reason);
};

}  // namespace rxpool::bpf
