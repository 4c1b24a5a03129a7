#include "models/bpf/loader_maps.hpp"

#include <elf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

#include "models/bpf/value_layout.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t most_maps = 256;
constexpr std::uint32_t relocation_64_abs64 = 2;  // R_BPF_64_ABS64, what .maps uses for .values

class MapReader {
 public:
  MapReader(const ElfView& elf, const Btf& btf) : elf_(elf), btf_(btf) {
    for (const ElfSymbol& symbol : elf.symbols) {
      if (symbol.kind == SymbolKind::object) {
        objects_.emplace(std::pair(std::size_t{symbol.section}, std::string_view(symbol.name)), &symbol);
      }
    }
  }

  void read(MapTable& table) {
    read_declared(table);
    read_data_sections(table);
    if (table.maps.size() > most_maps) {
      refuse("more than " + std::to_string(most_maps) + " maps");
    }
  }

 private:
  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(elf_.label + ": " + why, ExitCode::policy_rejected);
  }

  const ElfSymbol* symbol_in(std::size_t section, const std::string& name) const {
    const auto found = objects_.find({section, std::string_view(name)});
    return found == objects_.end() ? nullptr : found->second;
  }

  void read_declared(MapTable& table) {
    const ElfSection* section = elf_.find(".maps");
    if (section == nullptr) {
      if (elf_.find("maps") != nullptr) {
        refuse("section \"maps\" holds legacy map definitions; define maps in SEC(\".maps\") with BTF");
      }
      return;
    }
    const auto datasec = btf_.find(".maps", BtfKind::data_section);
    if (!datasec) {
      refuse("maps are defined in .maps but there is no BTF for them; compile with -g");
    }
    const std::size_t index = elf_.index_of(section);
    for (const BtfMember& entry : btf_.type(*datasec).members) {
      const BtfType& variable = btf_.type(entry.type);
      const ElfSymbol* symbol = variable.kind == BtfKind::variable ? symbol_in(index, variable.name) : nullptr;
      if (symbol == nullptr) {
        refuse("BTF names a map \"" + variable.name + "\" that the symbol table does not have");
      }
      MapDefinition map = read_definition(variable.name, variable.target, 0, table.notes);
      read_values(map, index, *symbol, variable.target);
      table.maps.push_back(std::move(map));
      table.places.push_back({index, symbol->value});
    }
  }

  // __uint(name, value) is a pointer to an array of `value` elements; __ulong an enum64 or enum with one value.
  std::uint32_t number(const std::string& map, const BtfMember& member) const {
    const BtfType& pointer = btf_.type(btf_.strip(member.type));
    const BtfType& array = btf_.type(btf_.strip(pointer.target));
    if (pointer.kind != BtfKind::pointer || array.kind != BtfKind::array) {
      refuse("map " + map + ": attribute " + member.name + " is not written with __uint");
    }
    return array.elements;
  }

  std::uint64_t long_number(const std::string& map, const BtfMember& member) const {
    const BtfType& pointer = btf_.type(btf_.strip(member.type));
    if (pointer.kind == BtfKind::pointer) {
      return number(map, member);
    }
    if ((pointer.kind == BtfKind::enumeration || pointer.kind == BtfKind::enumeration64) &&
        pointer.members.size() == 1) {
      return static_cast<std::uint64_t>(pointer.members[0].value);
    }
    refuse("map " + map + ": attribute " + member.name + " is not written with __ulong");
  }

  std::uint32_t pointed_size(const std::string& map, const BtfMember& member) const {
    const BtfType& pointer = btf_.type(btf_.strip(member.type));
    const std::uint64_t size = pointer.kind == BtfKind::pointer ? btf_.size_of(pointer.target) : 0;
    if (size == 0 || size > max_object_bytes) {
      refuse("map " + map + ": the type of its " + member.name + " has no usable size");
    }
    return static_cast<std::uint32_t>(size);
  }

  void set_size(const std::string& map, const char* what, std::uint32_t size, std::uint32_t& field) const {
    if (field != 0 && field != size) {
      refuse("map " + map + ": two different " + what + " sizes, " + std::to_string(field) + " and " +
             std::to_string(size));
    }
    field = size;
  }

  MapDefinition read_definition(const std::string& name, std::uint32_t type_id, int depth,
                                std::vector<std::string>& notes) const {
    const BtfType& body = btf_.type(btf_.strip(type_id));
    if (body.kind != BtfKind::structure) {
      refuse("map " + name + " is not a struct");
    }
    MapDefinition map;
    map.name = name;
    for (const BtfMember& member : body.members) {
      if (member.name == "type") {
        map.type = number(name, member);
      } else if (member.name == "max_entries") {
        map.max_entries = number(name, member);
      } else if (member.name == "map_flags") {
        map.flags = number(name, member);
      } else if (member.name == "key_size") {
        set_size(name, "key", number(name, member), map.key_size);
      } else if (member.name == "value_size") {
        set_size(name, "value", number(name, member), map.value_size);
      } else if (member.name == "key") {
        set_size(name, "key", pointed_size(name, member), map.key_size);
        map.key_fields = layout_of(btf_, btf_.type(btf_.strip(member.type)).target);
      } else if (member.name == "value") {
        set_size(name, "value", pointed_size(name, member), map.value_size);
        map.value_fields = layout_of(btf_, btf_.type(btf_.strip(member.type)).target);
        find_special_fields(map, member);
      } else if (member.name == "map_extra") {
        map.extra = long_number(name, member);
      } else if (member.name == "pinning" || member.name == "numa_node") {
        notes.push_back("map " + name + ": " + member.name + " has no meaning here and is ignored");
      } else if (member.name == "values") {
        read_inner(map, member, depth, notes);
      } else {
        refuse("map " + name + ": unknown attribute \"" + member.name + "\"");
      }
    }
    return map;
  }

  void read_inner(MapDefinition& map, const BtfMember& member, int depth, std::vector<std::string>& notes) const {
    const BtfType& array = btf_.type(btf_.strip(member.type));
    const BtfType& pointer = btf_.type(btf_.strip(array.target));
    if (array.kind != BtfKind::array || pointer.kind != BtfKind::pointer) {
      refuse("map " + map.name + ": values is not written with __array");
    }
    map.key_size = map.key_size == 0 ? 4 : map.key_size;
    map.value_size = map.value_size == 0 ? 4 : map.value_size;
    const BtfType& target = btf_.type(btf_.strip(pointer.target));
    if (target.kind == BtfKind::function_prototype) {
      return;
    }
    if (depth > 0) {
      refuse("map " + map.name + ": maps nest deeper than one level");
    }
    map.inner.push_back(read_definition(map.name + ".inner", pointer.target, depth + 1, notes));
  }

  // bpf_spin_lock and bpf_timer inside the value: helpers may touch them, ordinary updates must not.
  void find_special_fields(MapDefinition& map, const BtfMember& member) const {
    const BtfType& pointer = btf_.type(btf_.strip(member.type));
    const BtfType& value = btf_.type(btf_.strip(pointer.target));
    for (const BtfMember& field : value.members) {
      const BtfType& type = btf_.type(btf_.strip(field.type));
      if (value.kind != BtfKind::structure || type.kind != BtfKind::structure) {
        continue;
      }
      if (type.name == "bpf_spin_lock") {
        map.spin_lock_offset = static_cast<std::int32_t>(field.bit_offset / 8);
      } else if (type.name == "bpf_timer") {
        map.timer_offset = static_cast<std::int32_t>(field.bit_offset / 8);
      }
    }
  }

  // `.values = { [2] = &f }` is a relocation at the slot's place within the map variable.
  void read_values(MapDefinition& map, std::size_t section, const ElfSymbol& symbol, std::uint32_t type_id) const {
    const BtfType& body = btf_.type(btf_.strip(type_id));
    for (const ElfRelocation& relocation : elf_.relocations[section]) {
      if (relocation.offset < symbol.value || relocation.offset >= symbol.value + symbol.size) {
        continue;
      }
      const std::uint64_t inside = relocation.offset - symbol.value;
      const auto values = std::find_if(body.members.begin(), body.members.end(),
                                       [](const BtfMember& member) { return member.name == "values"; });
      if (values == body.members.end() || inside < values->bit_offset / 8 || inside % 8 != 0 ||
          (relocation.type != relocation_64_64 && relocation.type != relocation_64_abs64)) {
        refuse("map " + map.name + ": a relocation that is no initial value");
      }
      const ElfSymbol& target = elf_.symbols[relocation.symbol];
      map.initial.push_back({static_cast<std::uint32_t>((inside - values->bit_offset / 8) / 8), target.name});
    }
  }

  void read_data_sections(MapTable& table) {
    for (const ElfSection& section : elf_.sections) {
      const DataSection kind = data_section_kind(section);
      if (kind == DataSection::none || section.size == 0) {
        continue;
      }
      const std::size_t index = elf_.index_of(&section);
      if (!elf_.relocations[index].empty()) {
        refuse("section " + section.name + " holds addresses; tables of pointers cannot be loaded");
      }
      MapDefinition map;
      map.name = section.name;
      map.type = BPF_MAP_TYPE_ARRAY;
      map.key_size = 4;
      map.value_size = static_cast<std::uint32_t>(section.size);
      map.max_entries = 1;
      map.flags = BPF_F_MMAPABLE | (kind == DataSection::rodata ? static_cast<unsigned>(BPF_F_RDONLY_PROG) : 0U);
      map.section = kind;
      map.content.assign(section.data.begin(), section.data.end());
      map.content.resize(section.size);
      read_variables(map, index);
      table.maps.push_back(std::move(map));
      table.places.push_back({index, 0});
    }
  }

  void read_variables(MapDefinition& map, std::size_t section) const {
    const auto datasec = btf_.find(map.name, BtfKind::data_section);
    if (!datasec) {
      return;
    }
    for (const BtfMember& entry : btf_.type(*datasec).members) {
      const BtfType& declared = btf_.type(entry.type);
      const ElfSymbol* symbol = symbol_in(section, declared.name);
      const std::uint64_t size = btf_.size_of(declared.target);
      if (declared.kind != BtfKind::variable || symbol == nullptr || size == 0 || size > map.value_size ||
          symbol->value > map.value_size - size) {
        continue;  // optimised away, or an extern
      }
      map.variables.push_back(
          variable_of(map, declared, static_cast<std::uint32_t>(symbol->value), static_cast<std::uint32_t>(size)));
    }
    std::sort(map.variables.begin(), map.variables.end(),
              [](const Variable& a, const Variable& b) { return a.offset < b.offset; });
  }

  Variable variable_of(const MapDefinition& map, const BtfType& declared, std::uint32_t offset,
                       std::uint32_t size) const {
    Variable variable = field_of(btf_, declared.target);
    variable.name = declared.name;
    variable.offset = offset;
    variable.size = size;
    std::uint32_t element = btf_.strip(declared.target);
    if (btf_.type(element).kind == BtfKind::array) {
      element = btf_.strip(btf_.type(element).target);
    }
    bool is_volatile = false;
    for (std::uint32_t id = declared.target;; id = btf_.type(id).target) {
      const BtfKind kind = btf_.type(id).kind;
      is_volatile = is_volatile || kind == BtfKind::volatile_type;
      if (kind != BtfKind::volatile_type && kind != BtfKind::const_type && kind != BtfKind::array &&
          kind != BtfKind::type_definition) {
        break;
      }
      if (kind == BtfKind::array && btf_.strip(btf_.type(id).target) == element) {
        is_volatile = is_volatile || btf_.type(btf_.type(id).target).kind == BtfKind::volatile_type ||
                      btf_.type(btf_.type(btf_.type(id).target).target).kind == BtfKind::volatile_type;
        break;
      }
    }
    variable.knob = map.section == DataSection::rodata && is_volatile;
    return variable;
  }

  const ElfView& elf_;
  const Btf& btf_;
  std::map<std::pair<std::size_t, std::string_view>, const ElfSymbol*> objects_;  // by section and name
};

}  // namespace

DataSection data_section_kind(const ElfSection& section) {
  const auto named = [&](const std::string& base) {
    return section.name == base || section.name.rfind(base + ".", 0) == 0;
  };
  if (section.type == SHT_NOBITS && named(".bss")) {
    return DataSection::bss;
  }
  if (section.type == SHT_PROGBITS && section.allocated() && !section.executable()) {
    if (named(".rodata")) {
      return DataSection::rodata;
    }
    if (named(".data")) {
      return DataSection::data;
    }
  }
  return DataSection::none;
}

MapTable read_maps(const ElfView& elf, const Btf& btf) {
  MapTable table;
  MapReader(elf, btf).read(table);
  return table;
}

}  // namespace rxpool::bpf
