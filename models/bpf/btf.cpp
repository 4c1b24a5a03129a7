#include "models/bpf/btf.hpp"

#include <linux/btf.h>

#include <algorithm>
#include <cstring>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint32_t max_types = 1U << 20;
constexpr std::uint32_t kind_enum64 = 19;  // BTF_KIND_ENUM64, spelled out for older UAPI headers
constexpr int max_depth = 32;
constexpr std::size_t longest_type_name = 511;
constexpr std::size_t max_code_sections = 4096;

class Cursor {
 public:
  Cursor(std::span<const std::uint8_t> bytes, const std::string& label) : bytes_(bytes), label_(label) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(label_ + ": BTF: " + why, ExitCode::policy_rejected);
  }

  template <typename T>
  T take() {
    T value;
    if (bytes_.size() - at_ < sizeof value) {
      refuse("truncated");
    }
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }

  bool done() const { return at_ == bytes_.size(); }
  std::size_t left() const { return bytes_.size() - at_; }
  void skip(std::size_t n) {
    if (left() < n) {
      refuse("truncated");
    }
    at_ += n;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  const std::string& label_;
  std::size_t at_ = 0;
};

bool is_reference(BtfKind kind) {
  switch (kind) {
    case BtfKind::pointer:
    case BtfKind::type_definition:
    case BtfKind::volatile_type:
    case BtfKind::const_type:
    case BtfKind::restrict_type:
    case BtfKind::function:
    case BtfKind::variable:
    case BtfKind::array:
    case BtfKind::type_tag:
    case BtfKind::declaration_tag:
    case BtfKind::function_prototype:
      return true;
    default:
      return false;
  }
}

bool is_modifier(BtfKind kind) {
  return kind == BtfKind::type_definition || kind == BtfKind::volatile_type || kind == BtfKind::const_type ||
         kind == BtfKind::restrict_type || kind == BtfKind::type_tag;
}

std::string text_at(const std::string& strings, std::uint32_t offset, const Cursor& cursor) {
  if (offset >= strings.size()) {
    cursor.refuse("a name lies outside the string table");
  }
  const std::string_view text(strings.c_str() + offset);  // the table ends with a zero (checked at parse)
  if (text.size() > longest_type_name) {
    cursor.refuse("a name of more than 511 bytes");
  }
  return std::string(text);
}

void take_members(Cursor& cursor, const std::string& strings, BtfType& type, std::uint32_t count, bool flag) {
  for (std::uint32_t i = 0; i < count; ++i) {
    BtfMember member;
    switch (type.kind) {
      case BtfKind::structure:
      case BtfKind::union_type: {
        const auto raw = cursor.take<btf_member>();
        member.name = text_at(strings, raw.name_off, cursor);
        member.type = raw.type;
        member.bit_offset = flag ? BTF_MEMBER_BIT_OFFSET(raw.offset) : raw.offset;
        member.bits = flag ? BTF_MEMBER_BITFIELD_SIZE(raw.offset) : 0;
        break;
      }
      case BtfKind::enumeration: {
        const auto raw = cursor.take<btf_enum>();
        member.name = text_at(strings, raw.name_off, cursor);
        member.value = raw.val;
        break;
      }
      case BtfKind::enumeration64: {
        member.name = text_at(strings, cursor.take<std::uint32_t>(), cursor);
        const std::uint64_t low = cursor.take<std::uint32_t>();
        const std::uint64_t high = cursor.take<std::uint32_t>();
        member.value = static_cast<std::int64_t>(high << 32 | low);
        break;
      }
      case BtfKind::function_prototype: {
        const auto raw = cursor.take<btf_param>();
        member.name = text_at(strings, raw.name_off, cursor);
        member.type = raw.type;
        break;
      }
      default: {  // data section
        const auto raw = cursor.take<btf_var_secinfo>();
        member.type = raw.type;
        member.bit_offset = raw.offset;
        member.bits = raw.size;
        break;
      }
    }
    type.members.push_back(std::move(member));
  }
}

