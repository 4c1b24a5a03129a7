// Map operations: lookup, update, delete, push, pop, peek, lookup on another CPU, for_each.

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {
namespace {

Map& map_of(Runtime& runtime, std::uint64_t handle) {
  Map* map = runtime.map(handle);
  if (map == nullptr) {
    runtime.abort(Abort::memory);  // not a map reference: only a program that the checks did not see gets here
  }
  return *map;
}

std::uint64_t lookup(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t,
                     std::uint64_t) {
  Map& map = map_of(runtime, r1);
  return map.lookup(runtime, runtime.readable(r2, map.info().key_size));
}

std::uint64_t update(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3, std::uint64_t flags,
                     std::uint64_t) {
  Map& map = map_of(runtime, r1);
  const auto key = runtime.readable(r2, map.info().key_size);
  return failure(map.update(runtime, key, runtime.readable(r3, map.info().value_size), flags));
}

std::uint64_t erase(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t, std::uint64_t) {
  Map& map = map_of(runtime, r1);
  return failure(map.erase(runtime, runtime.readable(r2, map.info().key_size)));
}

std::uint64_t push(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t flags, std::uint64_t,
                   std::uint64_t) {
  Map& map = map_of(runtime, r1);
  return failure(map.push(runtime, runtime.readable(r2, map.info().value_size), flags));
}

std::uint64_t pop(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t, std::uint64_t) {
  Map& map = map_of(runtime, r1);
  return failure(map.pop(runtime, runtime.writable(r2, map.info().value_size)));
}

std::uint64_t peek(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t, std::uint64_t) {
  Map& map = map_of(runtime, r1);
  return failure(map.peek(runtime, runtime.writable(r2, map.info().value_size)));
}

std::uint64_t lookup_percpu(Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t cpu, std::uint64_t,
                            std::uint64_t) {
  Map& map = map_of(runtime, r1);
  const auto key = runtime.readable(r2, map.info().key_size);
  return cpu > UINT32_MAX ? 0 : map.lookup_cpu(runtime, key, static_cast<std::uint32_t>(cpu));
}

bool can_be_walked(MapType type) {
  return type == MapType::array || type == MapType::percpu_array || type == MapType::hash ||
         type == MapType::percpu_hash || type == MapType::lru_hash || type == MapType::lru_percpu_hash;
}

// The kernel takes array and hash maps (bpf_for_each_array_elem, bpf_for_each_hash_elem) and gives the number of
// elements visited, the one that asked to stop included.
std::uint64_t for_each(Runtime& runtime, std::uint64_t r1, std::uint64_t callback, std::uint64_t context,
                       std::uint64_t flags, std::uint64_t) {
  Map& map = map_of(runtime, r1);
  if (flags != 0 || !can_be_walked(map.type())) {
    return failure(-EINVAL);
  }
  auto& elements = static_cast<ElementMap&>(map);
  std::uint64_t visited = 0;
  for (std::uint32_t slot = 0; slot < elements.slot_count(); ++slot) {
    if (!elements.slot_used(slot)) {
      continue;
    }
    ++visited;
    if (runtime.call_back(callback, r1, elements.key_in_box(slot), elements.value_in_box(slot, runtime.cpu), context) !=
        0) {
      break;
    }
  }
  return visited;
}

}  // namespace

void add_map_helpers(HelperTable& table) {
  using enum ArgKind;
  table.add({.id = 1,
             .name = {},
             .fn = lookup,
             .args = {map, map_key},
             .returns = ReturnKind::map_value_or_null,
             .intrinsic = Intrinsic::map_lookup});
  table.add({.id = 2, .name = {}, .fn = update, .args = {map, map_key, map_value, anything}});
  table.add({.id = 3, .name = {}, .fn = erase, .args = {map, map_key}});
  table.add({.id = 87, .name = {}, .fn = push, .args = {map, map_value, anything}});
  table.add({.id = 88, .name = {}, .fn = pop, .args = {map, map_value_out}});
  table.add({.id = 89, .name = {}, .fn = peek, .args = {map, map_value_out}});
  table.add({.id = 164, .name = {}, .fn = for_each, .args = {map, function, anything, anything}});
  table.add({.id = 195,
             .name = {},
             .fn = lookup_percpu,
             .args = {map, map_key, anything},
             .returns = ReturnKind::map_value_or_null});
}

}  // namespace rxpool::bpf
