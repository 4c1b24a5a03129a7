#pragma once
// One loaded BPF object as plain data: what the loader hands to the checks and to the machine. Programs are linked
// (their subprograms appended, calls relative) but not yet placed in a box: a map reference is LDDW with src 1 and imm
// = index in `maps`, a reference to a data section is LDDW with src 2, imm = map index, next.imm = offset, a kfunc call
// has src 2 and imm = index in `kfuncs`, the address of a subprogram is LDDW with src 4 and a relative imm like a call.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/bpf/program.hpp"

namespace rxpool::bpf {

/// One global variable of a data section (from BTF and the symbol table), or one field of a key or value.
struct Variable {
  std::string name;
  std::string type;  // "u32", "struct limits[4]"
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
  std::uint32_t element_size = 0;  // of an array of integers, else = size
  bool integer = false;            // an integer, enum or bool, or an array of those
  bool is_signed = false;
  bool knob = false;  // const volatile in .rodata: settable before the load
};

/// Content that the object itself gives to a PROG_ARRAY or a map of maps (`.values = { [0] = &f }`).
struct MapInitialEntry {
  std::uint32_t index = 0;
  std::string target;  // name of a program or map
};

enum class DataSection : std::uint8_t { none, rodata, data, bss };

struct MapDefinition {
  std::string name;
  std::uint32_t type = 0;  // BPF_MAP_TYPE_*
  std::uint32_t key_size = 0;
  std::uint32_t value_size = 0;
  std::uint32_t max_entries = 0;
  std::uint32_t flags = 0;
  std::uint64_t extra = 0;           // bloom filter: number of hash functions
  std::vector<MapDefinition> inner;  // zero or one: the shape of the maps that a map of maps holds
  std::vector<MapInitialEntry> initial;
  DataSection section = DataSection::none;
  std::vector<std::uint8_t> content;  // data sections
  std::vector<Variable> variables;    // data sections
  std::vector<Variable> key_fields;   // from BTF, where the map is declared with types (value_layout.hpp)
  std::vector<Variable> value_fields;
  std::int32_t spin_lock_offset = -1;  // within the value, -1: none
  std::int32_t timer_offset = -1;
};

struct Kfunc {
  std::string name;
  bool weak = false;
};

struct Object {
  std::string label;  // file name, for messages
  std::string license;
  std::vector<MapDefinition> maps;
  std::vector<Program> programs;
  std::vector<Kfunc> kfuncs;
  /// Things that load but deserve a word: programs for other hooks, ignored pinning, kfuncs that are missing and weak.
  std::vector<std::string> notes;

  int map_index(const std::string& name) const;
  const Program* find_program(const std::string& name) const;
};

/// Values for `const volatile` knobs by name; "weights[2]" names one element of an array.
using Params = std::map<std::string, std::int64_t>;

/// Writes `params` into the object's .rodata. Throws InputError that names the knob, its type and range, or the knobs
/// there are.
void apply_params(Object& object, const Params& params);

/// The knobs of an object and their values, in the order of the section.
struct Knob {
  std::string name;
  std::string type;
  std::int64_t value = 0;
};
std::vector<Knob> list_knobs(const Object& object);

}  // namespace rxpool::bpf
