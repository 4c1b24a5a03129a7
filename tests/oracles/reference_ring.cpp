#include "tests/oracles/reference_ring.hpp"

#include <algorithm>

namespace rxpool::reference {
namespace {

using scenario::Driver;

enum class OnFailure { give_all_back, give_unit_back, keep };

/// mlx5, mlx5 with striding WQEs, ice, vmxnet3: pages of a page_pool.
struct PoolPages final : Buffers {
  PoolPages(PageAllocator& a, std::uint32_t slots) : allocator(a), slots_per_page(slots) {}

  bool fill(MemoryContext& context) override {
    const std::uint32_t slots = ring->missing();
    std::uint32_t done = 0;
    while (done < slots && next_page(context, done)) done += slots_per_page;
    ring->post(std::min(done, slots), Time{0});
    return done >= slots;
  }

  Job refill(Cpu& cpu) override {
    poll_again = false;
    if (ring->missing() < threshold) co_return;
    cpu.charge(Step::refill_bulk);
    const std::uint32_t target = ring->missing() / granule * granule;
    std::uint32_t done = 0;
    while (done < target) {
      co_await cpu.step(EventClass::poll);
      const std::uint32_t end = std::min(done + unit, target);
      MemoryContext context = cpu.context_now(true);
      if (release_late) {
        for (std::uint32_t i = done; i < end; i += slots_per_page) release(context, ring->ahead(i));
      }
      std::uint32_t got = done;
      while (got < end && next_page(context, got)) got += slots_per_page;
      cpu.charge(context.cost);
      cpu.charge(Step::refill_descriptor, got - done);
      done = got;
      if (got == end) continue;
      ++failures;
      if (on_failure != OnFailure::keep) {
        const std::uint32_t keep = on_failure == OnFailure::give_all_back ? 0 : done / unit * unit;
        MemoryContext giving_back = cpu.context_now(true);
        for (std::uint32_t i = keep; i < done; i += slots_per_page) release(giving_back, ring->ahead(i));
        cpu.charge(giving_back.cost);
        done = keep;
      }
      poll_again = repolls;
      break;
    }
    if (done != 0) {
      cpu.charge(Step::doorbell);
      ring->post(done, cpu.clock + ready_after);
    }
  }

  PageId take(Cpu&, std::uint32_t slot) override {
    const std::uint32_t first = slot / slots_per_page * slots_per_page;
    const PageId page = ring->pages[slot];
    ++ring->shares_given[first];
    if (release_late) return page;
    ring->pages[slot] = no_page;
    if (ring->shares_given[first] == slots_per_page) {
      // The last slot of the page gives away what is left of the driver's bias.
      if (slots_per_page > 1) pool->unref(page, 64 - slots_per_page);
      --posted;
      allocator.page(page).place = PagePlace::stack;
    }
    return page;
  }

  void drop(Cpu& cpu, std::uint32_t slot) override {
    if (release_late) return;
    const PageId page = take(cpu, slot);
    MemoryContext context = cpu.context_now(true);
    pool->put_page(context, page, -1, true);
    cpu.charge(context.cost);
  }

  void give_back(MemoryContext& context) override {
    for (std::uint32_t i = 0; i < ring->size; i += slots_per_page) {
      const std::uint32_t first = ring->ahead(i);
      const std::uint32_t second = first + slots_per_page - 1;
      if (release_late) {
        release(context, first);
        continue;
      }
      const PageId page = ring->pages[first] != no_page ? ring->pages[first] : ring->pages[second];
      if (page == no_page) continue;
      ring->pages[first] = ring->pages[second] = no_page;
      --posted;
      const std::int64_t kept = slots_per_page > 1 ? 64 - ring->shares_given[first] : 1;
      if (pool->unref(page, kept)) {
        pool->put_unrefed_page(context, page, -1, true);
      } else {
        allocator.page(page).place = PagePlace::stack;
      }
    }
  }

