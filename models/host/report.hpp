#pragma once
// What a run says about itself: the registration of every metric, the two ledgers.

#include "models/host/host.hpp"

namespace rxpool {

void register_metrics(Host& host);
/// Brings everything that works ahead or behind up to exactly `now`.
void settle(Host& host, Time now);
/// Where every offered packet and every page is. Throws BugError when a ledger does not close.
Ledger packet_ledger(Host& host);
Ledger page_ledger(Host& host);
TraceColumns trace_columns(Host& host, const Trace& trace);
/// Throws BugError unless the places sum to the total.
void check_closed(const std::string& of, const Ledger& ledger);

}  // namespace rxpool
