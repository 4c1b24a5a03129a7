#pragma once
// What the lab is asked to do: the kernel-honourable part of a scenario, as plain values. Times are relative to the
// first send; warm-up included.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kernel/live/system.hpp"
#include "models/scenario/control_params.hpp"

namespace rxpool::lab {

/// Ends of the pair, of the range for benchmarks (RFC 2544).
inline constexpr const char* receiver_address = "198.18.0.1";
inline constexpr const char* sender_address = "198.18.0.2";

struct Pause {
  double at_ms = 0;
  double for_ms = 0;
  double every_ms = 0;
};

struct SocketPlan {
  std::string name;
  std::uint16_t port = 0;
  bool tcp = false;  ///< one connection of the lab's TCP sender; otherwise UDP
  int cpu = 0;
  std::uint32_t rcvbuf = 0;  ///< as SO_RCVBUF takes it; 0 not set
  std::uint32_t batch = 1;
  double service_ns = 0;
  double rate_pps = 0;
  bool paused = false;
  std::vector<Pause> pauses;
};

/// An AF_XDP socket on the receiving queue; none where `frames` is 0.
struct XskPlan {
  std::string name;
  int cpu = 0;
  std::uint32_t frames = 0;     ///< of its umem
  std::uint32_t fill_ring = 0;  ///< slots
  std::uint32_t rx_ring = 0;    ///< slots
  std::uint32_t batch = 64;
  double service_ns = 0;
  bool paused = false;
  std::vector<Pause> pauses;
};

/// A TCP connection from the far end of the pair, which takes the place of the generator; none where `port` is 0.
struct TcpPlan {
  std::uint16_t port = 0;
  std::string congestion_control;
  double start_ms = 0;
};

/// The CPU that a policy redirects to over its cpumap; none where `qsize` is 0.
struct RemoteCpu {
  std::string map = "cpus";
  std::uint32_t cpu = 0;
  std::uint32_t qsize = 0;
  std::string program;  ///< of the entry, section xdp/cpumap; none if empty
};

struct Plan {
  double duration_ms = 0;
  double warmup_ms = 0;  ///< in which the probes' cost is measured
  double sample_us = 1000;
  std::uint32_t batch = 64;        ///< live frames per round, and the ring of their pool
  std::uint32_t frame_bytes = 60;  ///< without FCS
  int generator_cpu = 0;
  bool threaded = false;
  int napi_cpu = 0;
  std::string policy = "pass";           ///< pass, drop, to_cpu, to_xsk, or a BPF object
  std::map<std::string, double> params;  ///< of the object's `const volatile` variables
  RemoteCpu remote;
  XskPlan xsk;
  TcpPlan tcp;
  std::vector<std::uint16_t> ports;  ///< of each source
  std::vector<SocketPlan> sockets;
  scenario::ControlParams control;  ///< for the agent, where the policy reads a signal
  std::uint32_t hz = 250;
};

/// Throws std::runtime_error naming the key.
Plan read_plan(const std::string& path);

}  // namespace rxpool::lab
