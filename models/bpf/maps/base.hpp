#pragma once
// What the concrete maps share: elements that a program can walk over (for_each_map_elem), values with the kernel's
// 8-byte rounding laid out inside the box, once or once per CPU, and the update flags.

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <vector>

#include "models/bpf/map.hpp"
#include "models/bpf/object.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {

inline constexpr std::uint64_t update_any = 0;      // BPF_ANY
inline constexpr std::uint64_t update_noexist = 1;  // BPF_NOEXIST
inline constexpr std::uint64_t update_exist = 2;    // BPF_EXIST
inline constexpr std::uint64_t update_lock = 4;     // BPF_F_LOCK

/// Where a map is built.
struct MapPlacement {
  Box& box;
  std::uint32_t cpus = 1;
};

constexpr std::uint32_t round_up_8(std::uint32_t size) {
  return (size + 7) & ~7U;
}

/// A bpf_timer of one element. Its state is here, outside the box; the 16 bytes in the value only keep its place.
struct ElementTimer {
  static constexpr std::uint64_t idle = UINT64_MAX;
  bool initialised = false;
  std::uint64_t callback = 0;  // value of an LDDW with src 4
  std::uint64_t due_ns = idle;
};

/// Value slots inside the box. A per-CPU store has one block of slots per CPU.
class ValueStore {
 public:
  ValueStore(const MapPlacement& place, const MapDefinition& definition, std::uint32_t slots, bool per_cpu);

  BoxOffset at(std::uint32_t slot, std::uint32_t cpu) const {
    return base_ + (per_cpu_ ? cpu * cpu_stride_ : 0) + slot * stride_;
  }
  std::span<std::byte> bytes(std::uint32_t slot, std::uint32_t cpu) const {
    return {box_->at(at(slot, cpu)), value_size_};
  }
  void zero(std::uint32_t slot, std::uint32_t cpu) const { std::memset(box_->at(at(slot, cpu)), 0, stride_); }
  /// Copies a value, but keeps a spin lock or timer that lives in the slot.
  void store(std::uint32_t slot, std::uint32_t cpu, std::span<const std::byte> value) const;

  /// Slot whose bpf_timer lies at this box offset, or -1.
  std::int32_t slot_of_timer(std::uint64_t offset) const;
  ElementTimer& timer(std::uint32_t slot) { return timers_[slot]; }
  std::span<const ElementTimer> timers() const { return timers_; }
  /// When an element goes, so does its timer.
  void forget_timer(std::uint32_t slot) {
    if (!timers_.empty()) {
      timers_[slot] = {};
    }
  }

  BoxOffset base() const { return base_; }
  std::uint32_t stride() const { return stride_; }
  std::uint32_t cpu_stride() const { return per_cpu_ ? cpu_stride_ : 0; }
  std::uint32_t cpus() const { return per_cpu_ ? cpus_ : 1; }
  bool per_cpu() const { return per_cpu_; }
  bool has_spin_lock() const { return spin_lock_offset_ >= 0; }

 private:
  Box* box_;
  BoxOffset base_ = 0;
  std::uint32_t value_size_;
  std::uint32_t stride_;
  std::uint32_t cpu_stride_ = 0;
  std::uint32_t cpus_;
  bool per_cpu_;
  std::int32_t spin_lock_offset_;
  std::int32_t timer_offset_;
  std::vector<ElementTimer> timers_;  // by slot, empty without timers
};

/// A map that host and programs can walk over.
class ElementMap : public Map {
 public:
  using Map::Map;
  /// Number of slots; not all need to hold an element.
  virtual std::uint32_t slot_count() const = 0;
  virtual bool slot_used(std::uint32_t slot) const = 0;
  /// Slot that holds `key`, or -1; not a use of the element (LRU).
  virtual std::int32_t find_slot(std::span<const std::byte> key) const = 0;
  /// Box offset of a copy of the slot's key, for callbacks.
  virtual BoxOffset key_in_box(std::uint32_t slot) = 0;
  virtual BoxOffset value_in_box(std::uint32_t slot, std::uint32_t cpu) = 0;
  /// Walks used slots in the map's order: the slot after `slot` (-1: the first), or -1.
  virtual std::int32_t slot_after(std::int32_t slot) const = 0;
  /// Number of values per element: CPUs for per-CPU maps, else 1.
  virtual std::uint32_t values_per_element() const { return 1; }
  /// Where values and timers live; null for maps that have no timers.
  virtual ValueStore* value_store() { return nullptr; }
};

/// MapInfo of a definition.
MapInfo info_of(const MapDefinition& definition);

/// True for one of BPF_ANY, BPF_NOEXIST, BPF_EXIST.
constexpr bool plain_flags(std::uint64_t flags) {
  return flags <= update_exist;
}

}  // namespace rxpool::bpf
