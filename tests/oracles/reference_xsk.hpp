#pragma once
// AF_XDP sockets of the reference engine (XD-40 to XD-44, XD-60 to XD-64): FILL and RX ring as lists of what can be
// seen from when on, the application as a process, and RX buffers that are frames of a socket.

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/oracles/reference_ring.hpp"
#include "tests/oracles/reference_stack.hpp"

namespace rxpool::reference {

class Xsk final : public Process {
 public:
  Xsk(std::string name, const scenario::XskParams& params, RandomStream service, Journal& journal);

  bool populate(MemoryContext& memory, PageAllocator& allocator);
  void start(Cpu& cpu);
  void set_paused(bool paused, Time now);
  Job unit(Cpu& cpu) override;

  // The kernel's side.
  PageId allocate(Time now);
  bool has_room(Time now) const { return !free_slots_.empty() && free_slots_.front() <= now; }
  void receive(const Packet& packet, PageId frame);
  Job flush(Cpu& cpu);
  bool flush_due() const { return unseen_ != 0; }

  const scenario::XskParams& params;
  std::vector<PageId> kernel_list;  ///< frames taken and not needed
  std::function<void(Cpu&)> wake_driver;
  /// Whether the driver waits for frames, and from when on that can be seen.
  struct NeedWakeup {
    bool now = false, before = false;
    Time since{0};
  };
  NeedWakeup need_wakeup;
  void set_need_wakeup(bool needed, Time at);

  // Frames and packets by place.
  std::size_t to_fill() const { return fill_.size() + kernel_list.size(); }
  std::size_t received_waiting() const { return rx_.size(); }
  std::size_t in_hand() const { return batch_.size() - done_; }
  std::size_t application_frames() const { return batch_.size() + spare_; }
  std::uint64_t rx_dropped = 0, rx_ring_full = 0, fill_empty = 0, received = 0, wakeups = 0, polls = 0;

 private:
  struct Alarm final : Interrupt {
    explicit Alarm(Xsk& x) : Interrupt(false), xsk(x) {}
    void take(Cpu& cpu) override;
    Xsk& xsk;
  };
  struct Received {
    Packet packet;
    PageId frame;
    Time visible;
  };
  struct Filled {
    PageId frame;
    Time visible;
  };
  void sleep_until(Time at);
  void take(Cpu& cpu);
  void block(Cpu& cpu);

  Journal& journal_;
  RandomStream service_;
  Alarm alarm_{*this};
  std::deque<Filled> fill_;
  std::deque<Received> rx_;
  std::deque<Time> free_slots_;  ///< of the RX ring, from when on
  std::size_t unseen_ = 0;       ///< at the end of rx_: written, not shown
  std::vector<Received> batch_;
  std::size_t done_ = 0;
  std::size_t spare_ = 0;
  bool paused_;
  bool waits_ = false;
};

/// RX buffers of a queue with a zero-copy socket; `threshold` missing descriptors start a refill.
class UmemPages final : public Buffers {
 public:
  UmemPages(Xsk& xsk, Ring& ring, PageAllocator& allocator);

  bool fill(MemoryContext& context) override;
  Job refill(Cpu& cpu) override;
  PageId take(Cpu& cpu, std::uint32_t slot) override;
  void drop(Cpu&, std::uint32_t) override {}
  void put(MemoryContext& context, PageId page) override { allocator_.put_page(context, page); }
  /// The frame goes to the socket.
  PageId hand_over(std::uint32_t slot);

 private:
  std::uint32_t replace(std::uint32_t ahead, std::uint32_t slots, Time now);
  Xsk& xsk_;
  PageAllocator& allocator_;
};

}  // namespace rxpool::reference
