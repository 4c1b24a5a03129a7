#pragma once
// What one replication gives back: plain tables, filled after time stopped. Writers (JSON, Parquet, the table for
// people) live in Python; a metric's name, unit and meaning are declared once (sim/metrics.hpp).

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/time.hpp"

namespace rxpool {

struct MetricRow {
  std::string component;  ///< dotted path, e.g. nics.nic0.rx_queues.rx0.page_pool
  std::string metric;     ///< declared name, e.g. held_max
  std::string unit;       ///< pages, packets, ns, …
  double value = 0;
};

struct SeriesRow {
  std::string component;
  std::string metric;
  std::string unit;
  std::vector<std::int64_t> time_ns;
  std::vector<double> value;
};

/// Where everything ended up. `places` sums to `total` or the run fails (exit 6).
struct Ledger {
  std::uint64_t total = 0;  ///< packets offered on the wire, or pages of the host
  std::map<std::string, std::uint64_t> places;
};

/// One sentence with its evidence: what limited this run.
struct Bottleneck {
  std::string component;
  std::string sentence;
};

/// A traced run in columns; times in picoseconds, names of queues by their index.
struct TraceColumns {
  std::vector<std::string> queues;
  std::vector<std::int64_t> context_ps, context_cpu, context;  ///< context 255 is idle
  std::vector<std::int64_t> poll_begin_ps, poll_end_ps, poll_queue, poll_cpu, poll_packets;
  std::vector<std::int64_t> moment_ps, moment_queue, moment_packet, moment_cpu, moment_stage;
};

struct ReplicationResult {
  std::uint32_t replication = 0;
  std::uint64_t fingerprint = 0;
  double simulated_ms = 0;            ///< without warm-up
  double loop_cpu_seconds = 0;        ///< CPU time of the event loop (context, never compared)
  std::uint64_t offered_packets = 0;  ///< with warm-up: the work the loop did
  std::uint64_t program_packets = 0;  ///< of those, reached the XDP hook or the driver's receive loop
  bool cancelled = false;
  std::vector<MetricRow> metrics;
  std::vector<SeriesRow> series;
  Ledger packets;         ///< of the whole run
  Ledger packets_at_cut;  ///< where those of the warm-up were at its end; empty without one
  Ledger pages;
  Bottleneck bottleneck;
  std::vector<std::string> warnings;
  std::optional<TraceColumns> trace;  ///< only if RunOptions::trace asked for it
};

/// Window of simulated time, from the start of the run, that a trace covers.
struct TraceWindow {
  Time from;
  Time to;
};

struct RunOptions {
  std::uint32_t replication = 0;
  /// Called a few times a second of wall time at most, on the calling thread; returns false to cancel.
  std::function<bool(double simulated_ms, double total_ms, std::uint64_t offered_packets)> progress;
  std::optional<TraceWindow> trace;
};

struct Scenario;

/// Builds the host of a scenario and runs one replication. Pure: same scenario, seed and replication, same result.
/// Throws InputError for a host that cannot be built, BugError when a ledger does not close.
ReplicationResult run_replication(const Scenario& scenario, const RunOptions& options);

}  // namespace rxpool
