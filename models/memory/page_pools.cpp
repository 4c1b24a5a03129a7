#include "models/memory/page_pools.hpp"

#include <algorithm>

namespace rxpool {

std::uint16_t PagePools::next_id() {
  for (std::uint32_t tries = 0; tries < UINT16_MAX; ++tries) {
    last_id_ = last_id_ == UINT16_MAX ? 1 : static_cast<std::uint16_t>(last_id_ + 1);
    if (last_id_ >= pools_.size() || pools_[last_id_] == nullptr) {
      return last_id_;
    }
  }
  throw InputError("page_pool: more than 65535 pools at once");
}

PagePool& PagePools::create(const PagePoolParameters& parameters) {
  const std::uint16_t id = next_id();
  if (id >= pools_.size()) {
    pools_.resize(id + 1U);
    gone_.resize(id + 1U);
  }
  pools_[id] = std::make_unique<PagePool>(allocator_, parameters, id);
  return *pools_[id];
}

void PagePools::create_system_pools() {
  const auto& cpu_node = allocator_.parameters().cpu_node;
  for (std::size_t cpu = 0; cpu < cpu_node.size(); ++cpu) {
    PagePoolParameters parameters;
    parameters.pool_size = system_percpu_page_pool_size;
    parameters.nid = cpu_node[cpu];
    parameters.cpuid = static_cast<std::int32_t>(cpu);
    parameters.has_netdev = false;
    system_ids_.push_back(create(parameters).id());
  }
}

void PagePools::erase(std::uint16_t id) {
  gone_[id] = pools_[id]->stats;
  pools_[id].reset();
}

bool PagePools::destroy(MemoryContext& ctx, PagePool& pool) {
  const std::uint16_t id = pool.id();
  if (pool.destroy(ctx)) {
    erase(id);
    return true;
  }
  detached_.push_back(id);
  return false;
}

void PagePools::retry(MemoryContext& ctx) {
  std::erase_if(detached_, [&](std::uint16_t id) {
    PagePool& pool = *pools_[id];
    if (pool.next_retry() > ctx.now || !pool.release_retry(ctx)) {
      return false;
    }
    erase(id);
    return true;
  });
}

Time PagePools::next_retry() const {
  Time earliest = Time::never();
  for (const std::uint16_t id : detached_) {
    earliest = std::min(earliest, pools_[id]->next_retry());
  }
  return earliest;
}

// PP-31: one pool per round, the pages of other pools wait for the next round.
void PagePools::put_netmem_bulk(MemoryContext& ctx, std::span<PageId> pages) {
  ensure(pages.size() <= xdp_bulk_queue_size, "page_pools: bulk return of more than 16 pages");
  std::uint32_t count = 0;
  for (const PageId page : pages) {
    if (owner(page).unref(page, 1)) {
      pages[count++] = page;
    }
  }
  while (count > 0) {
    PageId bulk[xdp_bulk_queue_size];
    std::uint32_t bulk_count = 0;
    std::uint32_t foreign = 0;
    PagePool& pool = owner(pages[0]);
    const bool direct = pool.napi_local(ctx);
    for (std::uint32_t i = 0; i < count; ++i) {
      const PageId page = pages[i];
      if (allocator_.page(page).pool != pool.id()) {
        pages[foreign++] = page;
      } else if (pool.put_for_bulk(ctx, page, direct)) {
        bulk[bulk_count++] = page;
      }
    }
    if (bulk_count > 0) {
      pool.recycle_ring_bulk(ctx, bulk, bulk_count);
    }
    count = foreign;
  }
}

}  // namespace rxpool
