#pragma once
// Maps of an object: the BTF-defined ones in .maps (libbpf's __uint, __type, __array and __ulong macros, one level of
// inner maps, initial values) and one array map per data section, with the variables that BTF and the symbol table
// know.

#include <vector>

#include "models/bpf/btf.hpp"
#include "models/bpf/loader_elf.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf {

/// Where a relocation finds a map.
struct MapPlace {
  std::size_t section = 0;   // ELF section index
  std::uint64_t offset = 0;  // of the map variable; 0 for a data section
};

struct MapTable {
  std::vector<MapDefinition> maps;
  std::vector<MapPlace> places;  // parallel to maps
  std::vector<std::string> notes;
};

MapTable read_maps(const ElfView& elf, const Btf& btf);

/// Name of the section kind a data section has, none for any other section.
DataSection data_section_kind(const ElfSection& section);

}  // namespace rxpool::bpf
