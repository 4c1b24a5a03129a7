#pragma once
// What a run says about itself: the registration of every metric, and its trace in columns.

#include "models/host/host.hpp"

namespace rxpool {

void register_metrics(Host& host);
/// Brings everything that works ahead or behind up to exactly `now`.
void settle(Host& host, Time now);
TraceColumns trace_columns(Host& host, const Trace& trace);

}  // namespace rxpool
