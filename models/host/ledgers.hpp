#pragma once
// Where every offered packet and every page is at the end of a run; a count that does not add up is our mistake.

#include "models/host/host.hpp"

namespace rxpool {

/// Both throw BugError when a ledger does not close.
Ledger packet_ledger(Host& host);
Ledger page_ledger(Host& host);
/// Throws BugError unless the places sum to the total.
void check_closed(const std::string& of, const Ledger& ledger);

}  // namespace rxpool
