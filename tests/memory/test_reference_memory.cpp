// Random operation sequences on models/memory and on the plain oracle; everything visible is compared after each one.

#include <catch2/catch.hpp>

#include <map>
#include <memory>
#include <vector>

#include "models/memory/page_pools.hpp"
#include "tests/memory/memory_fixture.hpp"
#include "tests/oracles/reference_memory.hpp"

namespace rxpool {
namespace {

struct Disagreement {};

struct Setup {
  const char* name;
  KernelRelease release;
  std::uint64_t node_mib;
  unsigned nodes;
  std::uint32_t ring;
  std::size_t keep;  ///< pages that the test tries to keep outside
  std::uint64_t operations;
  std::uint64_t wave;  ///< operations between flood and ebb
  // Deliberate differences from what the oracle is told; the comparison must notice each.
  void (*change_pool)(PagePoolParameters&) = [](PagePoolParameters&) {};
  void (*change_host)(MemoryParameters&) = [](MemoryParameters&) {};
};

class Comparison {
 public:
  explicit Comparison(const Setup& setup, std::uint64_t seed)
      : setup_(setup), random_(seed), allocator_(parameters(setup), {}), pools_(allocator_) {
    host_.auto_tuning = setup.release.pcp_auto_tuning();
    for (const Zone& zone : allocator_.zones()) {
      oracle::ZoneModel model;
      model.node = zone.node();
      model.free = static_cast<long>(zone.nr_free_pages());
      model.min = static_cast<long>(zone.wmark_pages(Watermark::min));
      model.low = static_cast<long>(zone.wmark_pages(Watermark::low));
      model.high = static_cast<long>(zone.wmark_pages(Watermark::high));
      model.batch = zone.pcp(0).batch();
      model.high_min = zone.pcp(0).high_min();
      model.high_max = zone.pcp(0).high_max();
      model.pcp.resize(cpus);
      for (auto& pcp : model.pcp) pcp.high = zone.pcp(0).high();
      host_.zones.push_back(model);
    }
    for (auto& slot : slots_) open(slot);
  }

  void run() {
    for (std::uint64_t i = 0; i < setup_.operations; ++i) {
      host_.returned_to_buddy.clear();
      one_operation();
      for (const oracle::Handle handle : host_.returned_to_buddy) names_.erase(handle);
      compare();
    }
    allocator_.verify();
    for (auto& slot : slots_) {
      slot.pool->verify();
      note_coverage(slot.pool->stats);
    }
  }

  std::uint64_t failures = 0;
  PagePoolStats seen;  ///< summed over all pools

 private:
  static constexpr unsigned cpus = 4;
  struct Slot {
    std::int32_t list_owner = -1;
    PagePool* pool = nullptr;
    oracle::PoolModel model;
  };
  struct Held {
    std::size_t slot;
    PageId page;
    oracle::Handle handle;
    long users;      // fragments still out
    unsigned extra;  // page references beside the pool's
    bool pooled;     // false: taken from the allocator directly, or the pool has let it go
  };

  static MemoryParameters parameters(const Setup& setup) {
    MemoryParameters p;
    for (unsigned node = 0; node < setup.nodes; ++node) {
      p.nodes.push_back({{{ZoneKind::normal, setup.node_mib << 20}}});
    }
    for (unsigned cpu = 0; cpu < cpus; ++cpu) p.cpu_node.push_back(static_cast<std::uint8_t>(cpu % setup.nodes));
    p.release = setup.release;
    setup.change_host(p);
    return p;
  }

  static void agree(bool same) {
    if (!same) throw Disagreement{};
  }

  std::uint32_t pick(std::uint32_t n) { return random_.below(n); }
  int node_of(unsigned cpu) const { return static_cast<int>(cpu % setup_.nodes); }
  MemoryContext context(unsigned cpu, bool in_softirq) {
    MemoryContext ctx;
    ctx.cpu = static_cast<std::uint16_t>(cpu);
    ctx.node = static_cast<std::uint8_t>(node_of(cpu));
    ctx.in_softirq = in_softirq;
    return ctx;
  }

