#pragma once
// Keys and values of maps as a person writes them in a scenario.

#include <string>
#include <vector>

#include "models/bpf/map_access.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf {

/// The bytes that a text stands for: a whole number (decimal or 0x…) where key or value is one, an IPv4 address in
/// network order for 4 bytes, `field=number,field=number` where BTF names fields (those left out are zero), or
/// `hex:` and all bytes. Throws InputError that begins with `what`.
Bytes parse_element(const std::string& text, const std::vector<Variable>& fields, std::uint32_t size,
                    const std::string& what);

}  // namespace rxpool::bpf
