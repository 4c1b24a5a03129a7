#pragma once
// xdp_do_redirect and xdp_do_flush of one NAPI:
//
//     verdict XDP_REDIRECT -> frame -> bulk queue of the target (16) -> ndo_xdp_xmit -> doorbell at the end of the poll
//                                   -> bulk queue of a CPU (8) -> ring of its cpumap entry -> wake-up at the end
//
// A success of the first step only means queued; what the target has no descriptor or place for is dropped later and
// counted in the tracepoints xdp_devmap_xmit and xdp_cpumap_enqueue (XD-15, XD-21, XD-31). The kernel keeps bulk queues
// per CPU and target; a NAPI empties them before its poll ends, so one per NAPI and target is the same. The program of
// a devmap entry runs over a bulk before it is sent: that of the entry by which the queue got its first frame of the
// poll, as in the kernel. Rules XD-15, XD-20, XD-21, XD-24, XD-25, XD-51, XD-52, XD-70 to XD-72.

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/journal.hpp"
#include "models/xdp/cpumap_bulk.hpp"
#include "models/xdp/device.hpp"
#include "models/xdp/devmap_program.hpp"
#include "models/xdp/egress_hook.hpp"
#include "models/xdp/frame.hpp"
#include "models/xdp/xsk.hpp"

namespace rxpool {

struct XdpRedirectStats {
  std::uint64_t redirect = 0;          ///< tracepoint xdp_redirect
  std::uint64_t redirect_err = 0;      ///< tracepoint xdp_redirect_err
  std::uint64_t devmap_xmit = 0;       ///< tracepoint xdp_devmap_xmit
  std::uint64_t sent = 0;              ///< its field
  std::uint64_t drops = 0;             ///< its field
  std::uint64_t egress_drops = 0;      ///< by the egress program
  std::uint64_t egress_redirects = 0;  ///< to another device
  std::uint64_t egress_backoffs = 0;   ///< runs in which it asked the RX queue to back off
};

class XdpRedirect {
 public:
  /// `exceptions` counts the tracepoint xdp_exception; `egress`: of the policy, null without.
  XdpRedirect(Journal& journal, std::uint64_t& exceptions, EgressHook* egress)
      : journal_(journal), exceptions_(exceptions), egress_(egress) {
    if (egress != nullptr) diverted_.reserve(4 * bulk);
  }

  void refused() { ++stats_.redirect_err; }
  void accepted() { ++stats_.redirect; }
  /// dev_map_enqueue; afterwards overfull() says whether bq_xmit_all is due first.
  void enqueue(const XdpTarget& target, const XdpFrame& frame);
  /// cpu_map_enqueue; the frame lies in the skb slab.
  void enqueue(CpumapEntry& entry, SkbId frame) {
    ++stats_.redirect;
    cpus_.enqueue(entry, frame);
  }
  /// __xsk_map_redirect: the packet is in the socket's RX ring.
  void enqueue(Xsk& xsk) {
    ++stats_.redirect;
    xsk_ = &xsk;
  }
  /// Runs the egress program on a packet that is about to take a descriptor of `ring`; charged to the CPU.
  EgressHook::Verdict ask_egress(Core& core, const Packet& packet, const TxQueue& ring, const EgressHook::Ring& state);
  void dropped_by_egress() { ++stats_.egress_drops; }
  void sent_elsewhere() { ++stats_.egress_redirects; }
  /// Does what the egress program has asked for last still hold?
  bool backs_off() const;

  bool overfull() const { return !overfull_.empty() || cpus_.overfull(); }
  /// The bulks that one frame too many was added to are sent first. Resumable; false: others come first.
  bool send_overfull(Core& core);
  bool pending() const { return !flush_list_.empty() || !diverted_.empty() || cpus_.pending() || xsk_ != nullptr; }
  /// xdp_do_flush: devices, CPUs, then the AF_XDP socket. Resumable; false: others come first.
  bool flush(Core& core);

  const CpumapBulk& cpus() const { return cpus_; }
  /// Frames in bulk queues of devices, for the ledgers.
  template <typename Visit>
  void for_each_frame(Visit&& visit) const {
    for (const BulkQueue& queue : queues_) {
      for (std::uint32_t i = 0; i < queue.count; ++i) visit(queue.frames[i]);
    }
    for (const Diverted& diverted : diverted_) visit(diverted.frame);
  }
  const XdpRedirectStats& stats() const { return stats_; }

 private:
  static constexpr std::uint32_t bulk = 16;  // DEV_MAP_BULK_SIZE
  struct BulkQueue {
    const XdpDevice* device = nullptr;
    DevmapProgram* program = nullptr;  ///< from the first frame to the flush
    std::array<XdpFrame, bulk + 1> frames;
    std::uint32_t count = 0;
    bool listed = false;
  };
  /// A frame that an egress program sends to another device.
  struct Diverted {
    const XdpDevice* device;
    XdpFrame frame;
  };
  BulkQueue& queue_of(const XdpDevice& device);
  bool xmit_all(Core& core, BulkQueue& queue);
  bool flush_devices(Core& core);
  bool may_drop(Core& core, const BulkQueue& queue, std::uint32_t count) const;
  std::uint32_t run_program(Core& core, BulkQueue& queue, std::uint32_t count);
  std::uint32_t run_egress(Core& core, BulkQueue& queue, const TxQueue& ring, std::uint32_t count);
  bool place_diverted(Core& core);
  void drop(Core& core, std::span<const XdpFrame> frames, Fate fate);

  Journal& journal_;
  std::uint64_t& exceptions_;
  EgressHook* egress_;
  EgressBackoff backoff_;
  std::vector<Diverted> diverted_;
  std::deque<BulkQueue> queues_;  ///< references stay valid
  std::vector<BulkQueue*> flush_list_;
  std::vector<BulkQueue*> overfull_;
  CpumapBulk cpus_;
  Xsk* xsk_ = nullptr;  ///< got packets since the last flush; an RX queue has one at most (XD-41)
  XdpRedirectStats stats_;
};

}  // namespace rxpool
