#pragma once
// `xsks.<name>`: AF_XDP sockets, each bound to one RX queue, with their umem and the application that takes their
// packets (XD-40 to XD-44, XD-60 to XD-64). Defaults are libxdp's.

#include <cstdint>
#include <string>

#include "models/scenario/field.hpp"
#include "models/scenario/socket_params.hpp"

namespace rxpool::scenario {

struct XskApplicationParams : WorkParams {
  std::uint32_t batch = 64;
};

inline void fields(FieldVisitor& v, XskApplicationParams& p) {
  v.number("batch", p.batch, {1, 1024, "packets"}, "Most packets that it takes off the RX ring at once.");
  work_fields(v, p);
}

struct XskParams {
  std::string nic;
  std::string queue;
  bool zero_copy = false;
  bool need_wakeup = true;
  std::string cpu;
  std::uint32_t frames = 4096;
  std::uint32_t fill_ring = 2048;
  std::uint32_t rx_ring = 2048;
  XskApplicationParams application;
};

inline void fields(FieldVisitor& v, XskParams& p) {
  v.text("nic", p.nic, "NIC, required.");
  v.text("queue", p.queue, "RX queue of that NIC that the socket is bound to, required.");
  v.choice<bool>("mode", p.zero_copy, {{"copy", false}, {"zerocopy", true}},
                 "XDP_COPY: packets are copied into the umem; XDP_ZEROCOPY: the NIC writes them there (XD-44).");
  v.flag("need_wakeup", p.need_wakeup,
         "XDP_USE_NEED_WAKEUP: a driver without frames waits to be woken; otherwise it polls on (XD-63).");
  v.text("cpu", p.cpu, "CPU on which the application runs, required.");
  v.number("frames", p.frames, {1, 1048576, "frames"}, "Frames of the umem, each a page.");
  v.number("fill_ring", p.fill_ring, {1, 65536, "frames"}, "Slots of the FILL ring, a power of two.");
  v.number("rx_ring", p.rx_ring, {1, 65536, "packets"}, "Slots of the RX ring, a power of two.");
  v.object("application", p.application, "The application.");
}

}  // namespace rxpool::scenario