  void put(MemoryContext& context, PageId page) override { pool->put_page(context, page, -1, false); }
  void put_direct(MemoryContext& context, PageId page) override { pool->put_page(context, page, -1, true); }

  bool next_page(MemoryContext& context, std::uint32_t ahead) {
    const PageId page = pool->alloc(context);
    if (page == no_page) return false;
    allocator.page(page).place = PagePlace::posted;
    if (release_late || slots_per_page > 1) pool->fragment(page, 64);
    for (std::uint32_t i = 0; i < slots_per_page; ++i) {
      ring->pages[ring->ahead(ahead + i)] = page;
      ring->halves[ring->ahead(ahead + i)] = i;
    }
    ring->shares_given[ring->ahead(ahead)] = 0;
    ++posted;
    return true;
  }

  /// DR-10: the driver gives up what no skb took.
  void release(MemoryContext& context, std::uint32_t slot) {
    const PageId page = ring->pages[slot];
    if (page == no_page) return;
    ring->pages[slot] = no_page;
    --posted;
    if (pool->unref(page, 64 - ring->shares_given[slot])) {
      pool->put_unrefed_page(context, page, -1, true);
    } else {
      allocator.page(page).place = PagePlace::stack;
    }
    ring->shares_given[slot] = 0;
  }

  PageAllocator& allocator;
  const std::uint32_t slots_per_page;
  std::uint32_t threshold = 1;
  std::uint32_t unit = 64;
  std::uint32_t granule = 1;
  bool release_late = false;
  OnFailure on_failure = OnFailure::keep;
  bool repolls = false;
  Time ready_after{0};
};

/// ixgbe, i40e, mlx4: half-page flip.
struct FlippedPages final : Buffers {
  FlippedPages(PageAllocator& a, std::uint32_t t, bool r) : allocator(a), threshold(t), repolls(r) { truesize = 2304; }

  bool fill_slot(MemoryContext& context, std::uint32_t slot) {
    if (!reusable.empty()) {
      ring->pages[slot] = reusable.front().page;
      ring->halves[slot] = reusable.front().half;
      reusable.pop_front();
      return true;
    }
    const PageId page = allocator.alloc_pages(context, gfp::atomic | gfp::memalloc | gfp::nowarn, 0);
    if (page == no_page) return false;
    ring->pages[slot] = page;
    ring->halves[slot] = 0;
    allocator.page(page).place = PagePlace::posted;
    ++posted;
    return true;
  }
  bool fill(MemoryContext& context) override {
    std::uint32_t done = 0;
    while (done < ring->missing() && fill_slot(context, ring->ahead(done))) ++done;
    const bool all = done == ring->missing();
    ring->post(done, Time{0});
    return all;
  }
  Job refill(Cpu& cpu) override {
    poll_again = false;
    const std::uint32_t target = ring->missing();
    if (target < threshold) co_return;
    cpu.charge(Step::refill_bulk);
    std::uint32_t done = 0;
    bool failed = false;
    while (done < target && !failed) {
      co_await cpu.step(EventClass::poll);
      const std::uint32_t end = std::min(done + threshold, target);
      const std::uint32_t begin = done;
      MemoryContext context = cpu.context_now(true);
      while (done < end && fill_slot(context, ring->ahead(done))) ++done;
      cpu.charge(context.cost);
      cpu.charge(Step::refill_descriptor, done - begin);
      failed = done != end;
    }
    failures += failed ? 1 : 0;
    if (done != 0) {
      cpu.charge(Step::doorbell);
      ring->post(done, cpu.clock);
    }
    poll_again = failed && repolls;
  }
  PageId take(Cpu&, std::uint32_t slot) override {
    const PageId page = std::exchange(ring->pages[slot], no_page);
    Page& record = allocator.page(page);
    if (record.refcount == 1 && !record.pfmemalloc()) {
      ++record.refcount;
      reusable.push_back({page, 1 - ring->halves[slot]});
    } else {
      --posted;
      record.place = PagePlace::stack;
    }
    return page;
  }
  void drop(Cpu&, std::uint32_t slot) override {
    reusable.push_back({std::exchange(ring->pages[slot], no_page), ring->halves[slot]});
  }
  void put(MemoryContext& context, PageId page) override { allocator.put_page(context, page); }

