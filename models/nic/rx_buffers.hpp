#pragma once
// How a driver supplies its ring with memory and gets it back: when it refills, how many at once, what it does when an
// allocation fails, when a page is released. Three memory models (kernel-model §4.1): a page_pool (mlx5, ice, vmxnet3),
// half-page flip (ixgbe, i40e, mlx4), page fragments (virtio_net). Rules DR-10 to DR-22.

#include <cstdint>

#include "models/cpu/core.hpp"
#include "models/memory/rx_pages.hpp"
#include "models/nic/rx_ring.hpp"
#include "sim/error.hpp"

namespace rxpool {

/// Driver counters of the refill path; reported under each driver's own names.
struct RxBufferStats {
  std::uint64_t alloc_fail = 0;  ///< failed refills: buff_alloc_err, alloc_rx_page_failed, rx_pg_alloc_fail …
  std::uint64_t page_reuse = 0;  ///< half-page flip: page kept
  std::uint64_t page_alloc = 0;  ///< half-page flip, fragments: page newly allocated
  std::uint64_t page_busy = 0;   ///< half-page flip: other half still in use (DR-21)
};

class RxBuffers : public RxPages {
 public:
  enum class Refill : std::uint8_t {
    done,
    repoll,   ///< an allocation failed and the driver wants to be polled again at once
    waiting,  ///< the core has re-armed; ask again
  };

  /// Posts the whole ring before time starts; false if memory does not suffice.
  virtual bool fill(MemoryContext& context, RxRing& ring) = 0;
  /// Called after the packets of a poll: refills what the driver's threshold asks for.
  virtual Refill refill(Core& core, RxRing& ring) = 0;
  /// The packet in `slot` goes up the stack: its skb gets a share of the page. no_page when the driver must drop it.
  virtual PageId take(Core& core, RxRing& ring, std::uint32_t slot) = 0;
  /// The packet in `slot` leaves as an XDP frame: as take(), where a copy for the skb is not needed.
  virtual PageId take_frame(Core& core, RxRing& ring, std::uint32_t slot) { return take(core, ring, slot); }
  enum class Reach : std::uint8_t { cpu, group, zone };
  /// Whose things may take() or drop() of the packet in `slot` touch: this CPU's alone, what it shares with its group
  /// (a ring, a page's count), or a zone, which all CPUs share?
  virtual Reach reach(const MemoryContext&, const RxRing&, std::uint32_t) const { return Reach::cpu; }
  /// The packet in `slot` was dropped by XDP; the driver keeps or releases the page.
  virtual void drop(Core& core, RxRing& ring, std::uint32_t slot) = 0;
  /// The driver takes the ring down: every page of it leaves the driver's hands (DR-40).
  virtual void give_back(MemoryContext&, RxRing&) {
    throw BugError("rx_buffers: this driver's ring cannot be restarted");
  }
  /// Is drop() free of work? Then a batch need not call it (DR-11: mlx5 releases at refill).
  virtual bool drops_for_free() const = 0;
  /// Does take() always succeed, without a price and without reaching beyond this CPU?
  virtual bool takes_for_free() const { return false; }

  /// skb->truesize of a packet in such a buffer (SK-2).
  virtual std::uint32_t truesize() const = 0;
  /// Pages in descriptors, and pages that skbs hold (PP-51: posted, held).
  virtual std::uint32_t posted() const = 0;
  virtual std::uint32_t held() const = 0;
  /// hold - release of a page_pool (PP-50); what the driver took and has not back otherwise.
  virtual std::uint32_t inflight() const { return posted() + held(); }
  const RxBufferStats& stats() const { return stats_; }
  /// The queue's counters go on where those of its earlier buffers ended.
  void count_on_from(const RxBuffers& earlier) { stats_ = earlier.stats_; }

 protected:
  RxBufferStats stats_;
};

}  // namespace rxpool
