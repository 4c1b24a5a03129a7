#include "models/bpf/maps/make_map.hpp"

#include <linux/bpf.h>

#include "models/bpf/maps/array.hpp"
#include "models/bpf/maps/bloom_filter.hpp"
#include "models/bpf/maps/hash.hpp"
#include "models/bpf/maps/lpm_trie.hpp"
#include "models/bpf/maps/queue_stack.hpp"
#include "models/bpf/maps/redirect_map.hpp"
#include "models/bpf/maps/reference_map.hpp"
#include "models/bpf/maps/ringbuf.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint64_t max_map_bytes = std::uint64_t{1} << 30;  // of one map, keys and values of all CPUs
constexpr std::uint32_t max_percpu_value = 32768;                // PCPU_MIN_UNIT_SIZE
constexpr std::uint32_t max_value = std::uint32_t{1} << 26;
constexpr std::uint32_t max_lpm_key = 4 + 256;
constexpr int error_notsupp = -524;  // -ENOTSUPP, the kernel's own number without a name in errno.h

// Flags that only change memory placement or access rights and are accepted (and mostly ignored) everywhere.
constexpr std::uint32_t access_flags =
    BPF_F_NUMA_NODE | BPF_F_RDONLY | BPF_F_WRONLY | BPF_F_RDONLY_PROG | BPF_F_WRONLY_PROG;

struct TypeEntry {
  MapType type;
  const char* name;
  std::uint32_t flags;  // besides access_flags
};

constexpr TypeEntry types[] = {
    {MapType::hash, "HASH", BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED},
    {MapType::array, "ARRAY", BPF_F_MMAPABLE | BPF_F_INNER_MAP},
    {MapType::prog_array, "PROG_ARRAY", 0},
    {MapType::perf_event_array, "PERF_EVENT_ARRAY", BPF_F_PRESERVE_ELEMS},
    {MapType::percpu_hash, "PERCPU_HASH", BPF_F_NO_PREALLOC | BPF_F_ZERO_SEED},
    {MapType::percpu_array, "PERCPU_ARRAY", 0},
    {MapType::lru_hash, "LRU_HASH", BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED},
    {MapType::lru_percpu_hash, "LRU_PERCPU_HASH", BPF_F_NO_COMMON_LRU | BPF_F_ZERO_SEED},
    {MapType::lpm_trie, "LPM_TRIE", BPF_F_NO_PREALLOC},
    {MapType::array_of_maps, "ARRAY_OF_MAPS", 0},
    {MapType::hash_of_maps, "HASH_OF_MAPS", BPF_F_NO_PREALLOC},
    {MapType::devmap, "DEVMAP", 0},
    {MapType::cpumap, "CPUMAP", 0},
    {MapType::xskmap, "XSKMAP", 0},
    {MapType::queue, "QUEUE", 0},
    {MapType::stack, "STACK", 0},
    {MapType::devmap_hash, "DEVMAP_HASH", 0},
    {MapType::ringbuf, "RINGBUF", 0},
    {MapType::bloom_filter, "BLOOM_FILTER", BPF_F_ZERO_SEED},
};

const TypeEntry* find_type(std::uint32_t type) {
  for (const TypeEntry& entry : types) {
    if (static_cast<std::uint32_t>(entry.type) == type) {
      return &entry;
    }
  }
  return nullptr;
}

struct Verdict {
  int error = 0;
  const char* why = "";
};

Verdict check_array(const MapDefinition& map) {
  if (map.key_size != 4) {
    return {-EINVAL, "its key is an index of 4 bytes"};
  }
  return map.value_size == 0 ? Verdict{-EINVAL, "it has no value size"} : Verdict{};
}

Verdict check_hash(const MapDefinition& map) {
  if (map.key_size == 0 || map.value_size == 0) {
    return {-EINVAL, "it needs a key and a value"};
  }
  return map.key_size > 512 ? Verdict{-E2BIG, "a key of more than 512 bytes fits no stack frame"} : Verdict{};
}

Verdict check_redirect(const MapDefinition& map, MapType type) {
  const bool pair = type != MapType::xskmap && map.value_size == 8;
  if (map.key_size != 4 || (map.value_size != 4 && !pair)) {
    return {-EINVAL, "its key has 4 bytes, its value 4 (or 8 with a program)"};
  }
  return {};
}

// kernel/bpf: array_map_alloc_check, htab_map_alloc_check, trie_alloc, queue_stack_map_alloc_check, ringbuf_map_alloc,
// bloom_map_alloc, dev_map_init_map, cpu_map_alloc, xsk_map_alloc.
Verdict check_by_type(const MapDefinition& map, MapType type) {
  switch (type) {
    case MapType::array:
    case MapType::percpu_array:
      return check_array(map);
    case MapType::prog_array:
    case MapType::perf_event_array:
    case MapType::array_of_maps:
      return map.key_size == 4 && map.value_size == 4 ? Verdict{} : Verdict{-EINVAL, "key and value have 4 bytes each"};
    case MapType::hash_of_maps:
      return map.key_size != 0 && map.value_size == 4 ? check_hash(map) : Verdict{-EINVAL, "its value has 4 bytes"};
    case MapType::lpm_trie:
      if ((map.flags & BPF_F_NO_PREALLOC) == 0) {
        return {-EINVAL, "it needs BPF_F_NO_PREALLOC"};
      }
      return map.key_size > 4 && map.key_size <= max_lpm_key && map.value_size != 0
                 ? Verdict{}
                 : Verdict{-EINVAL, "its key is a u32 and 1 to 256 address bytes, and it needs a value"};
    case MapType::queue:
    case MapType::stack:
      return map.key_size == 0 && map.value_size != 0 ? Verdict{} : Verdict{-EINVAL, "it has values but no key"};
    case MapType::bloom_filter:
      return map.key_size == 0 && map.value_size != 0 && map.extra <= 15
                 ? Verdict{}
                 : Verdict{-EINVAL, "it has values, no key, and at most 15 hashes"};
    case MapType::ringbuf:
      if (map.key_size != 0 || map.value_size != 0) {
        return {-EINVAL, "it has neither key nor value"};
      }
      return std::has_single_bit(map.max_entries) && map.max_entries % Box::page_bytes == 0
                 ? Verdict{}
                 : Verdict{-EINVAL, "its size is a power of two and whole pages"};
    case MapType::devmap:
    case MapType::devmap_hash:
    case MapType::cpumap:
    case MapType::xskmap:
      return check_redirect(map, type);
    default:
      return check_hash(map);
  }
}

