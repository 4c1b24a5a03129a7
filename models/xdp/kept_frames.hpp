#pragma once
// Bytes of frames between the XDP program that sent them to a devmap entry and the program of that entry: what the
// first one wrote, the second one reads. Packets carry no bytes (models/packet.hpp), so that only those frames pay for
// it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "sim/error.hpp"

namespace rxpool {

class KeptFrames {
 public:
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr std::size_t longest = 4096;  ///< a buffer: metadata and packet

  /// Room for as many frames as bulk queues can hold at once.
  explicit KeptFrames(std::uint32_t frames) : kept_(frames), free_(frames) {
    for (std::uint32_t i = 0; i < frames; ++i) free_[i] = frames - 1 - i;
  }

  std::uint32_t keep(std::span<const std::byte> metadata, std::span<const std::byte> bytes) {
    ensure(!free_.empty() && metadata.size() + bytes.size() <= longest,
           "more frames on their way than bulk queues hold");
    const std::uint32_t number = free_.back();
    free_.pop_back();
    Kept& kept = kept_[number];
    kept.metadata = static_cast<std::uint32_t>(metadata.size());
    kept.bytes = static_cast<std::uint32_t>(bytes.size());
    std::memcpy(kept.content.data(), metadata.data(), metadata.size());
    std::memcpy(kept.content.data() + metadata.size(), bytes.data(), bytes.size());
    return number;
  }
  std::span<const std::byte> metadata(std::uint32_t number) const {
    return std::span(kept_[number].content).first(kept_[number].metadata);
  }
  std::span<const std::byte> bytes(std::uint32_t number) const {
    return std::span(kept_[number].content).subspan(kept_[number].metadata, kept_[number].bytes);
  }
  void release(std::uint32_t number) { free_.push_back(number); }

 private:
  struct Kept {
    std::uint32_t metadata = 0;
    std::uint32_t bytes = 0;
    std::array<std::byte, longest> content;
  };
  std::vector<Kept> kept_;
  std::vector<std::uint32_t> free_;  ///< as many as there is room for: never allocates
};

}  // namespace rxpool
