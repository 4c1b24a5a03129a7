#pragma once
// Descriptor ring of one RX queue as the reference engine keeps it, and how each driver fills it (DR-10 to DR-22,
// DR-31, kernel-model §4.1, §4.5). Slots are used in order; a descriptor can be used from its own instant on.

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "models/memory/page_allocator.hpp"
#include "models/memory/page_pools.hpp"
#include "models/packet.hpp"
#include "models/scenario/driver_defaults.hpp"
#include "tests/oracles/reference_cpu.hpp"

namespace rxpool::reference {

struct Ring {
  explicit Ring(std::uint32_t n) : size(n), pages(n, no_page), halves(n, 0), shares_given(n, 0) {}

  struct Descriptor {
    std::uint32_t slot;
    Time usable_from;
  };
  struct Completion {
    Packet packet;
    std::uint32_t slot;
    std::uint32_t opened;  ///< which of the queue's rings it is of
  };
  std::uint32_t missing() const { return size - in_use; }
  std::uint32_t ahead(std::uint32_t n) const { return (next_to_post + n) % size; }
  void post(std::uint32_t n, Time usable_from) {
    for (std::uint32_t i = 0; i < n; ++i) {
      descriptors.push_back({next_to_post, usable_from});
      next_to_post = (next_to_post + 1) % size;
    }
    in_use += n;
  }

  std::uint32_t size;
  std::uint32_t opened = 0;                 ///< how often the queue has been restarted
  std::vector<PageId> pages;                ///< by slot
  std::vector<std::uint32_t> halves;        ///< of a page from its begin to where the slot's buffer begins
  std::vector<std::uint32_t> shares_given;  ///< to skbs, at the first slot of a page
  std::deque<Descriptor> descriptors;       ///< the NIC's
  std::deque<Completion> completions;       ///< visible to the driver
  std::deque<Packet> transfers;             ///< begun, not yet visible
  std::uint32_t in_use = 0;                 ///< posted and not yet polled
  std::uint32_t next_to_post = 0;
  std::uint32_t bytes_at_hand = 0;  ///< of the packet that the driver works on
};

class Buffers {
 public:
  virtual ~Buffers() = default;
  virtual bool fill(MemoryContext& context) = 0;
  virtual Job refill(Cpu& cpu) = 0;
  /// Every page of the ring, from the oldest slot on, leaves the driver's hands.
  virtual void give_back(MemoryContext&) { throw BugError("reference: this ring cannot be restarted"); }
  virtual PageId take(Cpu& cpu, std::uint32_t slot) = 0;
  virtual void drop(Cpu& cpu, std::uint32_t slot) = 0;
  virtual void put(MemoryContext& context, PageId page) = 0;
  /// The packet leaves as an XDP frame.
  virtual PageId take_frame(Cpu& cpu, std::uint32_t slot) { return take(cpu, slot); }
  /// The page comes back in the poll that owns the ring.
  virtual void put_direct(MemoryContext& context, PageId page) { put(context, page); }

  Ring* ring = nullptr;
  PagePool* pool = nullptr;
  std::uint32_t truesize = 0;
  std::uint64_t posted = 0;  ///< pages in the driver's hands
  bool poll_again = false;   ///< of the last refill
  std::uint64_t failures = 0;
};

struct BuffersRequest {
  scenario::Driver driver;
  std::uint32_t pool_size = 0;
  std::uint8_t node = 0;
  bool xdp = false;
  const std::int32_t* list_owner = nullptr;
};
std::unique_ptr<Buffers> make_buffers(const BuffersRequest& request, Ring& ring, PagePools& pools,
                                      PageAllocator& allocator);

}  // namespace rxpool::reference
