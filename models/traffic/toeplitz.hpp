#pragma once
// Toeplitz hash of receive-side scaling, RS-1 … RS-3 and RS-6, by tables: one word per input byte and value, so that
// the 12 bytes of an IPv4 flow cost twelve loads. Which fields are hashed (RS-13), the indirection table (RS-10) and
// ntuple rules belong to the NIC.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "models/traffic/flow.hpp"

namespace rxpool {

/// As many bytes as Linux keeps (NETDEV_RSS_KEY_LEN); the hash of the longest input reads the first 40 (RS-1, RS-5).
using RssKey = std::array<std::uint8_t, 52>;

/// Microsoft's verification key (RS-3), our fixed default; bytes beyond its 40 are zero and never read.
const RssKey& default_rss_key();
/// 0x6d5a repeated: both directions of a flow hash alike (RS-6).
const RssKey& symmetric_rss_key();

class ToeplitzHash {
 public:
  explicit ToeplitzHash(const RssKey& key = default_rss_key());

  /// At most 36 bytes.
  std::uint32_t operator()(std::span<const std::uint8_t> input) const {
    std::uint32_t hash = 0;
    for (std::size_t i = 0; i < input.size(); ++i) {
      hash ^= table_[i][input[i]];
    }
    return hash;
  }
  /// Addresses and ports (of TCP and UDP), or addresses only; 0 when the frame is not IP.
  std::uint32_t of_flow(const FlowKey& key) const {
    if (key.ip_version == 4 && key.has_ports) {
      return (*this)(std::span<const std::uint8_t, 12>(key.bytes.data(), 12));
    }
    return (*this)(key.addresses_and_ports());
  }
  std::uint32_t of_addresses(const FlowKey& key) const { return (*this)(key.addresses()); }

 private:
  std::uint32_t operator()(std::span<const std::uint8_t, 12> input) const {
    std::uint32_t even = 0;
    std::uint32_t odd = 0;
    for (std::size_t i = 0; i < 12; i += 2) {
      even ^= table_[i][input[i]];
      odd ^= table_[i + 1][input[i + 1]];
    }
    return even ^ odd;
  }

  static constexpr std::size_t longest = 36;
  std::array<std::array<std::uint32_t, 256>, longest> table_;
};

}  // namespace rxpool
