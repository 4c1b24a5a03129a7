#pragma once
// LPM_TRIE (kernel/bpf/lpm_trie.c): longest prefix wins. The key is a 32-bit prefix length followed by the address in
// network order. Kept as one hash table over (length, masked address) with a count per length, which gives the kernel's
// results without its tree; the order of next_key differs from the kernel's (there: more specific first).

#include "models/bpf/maps/base.hpp"
#include "models/bpf/maps/hash_table.hpp"

namespace rxpool::bpf {

class LpmTrieMap final : public ElementMap {
 public:
  LpmTrieMap(const MapDefinition& definition, const MapPlacement& place);

  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override;
  int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
             std::uint64_t flags) override;
  int erase(Runtime& runtime, std::span<const std::byte> key) override;
  int next_key(std::span<const std::byte> key, std::span<std::byte> next) override;

  std::uint32_t slot_count() const override { return table_.slots(); }
  bool slot_used(std::uint32_t slot) const override { return table_.holds(slot); }
  /// The exact prefix, not the longest match.
  std::int32_t find_slot(std::span<const std::byte> key) const override { return table_.find(key); }
  BoxOffset key_in_box(std::uint32_t slot) override;
  BoxOffset value_in_box(std::uint32_t slot, std::uint32_t) override { return values_.at(slot, 0); }
  std::int32_t slot_after(std::int32_t slot) const override { return table_.after(slot); }

 private:
  static constexpr std::size_t max_key_bytes = 4 + 256;
  /// The key with `length` bits kept and the rest zero.
  std::span<const std::byte> masked(std::span<const std::byte> key, std::uint32_t length);

  Box& box_;
  HashTable table_;
  ValueStore values_;
  BoxOffset key_scratch_;
  std::uint32_t max_length_;
  std::vector<std::uint32_t> with_length_;  // elements by prefix length
  std::vector<std::uint32_t> free_;
  std::vector<std::byte> masked_;
};

}  // namespace rxpool::bpf
