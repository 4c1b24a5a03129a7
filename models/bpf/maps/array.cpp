#include "models/bpf/maps/array.hpp"

namespace rxpool::bpf {

std::uint32_t index_of_key(std::span<const std::byte> key) {
  std::uint32_t index = 0;
  std::memcpy(&index, key.data(), sizeof index);
  return index;
}

int next_array_key(std::span<const std::byte> key, std::span<std::byte> next, std::uint32_t entries) {
  const std::uint32_t index = key.empty() ? entries : index_of_key(key);
  if (entries == 0 || index == entries - 1) {
    return -ENOENT;
  }
  const std::uint32_t following = index >= entries ? 0 : index + 1;
  std::memcpy(next.data(), &following, sizeof following);
  return 0;
}

ArrayMap::ArrayMap(const MapDefinition& definition, const MapPlacement& place)
    : ElementMap(info_of(definition)),
      box_(place.box),
      values_(place, definition, definition.max_entries,
              static_cast<MapType>(definition.type) == MapType::percpu_array),
      layout_{values_.base(), values_.stride(), definition.max_entries, values_.cpu_stride()},
      key_scratch_(place.box.map_region(ObjectClass::scratch, 8, definition.name + ".key")) {
  if (!definition.content.empty()) {
    std::memcpy(box_.at(values_.base()), definition.content.data(), definition.content.size());
  }
  if (definition.section == DataSection::rodata) {
    box_.protect(values_.base());
  }
}

std::uint64_t ArrayMap::lookup(Runtime& runtime, std::span<const std::byte> key) {
  const std::uint32_t index = index_of_key(key);
  return index < info().max_entries ? values_.at(index, runtime.cpu) : 0;
}

std::uint64_t ArrayMap::lookup_cpu(Runtime&, std::span<const std::byte> key, std::uint32_t cpu) {
  const std::uint32_t index = index_of_key(key);
  return values_.per_cpu() && index < info().max_entries && cpu < values_.cpus() ? values_.at(index, cpu) : 0;
}

int ArrayMap::update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
                     std::uint64_t flags) {
  if ((flags & ~update_lock) > update_exist || ((flags & update_lock) != 0 && !values_.has_spin_lock())) {
    return -EINVAL;
  }
  const std::uint32_t index = index_of_key(key);
  if (index >= info().max_entries) {
    return -E2BIG;
  }
  if ((flags & update_noexist) != 0) {
    return -EEXIST;
  }
  values_.store(index, runtime.cpu, value);
  return 0;
}

int ArrayMap::erase(Runtime&, std::span<const std::byte>) {
  return -EINVAL;
}

int ArrayMap::next_key(std::span<const std::byte> key, std::span<std::byte> next) {
  return next_array_key(key, next, info().max_entries);
}

std::int32_t ArrayMap::find_slot(std::span<const std::byte> key) const {
  const std::uint32_t index = index_of_key(key);
  return index < info().max_entries ? static_cast<std::int32_t>(index) : -1;
}

BoxOffset ArrayMap::key_in_box(std::uint32_t slot) {
  std::memcpy(box_.at(key_scratch_), &slot, sizeof slot);
  return key_scratch_;
}

std::int32_t ArrayMap::slot_after(std::int32_t slot) const {
  return slot + 1 < static_cast<std::int32_t>(info().max_entries) ? slot + 1 : -1;
}

}  // namespace rxpool::bpf
