#pragma once
// Maps whose values are references: PROG_ARRAY (tail calls), ARRAY_OF_MAPS, HASH_OF_MAPS (kernel/bpf/map_in_map.c) and
// PERF_EVENT_ARRAY. A lookup in a map of maps gives the handle of the inner map. From outside a value is a u32: index +
// 1 of a program of the same object, handle of a map, anything for a perf event; 0 is "no entry". Programs cannot write
// these maps (the kernel's verifier refuses it, so do the checks here).

#include "models/bpf/maps/base.hpp"
#include "models/bpf/maps/hash_table.hpp"

namespace rxpool::bpf {

class ReferenceMap final : public Map {
 public:
  explicit ReferenceMap(const MapDefinition& definition);

  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override;
  int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
             std::uint64_t flags) override;
  int erase(Runtime& runtime, std::span<const std::byte> key) override;
  int next_key(std::span<const std::byte> key, std::span<std::byte> next) override;
  std::int32_t program_at(std::uint32_t index) const override;

  /// The stored u32, 0 if there is none.
  std::uint32_t reference(std::span<const std::byte> key) const;

 private:
  std::int32_t slot_of(std::span<const std::byte> key) const;

  bool hashed_;
  HashTable table_;
  std::vector<std::uint32_t> values_;
  std::vector<std::uint32_t> free_;
};

}  // namespace rxpool::bpf