  PageAllocator& allocator;
  struct Half {
    PageId page;
    std::uint32_t half;
  };
  std::deque<Half> reusable;
  const std::uint32_t threshold;
  const bool repolls;
};

/// virtio_net: sixteen buffers of 2 KiB from one block of 32 KiB, or two from a page.
struct Fragments final : Buffers {
  Fragments(PageAllocator& a, std::uint32_t t) : allocator(a), threshold(t) { truesize = 2304; }

  PageId next(MemoryContext& context) {
    if (block != no_page && buffers_left == 0) put(context, std::exchange(block, no_page));
    if (block == no_page) {
      block = allocator.alloc_pages(context, gfp::atomic | gfp::nowarn | gfp::noretry, 3);
      if (block == no_page) block = allocator.alloc_pages(context, gfp::atomic | gfp::nowarn, 0);
      if (block == no_page) return no_page;
      Page& record = allocator.page(block);
      record.place = PagePlace::posted;
      posted += 1u << record.order;
      buffers_left = 2u << record.order;
    }
    --buffers_left;
    allocator.get_page(block);
    return block;
  }
  bool fill(MemoryContext& context) override {
    std::uint32_t done = 0;
    for (; done < ring->missing(); ++done) {
      const PageId page = next(context);
      if (page == no_page) break;
      ring->pages[ring->ahead(done)] = page;
      ring->halves[ring->ahead(done)] = (2u << allocator.page(page).order) - buffers_left - 1;
    }
    const bool all = done == ring->missing();
    ring->post(done, Time{0});
    return all;
  }
  Job refill(Cpu& cpu) override {
    poll_again = false;
    const std::uint32_t target = ring->missing();
    if (target <= threshold) co_return;
    cpu.charge(Step::refill_bulk);
    std::uint32_t done = 0;
    bool failed = false;
    while (done < target && !failed) {
      co_await cpu.step(EventClass::poll);
      const std::uint32_t end = std::min(done + 16, target);
      const std::uint32_t begin = done;
      MemoryContext context = cpu.context_now(true);
      for (; done < end; ++done) {
        const PageId page = next(context);
        if (page == no_page) break;
        ring->pages[ring->ahead(done)] = page;
        ring->halves[ring->ahead(done)] = (2u << allocator.page(page).order) - buffers_left - 1;
      }
      cpu.charge(context.cost);
      cpu.charge(Step::refill_descriptor, done - begin);
      failed = done != end;
    }
    failures += failed ? 1 : 0;
    if (done != 0) {
      cpu.charge(Step::doorbell);
      ring->post(done, cpu.clock);
    }
    poll_again = failed;
  }
  PageId take(Cpu&, std::uint32_t slot) override { return std::exchange(ring->pages[slot], no_page); }
  void drop(Cpu& cpu, std::uint32_t slot) override {
    MemoryContext context = cpu.context_now(true);
    put(context, std::exchange(ring->pages[slot], no_page));
    cpu.charge(context.cost);
  }
  void put(MemoryContext& context, PageId page) override {
    const Page& record = allocator.page(page);
    if (record.refcount == 1) posted -= 1u << record.order;
    allocator.put_page(context, page);
  }

  PageAllocator& allocator;
  PageId block = no_page;
  std::uint32_t buffers_left = 0;
  const std::uint32_t threshold;
};

/// veth: a page only for what goes up the stack.
struct CopiedPages final : Buffers {
  explicit CopiedPages(PageAllocator& a) : allocator(a) { truesize = 4096 - 112 + 256; }

