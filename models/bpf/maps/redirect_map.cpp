#include "models/bpf/maps/redirect_map.hpp"

#include <algorithm>
#include <bit>

#include "models/bpf/maps/array.hpp"

namespace rxpool::bpf {
namespace {

bool is_hashed(const MapDefinition& definition) {
  return static_cast<MapType>(definition.type) == MapType::devmap_hash;
}

std::uint32_t first_field(std::span<const std::byte> value) {
  std::uint32_t field = 0;
  std::memcpy(&field, value.data(), sizeof field);
  return field;
}

}  // namespace

RedirectMap::RedirectMap(const MapDefinition& definition, const MapPlacement& place)
    : ElementMap(info_of(definition)),
      box_(place.box),
      hashed_(is_hashed(definition)),
      cpus_(place.cpus),
      values_(place, definition, definition.max_entries, false),
      table_(4, hashed_ ? definition.max_entries : 0, definition.max_entries),
      present_(definition.max_entries),
      key_scratch_(place.box.map_region(ObjectClass::scratch, 8, definition.name + ".key")) {
  for (std::uint32_t slot = hashed_ ? definition.max_entries : 0; slot-- > 0;) {
    free_.push_back(slot);
  }
}

std::int32_t RedirectMap::slot_of(std::uint32_t key) const {
  if (hashed_) {
    return table_.find(reinterpret_cast<const std::byte*>(&key));
  }
  return key < info().max_entries && present_[key] != 0 ? static_cast<std::int32_t>(key) : -1;
}

BoxOffset RedirectMap::entry(std::uint32_t key) const {
  const std::int32_t slot = slot_of(key);
  return slot < 0 ? 0 : values_.at(static_cast<std::uint32_t>(slot), 0);
}

std::uint32_t RedirectMap::field(std::uint32_t slot, std::uint32_t index) const {
  std::uint32_t value = 0;
  const auto bytes = values_.bytes(slot, 0);
  if (bytes.size() >= 4 * (std::size_t{index} + 1)) {
    std::memcpy(&value, bytes.data() + 4 * std::size_t{index}, 4);
  }
  return value;
}

std::uint32_t RedirectMap::target(std::uint32_t key) const {
  const std::int32_t slot = slot_of(key);
  return slot < 0 ? 0 : field(static_cast<std::uint32_t>(slot), 0);
}

std::int32_t RedirectMap::target_program(std::uint32_t key) const {
  const std::int32_t slot = slot_of(key);
  return slot < 0 ? -1 : program_of(static_cast<std::uint32_t>(slot));
}

std::int32_t RedirectMap::program_of(std::uint32_t slot) const {
  return type() == MapType::xskmap ? -1 : static_cast<std::int32_t>(field(slot, 1)) - 1;
}

std::vector<RedirectMap::Entry> RedirectMap::entries() const {
  std::vector<Entry> all;
  // Slots are given out in ascending order: the reverse is youngest first.
  for (std::uint32_t slot = info().max_entries; slot-- > 0;) {
    if (present_[slot] == 0) continue;
    const std::uint32_t key = hashed_ ? index_of_key(table_.key(slot)) : slot;
    all.push_back({key, field(slot, 0), program_of(slot)});
  }
  const std::uint32_t bucket_mask = hashed_ ? std::bit_ceil(info().max_entries) - 1 : UINT32_MAX;
  std::stable_sort(all.begin(), all.end(),
                   [=](const Entry& a, const Entry& b) { return (a.key & bucket_mask) < (b.key & bucket_mask); });
  return all;
}

std::uint64_t RedirectMap::lookup(Runtime&, std::span<const std::byte> key) {
  return entry(index_of_key(key));
}

int RedirectMap::check_value(std::span<const std::byte> value) const {
  const std::uint32_t first = first_field(value);
  if (type() == MapType::cpumap && first > max_queue) {
    return -EOVERFLOW;
  }
  if (type() != MapType::cpumap && first == 0) {
    return -EINVAL;
  }
  return 0;
}

int RedirectMap::update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
                        std::uint64_t flags) {
  const std::uint32_t index = index_of_key(key);
  if (!plain_flags(flags)) {
    return -EINVAL;
  }
  if (!hashed_ && index >= info().max_entries) {
    return -E2BIG;
  }
  if (type() == MapType::cpumap && index >= cpus_) {
    return -ENODEV;
  }
  std::int32_t slot = slot_of(index);
  // Arrays of the kernel always hold their keys: NOEXIST never succeeds (XSKMAP looks at the entry itself).
  if (flags == update_noexist && (slot >= 0 || (!hashed_ && type() != MapType::xskmap))) {
    return -EEXIST;
  }
  if (flags == update_exist && slot < 0 && (hashed_ || type() == MapType::xskmap)) {
    return -ENOENT;
  }
  if (const int error = check_value(value); error != 0) {
    return error;
  }
  if (first_field(value) == 0) {  // CPUMAP: a queue of size 0 deletes the entry
    return slot < 0 ? 0 : erase(runtime, key);
  }
  if (slot < 0) {
    if (hashed_) {
      if (free_.empty()) {
        return -E2BIG;
      }
      slot = static_cast<std::int32_t>(free_.back());
      free_.pop_back();
      table_.insert(static_cast<std::uint32_t>(slot), key);
    } else {
      slot = static_cast<std::int32_t>(index);
    }
    present_[slot] = 1;
  }
  values_.store(static_cast<std::uint32_t>(slot), 0, value);
  return 0;
}

int RedirectMap::erase(Runtime&, std::span<const std::byte> key) {
  const std::uint32_t index = index_of_key(key);
  if (!hashed_ && index >= info().max_entries) {
    return -EINVAL;
  }
  const std::int32_t slot = slot_of(index);
  if (slot < 0) {
    return hashed_ ? -ENOENT : 0;
  }
  present_[slot] = 0;
  if (hashed_) {
    table_.remove(static_cast<std::uint32_t>(slot));
    free_.push_back(static_cast<std::uint32_t>(slot));
  }
  return 0;
}

int RedirectMap::next_key(std::span<const std::byte> key, std::span<std::byte> next) {
  if (!hashed_) {
    return next_array_key(key, next, info().max_entries);
  }
  const std::int32_t slot = table_.after(key.empty() ? HashTable::none : table_.find(key));
  if (slot == HashTable::none) {
    return -ENOENT;
  }
  std::memcpy(next.data(), table_.key(static_cast<std::uint32_t>(slot)).data(), 4);
  return 0;
}

std::int32_t RedirectMap::find_slot(std::span<const std::byte> key) const {
  return slot_of(index_of_key(key));
}

BoxOffset RedirectMap::key_in_box(std::uint32_t slot) {
  std::uint32_t key = slot;
  if (hashed_) {
    key = index_of_key(table_.key(slot));
  }
  std::memcpy(box_.at(key_scratch_), &key, sizeof key);
  return key_scratch_;
}

std::int32_t RedirectMap::slot_after(std::int32_t slot) const {
  if (hashed_) {
    return table_.after(slot);
  }
  for (std::uint32_t next = static_cast<std::uint32_t>(slot + 1); next < info().max_entries; ++next) {
    if (present_[next] != 0) {
      return static_cast<std::int32_t>(next);
    }
  }
  return -1;
}

}  // namespace rxpool::bpf
