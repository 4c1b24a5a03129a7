#pragma once
// One entry of a cpumap: a queue to another CPU and the kernel thread behind it.
//
//     NAPI of the RX CPU -> bulk of 8 -> ptr_ring -> thread on the remote CPU: program, skbs, GRO list -> stack
//                                           | full: dropped by the RX CPU
//
// The thread works off eight frames at a time with bottom halves disabled; it sleeps when it sees no frame and is woken
// only at the end of a poll (XD-32). A frame lies in a slot of the skb slab from the moment it leaves its driver, as in
// the kernel it lies in the headroom of its own buffer. Rules XD-30 to XD-37. Leaves out: programs of entries that
// redirect again or see what the first program wrote, entries added or removed at run time, skb heads that cannot be
// allocated.

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "models/cpu/core.hpp"
#include "models/journal.hpp"
#include "models/memory/ptr_ring.hpp"
#include "models/stack/normal_list.hpp"
#include "models/stack/skb.hpp"
#include "models/stack/stack.hpp"
#include "models/xdp/cpumap_program.hpp"

namespace rxpool {

struct CpumapEntryParams {
  /// Program of the entry (SEC("xdp/cpumap")).
  enum class Program : std::uint8_t { none, pass, drop, policy };
  std::string name;         ///< component path
  std::uint32_t qsize = 0;  ///< frames
  Program program = Program::none;
  CpumapProgram* policy = nullptr;  ///< of a policy
  bool gro = true;                  ///< of the device that received the frames
  bool flushes_late = true;         ///< 6.15 on: GRO list kept over batches (XD-34)
  std::uint32_t gro_normal_batch = 8;
};

struct CpumapStats {
  std::uint64_t enqueue = 0;            ///< tracepoint xdp_cpumap_enqueue
  std::uint64_t enqueue_processed = 0;  ///< its field: frames, dropped ones included
  std::uint64_t enqueue_drops = 0;      ///< its field
  std::uint64_t kthread = 0;            ///< tracepoint xdp_cpumap_kthread
  std::uint64_t kthread_processed = 0;  ///< its field
  std::uint64_t xdp_pass = 0;           ///< its field
  std::uint64_t xdp_drop = 0;           ///< its field
};

class CpumapEntry final : public Task {
 public:
  /// What it works with; everything outlives the entry.
  struct Environment {
    Stack* stack = nullptr;
    SkbSlab* slab = nullptr;
    Journal* journal = nullptr;
    const NetfilterParams* netfilter = nullptr;  ///< of the device that received the frames
  };
  CpumapEntry(const CpumapEntryParams& params, const Environment& environment);

  /// Its thread belongs to this CPU; before time starts.
  void attach(Core& core) { core.add_thread(*this); }

  // ---- By the CPU that redirects.
  /// bq_flush_to_queue, one step: at most eight frames of one driver. False: others come first.
  bool enqueue(Core& core, std::span<const SkbId> frames);
  /// wake_up_process, one step; due after the last bulk of a poll.
  bool wake_up(Core& core);

  // ---- By its thread.
  Outcome step(Core& core) override;

  /// Frames and skbs that the entry holds, for the ledgers.
  template <typename Visit>
  void for_each_held(Visit&& visit) const {
    for (std::uint32_t i = 0; i < ring_.count(); ++i) visit(ring_.at(i));
    for (std::uint32_t i = next_; i < batch_; ++i) visit(skbs_[i]);
    for (const SkbId id : list_.undelivered()) visit(id);
  }
  std::uint32_t queued() const { return ring_.count(); }
  const CpumapStats& stats() const { return stats_; }

 private:
  static constexpr std::uint32_t batch_most = 8;  // CPUMAP_BATCH
  enum class Phase : std::uint8_t { consume, receive, flush };
  bool readable(Time now) const { return ring_.count() != 0 && (*env_.slab)[ring_.peek()].visible <= now; }
  bool may_consume(Core& core) const;
  void consume(Core& core);
  void run_program(Core& core, std::uint32_t count);
  bool passes(Core& core, const Packet& packet);
  bool receive(Core& core);
  bool flush(Core& core);

  CpumapEntryParams params_;
  Environment env_;
  PtrRing ring_;
  int last_producer_ = -1;  ///< CPU that had the producer lock last
  bool asleep_ = true;
  Phase phase_ = Phase::consume;
  std::array<SkbId, batch_most> skbs_{};
  std::uint32_t batch_ = 0;  ///< of these in use
  std::uint32_t next_ = 0;   ///< first that is not on the list yet
  NormalList list_;
  std::uint32_t packets_ = 0;  ///< since the list was flushed
  bool flushing_ = false;
  CpumapStats stats_;
};

}  // namespace rxpool
