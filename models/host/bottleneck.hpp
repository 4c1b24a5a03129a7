#pragma once
// The stage that lost most of the packets, in one sentence with its evidence: the loss, and how busy who should have
// worked was.

#include "models/host/host.hpp"

namespace rxpool {

/// Over the whole run of `run`, warm-up included.
Bottleneck find_bottleneck(Host& host, Time run);

}  // namespace rxpool
