#pragma once
// A UDP socket's receive side: rcvbuf accounting on enqueue, the memory it shares with other sockets, the reader queue,
// and the late return of receive memory. Rules SK-30, SK-31, SK-33 to SK-36 (docs/rules/stack.md). Leaves out:
// skb_condense (SK-32), busy locks, GRO'd packets.

#include <cstdint>

#include "models/stack/socket.hpp"
#include "models/stack/socket_memory.hpp"

namespace rxpool {

struct UdpSocketParams {
  std::uint16_t port = 0;
  std::uint32_t sk_rcvbuf = 212992;  ///< bytes, after the kernel's doubling (SK-30)
  bool admits_by_size = true;        ///< 6.15 on: the packet's truesize counts before it is queued (SK-31)
};

class UdpSocket final : public Socket {
 public:
  enum class Admission : std::uint8_t {
    admitted,
    no_buffer,  ///< over rcvbuf (SOCKET_RCVBUFF)
    no_memory,  ///< udp_mem or the group's memory.max (PROTO_MEM)
  };
  /// `cgroup`: null for none.
  UdpSocket(const UdpSocketParams& params, SkbSlab& slab, UdpMemory& memory, MemoryCgroup* cgroup)
      : Socket(params.port, slab), params_(params), memory_(memory), cgroup_(cgroup) {}

  /// What would become of so much more now.
  Admission judge(std::uint32_t truesize) const {
    if (full(truesize)) return Admission::no_buffer;
    return truesize <= forward_alloc_ || may_take(pages_for(truesize), truesize) ? Admission::admitted
                                                                                 : Admission::no_memory;
  }
  /// Counts a packet that judge() has refused.
  void refused(Admission why, std::uint32_t truesize);
  /// By a step that began at `begin`.
  void enqueue(SkbId id, Time begin, Time visible);
  void settle(Time now) override;
  std::uint32_t unnoticed_reads(const Core& by) const override;
  std::uint16_t alloc_cpu() const override { return static_cast<std::uint16_t>(alloc_cpu_); }
  /// Its memory is given back to the socket now or later (SK-34).
  SkbId dequeue(Time now) override;

  const std::uint64_t& mem_errors() const { return mem_errors_; }

 private:
  bool full(std::uint32_t truesize) const {
    if (params_.admits_by_size) return charged_ + truesize > params_.sk_rcvbuf && charged_ != 0;
    return charged_ > params_.sk_rcvbuf;
  }
  /// Pages that the socket lacks for it (sk_mem_pages).
  std::uint64_t pages_for(std::uint32_t truesize) const;
  bool may_take(std::uint64_t pages, std::uint32_t truesize) const;

  UdpSocketParams params_;
  UdpMemory& memory_;
  MemoryCgroup* cgroup_;
  static constexpr std::int32_t none = -1;
  static constexpr std::int32_t several = -2;
  std::uint64_t mem_errors_ = 0;     ///< UdpMemErrors
  std::uint32_t charged_ = 0;        ///< rmem_alloc with what has not settled
  std::uint32_t largest_ = 0;        ///< truesize seen
  std::int32_t alloc_cpu_ = none;    ///< of all skbs so far
  std::uint32_t forward_alloc_ = 0;  ///< bytes of its pages that nothing is charged to
  std::uint32_t reader_queue_ = 0;   ///< packets already moved to udp_sock.reader_queue
  std::uint32_t forward_deficit_ = 0;
};

}  // namespace rxpool
