#include "models/control/overload.hpp"

#include "models/control/in_ms.hpp"

namespace rxpool {
namespace {

/// By OverloadInput: the key that asks for it; back-off is asked for by a program.
constexpr std::string_view asked_by[overload_inputs] = {"backlog_share", "full_polls", "drops", "tx_share", ""};

}  // namespace

void OverloadDetector::Latch::look(bool sign, Time now, Time clear) {
  if (sign) {
    on = true;
    last_sign = now;
  } else if (on && now - last_sign >= clear) {
    on = false;
  }
}

bool OverloadDetector::uses(OverloadInput input) const {
  switch (input) {
    case OverloadInput::rx_backlog:
      return params_.backlog_share <= 1;
    case OverloadInput::full_polls:
      return params_.full_polls != 0;
    case OverloadInput::hw_drops:
      return params_.drops;
    case OverloadInput::tx_fill:
      return params_.tx_share <= 1;
    case OverloadInput::tx_backoff:
      break;
  }
  return true;
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
  const bool full_row = full_in_row_ >= params_.full_polls;
  const bool rx_sign = (backlog && uses(OverloadInput::rx_backlog)) || (full_row && uses(OverloadInput::full_polls)) ||
                       (lost && uses(OverloadInput::hw_drops));
  rx_.look(rx_sign, sample.now, params_.clear);
  const bool tx_full = sample.tx_size != 0 && uses(OverloadInput::tx_fill) &&
                       static_cast<double>(sample.tx_fill) >= params_.tx_share * sample.tx_size;
  tx_.look(tx_full || sample.tx_backoff, sample.now, params_.clear);
}

std::vector<std::string> overload_warnings(const OverloadDetector& detector, const InputSources& sources, Time look,
                                           const std::string& where) {
  std::vector<std::string> warnings;
  for (std::size_t i = 0; i < overload_inputs; ++i) {
    const InputSource& source = sources[i];
    if (!detector.uses(static_cast<OverloadInput>(i)) || source.name.empty() || asked_by[i].empty()) continue;
    const std::string start = where + "." + std::string(asked_by[i]) + ": " + std::string(source.name);
    if (source.sim_only) warnings.push_back(start + ": exported by no driver or kernel: sim-only");
    if (source.scope == InputSource::Scope::port) {
      warnings.push_back(start + ": the driver counts per port, so every queue of the port is overloaded");
    }
    if (source.refresh > look) {
      warnings.push_back(start + ": the driver renews it every " + in_ms(source.refresh) +
                         ", so that an overload is noticed up to so late");
    }
  }
  return warnings;
}

}  // namespace rxpool
