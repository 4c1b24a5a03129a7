#pragma once
// The other end of a TCP source without a host: takes each segment the moment it arrives, has room for everything, and
// acknowledges each at once.

#include <array>
#include <functional>
#include <map>
#include <set>
#include <vector>

#include "models/traffic/tcp/source.hpp"

namespace rxpool {

class TcpReceiver {
 public:
  explicit TcpReceiver(TcpSource& source) : source_(source) {
    source_.set_front([this] { return now_; });
  }

  /// Lets time pass until `end`; `seen` is told of every segment.
  void run(Time end, const std::function<void(const Offer&)>& seen = {}) {
    std::array<Offer, 64> block;
    while (now_ < end) {
      const std::size_t count = source_.produce(block);
      for (std::size_t i = 0; i < count; ++i) {
        if (seen) seen(block[i]);
        receive(block[i]);
      }
      // With a full block there may be more at the same instant.
      now_ = count == block.size() ? block[count - 1].at : source_.known_until();
    }
  }
  std::uint64_t received() const { return received_; }

 private:
  void receive(const Offer& offer) {
    const TcpSegment segment = TcpSegment::unpacked(offer.variant);
    std::uint64_t& next = next_[segment.connection];
    std::set<std::uint64_t>& beyond = beyond_[segment.connection];
    TcpAck ack;
    ack.connection = segment.connection;
    if (segment.number == next) {
      ++next;
      ++received_;
      while (beyond.erase(next) != 0) ++next;
    } else if (segment.number > next) {
      received_ += beyond.insert(segment.number).second ? 1 : 0;
      ack.sacked_from = segment.number;
      ack.sacked_to = segment.number + 1;
    }
    ack.next = next;
    ack.window_end = next + (std::uint64_t{1} << 30);
    ack.ece = segment.ce;
    source_.acknowledge(offer.at, ack);
  }

  TcpSource& source_;
  Time now_{0};
  std::uint64_t received_ = 0;
  std::map<std::uint32_t, std::uint64_t> next_;
  std::map<std::uint32_t, std::set<std::uint64_t>> beyond_;
};

}  // namespace rxpool
