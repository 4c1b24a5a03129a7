#pragma once
// What BTF says of a map's key or value, flat: one field per integer, nested structures by dotted names. For whoever
// shows or writes map content by name; nothing that runs reads it. Bit-fields, floating-point numbers and arrays of
// structures are fields of bytes.

#include <vector>

#include "models/bpf/btf.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf {

/// Fields of a type in the order of their offsets; one field without a name where the type is a plain integer or an
/// array of integers. Empty for a type that BTF does not describe or that has more than 256 fields.
std::vector<Variable> layout_of(const Btf& btf, std::uint32_t type);

/// The field's type, size and sign from BTF; name and offset are the caller's.
Variable field_of(const Btf& btf, std::uint32_t type);

}  // namespace rxpool::bpf