  void open(Slot& slot) {
    slot.list_owner = -1;
    PagePoolParameters p;
    p.pool_size = setup_.ring;
    p.nid = pick(2) == 0 ? numa_no_node : static_cast<int>(pick(setup_.nodes));
    p.napi_list_owner = &slot.list_owner;
    setup_.change_pool(p);
    slot.pool = &pools_.create(p);
    slot.model = {};
    slot.model.host = &host_;
    slot.model.nid = p.nid;
    slot.model.ring_size = setup_.ring;
  }

  void note_coverage(const PagePoolStats& s) {
    seen.alloc_refill += s.alloc_refill;
    seen.alloc_slow += s.alloc_slow;
    seen.alloc_waive += s.alloc_waive;
    seen.recycle_cached += s.recycle_cached;
    seen.recycle_cache_full += s.recycle_cache_full;
    seen.recycle_ring_full += s.recycle_ring_full;
    seen.recycle_released_refcnt += s.recycle_released_refcnt;
  }

  // Binds a page that comes out of the model to the handle that comes out of the oracle.
  void bind(PageId page, oracle::Handle handle) {
    agree((page == no_page) == (handle == oracle::none));
    if (page == no_page) {
      ++failures;
      return;
    }
    const auto [entry, fresh] = names_.try_emplace(handle, page);
    agree(entry->second == page);
    agree(allocator_.page(page).node == host_.node_of[handle]);
  }

  void drop_reference(std::size_t index) {
    Held& held = held_[index];
    MemoryContext ctx = context(pick(cpus), true);
    if (held.pooled) {  // the other holder lets go while the pool's side is still out
      allocator_.put_page(ctx, held.page);
      host_.put_page(ctx.cpu, held.handle);
      --held.extra;
      return;
    }
    allocator_.put_page(ctx, held.page);
    host_.put_page(ctx.cpu, held.handle);
    if (--held.extra == 0) forget(index);
  }

  void forget(std::size_t index) {
    held_[index] = held_.back();
    held_.pop_back();
  }

  void one_operation() {
    const bool flood = operation_++ / setup_.wave % 2 == 0;  // waves: fill up, run down
    const bool hungry = held_.size() < (flood ? setup_.keep : setup_.keep / 8);
    const std::uint32_t kind = pick(1000);
    Slot& slot = slots_[pick(2)];
    const unsigned cpu = pick(cpus);
    if (kind < (hungry ? 700U : 250U)) {
      allocate(slot, cpu);
    } else if (kind < 880) {
      if (!held_.empty()) give_back(pick(static_cast<std::uint32_t>(held_.size())), cpu);
    } else if (kind < 888) {
      bulk_return(cpu);
    } else if (kind < 890) {
      poll(slot, cpu);
    } else if (kind < 960) {
      slot.list_owner = pick(3) == 0 ? -1 : static_cast<std::int32_t>(pick(cpus));
      slot.model.list_owner = slot.list_owner;
    } else if (kind < 985) {
      direct_allocation(cpu);
    } else if (kind < 990) {
      MemoryContext ctx = context(cpu, true);
      allocator_.vmstat_tick(ctx);
      host_.vmstat_tick(static_cast<int>(cpu), node_of(cpu));
    } else if (kind < 995) {
      const int nid = static_cast<int>(pick(setup_.nodes));
      MemoryContext ctx = context(cpu, true);
      slot.pool->nid_changed(ctx, nid);
      slot.model.change_nid(static_cast<int>(cpu), nid);
    } else if (kind == 999 && pick(40) == 0) {
      replace(slot, cpu);
    } else if (!held_.empty()) {
      Held& held = held_[pick(static_cast<std::uint32_t>(held_.size()))];
      if (held.pooled && held.extra < 3) {
        allocator_.get_page(held.page);
        ++host_.references[held.handle];
        ++held.extra;
      }
    }
  }

