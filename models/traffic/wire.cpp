#include "models/traffic/wire.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "sim/error.hpp"

namespace rxpool {

namespace {

constexpr std::uint32_t fastest_mbps = 1'600'000;
constexpr std::int64_t never_ps = Time::never().ps;

/// In place: a temporary would be copied by loads wider than the stores that made it, which stalls for longer than all
/// the rest takes.
inline void write_packet(const Offer& offer, std::uint64_t id, std::int64_t arrival_ps, Packet& packet) {
  static_assert(std::is_trivially_copyable_v<Packet>);
  std::memset(static_cast<void*>(&packet), 0, sizeof packet);  // every default is zero
  packet.arrival.ps = arrival_ps;
  packet.id = id;
  packet.variant = offer.variant;
  packet.flow = offer.flow;
  packet.source = static_cast<std::uint16_t>(id >> 48);
  packet.frame_bytes = offer.frame_bytes;
  packet.ip_protocol = offer.ip_protocol;
  packet.flags = offer.flags;
}

}  // namespace

Wire::Wire(std::uint32_t link_mbps, const std::vector<Source*>& sources) : lanes_(sources.size()) {
  speeds_.reserve(16);
  speeds_.push_back(speed_of(Time{0}, link_mbps));
  const std::size_t leaves = std::bit_ceil(std::max<std::size_t>(sources.size(), 1));
  keys_.assign(leaves, never_ps);
  winners_.resize(2 * leaves);
  for (std::size_t leaf = 0; leaf < leaves; ++leaf) {
    winners_[leaves + leaf] = static_cast<std::uint32_t>(leaf);
  }
  for (std::size_t node = leaves - 1; node >= 1; --node) {
    winners_[node] = winners_[2 * node];
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    ensure(i == 0 || sources[i - 1]->index() < sources[i]->index(), "the sources of a wire are not in index order");
    lanes_[i].source = sources[i];
    lanes_[i].next_id = std::uint64_t{sources[i]->index()} << 48;
    refill(i);
  }
}

Wire::Speed Wire::speed_of(Time from, std::uint32_t link_mbps) {
  ensure(link_mbps <= fastest_mbps, "link speed beyond 1,600,000 Mbit/s");
  constexpr std::int64_t ps_per_byte_at_1_mbps = 8'000'000;
  if (link_mbps == 0) {
    return {from, 0, 0, 0};
  }
  return {from, link_mbps, ps_per_byte_at_1_mbps / link_mbps, ps_per_byte_at_1_mbps % link_mbps};
}

Wire::Exact Wire::after(Exact start, std::int64_t bytes, const Speed& speed) {
  const std::int64_t fraction = start.fraction + bytes * speed.remainder;
  return {start.ps + bytes * speed.ps_per_byte + fraction / speed.mbps, fraction % speed.mbps};
}

/// The first whole picosecond that is not before it.
Wire::Exact Wire::whole(Exact instant) {
  return {instant.ps + (instant.fraction > 0 ? 1 : 0), 0};
}

/// When the first bit of this frame, the next one, leaves, and which speed holds then.
Wire::Exact Wire::start_of(const Offer& offer, std::size_t& speed) const {
  speed = speed_;
  const bool waits = offer.at.ps < free_.ps || (offer.at.ps == free_.ps && free_.fraction > 0);
  Exact start = waits ? free_ : Exact{offer.at.ps, 0};
  while (speed + 1 < speeds_.size() && speeds_[speed + 1].from.ps <= whole(start).ps) {
    ++speed;
    start = whole(start);  // the fraction counts in units of the old speed
  }
  return start;
}

std::size_t Wire::pull(Time until, std::span<Packet> out) {
  wake();
  std::size_t count = 0;
  while (count < out.size()) {
    if (steady()) {
      return count + pull_steady(until, out.subspan(count));
    }
    const std::uint32_t index = winners_[1];
    if (!has_frame(index)) {
      break;
    }
    Lane& lane = lanes_[index];
    const Offer& offer = lane.offers[lane.next];
    std::size_t speed = 0;
    const Exact start = start_of(offer, speed);
    if (speeds_[speed].mbps == 0) {
      if (start.ps > until.ps) {
        break;
      }
      ++statistics_.carrier_errors;
      free_ = whole(free_);
    } else {
      const Exact end = after(start, preamble_bytes + offer.frame_bytes, speeds_[speed]);
      const Time arrival{whole(end).ps};
      if (arrival > until) {
        break;
      }
      free_ = after(end, gap_bytes, speeds_[speed]);
      write_packet(offer, lane.next_id++, arrival.ps, out[count++]);
      last_arrival_ = arrival;
      ++statistics_.packets;
      statistics_.bytes += offer.frame_bytes;
      statistics_.longest_wait = std::max(statistics_.longest_wait, Time{start.ps} - offer.at);
    }
    speed_ = speed;
    ++lane.next;
    settle(index);
  }
  return count;
}

/// The same for a link whose speed gives whole picoseconds per byte and has no change ahead. What changes per packet is
/// kept in registers.
std::size_t Wire::pull_steady(Time until, std::span<Packet> out) {
  const std::int64_t ps_per_byte = speeds_[speed_].ps_per_byte;
  std::int64_t free = free_.ps;
  std::int64_t longest_wait = statistics_.longest_wait.ps;
  std::uint64_t bytes = 0;
  Packet* const begin = out.data();
  Packet* const end_of_out = begin + out.size();
  Packet* packet = begin;
  bool more = true;
  while (more && packet != end_of_out) {
    const std::uint32_t index = winners_[1];
    if (!has_frame(index)) {
      break;
    }
    Lane& lane = lanes_[index];
    // With one source there is nothing to merge until its block is used up.
    const std::size_t room = static_cast<std::size_t>(end_of_out - packet);
    const std::size_t stop = lanes_.size() == 1 ? std::min(lane.count, lane.next + room) : lane.next + 1;
    std::size_t next = lane.next;
    std::uint64_t id = lane.next_id;
    for (; next < stop; ++next) {
      const Offer& offer = lane.offers[next];
      const std::int64_t start = std::max(offer.at.ps, free);
      const std::int64_t end = start + (preamble_bytes + offer.frame_bytes) * ps_per_byte;
      if (end > until.ps) {
        more = false;
        break;
      }
      free = end + gap_bytes * ps_per_byte;
      longest_wait = std::max(longest_wait, start - offer.at.ps);
      bytes += offer.frame_bytes;
      write_packet(offer, id++, end, *packet++);
    }
    lane.next = next;
    lane.next_id = id;
    if (more) {
      settle(index);
    }
  }
  const auto count = static_cast<std::size_t>(packet - begin);
  free_.ps = free;
  statistics_.longest_wait = Time{longest_wait};
  statistics_.packets += count;
  statistics_.bytes += bytes;
  last_arrival_ = count > 0 ? packet[-1].arrival : last_arrival_;
  return count;
}

Time Wire::next_arrival() {
  wake();
  const std::uint32_t index = winners_[1];
  if (!has_frame(index)) {
    return Time{keys_[index]};
  }
  const Offer& offer = lanes_[index].offers[lanes_[index].next];
  std::size_t speed = 0;
  const Exact start = start_of(offer, speed);
  if (speeds_[speed].mbps == 0) {
    return Time{whole(start).ps};
  }
  return Time{whole(after(start, preamble_bytes + offer.frame_bytes, speeds_[speed])).ps};
}

Time Wire::known_until() const {
  Time earliest = Time::never();
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    if (lanes_[i].blocked) {
      earliest = std::min(earliest, Time{keys_[i]});
    }
  }
  return earliest;
}

