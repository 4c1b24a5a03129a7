#pragma once
// BLOOM_FILTER (kernel/bpf/bloom_filter.c): push adds a value, peek tells "perhaps" (0) or "no" (-ENOENT). Size of the
// bit set and number of hashes are the kernel's; the hash is not, so the false positives are others.

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

class BloomFilterMap final : public Map {
 public:
  explicit BloomFilterMap(const MapDefinition& definition);

  std::uint64_t lookup(Runtime&, std::span<const std::byte>) override { return 0; }
  int update(Runtime&, std::span<const std::byte>, std::span<const std::byte>, std::uint64_t) override {
    return -EINVAL;
  }
  int erase(Runtime&, std::span<const std::byte>) override { return -EOPNOTSUPP; }
  int next_key(std::span<const std::byte>, std::span<std::byte>) override { return -EOPNOTSUPP; }
  int push(Runtime& runtime, std::span<const std::byte> value, std::uint64_t flags) override;
  int peek(Runtime& runtime, std::span<std::byte> value) override;

  std::uint64_t bit_count() const { return std::uint64_t{mask_} + 1; }
  std::uint32_t hash_count() const { return hashes_; }

 private:
  std::uint32_t hashes_;
  std::uint32_t mask_;
  std::vector<std::uint64_t> bits_;
};

}  // namespace rxpool::bpf
