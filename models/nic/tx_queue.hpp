#pragma once
// One XDP transmit queue:   driver -> descriptors -> doorbell -> TxLink -> completions -> pages go home
//
//     reaped <= rung <= posted      posted - reaped  descriptors in use; full when that is the ring's size
//
// The instants at which frames leave are fixed at the doorbell; frames of one doorbell complete together, with the last
// of them (mlx5: one completion per doorbell; i40e, ice: one RS bit per bulk). The driver takes completions in the poll
// of the NAPI that owns the queue, sixteen frames to a step, and gives the pages back directly, or in one bulk of
// sixteen to the pools they came from (PP-30). A queue that takes redirected frames has an interrupt for its
// completions; one that several CPUs share is locked for each ndo_xdp_xmit. Rules XD-10 to XD-12, XD-22, XD-50, XD-52.

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/cpu/core.hpp"
#include "models/journal.hpp"
#include "models/memory/page_pools.hpp"
#include "models/nic/tx_link.hpp"
#include "models/xdp/frame.hpp"
#include "sim/histogram.hpp"

namespace rxpool {

struct TxQueueParams {
  std::string name;        ///< component path
  std::uint32_t size = 0;  ///< descriptors
  bool own_pages = true;   ///< XDP_TX: pages of the NAPI that reaps; otherwise of whoever redirected
  bool locked = false;     ///< more CPUs than queues (XD-52)
  Time moderation;         ///< tx-usecs: from a completion to its interrupt
  bool record_latency = true;
};

/// Who handles the completions: told when the instant of the next one is known.
class TxOwner {
 public:
  virtual ~TxOwner() = default;
  virtual void completion_planned(Core& by) = 0;
};

struct TxQueueStats {
  std::uint64_t posted = 0;       ///< frames given to the queue
  std::uint64_t full = 0;         ///< calls of ndo_xdp_xmit that found no descriptor for all frames
  std::uint64_t transmitted = 0;  ///< frames that have left
  std::uint64_t bytes = 0;        ///< of these
  std::uint64_t doorbells = 0;
};

class TxQueue {
 public:
  TxQueue(TxQueueParams params, TxLink& link, PagePools& pools, Journal& journal);

  const std::string& name() const { return params_.name; }
  std::uint32_t size() const { return params_.size; }
  /// Descriptors in use.
  std::uint32_t fill() const { return static_cast<std::uint32_t>(posted_ - reaped_); }
  bool full() const { return fill() >= params_.size; }
  /// Writes one descriptor; there has to be room.
  void post(const XdpFrame& frame);

  /// ndo_xdp_xmit without the doorbell: as many of the frames as there is room for.
  std::uint32_t xmit(Core& core, std::span<const XdpFrame> frames);
  void set_owner(TxOwner& owner) { owner_ = &owner; }

  bool doorbell_due() const { return rung_ != posted_; }
  /// Tells the NIC of what was posted since the last time, if anything was; false: others come first.
  bool ring_doorbell(Core& core);

  /// Takes the completions that are visible, one step after the other; false: waiting.
  bool reap(Core& core);
  /// When the next doorbell's frames are complete; never() without any.
  Time completed_at() const;
  /// When its interrupt fires, once it is armed from `armed` on.
  Time fires(Time armed) const {
    const Time completed = completed_at();
    return completed == Time::never() ? completed : std::max(armed, completed + params_.moderation);
  }
  /// Books what has left by `now`.
  void observe(Time now);

  /// Pages of frames that are not yet reaped, for the ledger; frames that have not left.
  template <typename Visit>
  void for_each_page(Visit&& visit) const {
    for (std::uint64_t i = reaped_; i != posted_; ++i) visit(frames_[i & mask_].page);
  }
  std::uint64_t in_flight() const { return posted_ - left_ - copies_; }

  const TxQueueStats& stats() const { return stats_; }
  Histogram& latency() { return latency_; }

 private:
  static constexpr std::uint32_t unit = xdp_bulk_queue_size;
  struct Frame {
    Time arrival;
    Time leaves;
    std::uint64_t id;
    RxPages* pages;
    PageId page;
    std::uint16_t queue;
    std::uint16_t frame_bytes;
    bool carrier;
    bool copy;
  };
  struct Bulk {
    std::uint64_t end;  ///< first frame after it
    Time completed;
  };
  bool may_touch_zone(Core& core, std::uint32_t count) const;
  void give_back(Core& core, std::uint32_t count);

  TxQueueParams params_;
  TxLink& link_;
  PagePools& pools_;
  Journal& journal_;
  TxOwner* owner_ = nullptr;
  Time lock_free_{0};
  std::uint64_t mask_;
  std::vector<Frame> frames_;
  std::vector<Bulk> bulks_;  ///< ring, as many as frames
  std::uint64_t first_bulk_ = 0;
  std::uint64_t next_bulk_ = 0;
  std::uint64_t posted_ = 0;
  std::uint64_t rung_ = 0;
  std::uint64_t left_ = 0;
  std::uint64_t reaped_ = 0;
  std::uint64_t copies_ = 0;  ///< of a broadcast, that have not left: not in the packet ledger
  TxQueueStats stats_;
  Histogram latency_;
};

}  // namespace rxpool
