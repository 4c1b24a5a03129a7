#pragma once
// `pmds.<name>`: poll-mode drivers in user space, each with the RX queue that it took from the kernel, its mempool and
// what its application does with the packets (PM-1 to PM-6).

#include <cstdint>
#include <string>

#include "models/scenario/field.hpp"
#include "models/scenario/socket_params.hpp"

namespace rxpool::scenario {

struct PmdParams {
  std::string nic;
  std::string queue;
  std::uint32_t burst = 32;
  std::uint32_t mempool = 8192;
  bool forward = false;
  WorkParams application;
};

inline void fields(FieldVisitor& v, WorkParams& p) {
  work_fields(v, p);
}

inline void fields(FieldVisitor& v, PmdParams& p) {
  v.text("nic", p.nic, "NIC, required.");
  v.text("queue", p.queue, "RX queue of that NIC, required; the queue's CPU polls it and gets no interrupt for it.");
  v.number("burst", p.burst, {1, 1024, "packets"},
           "Most packets of one receive burst, and of the send burst after it.");
  v.number("mempool", p.mempool, {1, 1048576, "packets"}, "mbufs of its mempool, each a page.");
  v.choice<bool>("action", p.forward, {{"consume", false}, {"forward", true}},
                 "Whether the application keeps the packets, or sends them back through the NIC.");
  v.object("application", p.application, "The application.");
}

}  // namespace rxpool::scenario
