#pragma once
// Which of the four overload situations of the page-pool design a queue is in (seed 000): a burst that is absorbed, a
// queue that some other limit keeps, a run towards out-of-memory, an RX path slower than the arrivals. Told from what a
// control loop sees, not from the simulator's knowledge. Rule CT-50.

#include <cstdint>
#include <string_view>

#include "models/control/working_set.hpp"
#include "sim/time.hpp"

namespace rxpool {

enum class Situation : std::uint8_t { normal, good_queue, bad_queue, run_to_oom, rx_slow };
inline constexpr std::size_t situations = 5;
std::string_view situation_name(Situation situation);

struct SituationParams {
  Time persists = milliseconds(200);  ///< a queue longer than this is none that absorbs a burst: one reference RTT
  double raised = 2;                  ///< held above so many times its level before is a queue
  double raised_pages = 256;          ///< and above it by so many pages
  Time horizon = seconds(10);         ///< memory that lasts longer at the present growth is in no danger
};

struct SituationSample {
  Time now;
  double held = 0;
  double free_pages = 0;
  double low = 0;
  bool rx_overload = false;
};

class SituationObserver {
 public:
  explicit SituationObserver(const SituationParams& params) : params_(params) {}
  void observe(const SituationSample& sample);
  Situation situation() const { return situation_; }
  /// Time spent in each; a queue counts as good until it persists.
  Time spent(Situation situation) const { return spent_[static_cast<std::size_t>(situation)]; }

 private:
  SituationParams params_;
  Situation situation_ = Situation::normal;
  Time spent_[situations] = {};
  bool started_ = false;
  bool queue_ = false;
  Time last_;
  Time since_;         ///< of the queue
  double base_ = 0;    ///< held without a queue
  double slow_ = 0;    ///< held, averaged over `persists`, for its growth
  double growth_ = 0;  ///< pages per second
};

}  // namespace rxpool
