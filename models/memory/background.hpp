#pragma once
// Another user of memory on one node, as explicit steps: a page cache being filled (reclaimable) or an application that
// grows (not reclaimable, but the OOM killer may take it). It allocates order-0 movable pages at a rate, blocking or
// not, and may free each after a holding time. The pages themselves carry its list, so it allocates no host memory.
// Who owns the CPUs runs step() at next_step() and charges its cost. Reclaim takes its oldest pages first; dirty pages,
// swap and working-set refaults are left out. Rules: PA-51..53.

#include <cstdint>
#include <vector>

#include "models/memory/page_allocator.hpp"
#include "models/memory/reclaim.hpp"

namespace rxpool {

struct BackgroundParameters {
  std::uint8_t node = 0;
  Time start{};
  Time stop = Time::never();
  Time time_per_page = Time::never();  ///< 1 / fill rate; never: takes nothing while time runs
  Time hold = Time::never();           ///< how long it keeps a page
  std::uint64_t limit_pages = UINT64_MAX;
  bool reclaimable = true;
  bool blocking = true;
};

struct BackgroundStats {
  std::uint64_t allocated = 0;
  std::uint64_t failed = 0;
  std::uint64_t expired = 0;    ///< freed after the holding time
  std::uint64_t reclaimed = 0;  ///< taken back by kswapd or direct reclaim
  std::uint64_t killed = 0;     ///< freed by the OOM killer
};

class Background : public ReclaimSource {
 public:
  static constexpr std::uint32_t batch = 32;  ///< pages per step

  /// Registers with the allocator, which must not outlive it.
  Background(PageAllocator& allocator, const BackgroundParameters& parameters);
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// Before time starts: holds `pages` more, whole 4 MiB blocks without a record per page. Throws InputError when the
  /// node has not that many free.
  void prefill(std::uint64_t pages);

  Time next_step() const { return next_step_; }
  /// Frees what has expired, takes the next batch, at ctx.now >= next_step().
  void step(MemoryContext& ctx);

  std::uint32_t reclaim(MemoryContext& ctx, unsigned node, std::uint32_t pages) override;
  std::uint64_t oom_pages() const override { return parameters_.reclaimable || dead_ ? 0 : held_pages(); }
  std::uint64_t oom_kill(MemoryContext& ctx) override;

  /// Its share of the place `other`.
  std::uint64_t held_pages() const { return list_pages_ + block_pages_ + open_left_; }
  bool dead() const { return dead_; }
  BackgroundStats stats;

 private:
  void append(PageId page, Time now);
  PageId take_oldest();
  bool take_from_blocks();
  void schedule(Time now);

  PageAllocator& allocator_;
  BackgroundParameters parameters_;
  Time next_step_;
  Time next_batch_;
  PageId oldest_ = no_page;  ///< list of single pages through Page::next; the time of taking is in pp_ref_count
  PageId newest_ = no_page;
  std::uint64_t list_pages_ = 0;
  std::vector<Buddy::Range> ranges_;
  std::uint64_t block_pages_ = 0;  ///< in whole blocks
  PageId open_next_ = no_page;     ///< block that is being given back page by page
  std::uint64_t open_left_ = 0;
  bool dead_ = false;
};

}  // namespace rxpool
