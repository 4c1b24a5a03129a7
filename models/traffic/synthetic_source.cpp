#include "models/traffic/synthetic_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "models/traffic/rate_clock.hpp"
#include "sim/error.hpp"
#include "sim/math.hpp"

namespace rxpool {

namespace {

const SourceParams& validated(const SourceParams& params, const std::string& name) {
  params.validate(name);
  return params;
}

/// Frame lengths and weights of the size distribution.
std::vector<SizeWeight> size_table(const SizeParams& sizes, const FlowParams& flows) {
  switch (sizes.kind) {
    case SizeKind::fixed:
      return {{sizes.frame_bytes, 1.0}};
    case SizeKind::empirical:
      return sizes.table;
    case SizeKind::imix:
      break;
  }
  const auto least =
      static_cast<std::uint32_t>(header_bytes(flows.ip_version, flows.protocol, flows.vlan != 0) + fcs_bytes);
  return {{std::max(64u, least), 7.0}, {594, 4.0}, {1518, 1.0}};
}

std::optional<AliasTable> alias_of(const std::vector<SizeWeight>& table) {
  if (table.size() == 1) {
    return std::nullopt;
  }
  std::vector<double> weights;
  for (const SizeWeight& entry : table) {
    weights.push_back(entry.weight);
  }
  return AliasTable(weights);
}

std::optional<AliasTable> zipf(std::uint32_t flows, double exponent) {
  if (exponent == 0.0 || flows == 1) {
    return std::nullopt;
  }
  std::vector<double> weights(flows);
  for (std::uint32_t i = 0; i < flows; ++i) {
    weights[i] = math::pow(static_cast<double>(i) + 1.0, -exponent);
  }
  return AliasTable(weights);
}

}  // namespace

SyntheticSource::SyntheticSource(std::string name, std::uint16_t index, const SourceParams& params, std::uint64_t seed,
                                 std::uint32_t replication)
    : Source(std::move(name), index),
      arrivals_(validated(params, this->name()).arrivals,
                RateClock(time_of_ms(params.start_ms), time_of_ms(params.stop_ms), params.schedule), seed, replication,
                this->name()),
      flows_(params.flows, seed, replication, this->name()),
      incast_(params.arrivals.kind == ArrivalKind::incast),
      own_keys_(params.flows.addresses == AddressKind::per_packet),
      protocol_(static_cast<std::uint8_t>(params.flows.protocol)),
      headers_({.ip_version = params.flows.ip_version,
                .protocol = protocol_,
                .tagged = params.flows.vlan != 0,
                .vlan = static_cast<std::uint16_t>(params.flows.vlan),
                .source = index,
                .tcp_flags = static_cast<std::uint8_t>(params.flows.tcp_flags)}),
      flow_choice_(zipf(flows_.size(), params.flows.zipf_exponent)),
      flow_random_(seed, replication, this->name() + "/flow"),
      size_random_(seed, replication, this->name() + "/size"),
      variant_random_(seed, replication, this->name() + "/variant") {
  const std::vector<SizeWeight> table = size_table(params.sizes, params.flows);
  for (const SizeWeight& entry : table) {
    sizes_.push_back(static_cast<std::uint16_t>(entry.frame_bytes));
  }
  size_choice_ = alias_of(table);
}

std::size_t SyntheticSource::produce(std::span<Offer> out) {
  produced_from_ = save();
  produced_ = 0;
  while (produced_ < out.size()) {
    const std::size_t wanted = std::min(block, out.size() - produced_);
    const std::size_t count = produce_block(out.subspan(produced_, wanted));
    produced_ += count;
    if (count < wanted) {
      break;
    }
  }
  return produced_;
}

std::size_t SyntheticSource::produce_block(std::span<Offer> out) {
  std::array<std::uint32_t, block> senders;
  const std::size_t count = arrivals_.fill(std::span(times_).first(out.size()), std::span(senders).first(out.size()));
  const std::span<std::uint32_t> flow(senders.data(), count);
  const std::uint32_t flows = flows_.size();
  if (incast_) {
    for (std::uint32_t& f : flow) {
      f %= flows;
    }
  } else if (flow_choice_) {
    for (std::uint32_t& f : flow) {
      f = (*flow_choice_)(flow_random_);
    }
  } else if (flows > 1) {
    flow_random_.fill_bounded(flows, flow);
  } else {
    std::fill(flow.begin(), flow.end(), 0);
  }
  const std::uint16_t frame_bytes = sizes_.front();
  const std::uint8_t protocol = protocol_;
  const std::uint8_t flags = own_keys_ ? packet_flag::own_key : std::uint8_t{0};
  for (std::size_t i = 0; i < count; ++i) {
    Offer& offer = out[i];
    offer.at = times_[i];
    offer.variant = 0;
    offer.flow = flow[i];
    offer.frame_bytes = frame_bytes;
    offer.ip_protocol = protocol;
    offer.flags = flags;
  }
  if (size_choice_) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i].frame_bytes = sizes_[(*size_choice_)(size_random_)];
    }
  }
  if (own_keys_) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i].variant = variant_random_.next_u64();
    }
  }
  return count;
}

void SyntheticSource::withdraw(std::size_t count) {
  ensure(count <= produced_, "more frames withdrawn than were produced");
  std::size_t keep = produced_ - count;
  produced_ = keep;
  restore(produced_from_);
  std::array<Offer, block> again;
  while (keep > 0) {
    keep -= produce_block(std::span(again).first(std::min(keep, block)));
  }
}

SyntheticSource::State SyntheticSource::save() const {
  return {arrivals_.save(), flow_random_.position(), size_random_.position(), variant_random_.position()};
}

void SyntheticSource::restore(const State& state) {
  arrivals_.restore(state.arrivals);
  flow_random_.seek(state.flow_draws);
  size_random_.seek(state.size_draws);
  variant_random_.seek(state.variant_draws);
}

void SyntheticSource::set_rate_factor(Time at, double factor) {
  arrivals_.set_factor(at, factor);
}

FlowKey SyntheticSource::key(const Packet& packet) const {
  return own_keys_ ? flows_.spoofed(packet.variant) : flows_[packet.flow];
}

std::size_t SyntheticSource::headers(const Packet& packet, std::span<std::byte> out) const {
  const std::uint64_t sequence = packet.id & ((std::uint64_t{1} << 48) - 1);
  if (own_keys_) [[unlikely]] {
    return headers_.write(flows_.spoofed(packet.variant), packet.frame_bytes, sequence, out);
  }
  return headers_.write(flows_[packet.flow], packet.frame_bytes, sequence, out);
}

}  // namespace rxpool
