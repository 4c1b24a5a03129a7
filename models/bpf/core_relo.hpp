#pragma once
// CO-RE: a program compiled with preserve_access_index carries a record for every field access, to be resolved against
// the types of the host it runs on. The host's types here are the few that rxpool defines for programs (the signal, the
// return and egress contexts) and xdp_md, all with a fixed layout. A record for any other type is refused by name: a
// runtime that ignores it computes with the offsets of another kernel.

#include <span>
#include <string>
#include <vector>

#include "models/bpf/btf.hpp"
#include "models/bpf/isa.hpp"

namespace rxpool::bpf {

struct CoreField {
  const char* name;
  std::uint32_t offset;
  std::uint32_t size;
  bool is_signed = false;
};

struct CoreType {
  const char* name;
  std::uint32_t size;
  std::span<const CoreField> fields;
};

/// The types a program may relocate against.
std::span<const CoreType> core_types();

/// Applies one record to the instruction it names; `where` says program and instruction for messages. Throws InputError
/// (policy_rejected) for a type, field or kind of record that has no answer here.
void apply_core_relocation(const Btf& btf, const BtfCoreRelocation& relocation, std::span<Insn> insns,
                           std::size_t index, const std::string& where);

}  // namespace rxpool::bpf
