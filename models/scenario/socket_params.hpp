#pragma once
// `sockets.<name>`: UDP and TCP sockets and the applications that read them (SK-30 to SK-33). A packet to a port
// without a socket is answered by the closed-port path. A socket queue keeps its packets' pages: the reader's speed
// decides how many (SK-33).

#include <cstdint>
#include <string>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

enum class SocketProtocol { udp, tcp };

struct PauseParams {
  double at_ms = 0;
  double for_ms = 0;
  double every_ms = 0;
};

inline void fields(FieldVisitor& v, PauseParams& p) {
  v.number("at_ms", p.at_ms, time_ms(), "When the application stops reading.");
  v.number("for_ms", p.for_ms, time_ms(), "How long it does not read.");
  v.number("every_ms", p.every_ms, time_ms(), "Period of repetition; 0 once.");
}

enum class ServiceLaw { constant, exponential };

/// An application's work per packet and its pauses.
struct WorkParams {
  double service_ns = 0;
  ServiceLaw service_law = ServiceLaw::constant;
  std::int32_t nice = 0;
  bool paused = false;
  Named<PauseParams> pauses;
};

inline void work_fields(FieldVisitor& v, WorkParams& p) {
  v.number("service_ns", p.service_ns, {0, 1e12, "ns"}, "Work of the application per packet after reading it.");
  v.choice<ServiceLaw>("service_law", p.service_law,
                       {{"constant", ServiceLaw::constant}, {"exponential", ServiceLaw::exponential}},
                       "Whether that work is always the same, or drawn with service_ns as its mean.");
  v.number("nice", p.nice, {-20, 19}, "Nice value of its thread.");
  v.flag("paused", p.paused, "Whether it is paused at the start; a timed change can switch it.");
  v.children("pauses", p.pauses, "Times at which it does not read.");
}

/// What the application sets with setsockopt so that it polls instead of sleeping.
struct SocketBusyPollParams {
  double us = 0;
  bool prefer = false;
  std::uint32_t budget = 8;
};

inline void fields(FieldVisitor& v, SocketBusyPollParams& p) {
  v.number("us", p.us, {0, 1e6, "us"}, "SO_BUSY_POLL: how long it polls before it sleeps; 0 not at all (NA-45).");
  v.flag("prefer", p.prefer, "SO_PREFER_BUSY_POLL: interrupts stay off between its polls (NA-46, NA-48).");
  v.number("budget", p.budget, {1, 64, "packets"}, "SO_BUSY_POLL_BUDGET: most packets of one poll.");
}

struct ReaderParams : WorkParams {
  std::uint32_t batch = 1;
  double rate_pps = 0;
  SocketBusyPollParams busy_poll;
};

inline void fields(FieldVisitor& v, ReaderParams& p) {
  v.number("batch", p.batch, {1, 1024, "packets"}, "Messages per system call (recvmmsg); 1 is recvmsg.");
  v.object("busy_poll", p.busy_poll, "Polling the NIC itself instead of sleeping.", "us");
  v.number("rate_pps", p.rate_pps, {0, 1e9, "packets/s"}, "Most it reads per second; 0 as fast as it can.");
  work_fields(v, p);
}

struct SocketParams {
  SocketProtocol protocol = SocketProtocol::udp;
  std::uint16_t port = 0;
  std::string cpu;
  std::uint32_t rcvbuf = 0;
  std::string cgroup;
  ReaderParams reader;
};

inline void fields(FieldVisitor& v, SocketParams& p) {
  v.choice<SocketProtocol>("protocol", p.protocol, {{"udp", SocketProtocol::udp}, {"tcp", SocketProtocol::tcp}},
                           "Transport protocol; a tcp socket serves the connections of `traffic` of kind tcp.");
  v.number("port", p.port, {1, 65535}, "Local port, required.");
  v.text("cpu", p.cpu, "CPU on which the application runs, required.");
  v.number("rcvbuf", p.rcvbuf, {0, 1073741823, "bytes"},
           "SO_RCVBUF as the application sets it (the kernel doubles it); 0 not set: rmem_default (SK-30), or"
           " autotuned (TC-34).");
  v.text("cgroup", p.cgroup, "Group in memory.cgroups whose memory.max bounds what is queued (SK-36); empty: none.");
  v.object("reader", p.reader, "The application.");
}

}  // namespace rxpool::scenario
