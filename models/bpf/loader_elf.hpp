#pragma once
// A bounds-checked view of one BPF object file: ELF64, little endian, relocatable, EM_BPF. It is the first thing that
// touches a hostile file, so every offset, size and count is checked before use and nothing is trusted to be aligned or
// terminated. Sections keep pointing into the caller's bytes. What is left out: program headers, dynamic sections,
// compressed sections, extended section numbering (refused; no BPF object needs them).
//
// Limits: 16 MiB per file, 4096 sections, 65536 symbols, 262144 relocations, names of at most 4095 bytes.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace rxpool::bpf {

inline constexpr std::size_t max_object_bytes = std::size_t{16} << 20;
inline constexpr std::uint32_t relocation_64_64 = 1;  // R_BPF_64_64, a 64-bit load of a symbol (LDDW)

struct ElfSection {
  std::string name;
  std::uint32_t type = 0;
  std::uint64_t flags = 0;
  std::uint64_t size = 0;
  std::uint32_t link = 0;
  std::uint32_t info = 0;
  std::span<const std::uint8_t> data;  // empty for SHT_NOBITS (.bss)

  bool executable() const { return (flags & 4U) != 0; }
  bool allocated() const { return (flags & 2U) != 0; }
};

enum class SymbolKind : std::uint8_t { none = 0, object = 1, function = 2, section = 3, file = 4, other = 15 };

struct ElfSymbol {
  std::string name;
  SymbolKind kind = SymbolKind::none;
  bool global = false;
  bool weak = false;
  std::uint16_t section = 0;  // 0: undefined (an extern)
  std::uint64_t value = 0;
  std::uint64_t size = 0;
};

struct ElfRelocation {
  std::uint64_t offset = 0;
  std::uint32_t type = 0;
  std::uint32_t symbol = 0;
};

struct ElfView {
  std::string label;  // file name, for messages
  std::vector<ElfSection> sections;
  std::vector<ElfSymbol> symbols;
  /// Relocations by the index of the section they apply to, sorted by offset.
  std::vector<std::vector<ElfRelocation>> relocations;

  const ElfSection* find(const std::string& name) const;
  std::size_t index_of(const ElfSection* section) const { return static_cast<std::size_t>(section - sections.data()); }
};

/// Parses `bytes`; throws InputError (ExitCode::policy_rejected) with one line that says what is wrong.
ElfView parse_elf(std::span<const std::uint8_t> bytes, const std::string& label);

}  // namespace rxpool::bpf
