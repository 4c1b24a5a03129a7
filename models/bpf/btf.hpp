#pragma once
// BTF as the loader needs it: types, members, variables of data sections, function names, and from .BTF.ext the line
// table and the CO-RE records. Everything is checked at parse time (type ids exist, names end, chains are not cyclic),
// so users may index freely. Left out: type tags' meaning, declaration tags, split BTF.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rxpool::bpf {

enum class BtfKind : std::uint8_t {
  void_type = 0,
  integer = 1,
  pointer = 2,
  array = 3,
  structure = 4,
  union_type = 5,
  enumeration = 6,
  forward = 7,
  type_definition = 8,
  volatile_type = 9,
  const_type = 10,
  restrict_type = 11,
  function = 12,
  function_prototype = 13,
  variable = 14,
  data_section = 15,
  floating = 16,
  declaration_tag = 17,
  type_tag = 18,
  enumeration64 = 19,
};

struct BtfMember {  // of a struct or union; parameter of a prototype; variable of a data section; value of an enum
  std::string name;
  std::uint32_t type = 0;
  std::uint32_t bit_offset = 0;  // data section: byte offset
  std::uint32_t bits = 0;        // bit-field width, 0 otherwise; data section: byte size
  std::int64_t value = 0;        // enum
};

struct BtfType {
  BtfKind kind = BtfKind::void_type;
  std::string name;
  std::uint32_t size = 0;      // bytes, where the kind has a size
  std::uint32_t target = 0;    // referenced type id (pointer, modifiers, function, variable, array element)
  std::uint32_t elements = 0;  // array
  std::uint32_t linkage = 0;   // variable, function: 0 static, 1 global, 2 extern
  bool is_signed = false;
  bool is_boolean = false;
  std::vector<BtfMember> members;
};

class Btf {
 public:
  Btf() = default;
  /// Throws InputError (policy_rejected) on anything malformed.
  static Btf parse(std::span<const std::uint8_t> bytes, const std::string& label);

  bool empty() const { return types_.size() <= 1; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(types_.size()); }
  const BtfType& type(std::uint32_t id) const { return types_[id < types_.size() ? id : 0]; }
  std::optional<std::uint32_t> find(std::string_view name, BtfKind kind) const;
  /// Follows const, volatile, restrict, typedef and type tags.
  std::uint32_t strip(std::uint32_t id) const;
  /// Size in bytes, 0 for a type without one (void, function).
  std::uint64_t size_of(std::uint32_t id) const;
  /// "struct flow", "unsigned int", "u32": for messages.
  std::string describe(std::uint32_t id) const;
  /// Empty outside the table; cut at 511 bytes, so that a hostile table costs no memory when many records name it.
  std::string string_at(std::uint32_t offset) const;

 private:
  std::uint64_t size_of(std::uint32_t id, int depth) const;

  std::vector<BtfType> types_{BtfType{}};
  std::string strings_;
};

struct BtfLine {
  std::uint32_t instruction = 0;  // index within the section
  std::uint32_t file_name = 0;    // string offsets
  std::uint32_t text = 0;
  std::uint32_t line = 0;
  std::uint32_t column = 0;
};

struct BtfCoreRelocation {
  std::uint32_t instruction = 0;  // index within the section
  std::uint32_t type = 0;
  std::uint32_t access = 0;  // string offset, "0:1:2"
  std::uint32_t kind = 0;
};

/// .BTF.ext of one code section.
struct BtfSectionExtension {
  std::string section;
  std::vector<BtfLine> lines;
  std::vector<BtfCoreRelocation> core_relocations;
};

std::vector<BtfSectionExtension> parse_btf_extension(std::span<const std::uint8_t> bytes, const Btf& btf,
                                                     const std::string& label);

}  // namespace rxpool::bpf
