#pragma once
// What sits in a driver's XDP hook: nothing, one of the built-in programs, or a policy. A policy is run over several
// packets of a NAPI poll at once, so that entering it is paid once and not per packet of host time.

#include <cstdint>
#include <span>

#include "models/packet.hpp"
#include "models/xdp/cpumap_spread.hpp"
#include "models/xdp/device.hpp"
#include "sim/time.hpp"

namespace rxpool {

class EgressHook;
class ReturnHook;

/// enum xdp_action; what a program returns.
enum class XdpAction : std::uint32_t { aborted = 0, drop = 1, pass = 2, tx = 3, redirect = 4 };

class DevmapProgram;
class Xsk;

/// One device, CPU or AF_XDP socket that XDP_REDIRECT leads to.
struct XdpTarget {
  const XdpDevice* device = nullptr;
  DevmapProgram* program = nullptr;  ///< of the devmap entry
  CpumapEntry* cpu = nullptr;        ///< instead of a device
  Xsk* xsk = nullptr;                ///< instead of either
};

/// Where an XDP_REDIRECT leads: one target, or those of a broadcast, of which all but the last get a copy (XD-24).
struct XdpRedirection {
  std::span<const XdpTarget> targets;
};

/// What a program answered for one packet.
struct XdpVerdict {
  XdpAction action = XdpAction::aborted;
  Time cost{0};  ///< executed instructions and helpers
  std::uint16_t frame_bytes =
      0;  ///< with FCS, where XDP_TX or XDP_REDIRECT sends it with another length; 0: as received
  /// With XDP_REDIRECT, until the program's next run; null: xdp_do_redirect refuses.
  const XdpRedirection* redirection = nullptr;
};

/// The driver's loop around the runs of a program: what it does in between, and how long that takes, may depend on when
/// the program was done.
class XdpLoop {
 public:
  virtual ~XdpLoop() = default;
  /// What the program said of the packet at hand. True: it is to run on the next one, at `start`.
  virtual bool answered(const XdpVerdict& verdict, Time& start) = 0;
};

class XdpProgram {
 public:
  virtual ~XdpProgram() = default;
  /// On `cpu`: runs packets[0] at `start`, then one packet after the other as long as the loop says so.
  virtual void run(std::span<const Packet> packets, std::uint16_t cpu, Time start, XdpLoop& loop) = 0;
  /// One packet.
  XdpVerdict run_one(const Packet& packet, std::uint16_t cpu, Time start);
  /// Does it read packet data? Then the first read is charged as a cache access.
  virtual bool reads_packet() const = 0;
  /// Do runs on several CPUs meet in a map?
  virtual bool shares_state() const = 0;
};

/// What is attached to a NIC.
struct XdpHook {
  enum class Kind : std::uint8_t { none, drop, pass, tx, redirect, xsk, program };
  Kind kind = Kind::none;
  XdpProgram* program = nullptr;
  const XdpDevice* target = nullptr;  ///< of the built-in program that redirects to a device
  CpumapSpread* cpus = nullptr;       ///< of the one that redirects to CPUs
  ReturnHook* returns = nullptr;      ///< the policy's return program
  EgressHook* egress = nullptr;       ///< its egress program
};

/// What a circuit breaker lets pass from one RX queue to the stack, copies for cpumap and AF_XDP included; XDP_TX and
/// devmap are exempt (CT-36, CT-37). Written by the control loop, asked in the driver after the verdict.
struct BreakerGate {
  enum class Level : std::uint8_t {
    closed,     ///< everything passes
    half_open,  ///< approved packets, and one of `probe_one_in` others
    open,       ///< approved packets only
    hard,       ///< nothing
  };
  Level level = Level::closed;
  bool program_approves = false;  ///< the attached program declares the signal map: its XDP_PASS is an approval
  std::uint32_t probe_one_in = 1;
  std::uint32_t probes = 0;
  std::uint64_t approved = 0;
  std::uint64_t probed = 0;
  std::uint64_t refused = 0;
  std::uint64_t refused_hard = 0;

  /// For a packet on its way to the stack while the level is not `closed`.
  bool admits(bool by_program) {
    if (level == Level::hard) {
      ++refused_hard;
      return false;
    }
    if (by_program && program_approves) {
      ++approved;
      return true;
    }
    if (level == Level::half_open && ++probes >= probe_one_in) {
      probes = 0;
      ++probed;
      return true;
    }
    ++refused;
    return false;
  }
};

}  // namespace rxpool
