#include "models/bpf/maps/lpm_trie.hpp"

namespace rxpool::bpf {
namespace {

std::uint32_t length_of(std::span<const std::byte> key) {
  std::uint32_t length = 0;
  std::memcpy(&length, key.data(), sizeof length);
  return length;
}

}  // namespace

LpmTrieMap::LpmTrieMap(const MapDefinition& definition, const MapPlacement& place)
    : ElementMap(info_of(definition)),
      box_(place.box),
      table_(definition.key_size, definition.max_entries, definition.max_entries),
      values_(place, definition, definition.max_entries, false),
      key_scratch_(place.box.map_region(ObjectClass::scratch, max_key_bytes, definition.name + ".key")),
      max_length_((definition.key_size - 4) * 8),
      with_length_(max_length_ + 1),
      masked_(definition.key_size) {
  free_.reserve(definition.max_entries);
  for (std::uint32_t slot = definition.max_entries; slot-- > 0;) {
    free_.push_back(slot);
  }
}

std::span<const std::byte> LpmTrieMap::masked(std::span<const std::byte> key, std::uint32_t length) {
  std::memcpy(masked_.data(), &length, sizeof length);
  const std::uint32_t whole = length / 8;
  std::memcpy(masked_.data() + 4, key.data() + 4, whole);
  std::fill(masked_.begin() + 4 + whole, masked_.end(), std::byte{0});
  if (length % 8 != 0) {
    masked_[4 + whole] = key[4 + whole] & static_cast<std::byte>(0xff00U >> (length % 8));
  }
  return masked_;
}

std::uint64_t LpmTrieMap::lookup(Runtime&, std::span<const std::byte> key) {
  const std::uint32_t length = length_of(key);
  if (length > max_length_) {
    return 0;
  }
  for (std::uint32_t candidate = length + 1; candidate-- > 0;) {
    if (with_length_[candidate] == 0) {
      continue;
    }
    const std::int32_t slot = table_.find(masked(key, candidate));
    if (slot != HashTable::none) {
      return values_.at(static_cast<std::uint32_t>(slot), 0);
    }
  }
  return 0;
}

int LpmTrieMap::update(Runtime&, std::span<const std::byte> key, std::span<const std::byte> value,
                       std::uint64_t flags) {
  const std::uint32_t length = length_of(key);
  if (!plain_flags(flags) || length > max_length_) {
    return -EINVAL;
  }
  const auto prefix = masked(key, length);
  const std::int32_t slot = table_.find(prefix);
  if (slot != HashTable::none) {
    if (flags == update_noexist) {
      return -EEXIST;
    }
    values_.store(static_cast<std::uint32_t>(slot), 0, value);
    return 0;
  }
  if (flags == update_exist) {
    return -ENOENT;
  }
  if (free_.empty()) {
    return -ENOSPC;
  }
  const std::uint32_t fresh = free_.back();
  free_.pop_back();
  values_.store(fresh, 0, value);
  table_.insert(fresh, prefix);
  ++with_length_[length];
  return 0;
}

int LpmTrieMap::erase(Runtime&, std::span<const std::byte> key) {
  const std::uint32_t length = length_of(key);
  if (length > max_length_) {
    return -EINVAL;
  }
  const std::int32_t slot = table_.find(masked(key, length));
  if (slot == HashTable::none) {
    return -ENOENT;
  }
  table_.remove(static_cast<std::uint32_t>(slot));
  free_.push_back(static_cast<std::uint32_t>(slot));
  --with_length_[length];
  return 0;
}

int LpmTrieMap::next_key(std::span<const std::byte> key, std::span<std::byte> next) {
  std::int32_t slot = HashTable::none;
  if (!key.empty() && length_of(key) <= max_length_) {
    slot = table_.find(masked(key, length_of(key)));
  }
  slot = table_.after(slot);
  if (slot == HashTable::none) {
    return -ENOENT;
  }
  std::memcpy(next.data(), table_.key(static_cast<std::uint32_t>(slot)).data(), info().key_size);
  return 0;
}

BoxOffset LpmTrieMap::key_in_box(std::uint32_t slot) {
  std::memcpy(box_.at(key_scratch_), table_.key(slot).data(), info().key_size);
  return key_scratch_;
}

}  // namespace rxpool::bpf
