#pragma once
// Bookkeeping of a preallocated hash table of fixed-size keys, outside the box where no program reaches it: which slot
// holds which key. Slots are numbers; what lies in them is the map's business. The hash has no seed, so a run is the
// same everywhere (the kernel seeds its own against collision attacks, kernel/bpf/hashtab.c:htab_init_buckets).

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace rxpool::bpf {

std::uint32_t hash_bytes(std::span<const std::byte> bytes, std::uint32_t seed = 0);

class HashTable {
 public:
  static constexpr std::int32_t none = -1;

  HashTable(std::uint32_t key_size, std::uint32_t slots, std::uint32_t buckets_for);

  std::int32_t find(const std::byte* key) const;
  std::int32_t find(std::span<const std::byte> key) const { return find(key.data()); }
  /// The slot must be free (not in the table).
  void insert(std::uint32_t slot, std::span<const std::byte> key);
  void remove(std::uint32_t slot);
  bool holds(std::uint32_t slot) const { return used_[slot] != 0; }
  std::uint32_t size() const { return size_; }
  std::uint32_t slots() const { return static_cast<std::uint32_t>(next_.size()); }
  std::span<const std::byte> key(std::uint32_t slot) const {
    return {keys_.data() + std::size_t{slot} * key_size_, key_size_};
  }
  /// Next used slot in table order after `slot` (none: the first), or none.
  std::int32_t after(std::int32_t slot) const;

 private:
  std::uint32_t bucket_of(std::uint32_t hash) const { return hash & (static_cast<std::uint32_t>(heads_.size()) - 1); }

  std::uint32_t key_size_;
  std::uint32_t size_ = 0;
  std::vector<std::int32_t> heads_;  // by bucket
  std::vector<std::int32_t> next_;   // by slot
  std::vector<std::uint32_t> hashes_;
  std::vector<std::uint8_t> used_;
  std::vector<std::byte> keys_;
};

}  // namespace rxpool::bpf