  void allocate(Slot& slot, unsigned cpu) {
    MemoryContext ctx = context(cpu, true);
    const bool fast = !slot.pool->next_alloc_may_touch_ring();
    const bool no_zone = !slot.pool->next_alloc_may_touch_zone();
    const std::uint64_t refills = slot.pool->stats.alloc_fast;
    const std::uint64_t slow =
        slot.pool->stats.alloc_slow + slot.pool->stats.alloc_waive + slot.pool->stats.alloc_failed;
    const PageId page = slot.pool->alloc(ctx);
    if (fast) agree(slot.pool->stats.alloc_fast == refills + 1);
    if (no_zone) {
      agree(slow == slot.pool->stats.alloc_slow + slot.pool->stats.alloc_waive + slot.pool->stats.alloc_failed);
    }
    const oracle::Handle handle = slot.model.alloc(static_cast<int>(cpu), node_of(cpu));
    bind(page, handle);
    if (page == no_page) return;
    allocator_.page(page).place = PagePlace::posted;
    long users = 1;
    if (pick(8) == 0) {
      users = 1 + static_cast<long>(pick(64));
      slot.pool->fragment(page, users);
      slot.model.users[handle] = users;
    }
    held_.push_back({static_cast<std::size_t>(&slot - slots_), page, handle, users, 0, true});
  }

  void give_back(std::uint32_t index, unsigned cpu) {
    Held& held = held_[index];
    if (!held.pooled || (held.extra > 0 && pick(2) == 0)) {
      drop_reference(index);
      return;
    }
    Slot& slot = slots_[held.slot];
    const bool in_softirq = pick(3) != 0;
    // Only the NAPI's own CPU passes allow_direct.
    const bool allow_direct = in_softirq && slot.list_owner == static_cast<std::int32_t>(cpu) && pick(2) == 0;
    MemoryContext ctx = context(cpu, in_softirq);
    const long users = pick(2) == 0 ? held.users : 1;
    const bool last = slot.pool->unref(held.page, users);
    agree(slot.model.drop_users(held.handle, users) == last);
    held.users -= users;
    agree((held.users == 0) == last);
    if (!last) return;
    const bool no_ring = !slot.pool->next_put_may_touch_ring(ctx, held.page, allow_direct);
    const bool no_zone = !slot.pool->next_put_may_touch_zone(ctx, held.page, allow_direct);
    const std::uint64_t cached = slot.pool->stats.recycle_cached;
    const std::uint64_t locks = zone_locks();
    slot.pool->put_unrefed_page(ctx, held.page, -1, allow_direct);
    if (no_ring) agree(slot.pool->stats.recycle_cached == cached + 1);
    if (no_zone) agree(zone_locks() == locks);
    slot.model.put(static_cast<int>(cpu), in_softirq, held.handle, allow_direct);
    release_or_forget(index);
  }

  std::uint64_t zone_locks() const {
    std::uint64_t locks = 0;
    for (const Zone& zone : allocator_.zones()) locks += zone.stats.zone_lock_holds;
    return locks;
  }

  // After the pool took its side back, the page stays with whoever else refers to it.
  void release_or_forget(std::uint32_t index) {
    if (held_[index].extra > 0) {
      held_[index].pooled = false;
    } else {
      forget(index);
    }
  }

