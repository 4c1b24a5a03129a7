#include "models/memory/buddy.hpp"

#include "sim/error.hpp"

namespace rxpool {
namespace {

// PA-15: order in which the other types are tried.
constexpr MigrateType fallbacks[migrate_pcp_types][2] = {
    {MigrateType::reclaimable, MigrateType::movable},    // unmovable
    {MigrateType::reclaimable, MigrateType::unmovable},  // movable
    {MigrateType::unmovable, MigrateType::movable},      // reclaimable
};

constexpr unsigned index_of(MigrateType type) {
  return static_cast<unsigned>(type);
}

}  // namespace

Buddy::Buddy(PageTable& pages, PageId first, std::uint64_t page_count)
    : pages_(pages),
      first_(first),
      page_count_(page_count),
      untouched_first_(first),
      untouched_end_(static_cast<PageId>(first + page_count)),
      free_pages_(page_count),
      block_types_(page_count >> pageblock_order, MigrateType::movable) {
  ensure(first % max_block_pages == 0 && page_count % max_block_pages == 0, "buddy: zone not aligned to 4 MiB");
  free_pages_by_type_[index_of(MigrateType::movable)] = page_count;
}

bool Buddy::list_empty(unsigned order, MigrateType type) const {
  if (list(order, type).count != 0) {
    return false;
  }
  return order != max_page_order || type != MigrateType::movable || untouched_first_ == untouched_end_;
}

std::uint64_t Buddy::free_blocks(unsigned order, MigrateType type) const {
  std::uint64_t count = list(order, type).count;
  if (order == max_page_order && type == MigrateType::movable) {
    count += (untouched_end_ - untouched_first_) >> max_page_order;
  }
  return count;
}

void Buddy::add(PageId page, unsigned order, MigrateType type, bool to_tail) {
  List& lst = list(order, type);
  Page& record = pages_[page];
  record.flags = page_flag::buddy;
  record.place = PagePlace::zone_free;
  record.order = static_cast<std::uint8_t>(order);
  if (lst.count == 0) {
    record.next = record.prev = no_page;
    lst.head = lst.tail = page;
  } else if (to_tail) {
    record.next = no_page;
    record.prev = lst.tail;
    pages_[lst.tail].next = page;
    lst.tail = page;
  } else {
    record.prev = no_page;
    record.next = lst.head;
    pages_[lst.head].prev = page;
    lst.head = page;
  }
  ++lst.count;
  free_pages_ += 1ULL << order;
  free_pages_by_type_[index_of(type)] += 1ULL << order;
}

void Buddy::remove(PageId page, unsigned order, MigrateType type) {
  List& lst = list(order, type);
  Page& record = pages_[page];
  (record.prev != no_page ? pages_[record.prev].next : lst.head) = record.next;
  (record.next != no_page ? pages_[record.next].prev : lst.tail) = record.prev;
  record.flags = 0;
  --lst.count;
  free_pages_ -= 1ULL << order;
  free_pages_by_type_[index_of(type)] -= 1ULL << order;
}

PageId Buddy::pop(unsigned order, MigrateType type) {
  List& lst = list(order, type);
  if (lst.count != 0) {
    const PageId page = lst.head;
    remove(page, order, type);
    return page;
  }
  // list_empty was false, so this is the untouched range: order 10, movable.
  const PageId page = untouched_first_;
  untouched_first_ += max_block_pages;
  free_pages_ -= max_block_pages;
  free_pages_by_type_[index_of(MigrateType::movable)] -= max_block_pages;
  return page;
}

// Splits a block that is in no list; the upper halves go to the heads of the lists of `type`.
PageId Buddy::expand(PageId page, unsigned from_order, unsigned to_order, MigrateType type) {
  while (from_order > to_order) {
    --from_order;
    add(page + (1U << from_order), from_order, type, false);
  }
  pages_[page].order = static_cast<std::uint8_t>(to_order);
  return page;
}

PageId Buddy::take_exact(unsigned order, MigrateType type) {
  for (unsigned current = order; current <= max_page_order; ++current) {
    if (!list_empty(current, type)) {
      return expand(pop(current, type), current, order, type);
    }
  }
  return no_page;
}

PageId Buddy::take(unsigned order, MigrateType type, bool& boost) {
  PageId page = take_exact(order, type);
  if (page == no_page && type != MigrateType::highatomic) {
    page = claim(order, type, boost);
    if (page == no_page) {
      page = steal(order, type);
    }
  }
  return page;
}

// Largest foreign block first: the fewer fallbacks, the less mixing.
PageId Buddy::claim(unsigned order, MigrateType type, bool& boost) {
  for (unsigned current = max_page_order + 1; current-- > order;) {
    // A movable request only claims when a good part of the pageblock comes with it.
    if (type == MigrateType::movable && order < pageblock_order / 2 && current < pageblock_order / 2) {
      break;
    }
    for (const MigrateType fallback : fallbacks[index_of(type)]) {
      if (list_empty(current, fallback)) {
        continue;
      }
      const PageId page = try_claim(current, order, type, fallback, boost);
      if (page != no_page) {
        ++fallback_stats_.extfrag;
        return page;
      }
      break;  // the kernel looks at one fallback type per order
    }
  }
  return no_page;
}

PageId Buddy::try_claim(unsigned from_order, unsigned order, MigrateType type, MigrateType fallback, bool& boost) {
  if (from_order >= pageblock_order) {
    const PageId page = pop(from_order, fallback);
    for (std::uint64_t offset = 0; offset < (1ULL << from_order); offset += pageblock_pages) {
      block_types_[(page + offset - first_) >> pageblock_order] = type;
      ++fallback_stats_.claimed_pageblocks;
    }
    return expand(page, from_order, order, type);
  }
  boost = true;
  const PageId block = list(from_order, fallback).head & ~static_cast<PageId>(pageblock_pages - 1);
  // Count what is free in the pageblock and what would stay compatible with the new type.
  std::uint64_t free_count = 0;
  std::uint64_t movable_count = 0;
  for (std::uint64_t offset = 0; offset < pageblock_pages;) {
    const Page& record = pages_[static_cast<PageId>(block + offset)];
    const std::uint64_t size = 1ULL << (record.order <= max_page_order ? record.order : 0);
    if ((record.flags & page_flag::buddy) != 0) {
      free_count += size;
      offset += size;
    } else {
      // Movable: user pages, and pages of a block that its owner took whole and that has no records.
      const bool movable = record.place == PagePlace::zone_free || (record.flags & page_flag::movable) != 0;
      movable_count += movable ? 1 : 0;
      ++offset;
    }
  }
  std::uint64_t alike = 0;
  if (type == MigrateType::movable) {
    alike = movable_count;
  } else if (fallback == MigrateType::movable) {
    alike = pageblock_pages - (free_count + movable_count);
  }
  if (free_count + alike < pageblock_pages / 2) {
    return no_page;
  }
  retype_pageblock(block, type);
  ++fallback_stats_.claimed_pageblocks;
  return take_exact(order, type);
}

// Nothing could be claimed: take the smallest foreign block that fits and leave the pageblock's type alone.
PageId Buddy::steal(unsigned order, MigrateType type) {
  for (unsigned current = order; current <= max_page_order; ++current) {
    for (const MigrateType fallback : fallbacks[index_of(type)]) {
      if (!list_empty(current, fallback)) {
        ++fallback_stats_.extfrag;
        return expand(pop(current, fallback), current, order, fallback);
      }
    }
  }
  return no_page;
}

std::uint64_t Buddy::retype_pageblock(PageId page, MigrateType type) {
  const PageId block = page & ~static_cast<PageId>(pageblock_pages - 1);
  const MigrateType old_type = pageblock_type(block);
  std::uint64_t moved = 0;
  for (std::uint64_t offset = 0; offset < pageblock_pages;) {
    const PageId current = static_cast<PageId>(block + offset);
    const Page& record = pages_[current];
    if ((record.flags & page_flag::buddy) == 0) {
      ++offset;
      continue;
    }
    const unsigned order = record.order;
    remove(current, order, old_type);
    add(current, order, type, false);
    moved += 1ULL << order;
    offset += 1ULL << order;
  }
  block_types_[(block - first_) >> pageblock_order] = type;
  return moved;
}

bool Buddy::is_free_block(PageId page, unsigned order) const {
  const Page& record = pages_[page];
  return (record.flags & page_flag::buddy) != 0 && record.order == order;
}

void Buddy::give(PageId page, unsigned order) {
  const MigrateType type = pageblock_type(page);
  while (order < max_page_order) {
    const PageId buddy = page ^ (1U << order);
    if (!is_free_block(buddy, order)) {
      break;
    }
    const MigrateType buddy_type = pageblock_type(buddy);
    if (buddy_type != type) {
      // Only whole pageblocks can differ here; the highatomic reserve never merges with other types.
      if (buddy_type == MigrateType::highatomic || type == MigrateType::highatomic) {
        break;
      }
      block_types_[(buddy - first_) >> pageblock_order] = type;
    }
    remove(buddy, order, buddy_type);
    page &= buddy;
    ++order;
  }
  // A block whose neighbour one order up is free will probably merge soon: keep it at the tail, away from reuse.
  bool to_tail = false;
  if (order < max_page_order - 1) {
    const PageId parent = page & ~((2U << order) - 1);
    to_tail = is_free_block(parent ^ (2U << order), order + 1);
  }
  add(page, order, type, to_tail);
}

Buddy::Range Buddy::take_untouched(std::uint64_t count) {
  const std::uint64_t available = (untouched_end_ - untouched_first_) >> max_page_order;
  const std::uint64_t blocks = count < available ? count : available;
  const std::uint64_t taken = blocks << max_page_order;
  untouched_end_ -= static_cast<PageId>(taken);
  free_pages_ -= taken;
  free_pages_by_type_[index_of(MigrateType::movable)] -= taken;
  return Range{blocks != 0 ? untouched_end_ : no_page, blocks};
}

void Buddy::verify() const {
  std::uint64_t total = untouched_end_ - untouched_first_;
  for (unsigned order = 0; order <= max_page_order; ++order) {
    for (unsigned type = 0; type < migrate_type_count; ++type) {
      const List& lst = lists_[order][type];
      std::uint64_t seen = 0;
      PageId previous = no_page;
      for (PageId page = lst.head; page != no_page; page = pages_[page].next) {
        const Page& record = pages_[page];
        ensure(contains(page) && record.order == order && (record.flags & page_flag::buddy) != 0 &&
                   record.place == PagePlace::zone_free && record.prev == previous,
               "buddy: a free block is tagged or linked wrongly");
        ensure((page & ((1U << order) - 1)) == 0, "buddy: a free block is not aligned to its order");
        ensure(pageblock_type(page) == static_cast<MigrateType>(type), "buddy: a free block lies in a foreign list");
        ensure(order == max_page_order || !is_free_block(page ^ (1U << order), order) ||
                   pageblock_type(page ^ (1U << order)) == MigrateType::highatomic ||
                   pageblock_type(page) == MigrateType::highatomic,
               "buddy: two free buddies were not merged");
        previous = page;
        ++seen;
      }
      ensure(seen == lst.count && lst.tail == previous, "buddy: a list's count is wrong");
      total += seen << order;
    }
  }
  ensure(total == free_pages_, "buddy: free_pages is wrong");
}

}  // namespace rxpool
