#pragma once
// ARRAY and PERCPU_ARRAY (kernel/bpf/arraymap.c): all elements exist from the start, zeroed, none can be deleted. Data
// sections of an object are one-element arrays.

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

class ArrayMap final : public ElementMap {
 public:
  ArrayMap(const MapDefinition& definition, const MapPlacement& place);

  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override;
  std::uint64_t lookup_cpu(Runtime& runtime, std::span<const std::byte> key, std::uint32_t cpu) override;
  int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
             std::uint64_t flags) override;
  int erase(Runtime& runtime, std::span<const std::byte> key) override;
  int next_key(std::span<const std::byte> key, std::span<std::byte> next) override;
  const ArrayLayout* array_layout() const override { return &layout_; }

  std::uint32_t slot_count() const override { return info().max_entries; }
  bool slot_used(std::uint32_t) const override { return true; }
  std::int32_t find_slot(std::span<const std::byte> key) const override;
  BoxOffset key_in_box(std::uint32_t slot) override;
  BoxOffset value_in_box(std::uint32_t slot, std::uint32_t cpu) override { return values_.at(slot, cpu); }
  std::int32_t slot_after(std::int32_t slot) const override;
  std::uint32_t values_per_element() const override { return values_.cpus(); }
  ValueStore* value_store() override { return &values_; }

 private:
  Box& box_;
  ValueStore values_;
  ArrayLayout layout_;
  BoxOffset key_scratch_;
};

/// The index in a 4-byte key.
std::uint32_t index_of_key(std::span<const std::byte> key);
/// next_key of every map that is an array of `entries`.
int next_array_key(std::span<const std::byte> key, std::span<std::byte> next, std::uint32_t entries);

}  // namespace rxpool::bpf
