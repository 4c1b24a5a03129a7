#include "models/memory/background.hpp"

#include <algorithm>
#include <string>

#include "sim/error.hpp"

namespace rxpool {

Background::Background(PageAllocator& allocator, const BackgroundParameters& parameters)
    : allocator_(allocator), parameters_(parameters), next_batch_(parameters.start) {
  if (parameters.node >= allocator.node_count()) {
    throw InputError("memory: background user on node " + std::to_string(parameters.node) + " of " +
                     std::to_string(allocator.node_count()));
  }
  if (parameters.time_per_page <= Time{} || parameters.hold <= Time{}) {
    throw InputError("memory: a background user's time_per_page and hold must be above 0");
  }
  allocator.add_reclaim_source(this);
  schedule(Time{});
}

void Background::schedule(Time now) {
  Time next = Time::never();
  if (!dead_ && parameters_.time_per_page != Time::never() && next_batch_ < parameters_.stop) {
    next = next_batch_;
  }
  if (oldest_ != no_page && parameters_.hold != Time::never()) {
    next = std::min(next, Time{allocator_.page(oldest_).pp_ref_count} + parameters_.hold);
  }
  next_step_ = std::max(next, now);
}

void Background::prefill(std::uint64_t pages) {
  std::uint64_t blocks = pages >> max_page_order;
  while (blocks > 0) {
    const Buddy::Range range = allocator_.take_untouched(parameters_.node, blocks);
    if (range.blocks == 0) {
      throw InputError("memory: node " + std::to_string(parameters_.node) + " has not " + std::to_string(pages) +
                       " free pages to be in use at the start");
    }
    ranges_.push_back(range);
    blocks -= range.blocks;
    block_pages_ += range.blocks << max_page_order;
  }
  // The rest of less than 4 MiB comes from the lists.
  MemoryContext setup;
  setup.node = parameters_.node;
  for (std::uint64_t rest = pages & (max_block_pages - 1); rest > 0; --rest) {
    const PageId page = allocator_.alloc_pages(setup, gfp::movable | gfp::memalloc | gfp::nowarn, 0, parameters_.node);
    if (page == no_page) {
      throw InputError("memory: node " + std::to_string(parameters_.node) + " is full before time starts");
    }
    append(page, Time{});
  }
  allocator_.drain_all_pages(setup);
  schedule(Time{});
}

void Background::append(PageId page, Time now) {
  Page& record = allocator_.page(page);
  record.next = no_page;
  record.pp_ref_count = now.ps;
  if (newest_ == no_page) {
    oldest_ = page;
  } else {
    allocator_.page(newest_).next = page;
  }
  newest_ = page;
  ++list_pages_;
}

PageId Background::take_oldest() {
  const PageId page = oldest_;
  oldest_ = allocator_.page(page).next;
  if (oldest_ == no_page) {
    newest_ = no_page;
  }
  --list_pages_;
  return page;
}

void Background::step(MemoryContext& ctx) {
  while (oldest_ != no_page && parameters_.hold != Time::never() &&
         Time{allocator_.page(oldest_).pp_ref_count} + parameters_.hold <= ctx.now) {
    allocator_.put_page(ctx, take_oldest());
    ++stats.expired;
  }
  if (!dead_ && next_batch_ <= ctx.now && next_batch_ < parameters_.stop &&
      parameters_.time_per_page != Time::never()) {
    const Gfp flags = parameters_.blocking ? gfp::highuser_movable | gfp::nowarn : gfp::nowait | gfp::movable;
    for (std::uint32_t i = 0; i < batch && !dead_ && held_pages() < parameters_.limit_pages; ++i) {
      const PageId page = allocator_.alloc_pages(ctx, flags, 0, parameters_.node);
      if (page == no_page) {
        ++stats.failed;
        break;
      }
      append(page, ctx.now);
      ++stats.allocated;
    }
    next_batch_ += parameters_.time_per_page * batch;
  }
  schedule(ctx.now);
}

// Opens the next prefilled block; false when there is none.
bool Background::take_from_blocks() {
  if (open_left_ == 0) {
    if (ranges_.empty()) {
      return false;
    }
    Buddy::Range& range = ranges_.back();
    --range.blocks;
    open_next_ = static_cast<PageId>(range.first + (range.blocks << max_page_order));
    open_left_ = max_block_pages;
    block_pages_ -= max_block_pages;
    if (range.blocks == 0) {
      ranges_.pop_back();
    }
  }
  return true;
}

std::uint32_t Background::reclaim(MemoryContext& ctx, unsigned node, std::uint32_t pages) {
  if (!parameters_.reclaimable || node != parameters_.node) {
    return 0;
  }
  std::uint32_t freed = 0;
  for (; freed < pages; ++freed) {
    if (oldest_ != no_page) {
      allocator_.put_page(ctx, take_oldest());
    } else if (take_from_blocks()) {
      allocator_.materialize(open_next_, parameters_.node);
      allocator_.put_page(ctx, open_next_);
      ++open_next_;
      --open_left_;
    } else {
      break;
    }
  }
  stats.reclaimed += freed;
  return freed;
}

std::uint64_t Background::oom_kill(MemoryContext& ctx) {
  const std::uint64_t pages = held_pages();
  dead_ = true;
  while (oldest_ != no_page) {
    allocator_.put_page(ctx, take_oldest());
  }
  for (; open_left_ > 0; --open_left_) {
    allocator_.materialize(open_next_, parameters_.node);
    allocator_.put_page(ctx, open_next_++);
  }
  for (const Buddy::Range& range : ranges_) {
    for (std::uint64_t block = 0; block < range.blocks; ++block) {
      const auto page = static_cast<PageId>(range.first + (block << max_page_order));
      allocator_.give_block(ctx, page, parameters_.node);
    }
  }
  ranges_.clear();
  block_pages_ = 0;
  stats.killed += pages;
  next_step_ = Time::never();
  return pages;
}

}  // namespace rxpool
