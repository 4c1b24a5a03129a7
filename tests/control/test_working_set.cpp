// Working-set detectors on made-up sample sequences whose answer is known.
#include <catch2/catch.hpp>
#include <functional>
#include <vector>

#include "models/control/working_set.hpp"

using namespace rxpool;

namespace {

constexpr DetectorKind all_kinds[] = {DetectorKind::jiffies_counter, DetectorKind::no_refill, DetectorKind::ewma,
                                      DetectorKind::window_quantile, DetectorKind::cusum,     DetectorKind::kalman};

/// A pool that keeps every page it ever had: held as given, the rest free; a page not there yet is a slow allocation.
class Feed {
 public:
  explicit Feed(DetectorKind kind, const std::function<void(DetectorParams&)>& change = {}) {
    DetectorParams params;
    params.kind = kind;
    params.period = microseconds(100);
    params.jiffy = milliseconds(1);
    if (change) change(params);
    detector_ = make_detector(params);
  }
  void until_ms(int end, const std::function<double(double ms)>& held) {
    for (; sample_.now < milliseconds(end); sample_.now += microseconds(100)) {
      const auto target = static_cast<std::int64_t>(held(static_cast<double>(sample_.now.ps) * 1e-9));
      const std::int64_t change = target - sample_.held;
      // Traffic passes beside the change: 20 pages in and out.
      sample_.allocs += static_cast<std::uint64_t>(20 + std::max<std::int64_t>(0, change));
      sample_.frees += static_cast<std::uint64_t>(20 + std::max<std::int64_t>(0, -change));
      sample_.free_pages -= change;
      while (sample_.free_pages < 0) {
        sample_.free_pages += 64;
        ++sample_.slow_allocs;
      }
      sample_.held = target;
      detector_->observe(sample_);
      ++count[static_cast<std::size_t>(state())];
    }
  }
  double pages() const { return detector_->estimate().pages; }
  WorkingSetState state() const { return detector_->estimate().state; }
  std::size_t count[4] = {};

 private:
  std::unique_ptr<WorkingSetDetector> detector_;
  PoolSample sample_;
};

}  // namespace

TEST_CASE("every detector finds a constant working set", "[CT-1][CT-2][CT-3][CT-4][CT-5][CT-6]") {
  for (const DetectorKind kind : all_kinds) {
    INFO(detector_name(kind));
    Feed feed(kind);
    feed.until_ms(300, [](double) { return 2000; });
    CHECK(feed.state() == WorkingSetState::steady);
    CHECK(feed.pages() == Approx(2000).margin(20));
  }
}

TEST_CASE("no detector claims to be steady while held doubles every ten milliseconds", "[CT-1][CT-3][CT-5][CT-6]") {
  for (const DetectorKind kind : all_kinds) {
    INFO(detector_name(kind));
    Feed feed(kind);
    feed.until_ms(200, [](double) { return 1000; });
    const std::size_t before = feed.count[static_cast<std::size_t>(WorkingSetState::steady)];
    feed.until_ms(300, [](double ms) { return 1000 * (1 + (ms - 200) / 10); });
    // What a detector may be late: one of its own periods (10 jiffies, 20 ms quiet …).
    CHECK(feed.count[static_cast<std::size_t>(WorkingSetState::steady)] - before <= 210);
    CHECK(feed.state() == WorkingSetState::growing);
  }
}

TEST_CASE("every detector but no_refill follows a step down", "[CT-1][CT-3][CT-4][CT-5][CT-6]") {
  for (const DetectorKind kind : all_kinds) {
    INFO(detector_name(kind));
    Feed feed(kind);
    feed.until_ms(200, [](double) { return 4000; });
    feed.until_ms(201, [](double) { return 1000; });
    // The first millisecond is enough for those without a period of their own.
    if (kind == DetectorKind::ewma || kind == DetectorKind::kalman) CHECK(feed.state() == WorkingSetState::shrinking);
    feed.until_ms(500, [](double) { return 1000; });
    if (kind == DetectorKind::no_refill) {
      // 3000 free pages beside 1000 in use are excessive: it keeps what it knew.
      CHECK(feed.state() == WorkingSetState::shrinking);
      CHECK(feed.pages() == Approx(4000));
    } else {
      CHECK(feed.state() == WorkingSetState::steady);
      CHECK(feed.pages() == Approx(1000).margin(64));
    }
  }
}

TEST_CASE("the jiffies counter sees nothing of a cycle as long as its own", "[CT-1]") {
  // What goes out comes back before the counter is looked at: the seed's idea takes it for steady, at whatever is
  // outstanding then.
  Feed feed(DetectorKind::jiffies_counter);
  feed.until_ms(200, [](double ms) { return static_cast<int>(ms) % 10 < 5 ? 3000 : 500; });
  CHECK(feed.count[static_cast<std::size_t>(WorkingSetState::growing)] == 0);
  CHECK(feed.state() == WorkingSetState::steady);
}

TEST_CASE("the window's quantile is that of the window", "[CT-4]") {
  Feed feed(DetectorKind::window_quantile, [](DetectorParams& p) { p.quantile = 0.5; });
  feed.until_ms(400, [](double ms) { return static_cast<int>(ms) % 2 == 0 ? 3000 : 500; });
  CHECK((feed.pages() == 3000 || feed.pages() == 500));
  Feed high(DetectorKind::window_quantile, [](DetectorParams& p) { p.quantile = 0.99; });
  high.until_ms(400, [](double ms) { return static_cast<int>(ms) % 10 == 0 ? 3000 : 500; });
  CHECK(high.pages() == 3000);
}

TEST_CASE("the Kalman filter follows a ramp without lag", "[CT-6]") {
  Feed kalman(DetectorKind::kalman);
  Feed ewma(DetectorKind::ewma);
  for (Feed* feed : {&kalman, &ewma}) feed->until_ms(300, [](double ms) { return 100 * ms; });
  CHECK(kalman.pages() == Approx(30000).margin(30));
  CHECK(ewma.pages() < 28500);  // the time constant behind
}
