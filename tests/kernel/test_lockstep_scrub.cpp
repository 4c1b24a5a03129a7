// A pool whose pages come back while it is scrubbed. The log is made here, in the order in which the kernel does it: a
// page is taken off cache or ring, it is released, that is logged, and an interrupt may return pages before, between
// and after these. The replay is not told where; it must find out and agree after every call.

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "kernel/guest/lockstep.hpp"

namespace rxpool::guest {
namespace {

using Bytes = std::vector<std::uint8_t>;

MemoryParameters one_node() {
  MemoryParameters result;
  result.release = {6, 18};
  result.nodes.push_back({.zones = {{.kind = ZoneKind::normal, .bytes = 1ULL << 30}}});
  result.cpu_node.push_back(0);
  return result;
}

// The life of one pool, call by call, as the probes would have logged it.
class Life {
 public:
  explicit Life(std::uint32_t pool_size) : allocator_(one_node(), MemoryPrices{}), pools_(allocator_) {
    pool_ = &pools_.create({.pool_size = pool_size, .nid = 0});
    PoolLogOp op = enter(POOL_LOG_CREATE);
    op.pool_size = pool_size;
    op.argument = static_cast<std::int32_t>(pool_->ring().size());
    leave(op);
  }

  // A whole bulk: all that enters is handed out, so that each page has its name.
  std::vector<PageId> allocate() {
    MemoryContext ctx;
    std::vector<PageId> pages;
    std::vector<PoolLogCounts> counts;
    do {
      pages.push_back(pool_->alloc(ctx));
      counts.push_back(counts_of(*pool_));
    } while (pool_->cache_count() > 0);
    for (std::size_t i = 0; i < pages.size(); ++i) {
      PoolLogOp op = enter(POOL_LOG_ALLOC);
      for (std::size_t entered = 0; i == 0 && entered < pages.size(); ++entered) {
        cross(POOL_LOG_HOLD, pages[entered]);
      }
      op.header.page = name(pages[i]);
      op.counts = counts[i];
      leave(op, false);
    }
    return pages;
  }

  void put(PageId page, bool direct) {
    PoolLogOp op = enter(POOL_LOG_PUT);
    op.header.page = name(page);
    op.header.flags |= POOL_LOG_IN_SOFTIRQ | (direct ? POOL_LOG_ALLOW_DIRECT : 0);
    op.argument = -1;
    op.refcount = 1;
    op.pp_ref_count = 1;
    MemoryContext ctx = context_of(op);
    const std::uint32_t released = pool_->release_cnt();
    pool_->put_unrefed_page(ctx, page, -1, direct);
    if (pool_->release_cnt() != released) {
      cross(POOL_LOG_RELEASE, page);
    }
    leave(op);
  }

  template <typename Interrupt>
  void destroy(Interrupt&& interrupt) {
    PoolLogOp outer = enter(POOL_LOG_DESTROY);
    PoolLogOp op = enter(POOL_LOG_SCRUB);
    op.header.flags |= POOL_LOG_DESTROYING;
    MemoryContext ctx = context_of(op);
    pool_->begin_destroy(ctx);
    for (;;) {
      interrupt(false);
      const PageId page = pool_->take_scrubbed();
      interrupt(page != no_page);
      if (page == no_page) {
        break;
      }
      pool_->release_scrubbed(ctx, page);
      interrupt(false);
      cross(POOL_LOG_RELEASE, page);
    }
    pool_->end_destroy(ctx);
    op.argument = pool_->inflight();
    leave(op);
    leave(outer);
  }

  const PagePool& pool() const { return *pool_; }
  Bytes& log() { return log_; }

 private:
  static std::uint32_t name(PageId page) { return 4096 + page; }
  PoolLogOp enter(PoolLogKind kind) {
    PoolLogOp op{};
    op.header.kind = kind;
    op.header.pool = 7;
    op.header.enter_seq = ++seq_;
    op.list_owner = -1;
    op.cpuid = -1;
    return op;
  }
  void leave(PoolLogOp& op, bool count = true) {
    if (count) {
      op.counts = counts_of(*pool_);
    }
    op.header.exit_seq = ++seq_;
    append(op);
  }
  void cross(PoolLogKind kind, PageId page) {
    PoolLogHold crossing{};
    crossing.header.kind = kind;
    crossing.header.pool = 7;
    crossing.header.page = name(page);
    crossing.header.enter_seq = crossing.header.exit_seq = ++seq_;
    append(crossing);
  }
  template <typename Record>
  void append(Record& record) {
    record.header.size = sizeof(record);
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(&record);
    log_.insert(log_.end(), bytes, bytes + sizeof(record));
  }

