#include "models/control/overload.hpp"

namespace rxpool {

void OverloadDetector::Latch::look(bool sign, Time now, Time clear) {
  if (sign) {
    on = true;
    last_sign = now;
  } else if (on && now - last_sign >= clear) {
    on = false;
  }
}

void OverloadDetector::observe(const QueueSample& sample) {
  const std::uint64_t polls = sample.polls - polls_;
  const std::uint64_t full = sample.full_polls - full_polls_;
  // A poll that left budget over ends the row; in which order the polls between two looks came is not known, so only
  // what came after a look without such a poll counts.
  full_in_row_ = full == polls ? full_in_row_ + full : 0;
  const bool lost = started_ && sample.hw_drops != hw_drops_;
  started_ = true;
  hw_drops_ = sample.hw_drops;
  polls_ = sample.polls;
  full_polls_ = sample.full_polls;

  const bool backlog = static_cast<double>(sample.rx_backlog) >= params_.backlog_share * sample.rx_size;
  const bool full_row = params_.full_polls != 0 && full_in_row_ >= params_.full_polls;
  rx_.look((backlog && params_.backlog_share <= 1) || full_row || (params_.drops && lost), sample.now, params_.clear);
  const bool tx_full = sample.tx_size != 0 && params_.tx_share <= 1 &&
                       static_cast<double>(sample.tx_fill) >= params_.tx_share * sample.tx_size;
  tx_.look(tx_full || sample.tx_backoff, sample.now, params_.clear);
}

}  // namespace rxpool
