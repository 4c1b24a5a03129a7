#pragma once
// Page metadata of the simulated host, one 32-byte record per page frame, indexed by page frame number. The records of
// all nodes lie in one reserved, untouched mapping: host memory is spent only on the 4 KiB stretches of records that
// were ever written, that is on pages in circulation, never on the size of the simulated RAM. A record of zeros means
// "never handed out". Of a block of order > 0 only the head page's record is used.
// Rules: PP-20 (pp_ref_count), PP-23 (refcount, pfmemalloc), PP-11 (node), PA-35.

#include <cstddef>
#include <cstdint>

#include "models/memory/reserved_memory.hpp"

namespace rxpool {

/// Page frame number; 0 is no page (the lowest 4 MiB belong to no zone).
using PageId = std::uint32_t;
inline constexpr PageId no_page = 0;

inline constexpr unsigned page_shift = 12;
inline constexpr std::uint32_t page_bytes = 1U << page_shift;

/// Where a page is. Every page is in exactly one place; each component counts its own.
enum class PagePlace : std::uint8_t {
  zone_free,   ///< buddy lists, or part of a block that was never split
  pcp,         ///< a per-CPU list
  pool_cache,  ///< a page_pool's alloc cache
  pool_ring,   ///< a page_pool's ptr_ring
  posted,      ///< in an RX descriptor
  stack,       ///< skb or xdp_buff on its way through the stack
  socket,
  user_ring,  ///< an application's: umem of an AF_XDP socket, mempool of a poll-mode driver
  other,      ///< allocated, in nobody's list above: page cache, or in the hand of a driver
};
inline constexpr unsigned page_place_count = 9;
const char* to_string(PagePlace place);

namespace page_flag {
inline constexpr std::uint8_t buddy = 1;       ///< head of a block in a buddy list
inline constexpr std::uint8_t pfmemalloc = 2;  ///< taken without watermarks (PA-44)
inline constexpr std::uint8_t movable = 4;     ///< allocated by a movable request (page cache)
inline constexpr std::uint8_t dma_mapped = 8;  ///< PP-15
}  // namespace page_flag

struct Page {
  PageId next;                ///< links of whichever list the page is in
  PageId prev;                ///
  std::int64_t pp_ref_count;  ///< fragments that still use the page (PP-20); 1 unless split
  std::uint16_t refcount;     ///< struct page's count; 1 while only its owner holds it
  std::uint16_t pool;         ///< id of the owning page_pool, 0 for none
  PagePlace place;
  std::uint8_t order;
  std::uint8_t zone;  ///< index in PageAllocator::zones()
  std::uint8_t node;
  std::uint8_t flags;         ///< page_flag
  std::uint8_t migrate_type;  ///< of the per-CPU list it is in

  bool pfmemalloc() const { return (flags & page_flag::pfmemalloc) != 0; }
};
static_assert(sizeof(Page) == 32);

/// Throws BugError; out of line so that the checks of the fast paths stay one compare each.
[[noreturn]] void page_bug(const char* what);

/// The records of all page frames [0, page_count).
class PageTable {
 public:
  explicit PageTable(std::uint64_t page_count)
      : memory_(page_count * sizeof(Page)), base_(static_cast<Page*>(memory_.base())), page_count_(page_count) {}

  Page& operator[](PageId id) { return base_[id]; }
  const Page& operator[](PageId id) const { return base_[id]; }
  std::uint64_t page_count() const { return page_count_; }
  /// Bytes of records that the host really holds (for the memory estimate and the tests).
  std::size_t resident_bytes() const { return memory_.resident_bytes(); }

 private:
  ReservedMemory memory_;
  Page* base_;
  std::uint64_t page_count_;
};

}  // namespace rxpool
