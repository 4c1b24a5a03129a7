#pragma once
// A UDP socket's receive side: rcvbuf accounting on enqueue, the reader queue, and the late return of receive memory.
// Rules SK-30, SK-31, SK-33, SK-34 (docs/rules/stack.md). Leaves out: skb_condense (SK-32), busy locks, GRO'd packets.

#include <cstdint>

#include "models/stack/socket.hpp"

namespace rxpool {

struct UdpSocketParams {
  std::uint16_t port = 0;
  std::uint32_t sk_rcvbuf = 212992;  ///< bytes, after the kernel's doubling (SK-30)
  bool admits_by_size = true;        ///< 6.15 on: the packet's truesize counts before it is queued (SK-31)
};

class UdpSocket final : public Socket {
 public:
  UdpSocket(const UdpSocketParams& params, SkbSlab& slab) : Socket(params.port, slab), params_(params) {}

  /// Would this much more be refused now?
  bool full(std::uint32_t truesize) const {
    if (params_.admits_by_size) return rmem_alloc_ + truesize > params_.sk_rcvbuf && rmem_alloc_ != 0;
    return rmem_alloc_ > params_.sk_rcvbuf;
  }
  void enqueue(SkbId id, Time visible);
  /// Its memory is given back to the socket now or later (SK-34).
  SkbId dequeue(Time now) override;

 private:
  UdpSocketParams params_;
  std::uint32_t reader_queue_ = 0;  ///< packets already moved to udp_sock.reader_queue
  std::uint32_t forward_deficit_ = 0;
};

}  // namespace rxpool