  bool fill(MemoryContext&) override {
    ring->post(ring->missing(), Time{0});
    return true;
  }
  Job refill(Cpu& cpu) override {
    ring->post(ring->missing(), cpu.clock + picoseconds(1));
    co_return;
  }
  PageId take(Cpu& cpu, std::uint32_t) override {
    MemoryContext context = cpu.context_now(true);
    const PageId page = pool->alloc(context);
    cpu.charge(context.cost);
    if (page == no_page) {
      ++failures;
    } else {
      allocator.page(page).place = PagePlace::stack;
    }
    return page;
  }
  PageId take_frame(Cpu&, std::uint32_t) override { return no_page; }
  void drop(Cpu&, std::uint32_t) override {}
  void put(MemoryContext& context, PageId page) override { pool->put_page(context, page, -1, false); }

  PageAllocator& allocator;
};

}  // namespace

std::unique_ptr<Buffers> make_buffers(const BuffersRequest& request, Ring& ring, PagePools& pools,
                                      PageAllocator& allocator) {
  const auto finish = [&](std::unique_ptr<Buffers> made, bool has_pool, bool napi) {
    made->ring = &ring;
    if (has_pool) {
      PagePoolParameters params;
      params.pool_size = request.pool_size;
      params.nid = napi ? static_cast<int>(request.node) : numa_no_node;
      params.dma_map = napi;
      params.napi_list_owner = napi ? request.list_owner : nullptr;
      params.dma_direction = request.xdp ? DmaDirection::bidirectional : DmaDirection::from_device;
      made->pool = &pools.create(params);
    }
    return made;
  };
  const std::uint32_t stride = request.xdp ? 4096 : 2048;
  const std::uint32_t per_page = 4096 / stride;
  switch (request.driver) {
    case Driver::mlx5: {
      auto made = std::make_unique<PoolPages>(allocator, per_page);
      const std::uint32_t most = (request.xdp ? 256u : 512u) << 10;
      made->threshold = std::max(1u, std::min(most / stride, ring.size / 4));
      made->unit = std::min(64 * per_page, ring.size);
      made->granule = per_page;
      made->truesize = stride + 256;
      made->release_late = true;
      made->on_failure = OnFailure::give_all_back;
      made->repolls = true;
      return finish(std::move(made), true, true);
    }
    case Driver::mlx5_striding: {
      auto made = std::make_unique<PoolPages>(allocator, per_page);
      made->unit = made->granule = 64 * per_page;
      const std::uint32_t wqes = ring.size / made->unit;
      made->threshold = made->unit * std::min(2u, std::max(wqes / 2 - 1, 1u));
      made->truesize = stride + 256;
      made->release_late = true;
      made->on_failure = OnFailure::give_unit_back;
      made->ready_after = microseconds(1);
      return finish(std::move(made), true, true);
    }
    case Driver::ice: {
      auto made = std::make_unique<PoolPages>(allocator, per_page);
      made->threshold = made->granule = per_page;
      made->truesize = stride + 256;
      made->repolls = true;
      return finish(std::move(made), true, true);
    }
    case Driver::vmxnet3: {
      auto made = std::make_unique<PoolPages>(allocator, 1);
      made->truesize = 4096 + 256;
      return finish(std::move(made), true, true);
    }
    case Driver::ixgbe:
      return finish(std::make_unique<FlippedPages>(allocator, 16, false), false, false);
    case Driver::i40e:
      return finish(std::make_unique<FlippedPages>(allocator, 32, true), false, false);
    case Driver::mlx4:
      if (allocator.parameters().release.major == 4 && allocator.parameters().release.minor < 12) {
        return finish(std::make_unique<Fragments>(allocator, 8), false, false);
      }
      return finish(std::make_unique<FlippedPages>(allocator, 8, false), false, false);
    case Driver::virtio_net:
      return finish(std::make_unique<Fragments>(allocator, std::min(64u, ring.size) / 2), false, false);
    case Driver::veth:
      break;
  }
  return finish(std::make_unique<CopiedPages>(allocator), true, false);
}

}  // namespace rxpool::reference