void Wire::set_link(Time at, std::uint32_t link_mbps) {
  ensure(at >= last_arrival_, "link change before the last packet pulled");
  const auto later = std::upper_bound(speeds_.begin() + static_cast<std::ptrdiff_t>(speed_) + 1, speeds_.end(), at,
                                      [](Time t, const Speed& speed) { return t < speed.from; });
  speeds_.insert(later, speed_of(at, link_mbps));
}

void Wire::set_rate_factor(std::uint16_t source_index, Time at, double factor) {
  ensure(at >= last_arrival_, "rate change before the last packet pulled");
  const auto found = std::find_if(lanes_.begin(), lanes_.end(),
                                  [=](const Lane& lane) { return lane.source->index() == source_index; });
  ensure(found != lanes_.end(), "rate change of a source that is not on this wire");
  Lane& lane = *found;
  const auto kept = std::lower_bound(lane.offers.begin() + static_cast<std::ptrdiff_t>(lane.next),
                                     lane.offers.begin() + static_cast<std::ptrdiff_t>(lane.count), at,
                                     [](const Offer& offer, Time t) { return offer.at < t; });
  const auto keep = static_cast<std::size_t>(kept - lane.offers.begin());
  lane.source->withdraw(lane.count - keep);
  lane.count = keep;
  lane.source->set_rate_factor(at, factor);
  settle(static_cast<std::size_t>(found - lanes_.begin()));
}

/// After frames of this lane were taken or withdrawn.
inline void Wire::settle(std::size_t index) {
  Lane& lane = lanes_[index];
  if (lane.next == lane.count) {
    refill(index);
    return;
  }
  keys_[index] = lane.offers[lane.next].at.ps;
  replay(index);
}

void Wire::refill(std::size_t index) {
  Lane& lane = lanes_[index];
  lane.next = 0;
  lane.count = lane.source->produce(lane.offers);
  const Time known = lane.count == 0 ? lane.source->known_until() : Time::never();
  blocked_ -= lane.blocked ? 1 : 0;
  lane.blocked = known != Time::never();
  blocked_ += lane.blocked ? 1 : 0;
  keys_[index] = lane.count > 0 ? lane.offers.front().at.ps : known.ps;
  replay(index);
}

/// Asks again those who could not say: something may have happened since.
void Wire::wake() {
  for (std::size_t i = 0; blocked_ > 0 && i < lanes_.size(); ++i) {
    if (lanes_[i].blocked) {
      refill(i);
    }
  }
}

inline void Wire::replay(std::size_t index) {
  auto winner = static_cast<std::uint32_t>(index);
  std::int64_t key = keys_[index];
  for (std::size_t node = index + keys_.size(); node > 1; node >>= 1) {
    const std::uint32_t other = winners_[node ^ 1];
    const std::int64_t other_key = keys_[other];
    // Which of the two comes first is a coin toss: no branch.
    const bool lost = (other_key < key) | ((other_key == key) & (other < winner));
    const std::uint64_t mask = 0 - static_cast<std::uint64_t>(lost);
    winner ^= (winner ^ other) & static_cast<std::uint32_t>(mask);
    key ^= (key ^ other_key) & static_cast<std::int64_t>(mask);
    winners_[node >> 1] = winner;
  }
}

}  // namespace rxpool
