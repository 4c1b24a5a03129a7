#pragma once
// HASH, PERCPU_HASH, LRU_HASH and LRU_PERCPU_HASH (kernel/bpf/hashtab.c), preallocated. Replacing the value of a plain
// HASH takes a spare slot and leaves the old value where it was, as the kernel's extra elements do: a pointer that the
// program took before still sees the old value. The LRU is one list with a reference bit per element (second chance);
// the kernel's has per-CPU local lists that evict a little differently (bpf_lru_list.c), which is left out.

#include "models/bpf/maps/base.hpp"
#include "models/bpf/maps/hash_table.hpp"

namespace rxpool::bpf {

class HashMap final : public ElementMap {
 public:
  HashMap(const MapDefinition& definition, const MapPlacement& place);

  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override;
  std::uint64_t lookup_cpu(Runtime& runtime, std::span<const std::byte> key, std::uint32_t cpu) override;
  int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
             std::uint64_t flags) override;
  int erase(Runtime& runtime, std::span<const std::byte> key) override;
  int next_key(std::span<const std::byte> key, std::span<std::byte> next) override;
  LookupFn lookup_fn() const override { return &HashMap::lookup_direct; }

  std::uint32_t slot_count() const override { return table_.slots(); }
  bool slot_used(std::uint32_t slot) const override { return table_.holds(slot); }
  std::int32_t find_slot(std::span<const std::byte> key) const override { return table_.find(key); }
  BoxOffset key_in_box(std::uint32_t slot) override;
  BoxOffset value_in_box(std::uint32_t slot, std::uint32_t cpu) override { return values_.at(slot, cpu); }
  std::int32_t slot_after(std::int32_t slot) const override { return table_.after(slot); }
  std::uint32_t values_per_element() const override { return values_.cpus(); }
  ValueStore* value_store() override { return &values_; }
  std::uint32_t size() const { return table_.size(); }

 private:
  static std::uint64_t lookup_direct(Runtime& runtime, Map& map, const std::byte* key);
  int add(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value);
  int replace(Runtime& runtime, std::uint32_t slot, std::span<const std::byte> key, std::span<const std::byte> value);
  void write_new(Runtime& runtime, std::uint32_t slot, std::span<const std::byte> value);
  std::int32_t take_slot();
  void give_slot(std::uint32_t slot) {
    values_.forget_timer(slot);
    free_.push_back(slot);
  }
  std::uint32_t evict();
  void link_front(std::uint32_t slot);
  void unlink(std::uint32_t slot);

  Box& box_;
  bool lru_;
  HashTable table_;
  ValueStore values_;
  BoxOffset keys_ = 0;  // copies of the keys inside the box, for callbacks
  std::vector<std::uint32_t> free_;
  std::vector<std::uint32_t> spare_;  // one slot per CPU for replacing
  // LRU: circular list over slots with the sentinel at index slots().
  std::vector<std::uint32_t> newer_;
  std::vector<std::uint32_t> older_;
  std::vector<std::uint8_t> referenced_;
};

}  // namespace rxpool::bpf
