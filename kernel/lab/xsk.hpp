#pragma once
// An AF_XDP socket in copy mode and the thread that takes its packets at the plan's pace, with its pauses: libxdp's
// set-up without libxdp. A packet is copied into a frame of the umem, which no page_pool knows; its page goes back at
// once. Leaves out TX and COMPLETION ring, zero-copy and need_wakeup.

#include <linux/if_xdp.h>

#include <atomic>
#include <cstdint>
#include <thread>

#include "kernel/lab/plan.hpp"

namespace rxpool::lab {

class Xsk {
 public:
  /// Binds to the first queue of the interface; throws Unavailable when the kernel refuses.
  Xsk(const XskPlan& plan, int interface_index);
  ~Xsk();
  Xsk(const Xsk&) = delete;
  Xsk& operator=(const Xsk&) = delete;

  int fd() const { return fd_; }
  void start(std::int64_t begin_ns);
  void stop();

  struct State {
    std::uint64_t received = 0;  ///< packets that the application took
    xdp_statistics statistics{};
  };
  State state() const;

 private:
  /// One ring in memory that the kernel shares: positions run on for ever, `mask` finds the slot.
  template <typename Slot>
  struct Ring {
    std::uint32_t* producer = nullptr;
    std::uint32_t* consumer = nullptr;
    Slot* slots = nullptr;
    std::uint32_t mask = 0;
  };

  template <typename Slot>
  Ring<Slot> map_ring(const xdp_ring_offset& at, std::uint32_t slots, std::int64_t offset) const;
  void make_umem();
  void read_until_stopped(std::int64_t begin_ns);
  std::uint32_t take();

  const XskPlan& plan_;
  int fd_ = -1;
  char* umem_ = nullptr;
  Ring<std::uint64_t> fill_;
  Ring<xdp_desc> rx_;
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::thread thread_;
};

}  // namespace rxpool::lab
