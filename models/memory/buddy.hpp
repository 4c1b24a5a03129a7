#pragma once
// The buddy lists of one zone: blocks of 2^0..2^10 pages by migrate type, split on demand and merged on free, with the
// pageblock types (2 MiB), the fallback between types and the claiming of foreign pageblocks. Blocks that were never
// touched are a range, not list entries, so an untouched zone costs one byte per pageblock. Locks, watermarks and
// per-CPU lists are the zone's business; CMA, isolation, compaction and page migration are left out.
// Rules: PA-15, PA-23, PA-42 (the trigger), PA-45; mm/page_alloc.c: __rmqueue, __free_one_page, try_to_claim_block.

#include <array>
#include <cstdint>
#include <vector>

#include "models/memory/page.hpp"

namespace rxpool {

enum class MigrateType : std::uint8_t { unmovable, movable, reclaimable, highatomic };
inline constexpr unsigned migrate_type_count = 4;
inline constexpr unsigned migrate_pcp_types = 3;  ///< types with per-CPU lists
inline constexpr unsigned max_page_order = 10;
inline constexpr unsigned page_order_count = max_page_order + 1;
inline constexpr unsigned pageblock_order = 9;
inline constexpr std::uint64_t pageblock_pages = 1ULL << pageblock_order;
inline constexpr std::uint64_t max_block_pages = 1ULL << max_page_order;

/// Tracepoint mm_page_alloc_extfrag and what else a take tells the zone.
struct FallbackStats {
  std::uint64_t extfrag = 0;             ///< allocations served from a foreign migrate type
  std::uint64_t claimed_pageblocks = 0;  ///< pageblocks whose type changed by it
};

class Buddy {
 public:
  /// Manages [first, first + page_count); both are multiples of 1024 pages, all of it free and movable.
  Buddy(PageTable& pages, PageId first, std::uint64_t page_count);

  /// Takes 2^order pages of `type`, falling back to other types (PA-15). Returns no_page when nothing is left.
  /// Sets `boost` when a foreign pageblock smaller than a whole one was broken into (PA-42).
  PageId take(unsigned order, MigrateType type, bool& boost);
  /// Only from lists of exactly this type.
  PageId take_exact(unsigned order, MigrateType type);
  /// Gives 2^order pages back and merges (PA-23).
  void give(PageId page, unsigned order);

  /// Takes up to `count` never-touched 4 MiB blocks from the top end; returns the first page and how many there are.
  struct Range {
    PageId first = no_page;
    std::uint64_t blocks = 0;
  };
  Range take_untouched(std::uint64_t count);

  /// Moves the free pages of a pageblock to another type and retypes it; returns the number of free pages moved.
  std::uint64_t retype_pageblock(PageId page, MigrateType type);

  MigrateType pageblock_type(PageId page) const { return block_types_[(page - first_) >> pageblock_order]; }
  std::uint64_t free_pages() const { return free_pages_; }
  std::uint64_t free_pages(MigrateType type) const { return free_pages_by_type_[static_cast<unsigned>(type)]; }
  /// Free blocks of exactly this order (nr_free of /proc/buddyinfo by type).
  std::uint64_t free_blocks(unsigned order, MigrateType type) const;
  bool contains(PageId page) const { return page >= first_ && page - first_ < page_count_; }
  PageId first() const { return first_; }
  std::uint64_t page_count() const { return page_count_; }
  const FallbackStats& fallback_stats() const { return fallback_stats_; }

  /// Walks every list and throws BugError when a counter, link or place tag is wrong. For tests; slow.
  void verify() const;

 private:
  struct List {
    PageId head = no_page;
    PageId tail = no_page;
    std::uint64_t count = 0;
  };

  List& list(unsigned order, MigrateType type) { return lists_[order][static_cast<unsigned>(type)]; }
  const List& list(unsigned order, MigrateType type) const { return lists_[order][static_cast<unsigned>(type)]; }
  bool list_empty(unsigned order, MigrateType type) const;
  void add(PageId page, unsigned order, MigrateType type, bool to_tail);
  void remove(PageId page, unsigned order, MigrateType type);
  PageId pop(unsigned order, MigrateType type);
  PageId expand(PageId page, unsigned from_order, unsigned to_order, MigrateType type);
  bool is_free_block(PageId page, unsigned order) const;
  PageId claim(unsigned order, MigrateType type, bool& boost);
  PageId try_claim(unsigned from_order, unsigned order, MigrateType type, MigrateType fallback, bool& boost);
  PageId steal(unsigned order, MigrateType type);

  PageTable& pages_;
  PageId first_;
  std::uint64_t page_count_;
  PageId untouched_first_;  ///< never-touched 4 MiB blocks: [untouched_first_, untouched_end_)
  PageId untouched_end_;
  std::array<std::array<List, migrate_type_count>, page_order_count> lists_{};
  std::uint64_t free_pages_;
  std::array<std::uint64_t, migrate_type_count> free_pages_by_type_{};
  std::vector<MigrateType> block_types_;
  FallbackStats fallback_stats_;
};

}  // namespace rxpool