  void bulk_return(unsigned cpu) {
    std::vector<PageId> pages;
    std::vector<oracle::Handle> by_slot[2];
    std::vector<std::size_t> order;
    for (std::size_t i = held_.size(); i-- > 0 && pages.size() < 16;) {
      if (held_[i].pooled && held_[i].users == 1 && held_[i].extra == 0) {
        pages.push_back(held_[i].page);
        by_slot[held_[i].slot].push_back(held_[i].handle);
        order.push_back(held_[i].slot);
        held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    if (pages.empty()) return;
    const bool in_softirq = pick(3) != 0;
    MemoryContext ctx = context(cpu, in_softirq);
    pools_.put_netmem_bulk(ctx, pages);
    for (const std::size_t which : {order[0], 1 - order[0]}) {
      if (!by_slot[which].empty()) {
        slots_[which].model.put_bulk(static_cast<int>(cpu), in_softirq, by_slot[which]);
      }
    }
  }

  // The pool's own NAPI poll on `cpu`: returns and takes pages in batches, more than the cache holds.
  void poll(Slot& slot, unsigned cpu) {
    slot.list_owner = slot.model.list_owner = static_cast<std::int32_t>(cpu);
    const auto which = static_cast<std::size_t>(&slot - slots_);
    MemoryContext ctx = context(cpu, true);
    std::vector<PageId> pages;
    const std::size_t wanted = 1 + pick(200);
    for (std::size_t i = held_.size(); i-- > 0 && pages.size() < wanted;) {
      if (held_[i].pooled && held_[i].slot == which) {
        pages.push_back(held_[i].page);
        if (!slot.model.drop_users(held_[i].handle, 1)) {
          --held_[i].users;
          continue;
        }
        slot.model.put(static_cast<int>(cpu), true, held_[i].handle, true);
        held_[i].users = 0;
        release_or_forget(static_cast<std::uint32_t>(i));
      }
    }
    slot.pool->recycle_direct_batch(ctx, pages.data(), static_cast<std::uint32_t>(pages.size()));
    pages.resize(pick(100));
    const std::uint32_t got = slot.pool->alloc_batch(ctx, pages.data(), static_cast<std::uint32_t>(pages.size()));
    for (std::size_t i = 0; i < pages.size(); ++i) {
      const oracle::Handle handle = slot.model.alloc(static_cast<int>(cpu), node_of(cpu));
      agree((handle != oracle::none) == (i < got));
      if (handle == oracle::none) break;
      bind(pages[i], handle);
      held_.push_back({which, pages[i], handle, 1, 0, true});
    }
  }

  void direct_allocation(unsigned cpu) {
    MemoryContext ctx = context(cpu, true);
    const int nid = static_cast<int>(pick(setup_.nodes));
    const PageId page = allocator_.alloc_pages(ctx, gfp::atomic | gfp::nowarn, 0, nid);
    const oracle::Handle handle = host_.alloc_page(static_cast<int>(cpu), nid);
    bind(page, handle);
    if (page != no_page) held_.push_back({0, page, handle, 0, 1, false});
  }

  // Destroys a pool while pages are out, brings them home, and opens a new one.
  void replace(Slot& slot, unsigned cpu) {
    MemoryContext ctx = context(cpu, false);
    const auto which = static_cast<std::size_t>(&slot - slots_);
    note_coverage(slot.pool->stats);
    agree(pools_.destroy(ctx, *slot.pool) == slot.model.destroy(static_cast<int>(cpu)));
    for (std::uint32_t i = static_cast<std::uint32_t>(held_.size()); i-- > 0;) {
      Held& held = held_[i];
      if (held.pooled && held.slot == which) {
        agree(slot.pool->unref(held.page, held.users));
        agree(slot.model.drop_users(held.handle, held.users));
        slot.pool->put_unrefed_page(ctx, held.page, -1, false);
        slot.model.put(static_cast<int>(cpu), false, held.handle, false);
        release_or_forget(i);
      }
    }
    if (slot.pool->detached()) {
      agree(slot.pool->ring_count() == slot.model.ring.size());
      ctx.now = pools_.next_retry();
      pools_.retry(ctx);
      agree(slot.model.destroy(static_cast<int>(cpu)));
      agree(pools_.detached_count() == 0);
    }
    open(slot);
  }

  void compare() {
    for (std::size_t i = 0; i < host_.zones.size(); ++i) {
      const Zone& zone = allocator_.zones()[i];
      oracle::ZoneModel& model = host_.zones[i];
      bool same = static_cast<long>(zone.nr_free_pages()) == model.free && zone.below_high == model.below_high;
      for (unsigned cpu = 0; cpu < cpus; ++cpu) {
        const PerCpuPages& pcp = zone.pcp(static_cast<std::uint16_t>(cpu));
        const oracle::PcpModel& other = model.pcp[cpu];
        same = same && pcp.count() == other.count() && pcp.high() == other.high &&
               pcp.alloc_factor() == (host_.auto_tuning ? other.alloc_factor : 0) &&
               pcp.free_count() == other.free_count;
      }
      agree(same);
    }
    for (Slot& slot : slots_) {
      const PagePoolStats& s = slot.pool->stats;
      auto& m = slot.model.stats;
      agree(s.alloc_fast == m["fast"] && s.alloc_slow == m["slow"] && s.alloc_empty == m["empty"] &&
            s.alloc_refill == m["refill"] && s.alloc_waive == m["waive"] && s.recycle_cached == m["cached"] &&
            s.recycle_cache_full == m["cache_full"] && s.recycle_ring == m["ring"] &&
            s.recycle_ring_full == m["ring_full"] && s.recycle_released_refcnt == m["released_refcnt"]);
      agree(slot.pool->cache_count() == slot.model.cache.size() && slot.pool->ring_count() == slot.model.ring.size() &&
            slot.pool->inflight() == slot.model.inflight());
    }
  }

  Setup setup_;
  TestRandom random_;
  PageAllocator allocator_;
  PagePools pools_;
  oracle::HostModel host_;
  std::uint64_t operation_ = 0;
  Slot slots_[2];
  std::vector<Held> held_;
  std::map<oracle::Handle, PageId> names_;
};

}  // namespace

TEST_CASE("page_pool and per-CPU lists do what the plain oracle does, operation by operation",
          "[PP-10][PP-11][PP-13][PP-20][PP-23][PP-24][PP-25][PP-31][PP-32][PP-35][PP-40][PP-52][PP-54][PA-11][PA-12]"
          "[PA-13][PA-14][PA-20][PA-21][PA-22][PA-24][PA-25][PA-26][PA-31][PA-32][PA-33][PA-44]") {
  // Small nodes run dry (the low mark, the atomic floor, failures); the large one has the full batch of 63.
  const Setup setups[] = {
      {"small nodes", {6, 18}, 24, 2, 64, 13000, 600'000, 60'000},
      {"one large node", {6, 18}, 1024, 1, 256, 3000, 400'000, 20'000},
      {"tiny ring", {6, 18}, 64, 2, 20, 600, 150'000, 3'000},
      {"fixed high", {6, 6}, 64, 2, 100, 12000, 250'000, 40'000},
  };
  std::uint64_t cache_full = 0;
  for (const Setup& setup : setups) {
    INFO(setup.name);
    Comparison comparison(setup, 20240607);
    comparison.run();
    // The sequences must have been where it matters.
    CHECK((comparison.failures > 0) == (setup.node_mib == 24));
    CHECK(comparison.seen.alloc_refill > 100);
    CHECK(comparison.seen.alloc_slow > 100);
    CHECK((comparison.seen.alloc_waive > 100) == (setup.nodes > 1));
    CHECK(comparison.seen.recycle_cached > 1000);
    cache_full += comparison.seen.recycle_cache_full;
    CHECK(comparison.seen.recycle_ring_full > 100);
    CHECK(comparison.seen.recycle_released_refcnt > 100);
  }
  CHECK(cache_full > 100);
}

TEST_CASE("the comparison notices a constant that is off by one", "[PP-11][PP-13][PP-24][PP-25][PP-35][PA-13][PA-21]") {
  Setup setup{"mutated", {6, 18}, 1024, 1, 256, 3000, 200'000, 20'000};
  SECTION("cache of 127") {
    setup.change_pool = [](PagePoolParameters& p) { p.constants.cache_size = 127; };
  }
  SECTION("refill of 63") {
    setup.change_pool = [](PagePoolParameters& p) { p.constants.cache_refill = 63; };
  }
  SECTION("ring of 255") {
    setup.change_pool = [](PagePoolParameters& p) { p.pool_size = 255; };
  }
  SECTION("a pool without its NAPI") {
    setup.change_pool = [](PagePoolParameters& p) { p.napi_list_owner = nullptr; };
  }
  SECTION("implicit returns never direct") {
    setup.change_pool = [](PagePoolParameters& p) { p.preempt_rt = true; };
  }
  SECTION("the bulk path is off") {
    setup.change_host = [](MemoryParameters& p) { p.page_owner = true; };
  }
  SECTION("fixed batches") {
    setup.change_host = [](MemoryParameters& p) { p.release = {6, 6}; };
  }
  CHECK_THROWS_AS(Comparison(setup, 7).run(), Disagreement);
}

}  // namespace rxpool
