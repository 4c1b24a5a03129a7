#pragma once
// Builds a map from its definition with the checks that the kernel makes when a map is created (map_alloc_check of each
// type), so that an object which the kernel would refuse for its maps is refused here with the kernel's error name.

#include <memory>

#include "models/bpf/maps/base.hpp"

namespace rxpool::bpf {

/// 0, or the -errno with which the kernel's BPF_MAP_CREATE answers; `why` says it in words.
int check_map(const MapDefinition& definition, std::uint32_t cpus, std::string& why);

/// Throws InputError (policy_rejected) that names map, error and reason; exit 5 when the memory is not to be had.
std::unique_ptr<Map> make_map(const MapDefinition& definition, const MapPlacement& place);

/// "ARRAY", "LRU_HASH", …; "type 42" for one that does not exist here.
std::string map_type_name(std::uint32_t type);
bool map_type_known(std::uint32_t type);

}  // namespace rxpool::bpf
