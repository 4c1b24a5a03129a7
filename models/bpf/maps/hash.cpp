#include "models/bpf/maps/hash.hpp"

namespace rxpool::bpf {
namespace {

bool is_lru(const MapDefinition& definition) {
  const auto type = static_cast<MapType>(definition.type);
  return type == MapType::lru_hash || type == MapType::lru_percpu_hash;
}

bool is_per_cpu(const MapDefinition& definition) {
  return bpf::is_per_cpu(static_cast<MapType>(definition.type));
}

std::uint32_t slots_of(const MapDefinition& definition, const MapPlacement& place) {
  return definition.max_entries + (is_lru(definition) || is_per_cpu(definition) ? 0 : place.cpus);
}

}  // namespace

HashMap::HashMap(const MapDefinition& definition, const MapPlacement& place)
    : ElementMap(info_of(definition)),
      box_(place.box),
      lru_(is_lru(definition)),
      table_(definition.key_size, slots_of(definition, place), definition.max_entries),
      values_(place, definition, slots_of(definition, place), is_per_cpu(definition)) {
  const std::uint32_t slots = table_.slots();
  keys_ = box_.map_region(ObjectClass::scratch, std::uint64_t{slots} * round_up_8(definition.key_size),
                          definition.name + ".keys");
  free_.reserve(slots);
  for (std::uint32_t slot = definition.max_entries; slot-- > 0;) {
    free_.push_back(slot);
  }
  for (std::uint32_t slot = definition.max_entries; slot < slots; ++slot) {
    spare_.push_back(slot);
  }
  if (lru_) {
    newer_.assign(slots + 1, slots);
    older_.assign(slots + 1, slots);
    referenced_.assign(slots, 0);
  }
}

std::uint64_t HashMap::lookup_direct(Runtime& runtime, Map& map, const std::byte* key) {
  auto& self = static_cast<HashMap&>(map);
  const std::int32_t slot = self.table_.find(key);
  if (slot == HashTable::none) {
    return 0;
  }
  if (self.lru_) {
    self.referenced_[slot] = 1;
  }
  return self.values_.at(static_cast<std::uint32_t>(slot), runtime.cpu);
}

std::uint64_t HashMap::lookup(Runtime& runtime, std::span<const std::byte> key) {
  return lookup_direct(runtime, *this, key.data());
}

// Used by the host and by map_lookup_percpu_elem; does not count as a use for the LRU.
std::uint64_t HashMap::lookup_cpu(Runtime&, std::span<const std::byte> key, std::uint32_t cpu) {
  const std::int32_t slot = table_.find(key);
  return values_.per_cpu() && slot != HashTable::none && cpu < values_.cpus()
             ? values_.at(static_cast<std::uint32_t>(slot), cpu)
             : 0;
}

int HashMap::update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
                    std::uint64_t flags) {
  if ((flags & ~update_lock) > update_exist || ((flags & update_lock) != 0 && !values_.has_spin_lock())) {
    return -EINVAL;
  }
  const std::int32_t slot = table_.find(key);
  if (slot != HashTable::none && (flags & update_noexist) != 0) {
    return -EEXIST;
  }
  if (slot == HashTable::none && (flags & update_exist) != 0) {
    return -ENOENT;
  }
  return slot == HashTable::none ? add(runtime, key, value)
                                 : replace(runtime, static_cast<std::uint32_t>(slot), key, value);
}

int HashMap::add(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value) {
  const std::int32_t slot = take_slot();
  if (slot == HashTable::none) {
    return -E2BIG;
  }
  const auto taken = static_cast<std::uint32_t>(slot);
  write_new(runtime, taken, value);
  table_.insert(taken, key);
  if (lru_) {
    referenced_[taken] = 0;
    link_front(taken);
  }
  return 0;
}

int HashMap::replace(Runtime& runtime, std::uint32_t slot, std::span<const std::byte> key,
                     std::span<const std::byte> value) {
  if (lru_) {
    referenced_[slot] = 1;
  }
  if (values_.per_cpu() || lru_) {
    values_.store(slot, runtime.cpu, value);
    return 0;
  }
  std::uint32_t& spare = spare_[runtime.cpu < spare_.size() ? runtime.cpu : 0];
  const std::uint32_t fresh = spare;
  values_.store(fresh, 0, value);
  table_.remove(slot);
  table_.insert(fresh, key);
  values_.forget_timer(slot);
  spare = slot;
  return 0;
}

// A new per-CPU element has its value on this CPU and zeroes on the others.
void HashMap::write_new(Runtime& runtime, std::uint32_t slot, std::span<const std::byte> value) {
  for (std::uint32_t cpu = 0; cpu < values_.cpus(); ++cpu) {
    values_.zero(slot, cpu);
  }
  values_.store(slot, runtime.cpu, value);
}

int HashMap::erase(Runtime&, std::span<const std::byte> key) {
  const std::int32_t found = table_.find(key);
  if (found == HashTable::none) {
    return -ENOENT;
  }
  const auto slot = static_cast<std::uint32_t>(found);
  table_.remove(slot);
  if (lru_) {
    unlink(slot);
  }
  give_slot(slot);
  return 0;
}

int HashMap::next_key(std::span<const std::byte> key, std::span<std::byte> next) {
  const std::int32_t slot = table_.after(key.empty() ? HashTable::none : table_.find(key));
  if (slot == HashTable::none) {
    return -ENOENT;
  }
  std::memcpy(next.data(), table_.key(static_cast<std::uint32_t>(slot)).data(), info().key_size);
  return 0;
}

BoxOffset HashMap::key_in_box(std::uint32_t slot) {
  const BoxOffset at = keys_ + slot * round_up_8(info().key_size);
  std::memcpy(box_.at(at), table_.key(slot).data(), info().key_size);
  return at;
}

std::int32_t HashMap::take_slot() {
  if (!free_.empty()) {
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return static_cast<std::int32_t>(slot);
  }
  return lru_ ? static_cast<std::int32_t>(evict()) : HashTable::none;
}

// From the oldest on: an element used since the last look gets a second chance.
std::uint32_t HashMap::evict() {
  const std::uint32_t sentinel = table_.slots();
  std::uint32_t slot = newer_[sentinel];
  while (referenced_[slot] != 0) {
    referenced_[slot] = 0;
    unlink(slot);
    link_front(slot);
    slot = newer_[sentinel];
  }
  unlink(slot);
  table_.remove(slot);
  values_.forget_timer(slot);
  return slot;
}

// newer_[sentinel] is the oldest element, older_[sentinel] the newest.
void HashMap::link_front(std::uint32_t slot) {
  const std::uint32_t sentinel = table_.slots();
  const std::uint32_t newest = older_[sentinel];
  older_[slot] = newest;
  newer_[slot] = sentinel;
  newer_[newest] = slot;
  older_[sentinel] = slot;
}

void HashMap::unlink(std::uint32_t slot) {
  newer_[older_[slot]] = newer_[slot];
  older_[newer_[slot]] = older_[slot];
}

}  // namespace rxpool::bpf