  PageAllocator allocator_;
  PagePools pools_;
  PagePool* pool_;
  Bytes log_;
  std::uint64_t seq_ = 0;
};

// Pages in the cache, in the ring (until it is full), and out; those come back at drawn places of the scrub.
struct Interrupted {
  Life life;
  std::uint32_t into_the_ring = 0;  ///< of a full ring, in room that the scrub had made
  std::uint32_t between = 0;        ///< between a page's taking and its release

  explicit Interrupted(std::uint32_t seed) : life(2U << seed % 6) {
    std::mt19937 random(seed);
    std::vector<PageId> out = life.allocate();
    const auto return_one = [&](bool direct) {
      life.put(out.back(), direct);
      out.pop_back();
    };
    for (std::uint32_t i = random() % 8; i > 0; --i) {
      return_one(true);
    }
    while (life.pool().ring_count() < life.pool().ring().size() && out.size() > 16) {
      return_one(false);
    }
    life.destroy([&](bool taken) {
      for (std::uint32_t i = random() % 4; i > 0 && out.size() > 1; --i) {
        const std::uint64_t before = life.pool().stats.recycle_ring;
        return_one(false);
        into_the_ring += life.pool().stats.recycle_ring != before;
        between += taken;
      }
    });
  }
};

LockstepReport replay(const Bytes& log) {
  return Lockstep({6, 18}, 1).replay(log);
}

TEST_CASE("pages that come back during a scrub find the room that it has made so far", "[PP-25][PP-52]") {
  std::uint32_t into_the_ring = 0;
  std::uint32_t between = 0;
  for (std::uint32_t seed = 0; seed < 500; ++seed) {
    Interrupted pool(seed);
    const LockstepReport report = replay(pool.life.log());
    INFO("seed " << seed << ": " << (report.differences == 0 ? "" : report.first_differences.front()));
    REQUIRE(report.differences == 0);
    REQUIRE(report.exact + report.settled == report.operations);
    into_the_ring += pool.into_the_ring;
    between += pool.between;
  }
  CHECK(into_the_ring > 500);
  CHECK(between > 500);
}

// The last return of a kind in the log, to be changed in place.
PoolLogOp& last_put(Bytes& log) {
  PoolLogOp* found = nullptr;
  for (std::size_t at = 0; at < log.size(); at += reinterpret_cast<PoolLogHeader*>(&log[at])->size) {
    auto* op = reinterpret_cast<PoolLogOp*>(&log[at]);
    found = op->header.kind == POOL_LOG_PUT ? op : found;
  }
  return *found;
}

TEST_CASE("a return that claims to have found a full ring where the scrub had made room is a difference", "[PP-25]") {
  std::uint32_t seen = 0;
  for (std::uint32_t seed = 0; seed < 100; ++seed) {
    Interrupted pool(seed);
    PoolLogOp& put = last_put(pool.life.log());
    if (pool.into_the_ring == 0) {
      continue;
    }
    --put.counts.recycled_ring;
    ++put.counts.ring_full;
    CHECK(replay(pool.life.log()).differences >= 1);
    ++seen;
  }
  CHECK(seen > 20);
}

TEST_CASE("a scrub that leaves pages in the ring is a difference", "[PP-52]") {
  Life life(64);
  const std::vector<PageId> pages = life.allocate();
  for (std::size_t i = 0; i + 1 < pages.size(); ++i) {
    life.put(pages[i], false);
  }
  life.destroy([](bool) {});
  REQUIRE(replay(life.log()).differences == 0);
  // The log of a kernel that released one page less.
  Bytes& log = life.log();
  std::size_t last = 0;
  for (std::size_t at = 0; at < log.size(); at += reinterpret_cast<PoolLogHeader*>(&log[at])->size) {
    last = reinterpret_cast<PoolLogHeader*>(&log[at])->kind == POOL_LOG_RELEASE ? at : last;
  }
  auto* release = reinterpret_cast<PoolLogHeader*>(&log[last]);
  release->kind = POOL_LOG_HOLD;
  CHECK(replay(log).differences >= 1);
}

}  // namespace
}  // namespace rxpool::guest
