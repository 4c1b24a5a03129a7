#include "models/bpf/maps/hash_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace rxpool::bpf {
namespace {

// Folded multiplications of 16 bytes at a time, as in wyhash; the constant is its first secret.
std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = Wide{a} * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// Programs write keys field by field, mostly 4 bytes at a time, just before they look them up. A wider load would wait
// until those stores have left the store buffer (some 20 ns), so keys are read in words of 4 bytes; the empty assembly
// keeps the compiler from joining two of them.
std::uint32_t load_word(const std::byte* bytes) {
  std::uint32_t word;
  std::memcpy(&word, bytes, sizeof word);
  asm("" : "+r"(word));
  return word;
}

bool equal_keys(const std::byte* kept, const std::byte* asked, std::size_t size) {
  std::uint32_t differ = 0;
  for (; size >= 4; kept += 4, asked += 4, size -= 4) {
    differ |= load_word(kept) ^ load_word(asked);
  }
  for (; size > 0; ++kept, ++asked, --size) {
    differ |= static_cast<std::uint32_t>(*kept ^ *asked);
  }
  return differ == 0;
}

std::uint64_t load_double(const std::byte* bytes) {
  return load_word(bytes) | std::uint64_t{load_word(bytes + 4)} << 32;
}

/// Fewer than eight bytes.
std::uint64_t load_tail(const std::byte* bytes, std::size_t size) {
  std::uint64_t tail = size >= 4 ? load_word(bytes) : 0;
  for (std::size_t at = size & 4; at < size; ++at) {
    tail |= std::to_integer<std::uint64_t>(bytes[at]) << (8 * at);
  }
  return tail;
}

std::uint32_t hash_key(const std::byte* bytes, std::size_t size, std::uint32_t seed) {
  constexpr std::uint64_t secret = 0xa0761d6478bd642f;
  std::uint64_t state = seed + 0x9e3779b97f4a7c15 * (size + 1);
  for (; size >= 16; bytes += 16, size -= 16) {
    state = fold(load_double(bytes) ^ secret, load_double(bytes + 8) ^ state);
  }
  if (size >= 8) {
    state = fold(load_double(bytes) ^ secret, load_tail(bytes + 8, size - 8) ^ state);
  } else if (size > 0) {
    state = fold(load_tail(bytes, size) ^ secret, state);
  }
  return static_cast<std::uint32_t>(state ^ state >> 32);
}

}  // namespace

std::uint32_t hash_bytes(std::span<const std::byte> bytes, std::uint32_t seed) {
  return hash_key(bytes.data(), bytes.size(), seed);
}

HashTable::HashTable(std::uint32_t key_size, std::uint32_t slots, std::uint32_t buckets_for)
    : key_size_(key_size),
      heads_(std::bit_ceil(std::max(buckets_for, 1U)), none),
      next_(slots, none),
      hashes_(slots),
      used_(slots),
      keys_(std::size_t{slots} * key_size) {}

std::int32_t HashTable::find(const std::byte* key) const {
  const std::uint32_t hash = hash_key(key, key_size_, 0);
  for (std::int32_t slot = heads_[bucket_of(hash)]; slot != none; slot = next_[slot]) {
    if (hashes_[slot] == hash && equal_keys(keys_.data() + std::size_t(slot) * key_size_, key, key_size_)) {
      return slot;
    }
  }
  return none;
}

void HashTable::insert(std::uint32_t slot, std::span<const std::byte> key) {
  const std::uint32_t hash = hash_key(key.data(), key_size_, 0);
  std::memcpy(keys_.data() + std::size_t{slot} * key_size_, key.data(), key_size_);
  hashes_[slot] = hash;
  used_[slot] = 1;
  std::int32_t& head = heads_[bucket_of(hash)];
  next_[slot] = head;
  head = static_cast<std::int32_t>(slot);
  ++size_;
}

void HashTable::remove(std::uint32_t slot) {
  std::int32_t* link = &heads_[bucket_of(hashes_[slot])];
  while (*link != static_cast<std::int32_t>(slot)) {
    link = &next_[*link];
  }
  *link = next_[slot];
  used_[slot] = 0;
  --size_;
}

std::int32_t HashTable::after(std::int32_t slot) const {
  std::uint32_t bucket = 0;
  if (slot != none) {
    if (next_[slot] != none) {
      return next_[slot];
    }
    bucket = bucket_of(hashes_[slot]) + 1;
  }
  for (; bucket < heads_.size(); ++bucket) {
    if (heads_[bucket] != none) {
      return heads_[bucket];
    }
  }
  return none;
}

}  // namespace rxpool::bpf
