#pragma once
// Leak or slow consumer? Three scores of one queue's pages held, taken by windows; each grows with the evidence for a
// leak, where to draw the line is the user's (a ROC curve, docs/control.md). They read nothing but held, which a kernel
// exports as inflight less cache, ring and descriptors. Rule CT-51. Leaves out ages of single pages: that needs the
// tracepoints page_pool_state_hold and page_pool_state_release of every page.

#include <cstdint>
#include <limits>

#include "sim/time.hpp"

namespace rxpool {

struct LeakScores {
  double growth = 0;  ///< pages/s: least-squares slope of held, as people read off a graph of inflight
  double floor = 0;   ///< pages: fewest held in the last whole window; so many never all came home in it
  double trend = 0;   ///< windows whose floor rose less those whose floor fell, over all steps: -1 to 1
};

class LeakObserver {
 public:
  explicit LeakObserver(Time window) : window_(window) {}
  /// Readings in the order of time.
  void observe(Time now, double held);
  LeakScores scores() const;

 private:
  void close_window();

  Time window_;
  Time window_ends_{0};
  double lowest_ = std::numeric_limits<double>::infinity();  ///< of the window that is going on
  double floor_ = 0;
  std::uint64_t windows_ = 0;
  std::int64_t rises_ = 0;  ///< less falls
  // Sums of the regression of held on seconds since the first reading.
  bool started_ = false;
  Time first_{0};
  double count_ = 0;
  double sum_t_ = 0;
  double sum_tt_ = 0;
  double sum_h_ = 0;
  double sum_th_ = 0;
};

}  // namespace rxpool