BtfType take_type(Cursor& cursor, const std::string& strings) {
  const auto raw = cursor.take<btf_type>();
  const std::uint32_t kind = BTF_INFO_KIND(raw.info);
  const std::uint32_t count = BTF_INFO_VLEN(raw.info);
  if (kind == 0 || kind > kind_enum64) {
    cursor.refuse("unknown kind " + std::to_string(kind));
  }
  BtfType type;
  type.kind = static_cast<BtfKind>(kind);
  type.name = text_at(strings, raw.name_off, cursor);
  switch (type.kind) {
    case BtfKind::integer: {
      const auto info = cursor.take<std::uint32_t>();
      type.size = raw.size;
      type.is_signed = (BTF_INT_ENCODING(info) & BTF_INT_SIGNED) != 0;
      type.is_boolean = (BTF_INT_ENCODING(info) & BTF_INT_BOOL) != 0;
      break;
    }
    case BtfKind::floating:
      type.size = raw.size;
      break;
    case BtfKind::array: {
      const auto info = cursor.take<btf_array>();
      type.target = info.type;
      type.elements = info.nelems;
      break;
    }
    case BtfKind::structure:
    case BtfKind::union_type:
    case BtfKind::enumeration:
    case BtfKind::enumeration64:
    case BtfKind::data_section:
      type.size = raw.size;
      type.is_signed = BTF_INFO_KFLAG(raw.info);
      take_members(cursor, strings, type, count, BTF_INFO_KFLAG(raw.info));
      break;
    case BtfKind::function_prototype:
      type.target = raw.type;
      take_members(cursor, strings, type, count, false);
      break;
    case BtfKind::variable:
      type.target = raw.type;
      type.linkage = cursor.take<std::uint32_t>();
      break;
    case BtfKind::declaration_tag:
      type.target = raw.type;
      cursor.skip(sizeof(std::uint32_t));
      break;
    case BtfKind::function:
      type.target = raw.type;
      type.linkage = count;
      break;
    case BtfKind::forward:
      break;
    default:
      type.target = raw.type;
      break;
  }
  return type;
}

}  // namespace

Btf Btf::parse(std::span<const std::uint8_t> bytes, const std::string& label) {
  Cursor header_cursor(bytes, label);
  const auto header = header_cursor.take<btf_header>();
  if (header.magic != BTF_MAGIC || header.version != BTF_VERSION || header.hdr_len < sizeof header ||
      header.hdr_len > bytes.size()) {
    header_cursor.refuse("not a BTF section");
  }
  const auto body = bytes.subspan(header.hdr_len);
  const auto inside = [&](std::uint64_t offset, std::uint64_t length) {
    return offset <= body.size() && body.size() - offset >= length;
  };
  if (!inside(header.type_off, header.type_len) || !inside(header.str_off, header.str_len) || header.str_len == 0 ||
      body[header.str_off] != 0 || body[header.str_off + header.str_len - 1] != 0) {
    header_cursor.refuse("sections outside the data");
  }
  Btf btf;
  btf.strings_.assign(reinterpret_cast<const char*>(body.data()) + header.str_off, header.str_len);
  Cursor cursor(body.subspan(header.type_off, header.type_len), label);
  while (!cursor.done()) {
    if (btf.types_.size() > max_types) {
      cursor.refuse("more than 1048576 types");
    }
    btf.types_.push_back(take_type(cursor, btf.strings_));
  }
  for (std::uint32_t id = 1; id < btf.count(); ++id) {
    const BtfType& type = btf.types_[id];
    if (is_reference(type.kind) && type.target >= btf.count()) {
      cursor.refuse("type " + std::to_string(id) + " refers to a type that does not exist");
    }
    for (const BtfMember& member : type.members) {
      if (member.type >= btf.count()) {
        cursor.refuse("a member of type " + std::to_string(id) + " has a type that does not exist");
      }
    }
  }
  for (std::uint32_t id = 1; id < btf.count(); ++id) {  // only now that every reference leads somewhere
    std::uint32_t walker = id;
    for (int depth = 0; is_modifier(btf.types_[walker].kind); ++depth) {
      if (depth > max_depth) {
        cursor.refuse("type " + std::to_string(id) + " refers to itself");
      }
      walker = btf.types_[walker].target;
    }
  }
  return btf;
}

std::optional<std::uint32_t> Btf::find(std::string_view name, BtfKind kind) const {
  for (std::uint32_t id = 1; id < count(); ++id) {
    if (types_[id].kind == kind && types_[id].name == name) {
      return id;
    }
  }
  return std::nullopt;
}

std::uint32_t Btf::strip(std::uint32_t id) const {
  while (is_modifier(type(id).kind)) {
    id = type(id).target;
  }
  return id;
}

std::uint64_t Btf::size_of(std::uint32_t id) const {
  return size_of(id, 0);
}

std::uint64_t Btf::size_of(std::uint32_t id, int depth) const {
  const BtfType& stripped = type(strip(id));
  switch (stripped.kind) {
    case BtfKind::pointer:
      return 8;
    case BtfKind::array: {
      if (depth > max_depth) {
        return 0;
      }
      const std::uint64_t element = size_of(stripped.target, depth + 1);
      const std::uint64_t total = element * stripped.elements;
      return element > UINT32_MAX || total > UINT32_MAX ? UINT32_MAX : total;
    }
    case BtfKind::variable:
      return depth > max_depth ? 0 : size_of(stripped.target, depth + 1);
    default:
      return stripped.size;
  }
}

