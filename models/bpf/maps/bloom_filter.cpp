#include "models/bpf/maps/bloom_filter.hpp"

#include "models/bpf/maps/hash_table.hpp"

namespace rxpool::bpf {
namespace {

// entries * hashes / ln 2, with 7/5 for 1/ln 2, to the next power of two, as the kernel does.
std::uint32_t mask_for(std::uint64_t entries, std::uint32_t hashes) {
  const std::uint64_t wanted = entries * hashes / 5 * 7;
  const std::uint64_t bits =
      wanted >= (std::uint64_t{1} << 31) ? std::uint64_t{1} << 32 : std::bit_ceil(std::max<std::uint64_t>(wanted, 64));
  return static_cast<std::uint32_t>(bits - 1);
}

}  // namespace

BloomFilterMap::BloomFilterMap(const MapDefinition& definition)
    : Map(info_of(definition)),
      hashes_((definition.extra & 0xf) == 0 ? 5 : static_cast<std::uint32_t>(definition.extra & 0xf)),
      mask_(mask_for(definition.max_entries, hashes_)),
      bits_((std::uint64_t{mask_} + 1) / 64) {}

int BloomFilterMap::push(Runtime&, std::span<const std::byte> value, std::uint64_t flags) {
  if (flags != update_any) {
    return -EINVAL;
  }
  for (std::uint32_t i = 0; i < hashes_; ++i) {
    const std::uint32_t bit = hash_bytes(value, i + 1) & mask_;
    bits_[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  return 0;
}

int BloomFilterMap::peek(Runtime&, std::span<std::byte> value) {
  for (std::uint32_t i = 0; i < hashes_; ++i) {
    const std::uint32_t bit = hash_bytes(value, i + 1) & mask_;
    if ((bits_[bit / 64] >> (bit % 64) & 1) == 0) {
      return -ENOENT;
    }
  }
  return 0;
}

}  // namespace rxpool::bpf