std::uint64_t bytes_of(const MapDefinition& map, MapType type, std::uint32_t cpus) {
  const std::uint64_t values = is_per_cpu(type) ? cpus : 1;
  const std::uint64_t element = std::uint64_t{round_up_8(map.key_size)} * 2 + round_up_8(map.value_size) * values + 16;
  return type == MapType::ringbuf ? std::uint64_t{map.max_entries} * 3 : element * map.max_entries;
}

}  // namespace

bool map_type_known(std::uint32_t type) {
  return find_type(type) != nullptr;
}

std::string map_type_name(std::uint32_t type) {
  const TypeEntry* entry = find_type(type);
  return entry == nullptr ? "type " + std::to_string(type) : entry->name;
}

int check_map(const MapDefinition& definition, std::uint32_t cpus, std::string& why) {
  const TypeEntry* entry = find_type(definition.type);
  if (entry == nullptr) {
    why = "this map type does not exist here";
    return -EINVAL;
  }
  Verdict verdict = check_by_type(definition, entry->type);
  if (verdict.error == 0 && definition.max_entries == 0 && entry->type != MapType::perf_event_array) {
    verdict = {-EINVAL, "max_entries is 0"};
  }
  const bool lru = entry->type == MapType::lru_hash || entry->type == MapType::lru_percpu_hash;
  if (verdict.error == 0 && lru && (definition.flags & BPF_F_NO_PREALLOC) != 0) {
    verdict = {error_notsupp, "an LRU map is always preallocated"};
  }
  if (verdict.error == 0 && (definition.flags & ~(entry->flags | access_flags)) != 0) {
    verdict = {-EINVAL, "it has flags that this type does not take"};
  }
  if (verdict.error == 0 && is_per_cpu(entry->type) && definition.value_size > max_percpu_value) {
    verdict = {-E2BIG, "a per-CPU value has at most 32768 bytes"};
  }
  if (verdict.error == 0 && definition.value_size > max_value) {
    verdict = {-E2BIG, "its value is too large"};
  }
  if (verdict.error == 0 && entry->type == MapType::cpumap && definition.max_entries > 8192) {
    verdict = {-E2BIG, "more entries than CPUs can exist"};
  }
  const bool of_maps = entry->type == MapType::array_of_maps || entry->type == MapType::hash_of_maps;
  if (verdict.error == 0 && of_maps && definition.inner.size() != 1) {
    verdict = {-EINVAL, "it does not say what its inner maps are like (__array(values, …))"};
  }
  if (verdict.error == 0 && bytes_of(definition, entry->type, cpus) > max_map_bytes) {
    verdict = {-ENOMEM, "it would need more than 1 GiB"};
  }
  why = verdict.why;
  return verdict.error;
}

namespace {

const char* error_name(int error) {
  switch (-error) {
    case EINVAL:
      return "-EINVAL";
    case E2BIG:
      return "-E2BIG";
    case ENOMEM:
      return "-ENOMEM";
    default:
      return "-ENOTSUPP";
  }
}

}  // namespace

std::unique_ptr<Map> make_map(const MapDefinition& definition, const MapPlacement& place) {
  std::string why;
  if (const int error = check_map(definition, place.cpus, why); error != 0) {
    throw InputError(
        "map " + definition.name + " (" + map_type_name(definition.type) + "): " + error_name(error) + ": " + why,
        error == -ENOMEM ? ExitCode::limit : ExitCode::policy_rejected);
  }
  switch (static_cast<MapType>(definition.type)) {
    case MapType::array:
    case MapType::percpu_array:
      return std::make_unique<ArrayMap>(definition, place);
    case MapType::hash:
    case MapType::percpu_hash:
    case MapType::lru_hash:
    case MapType::lru_percpu_hash:
      return std::make_unique<HashMap>(definition, place);
    case MapType::lpm_trie:
      return std::make_unique<LpmTrieMap>(definition, place);
    case MapType::queue:
    case MapType::stack:
      return std::make_unique<QueueStackMap>(definition);
    case MapType::ringbuf:
      return std::make_unique<RingbufMap>(definition, place);
    case MapType::bloom_filter:
      return std::make_unique<BloomFilterMap>(definition);
    case MapType::devmap:
    case MapType::devmap_hash:
    case MapType::cpumap:
    case MapType::xskmap:
      return std::make_unique<RedirectMap>(definition, place);
    default:
      return std::make_unique<ReferenceMap>(definition);
  }
}

}  // namespace rxpool::bpf
