#pragma once
// A map as the host sees it: read, write, delete and dump by bytes, as user space does with the bpf() system call.
// Values of per-CPU maps are the values of all CPUs in a row (value_size each, without the kernel's rounding). Reading
// does not count as a use for the LRU, as in the kernel.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

using Bytes = std::vector<std::uint8_t>;

class MapAccess {
 public:
  MapAccess(Map& map, Runtime& runtime) : map_(&map), runtime_(&runtime) {}

  const MapInfo& info() const { return map_->info(); }
  Map& map() const { return *map_; }
  /// Values per element: CPUs for per-CPU maps, else 1.
  std::uint32_t values_per_element() const;

  /// Nothing if the key does not exist, has the wrong size, or the map has no values by key.
  std::optional<Bytes> read(const Bytes& key) const;
  /// 0 or -errno. A per-CPU value may be given once (for every CPU) or for all of them.
  int write(const Bytes& key, const Bytes& value, std::uint64_t flags = 0) const;
  int erase(const Bytes& key) const;
  /// All elements in the map's own order; for queues and stacks in the order of pop, with empty keys.
  std::vector<std::pair<Bytes, Bytes>> dump() const;
  /// Takes the submitted records of a ring buffer.
  std::vector<Bytes> drain_ring() const;

  // Short forms for maps with small integer keys and values; throw InputError where sizes do not fit.
  std::uint64_t read_u64(std::uint32_t key) const;  // sum over CPUs
  void write_u64(std::uint32_t key, std::uint64_t value) const;

 private:
  Bytes value_of(std::uint32_t slot) const;
  int write_one(std::span<const std::byte> key, const Bytes& value, std::uint64_t flags) const;

  Map* map_;
  Runtime* runtime_;
};

}  // namespace rxpool::bpf
