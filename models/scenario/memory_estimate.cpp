#include <algorithm>
#include <cmath>
#include <filesystem>
#include <variant>

#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

// Bytes per thing, from above; the records themselves are in models/memory, models/nic and models/traffic.
constexpr double process_bytes = 24.0 * 1048576;  // the program, its libraries, tables of the models
constexpr double page_record_bytes = 48;          // PageTable, two lines of the LLC
constexpr double descriptor_bytes = 128;          // RxRing: a packet, a time, a page, per slot
constexpr double xsk_slot_bytes = 96;             // XskRing: a packet, a frame, a time
constexpr double histogram_bytes = 65536;         // latency of one component
constexpr double flow_bytes = 96;                 // key, hash, queue, popularity
constexpr double capture_factor = 3;              // a capture's file, its records and its flows
constexpr double sample_bytes = 16;               // one value of a series and its time
constexpr double series_per_component = 16;
constexpr double smallest_truesize = 768;    // SK-2: the least a queued packet is charged
constexpr double per_cpu_list_pages = 4096;  // two bulks of 2016 (PA-13)

/// The largest ring that a queue ever has: events may open a larger one.
double largest_ring(const Scenario& s, const std::string& queue, std::uint32_t rx_ring) {
  double largest = rx_ring;
  for (const auto& [name, event] : s.events) {
    const auto change = event.set.find(queue + ".rx_ring");
    if (change == event.set.end()) continue;
    if (const double* ring = std::get_if<double>(&change->second)) largest = std::max(largest, *ring);
  }
  return largest;
}

/// Calls visit(nic, queue, largest ring) for every RX queue.
template <typename Visitor>
void for_each_ring(const Scenario& s, Visitor&& visit) {
  for (const auto& [name, nic] : s.nics) {
    for (const auto& [queue_name, queue] : nic.rx_queues) {
      visit(nic, queue, largest_ring(s, "nics." + name + ".rx_queues." + queue_name, queue.rx_ring));
    }
  }
}

double pages_in_circulation(const Scenario& s) {
  double pages = 0;
  double rings = 0;
  for_each_ring(s, [&](const scenario::NicParams&, const scenario::QueueParams& queue, double ring) {
    rings += ring;
    pages += 2.0 * ring + std::max<double>(queue.pool_size, ring > queue.rx_ring ? ring : 0) + 256;
  });
  for (const auto& [name, socket] : s.sockets) {
    const double rcvbuf = socket.rcvbuf == 0 ? s.kernel.rmem_default : 2.0 * std::min(socket.rcvbuf, s.kernel.rmem_max);
    pages += rcvbuf / smallest_truesize + rings;
  }
  for (const auto& [name, xsk] : s.xsks) pages += xsk.frames;
  for (const auto& [name, pmd] : s.pmds) pages += pmd.mempool;
  pages += static_cast<double>(s.cpus.size()) * (per_cpu_list_pages + s.kernel.netdev_max_backlog);
  const double run_ms = s.warmup_ms + s.duration_ms;
  for (const auto& [name, user] : s.memory.background) {
    double taken = user.pages_per_ms * run_ms;
    if (user.limit_mib > 0) taken = std::min(taken, user.limit_mib * 256);
    pages += taken;
  }
  return std::min(pages, 256.0 * s.memory.total_mib * s.memory.nodes);
}

double traffic_bytes(const Scenario& s) {
  double bytes = 0;
  for (const auto& [name, traffic] : s.traffic) {
    if (traffic.kind == scenario::TrafficKind::pcap) {
      std::error_code error;
      const auto size = std::filesystem::file_size(traffic.capture.path, error);
      if (!error) bytes += capture_factor * static_cast<double>(size);
    } else {
      bytes += flow_bytes * traffic.source.flows.count;
    }
  }
  return bytes;
}

}  // namespace

std::uint64_t memory_estimate_bytes(const Scenario& s) {
  double queues = 0;
  double descriptors = 0;
  for_each_ring(s, [&](const scenario::NicParams& nic, const scenario::QueueParams&, double ring) {
    queues += 1;
    descriptors += ring + nic.tx_ring;
  });
  double xsk_slots = 0;
  for (const auto& [name, xsk] : s.xsks) xsk_slots += xsk.fill_ring + xsk.rx_ring;
  const double components =
      queues +
      static_cast<double>(s.cpus.size() + s.sockets.size() + s.xsks.size() + s.pmds.size() + s.traffic.size()) +
      s.memory.nodes;
  double bytes = process_bytes + page_record_bytes * pages_in_circulation(s) + descriptor_bytes * descriptors +
                 xsk_slot_bytes * xsk_slots + traffic_bytes(s);
  if (s.record.latency) bytes += histogram_bytes * components;
  if (s.record.every_us > 0) {
    const double samples = std::ceil((s.warmup_ms + s.duration_ms) * 1000 / s.record.every_us);
    bytes += sample_bytes * series_per_component * components * samples;
  }
  return bytes < 1.8e19 ? static_cast<std::uint64_t>(bytes) : ~std::uint64_t{0};
}

void check_memory(const Scenario& s, std::uint64_t limit_bytes) {
  const std::uint64_t estimate = memory_estimate_bytes(s);
  if (estimate <= limit_bytes) return;
  throw InputError(s.source_name + ": needs about " + std::to_string(estimate >> 20) + " MiB, the limit is " +
                       std::to_string(limit_bytes >> 20) +
                       " MiB; use fewer flows, a longer record.every_us or a shorter duration_ms",
                   ExitCode::limit);
}

}  // namespace rxpool