std::string Btf::describe(std::uint32_t id) const {
  const BtfType& named = type(id);
  switch (named.kind) {
    case BtfKind::structure:
      return "struct " + (named.name.empty() ? "(anonymous)" : named.name);
    case BtfKind::union_type:
      return "union " + (named.name.empty() ? "(anonymous)" : named.name);
    case BtfKind::enumeration:
    case BtfKind::enumeration64:
      return "enum " + (named.name.empty() ? "(anonymous)" : named.name);
    case BtfKind::void_type:
      return "void";
    default:
      return named.name.empty() ? "type " + std::to_string(id) : named.name;
  }
}

std::string Btf::string_at(std::uint32_t offset) const {
  if (offset >= strings_.size()) {
    return {};
  }
  const char* first = strings_.c_str() + offset;
  return std::string(first, strnlen(first, longest_type_name));
}

namespace {

// The layout of .BTF.ext is not in the UAPI headers: a header, then per kind of record {record size, then per code
// section {name, count, records}}.
struct ExtensionHeader {
  std::uint16_t magic;
  std::uint8_t version;
  std::uint8_t flags;
  std::uint32_t header_length;
  std::uint32_t function_offset, function_length;
  std::uint32_t line_offset, line_length;
};

BtfSectionExtension& section_of(std::vector<BtfSectionExtension>& all, const std::string& name) {
  for (auto& entry : all) {
    if (entry.section == name) {
      return entry;
    }
  }
  all.push_back({name, {}, {}});
  return all.back();
}

template <typename Take>
void each_record(std::span<const std::uint8_t> bytes, const Btf& btf, const std::string& label,
                 std::uint32_t least_size, std::vector<BtfSectionExtension>& all, Take take) {
  if (bytes.empty()) {
    return;
  }
  Cursor cursor(bytes, label);
  const auto record_size = cursor.take<std::uint32_t>();
  if (record_size < least_size || record_size > 4096) {
    cursor.refuse(".BTF.ext records of an unexpected size");
  }
  for (std::size_t parts = 0; !cursor.done(); ++parts) {
    if (parts == max_code_sections) {
      cursor.refuse(".BTF.ext of more than 4096 sections");
    }
    const auto name = btf.string_at(cursor.take<std::uint32_t>());
    const auto count = cursor.take<std::uint32_t>();
    if (std::uint64_t{count} * record_size > cursor.left()) {
      cursor.refuse(".BTF.ext is truncated");
    }
    auto& section = section_of(all, name);
    for (std::uint32_t i = 0; i < count; ++i) {
      take(cursor, section);
      cursor.skip(record_size - least_size);
    }
  }
}

}  // namespace

std::vector<BtfSectionExtension> parse_btf_extension(std::span<const std::uint8_t> bytes, const Btf& btf,
                                                     const std::string& label) {
  std::vector<BtfSectionExtension> all;
  Cursor cursor(bytes, label);
  const auto header = cursor.take<ExtensionHeader>();
  if (header.magic != BTF_MAGIC || header.header_length < sizeof header || header.header_length > bytes.size()) {
    cursor.refuse("not a .BTF.ext section");
  }
  std::uint32_t core_offset = 0;
  std::uint32_t core_length = 0;
  if (header.header_length >= sizeof header + 8) {
    core_offset = cursor.take<std::uint32_t>();
    core_length = cursor.take<std::uint32_t>();
  }
  const auto body = bytes.subspan(header.header_length);
  const auto part = [&](std::uint32_t offset, std::uint32_t length) {
    if (offset > body.size() || body.size() - offset < length) {
      cursor.refuse(".BTF.ext is truncated");
    }
    return body.subspan(offset, length);
  };
  each_record(part(header.line_offset, header.line_length), btf, label, 16, all,
              [](Cursor& at, BtfSectionExtension& section) {
                BtfLine line;
                line.instruction = at.take<std::uint32_t>() / 8;
                line.file_name = at.take<std::uint32_t>();
                line.text = at.take<std::uint32_t>();
                const auto position = at.take<std::uint32_t>();
                line.line = position >> 10;
                line.column = position & 0x3ff;
                section.lines.push_back(line);
              });
  each_record(part(core_offset, core_length), btf, label, 16, all, [](Cursor& at, BtfSectionExtension& section) {
    BtfCoreRelocation relocation;
    relocation.instruction = at.take<std::uint32_t>() / 8;
    relocation.type = at.take<std::uint32_t>();
    relocation.access = at.take<std::uint32_t>();
    relocation.kind = at.take<std::uint32_t>();
    section.core_relocations.push_back(relocation);
  });
  return all;
}

}  // namespace rxpool::bpf
