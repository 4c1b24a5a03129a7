#pragma once
// What a TCP source is asked to send, and through what; validate() names the field, the value and the range.

#include <cstdint>
#include <limits>
#include <string_view>

#include "models/traffic/params.hpp"
#include "models/traffic/path.hpp"
#include "models/traffic/tcp/congestion_control.hpp"

namespace rxpool {

struct TcpSourceParams {
  CongestionParams congestion;
  PathParams path;
  FlowParams flows;                  ///< `count` connections; protocol TCP
  std::uint32_t frame_bytes = 1518;  ///< of a full segment, with FCS
  double transfer_kib = 0;           ///< 0: endless
  double every_ms = 0;               ///< a transfer of every flow begins again after this; 0: once
  double spread_ms = 0;              ///< each flow is late by up to this, drawn once
  double start_ms = 0;
  double stop_ms = std::numeric_limits<double>::infinity();  ///< nothing new is sent from then on

  /// Throws InputError with `where` before the field's name.
  void validate(std::string_view where) const;
};

}  // namespace rxpool
