#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::int32_t spin_lock_bytes = 4;  // struct bpf_spin_lock
constexpr std::int32_t timer_bytes = 16;     // struct bpf_timer

// Copies all of `from` but [hole, hole + size).
void copy_around(std::byte* to, std::span<const std::byte> from, std::int32_t hole, std::int32_t size) {
  const auto begin = std::min(static_cast<std::size_t>(hole), from.size());
  const auto end = std::min(static_cast<std::size_t>(hole + size), from.size());
  std::memcpy(to, from.data(), begin);
  std::memcpy(to + end, from.data() + end, from.size() - end);
}

}  // namespace

ValueStore::ValueStore(const MapPlacement& place, const MapDefinition& definition, std::uint32_t slots, bool per_cpu)
    : box_(&place.box),
      value_size_(definition.value_size),
      stride_(round_up_8(definition.value_size)),
      cpus_(std::max(place.cpus, 1U)),
      per_cpu_(per_cpu),
      spin_lock_offset_(definition.spin_lock_offset),
      timer_offset_(definition.timer_offset) {
  const std::uint64_t block = std::uint64_t{stride_} * slots;
  // CPUs do not share pages, as the kernel's do not share cache lines.
  const std::uint64_t rounded = (block + Box::page_bytes - 1) / Box::page_bytes * Box::page_bytes;
  cpu_stride_ = static_cast<std::uint32_t>(rounded);
  const auto object_class =
      definition.section == DataSection::rodata ? ObjectClass::read_only_data : ObjectClass::map_value;
  base_ = box_->map_region(object_class, per_cpu ? rounded * cpus_ : block, definition.name);
  if (timer_offset_ >= 0 && !per_cpu) {
    timers_.resize(slots);
  }
}

std::int32_t ValueStore::slot_of_timer(std::uint64_t offset) const {
  const std::uint64_t first = std::uint64_t{base_} + static_cast<std::uint32_t>(std::max(timer_offset_, 0));
  if (timers_.empty() || offset < first || (offset - first) % stride_ != 0 ||
      (offset - first) / stride_ >= timers_.size()) {
    return -1;
  }
  return static_cast<std::int32_t>((offset - first) / stride_);
}

void ValueStore::store(std::uint32_t slot, std::uint32_t cpu, std::span<const std::byte> value) const {
  std::byte* to = box_->at(at(slot, cpu));
  if (spin_lock_offset_ >= 0) {
    copy_around(to, value, spin_lock_offset_, spin_lock_bytes);
  } else if (timer_offset_ >= 0) {
    copy_around(to, value, timer_offset_, timer_bytes);
  } else {
    std::memcpy(to, value.data(), value.size());
  }
}

MapInfo info_of(const MapDefinition& definition) {
  return {definition.name,        static_cast<MapType>(definition.type),
          definition.key_size,    definition.value_size,
          definition.max_entries, definition.flags};
}

}  // namespace rxpool::bpf
