#include "models/host/pool_replay.hpp"

#include <algorithm>
#include <deque>

#include "models/memory/page_pools.hpp"

namespace rxpool {
namespace {

constexpr std::uint32_t unit = 64;  // NAPI budget

std::uint32_t pool_ring_size(const PoolReplayParams& params) {
  return params.ring_size != 0 ? params.ring_size : PagePoolConstants{}.default_ring_size;
}

class Replay {
 public:
  Replay(std::uint32_t pages, const PoolReplayParams& params)
      : allocator_(memory(pages, params), {}), pools_(allocator_) {
    PagePoolParameters pool;
    pool.pool_size = params.ring_size;
    pool.napi_list_owner = &owner_;
    pool_ = &pools_.create(pool);
    here_.in_softirq = true;
    elsewhere_.cpu = 1;
    take(pages);
    give(pages - std::min(pages, params.outside), false);
    before_ = pool_->stats.alloc_slow;
  }

  std::uint64_t run(std::span<const PoolMoves> moves) {
    for (PoolMoves rest : moves) {
      while (rest.allocs + rest.direct_returns + rest.ring_returns != 0) {
        const std::uint32_t returns = rest.direct_returns + rest.ring_returns;
        // As many returns per unit of allocations as the look had on the whole.
        const std::uint32_t taken = std::min(unit, rest.allocs);
        const std::uint32_t given =
            rest.allocs == taken ? returns : static_cast<std::uint32_t>(std::uint64_t{returns} * taken / rest.allocs);
        const std::uint32_t direct = std::min(given, rest.direct_returns);
        take(taken);
        give(direct, true);
        give(given - direct, false);
        rest.allocs -= taken;
        rest.direct_returns -= direct;
        rest.ring_returns -= given - direct;
      }
    }
    return pool_->stats.alloc_slow - before_;
  }

 private:
  static MemoryParameters memory(std::uint32_t pages, const PoolReplayParams& params) {
    MemoryParameters memory;
    // Room for the pages twice over, and for what the allocator keeps back.
    memory.nodes.push_back({{{ZoneKind::normal, (std::uint64_t{pages} * 2 + 65536) * page_bytes}}});
    memory.cpu_node = {0, 0};
    memory.release = params.release;
    return memory;
  }
  void take(std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const PageId page = pool_->alloc(here_);
      ensure(page != no_page, "pool_replay: out of memory");
      out_.push_back(page);
    }
  }
  void give(std::uint32_t count, bool direct) {
    for (count = std::min(count, static_cast<std::uint32_t>(out_.size())); count > 0; --count) {
      pool_->put_page(direct ? here_ : elsewhere_, out_.front(), -1, direct);
      out_.pop_front();
    }
  }

  std::int32_t owner_ = 0;
  PageAllocator allocator_;
  PagePools pools_;
  PagePool* pool_ = nullptr;
  MemoryContext here_;
  MemoryContext elsewhere_;
  std::deque<PageId> out_;
  std::uint64_t before_ = 0;
};

}  // namespace

std::uint64_t slow_allocs_with(std::uint32_t pages, std::span<const PoolMoves> moves, const PoolReplayParams& params) {
  return Replay(pages, params).run(moves);
}

std::optional<std::uint32_t> smallest_pool(std::span<const PoolMoves> moves, const PoolReplayParams& params,
                                           std::uint32_t least) {
  const auto enough = [&](std::uint32_t bulks) { return slow_allocs_with(bulks * unit, moves, params) == 0; };
  std::uint32_t low = (std::max(least, params.outside) + unit - 1) / unit;
  std::uint32_t high = std::max(1u, low);
  // More than cache and ring beside all that is out is not kept.
  const std::uint32_t most = high + (pool_ring_size(params) + PagePoolConstants{}.cache_size) / unit + 1;
  for (std::uint32_t step = 1; !enough(high); step *= 2) {
    if (high == most) return std::nullopt;
    low = high + 1;
    high = std::min(most, high + step);
  }
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (enough(middle)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return high * unit;
}

}  // namespace rxpool
