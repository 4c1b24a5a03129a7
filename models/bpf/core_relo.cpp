#include "models/bpf/core_relo.hpp"

#include <linux/bpf.h>

#include <charconv>
#include <optional>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr CoreField xdp_md_fields[] = {{"data", 0, 4},
                                       {"data_end", 4, 4},
                                       {"data_meta", 8, 4},
                                       {"ingress_ifindex", 12, 4},
                                       {"rx_queue_index", 16, 4},
                                       {"egress_ifindex", 20, 4}};
constexpr CoreField signal_fields[] = {
    {"abi", 0, 4},      {"seq", 4, 4},       {"state", 8, 4},        {"valid", 12, 4},         {"updated_ns", 16, 8},
    {"held", 24, 4},    {"inflight", 28, 4}, {"working_set", 32, 4}, {"limit", 36, 4},         {"rx_fill", 40, 4},
    {"rx_size", 44, 4}, {"tx_fill", 48, 4},  {"tx_size", 52, 4},     {"hw_drops_total", 56, 8}};
constexpr CoreField return_fields[] = {
    {"held_ns", 0, 8}, {"cookie", 8, 8},    {"rx_hash", 16, 4}, {"rx_queue_index", 20, 4},
    {"bytes", 24, 4},  {"consumer", 28, 4}, {"cpu", 32, 4}};
constexpr CoreField egress_fields[] = {{"data", 0, 4},
                                       {"data_end", 4, 4},
                                       {"rx_hash", 8, 4},
                                       {"rx_queue_index", 12, 4},
                                       {"egress_ifindex", 16, 4},
                                       {"tx_queue", 20, 4},
                                       {"ring_fill", 24, 4},
                                       {"ring_size", 28, 4},
                                       {"backoff", 32, 4}};  // padded to 40
constexpr CoreType core_type_table[] = {{"xdp_md", 24, xdp_md_fields},
                                        {"rxpool_signal", 64, signal_fields},
                                        {"rxpool_return_ctx", 40, return_fields},
                                        {"rxpool_egress_ctx", 40, egress_fields}};

[[noreturn]] void refuse_relocation(const std::string& where, const std::string& why) {
  throw InputError(where + ": CO-RE: " + why, ExitCode::policy_rejected);
}

// "struct flow___v2" is a flavour of "struct flow": everything from the triple underscore on is dropped.
std::string plain_name(const std::string& name) {
  const auto flavour = name.find("___");
  return flavour == std::string::npos || flavour == 0 ? name : name.substr(0, flavour);
}

const CoreType* find_type(const std::string& name) {
  for (const CoreType& type : core_type_table) {
    if (plain_name(name) == type.name) {
      return &type;
    }
  }
  return nullptr;
}

// "0:3" -> {0, 3}
std::vector<std::uint32_t> parse_access(const std::string& text, const std::string& where) {
  std::vector<std::uint32_t> path;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at != end) {
    std::uint32_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc() || (next != end && *next != ':')) {
      refuse_relocation(where, "malformed access path \"" + text + "\"");
    }
    path.push_back(value);
    at = next == end ? end : next + 1;
  }
  return path;
}

const CoreField* find_field(const CoreType& target, const std::string& name) {
  for (const CoreField& field : target.fields) {
    if (name == field.name) {
      return &field;
    }
  }
  return nullptr;
}

std::uint64_t resolve(const Btf& btf, const BtfCoreRelocation& relocation, const std::string& where) {
  if (relocation.type >= btf.count()) {
    refuse_relocation(where, "type " + std::to_string(relocation.type) + " does not exist");
  }
  if (relocation.kind == BPF_CORE_TYPE_ID_LOCAL) {
    return relocation.type;
  }
  const std::uint32_t id = btf.strip(relocation.type);
  const BtfType& local = btf.type(id);
  const std::string what = btf.describe(id);
  const CoreType* target = local.kind == BtfKind::structure ? find_type(local.name) : nullptr;
  if (target == nullptr) {
    refuse_relocation(where, "relocation against " + what + ", a type that rxpool does not define");
  }
  switch (relocation.kind) {
    case BPF_CORE_TYPE_EXISTS:
      return 1;
    case BPF_CORE_TYPE_SIZE:
      return target->size;
    case BPF_CORE_FIELD_BYTE_OFFSET:
    case BPF_CORE_FIELD_BYTE_SIZE:
    case BPF_CORE_FIELD_EXISTS:
    case BPF_CORE_FIELD_SIGNED:
      break;
    default:
      refuse_relocation(
          where, "relocation of kind " + std::to_string(relocation.kind) + " against " + what + " has no answer here");
  }
  const auto path = parse_access(btf.string_at(relocation.access), where);
  if (path.size() != 2 || path[1] >= local.members.size()) {
    refuse_relocation(where,
                      "access \"" + btf.string_at(relocation.access) + "\" to " + what + " is not one plain field");
  }
  const std::string& name = local.members[path[1]].name;
  const CoreField* field = find_field(*target, name);
  if (relocation.kind == BPF_CORE_FIELD_EXISTS) {
    return field != nullptr ? 1 : 0;
  }
  if (field == nullptr) {
    refuse_relocation(where, what + " has no field \"" + name + "\" here");
  }
  switch (relocation.kind) {
    case BPF_CORE_FIELD_BYTE_SIZE:
      return field->size;
    case BPF_CORE_FIELD_SIGNED:
      return field->is_signed ? 1 : 0;
    default:
      return std::uint64_t{path[0]} * target->size + field->offset;
  }
}

}  // namespace

std::span<const CoreType> core_types() {
  return core_type_table;
}

void apply_core_relocation(const Btf& btf, const BtfCoreRelocation& relocation, std::span<Insn> insns,
                           std::size_t index, const std::string& where) {
  const std::uint64_t value = resolve(btf, relocation, where);
  Insn& insn = insns[index];
  const std::uint8_t insn_class = insn.opcode & 0x07;
  switch (insn_class) {
    case BPF_ALU:
    case BPF_ALU64:
      if ((insn.opcode & BPF_X) != 0) {
        refuse_relocation(where, "the instruction has no immediate to relocate");
      }
      insn.imm = static_cast<std::int32_t>(value);
      return;
    case BPF_LDX:
    case BPF_ST:
    case BPF_STX:
      if (value > INT16_MAX) {
        refuse_relocation(where, "the offset does not fit the instruction");
      }
      insn.offset = static_cast<std::int16_t>(value);
      return;
    default:
      if (insn.opcode != (BPF_LD | BPF_IMM | BPF_DW) || index + 1 >= insns.size()) {
        refuse_relocation(where, "the instruction cannot be relocated");
      }
      insn.imm = static_cast<std::int32_t>(value);
      insns[index + 1].imm = static_cast<std::int32_t>(value >> 32);
  }
}

}  // namespace rxpool::bpf
