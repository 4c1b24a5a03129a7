#pragma once
// What the engine, the helpers and the host see of a BPF map. Values lie inside the box, everything else (buckets, free
// lists, counters) outside, where no program can reach it. Concrete types are in maps/.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "models/bpf/box.hpp"

namespace rxpool::bpf {

struct Runtime;

/// BPF_MAP_TYPE_*, kernel numbering.
enum class MapType : std::uint32_t {
  hash = 1,
  array = 2,
  prog_array = 3,
  perf_event_array = 4,
  percpu_hash = 5,
  percpu_array = 6,
  lru_hash = 9,
  lru_percpu_hash = 10,
  lpm_trie = 11,
  array_of_maps = 12,
  hash_of_maps = 13,
  devmap = 14,
  cpumap = 16,
  xskmap = 17,
  queue = 22,
  stack = 23,
  devmap_hash = 25,
  ringbuf = 27,
  bloom_filter = 30,
};

/// One value per CPU and key?
constexpr bool is_per_cpu(MapType type) {
  return type == MapType::percpu_array || type == MapType::percpu_hash || type == MapType::lru_percpu_hash;
}
constexpr bool is_device_map(MapType type) {
  return type == MapType::devmap || type == MapType::devmap_hash;
}
/// Of those that bpf_redirect_map takes: programs look at the entries, only the host writes them.
constexpr bool is_redirect_map(MapType type) {
  return is_device_map(type) || type == MapType::cpumap || type == MapType::xskmap;
}

struct MapInfo {
  std::string name;
  MapType type = MapType::array;
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t flags = 0;
};

/// An array whose lookup compiled code does itself: value i of CPU c lies at base + c * cpu_stride + i * value_stride.
/// cpu_stride is 0 for a plain ARRAY.
struct ArrayLayout {
  BoxOffset base = 0;
  std::uint32_t value_stride = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t cpu_stride = 0;
};

class Map {
 public:
  /// Lookup without virtual dispatch, for compiled code. `key` points to key_size bytes of the box; reading it may
  /// fault (which aborts the run), so an entry reads the whole key before it changes anything, and owns no resource
  /// meanwhile.
  using LookupFn = std::uint64_t (*)(Runtime& runtime, Map& map, const std::byte* key);

  explicit Map(MapInfo info) : info_(std::move(info)) {}
  virtual ~Map() = default;
  Map(const Map&) = delete;
  Map& operator=(const Map&) = delete;

  const MapInfo& info() const { return info_; }
  MapType type() const { return info_.type; }

  /// Box offset of the value (for maps of maps: the handle of the inner map), or 0. `key` has key_size bytes.
  virtual std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) = 0;
  /// 0 or -errno, as the kernel's map_update_elem. `value` has value_size bytes; flags BPF_ANY, BPF_NOEXIST, BPF_EXIST…
  virtual int update(Runtime& runtime, std::span<const std::byte> key, std::span<const std::byte> value,
                     std::uint64_t flags) = 0;
  virtual int erase(Runtime& runtime, std::span<const std::byte> key) = 0;
  /// The key after `key` (empty: the first one) into `next`; -ENOENT at the end.
  virtual int next_key(std::span<const std::byte> key, std::span<std::byte> next) = 0;

  /// Value of another CPU (map_lookup_percpu_elem); plain maps refuse with 0.
  virtual std::uint64_t lookup_cpu(Runtime&, std::span<const std::byte> /*key*/, std::uint32_t /*cpu*/) { return 0; }
  /// Queue, stack and bloom filter operations.
  virtual int push(Runtime&, std::span<const std::byte> /*value*/, std::uint64_t /*flags*/) { return -EOPNOTSUPP; }
  virtual int pop(Runtime&, std::span<std::byte> /*value*/) { return -EOPNOTSUPP; }
  virtual int peek(Runtime&, std::span<std::byte> /*value*/) { return -EOPNOTSUPP; }
  /// PROG_ARRAY: index into Runtime::programs of the program at `index`, or -1.
  virtual std::int32_t program_at(std::uint32_t /*index*/) const { return -1; }

  /// Layout for inlined lookups, or nullptr.
  virtual const ArrayLayout* array_layout() const { return nullptr; }
  /// Direct lookup, or nullptr: then compiled code goes through the map_lookup_elem helper.
  virtual LookupFn lookup_fn() const { return nullptr; }

 private:
  MapInfo info_;
};

}  // namespace rxpool::bpf
