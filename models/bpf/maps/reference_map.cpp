#include "models/bpf/maps/reference_map.hpp"

#include "models/bpf/maps/array.hpp"

namespace rxpool::bpf {

ReferenceMap::ReferenceMap(const MapDefinition& definition)
    : Map(info_of(definition)),
      hashed_(static_cast<MapType>(definition.type) == MapType::hash_of_maps),
      table_(hashed_ ? definition.key_size : 4, hashed_ ? definition.max_entries : 0, definition.max_entries),
      values_(definition.max_entries) {
  for (std::uint32_t slot = hashed_ ? definition.max_entries : 0; slot-- > 0;) {
    free_.push_back(slot);
  }
}

std::int32_t ReferenceMap::slot_of(std::span<const std::byte> key) const {
  if (hashed_) {
    return table_.find(key);
  }
  const std::uint32_t index = index_of_key(key);
  return index < info().max_entries ? static_cast<std::int32_t>(index) : -1;
}

std::uint32_t ReferenceMap::reference(std::span<const std::byte> key) const {
  const std::int32_t slot = slot_of(key);
  return slot < 0 ? 0 : values_[slot];
}

std::uint64_t ReferenceMap::lookup(Runtime&, std::span<const std::byte> key) {
  return reference(key);
}

int ReferenceMap::update(Runtime&, std::span<const std::byte> key, std::span<const std::byte> value,
                         std::uint64_t flags) {
  if (flags > update_exist || (!hashed_ && flags != update_any)) {
    return -EINVAL;
  }
  std::uint32_t target = 0;
  std::memcpy(&target, value.data(), sizeof target);
  if (target == 0) {
    return -EBADF;
  }
  std::int32_t slot = slot_of(key);
  if (!hashed_ && slot < 0) {
    return -E2BIG;
  }
  if (hashed_ && slot >= 0 && flags == update_noexist) {
    return -EEXIST;
  }
  if (hashed_ && slot < 0) {
    if (flags == update_exist) {
      return -ENOENT;
    }
    if (free_.empty()) {
      return -E2BIG;
    }
    slot = static_cast<std::int32_t>(free_.back());
    free_.pop_back();
    table_.insert(static_cast<std::uint32_t>(slot), key);
  }
  values_[slot] = target;
  return 0;
}

int ReferenceMap::erase(Runtime&, std::span<const std::byte> key) {
  const std::int32_t slot = slot_of(key);
  if (slot < 0) {
    return hashed_ ? -ENOENT : -E2BIG;
  }
  if (values_[slot] == 0) {
    return -ENOENT;
  }
  values_[slot] = 0;
  if (hashed_) {
    table_.remove(static_cast<std::uint32_t>(slot));
    free_.push_back(static_cast<std::uint32_t>(slot));
  }
  return 0;
}

int ReferenceMap::next_key(std::span<const std::byte> key, std::span<std::byte> next) {
  if (!hashed_) {
    return next_array_key(key, next, info().max_entries);
  }
  const std::int32_t slot = table_.after(key.empty() ? HashTable::none : table_.find(key));
  if (slot == HashTable::none) {
    return -ENOENT;
  }
  std::memcpy(next.data(), table_.key(static_cast<std::uint32_t>(slot)).data(), info().key_size);
  return 0;
}

std::int32_t ReferenceMap::program_at(std::uint32_t index) const {
  return type() == MapType::prog_array && index < values_.size() ? static_cast<std::int32_t>(values_[index]) - 1 : -1;
}

}  // namespace rxpool::bpf
