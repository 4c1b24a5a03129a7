#include "models/bpf/value_layout.hpp"

#include <algorithm>

namespace rxpool::bpf {
namespace {

constexpr std::size_t most_fields = 256;
constexpr int deepest = 8;

bool is_integer(BtfKind kind) {
  return kind == BtfKind::integer || kind == BtfKind::enumeration || kind == BtfKind::enumeration64;
}

// False: too many fields, or nested too deeply.
bool add_fields(const Btf& btf, std::uint32_t id, const std::string& prefix, std::uint32_t offset, int depth,
                std::vector<Variable>& fields) {
  const std::uint32_t stripped = btf.strip(id);
  const BtfType& type = btf.type(stripped);
  if (depth > deepest || fields.size() > most_fields) {
    return false;
  }
  if (type.kind != BtfKind::structure && type.kind != BtfKind::union_type) {
    Variable field = field_of(btf, stripped);
    field.name = prefix;
    field.offset = offset;
    if (field.size != 0) {
      fields.push_back(std::move(field));
    }
    return true;
  }
  for (const BtfMember& member : type.members) {
    if (member.bits != 0) {
      continue;
    }
    const std::string dotted =
        prefix.empty() || member.name.empty() ? prefix + member.name : prefix + "." + member.name;
    if (!add_fields(btf, member.type, dotted, offset + member.bit_offset / 8, depth + 1, fields)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Variable field_of(const Btf& btf, std::uint32_t id) {
  Variable field;
  std::uint32_t element = btf.strip(id);
  field.size = static_cast<std::uint32_t>(btf.size_of(element));
  field.element_size = field.size;
  std::string suffix;
  if (btf.type(element).kind == BtfKind::array) {
    suffix = "[" + std::to_string(btf.type(element).elements) + "]";
    element = btf.strip(btf.type(element).target);
    field.element_size = static_cast<std::uint32_t>(btf.size_of(element));
  }
  const BtfType& type = btf.type(element);
  field.integer = is_integer(type.kind) && (field.element_size == 1 || field.element_size == 2 ||
                                            field.element_size == 4 || field.element_size == 8);
  field.is_signed = type.is_signed;
  field.type = btf.describe(element) + suffix;
  return field;
}

std::vector<Variable> layout_of(const Btf& btf, std::uint32_t type) {
  std::vector<Variable> fields;
  if (!add_fields(btf, type, "", 0, 0, fields) || fields.size() > most_fields) {
    return {};
  }
  std::stable_sort(fields.begin(), fields.end(),
                   [](const Variable& a, const Variable& b) { return a.offset < b.offset; });
  return fields;
}

}  // namespace rxpool::bpf
