#pragma once
// Every metric that rxpool reports, declared once: name, unit, kind, meaning, source. The registry refuses names that
// are not here; docs/output-fields.md and the kernel backend read this table.

#include <span>

#include "sim/metrics.hpp"

namespace rxpool {

std::span<const MetricDefinition> metric_table();

}  // namespace rxpool
