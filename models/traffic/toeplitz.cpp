#include "models/traffic/toeplitz.hpp"

namespace rxpool {

const RssKey& default_rss_key() {
  static constexpr RssKey key{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
                              0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
                              0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
  return key;
}

const RssKey& symmetric_rss_key() {
  static constexpr RssKey key = [] {
    RssKey bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      bytes[i] = i % 2 == 0 ? 0x6d : 0x5a;
    }
    return bytes;
  }();
  return key;
}

ToeplitzHash::ToeplitzHash(const RssKey& key) {
  for (std::size_t byte = 0; byte < longest; ++byte) {
    // The 32 key bits that bit `bit` of this byte (most significant first) selects start at bit 8 byte + bit.
    std::uint64_t window = 0;
    for (std::size_t i = 0; i < 5; ++i) {
      window = window << 8 | key[byte + i];
    }
    for (std::uint32_t value = 0; value < 256; ++value) {
      std::uint32_t hash = 0;
      for (std::uint32_t bit = 0; bit < 8; ++bit) {
        if ((value & (0x80u >> bit)) != 0) {
          hash ^= static_cast<std::uint32_t>(window >> (8 - bit));
        }
      }
      table_[byte][value] = hash;
    }
  }
}

}  // namespace rxpool
