#include "models/bpf/loader_elf.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t max_sections = 4096;
constexpr std::size_t max_symbols = 65536;
constexpr std::size_t max_relocations = 262144;
constexpr std::size_t longest_symbol_name = 4095;

class Reader {
 public:
  Reader(std::span<const std::uint8_t> bytes, const std::string& label) : bytes_(bytes), label_(label) {}

  [[noreturn]] void refuse(const std::string& why) const {
    throw InputError(label_ + ": " + why, ExitCode::policy_rejected);
  }

  template <typename T>
  T at(std::uint64_t offset, const char* what) const {
    T value;
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof value) {
      refuse(std::string("truncated: ") + what + " lies outside the file");
    }
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  std::span<const std::uint8_t> range(std::uint64_t offset, std::uint64_t size, const std::string& what) const {
    if (offset > bytes_.size() || bytes_.size() - offset < size) {
      refuse("truncated: " + what + " lies outside the file");
    }
    return bytes_.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
  }

  std::string text(std::span<const std::uint8_t> table, std::uint64_t offset, const char* what) const {
    if (offset >= table.size()) {
      refuse(std::string(what) + " has a name outside its string table");
    }
    const auto tail = table.subspan(static_cast<std::size_t>(offset));
    const auto end = std::find(tail.begin(), tail.end(), std::uint8_t{0});
    const auto length = static_cast<std::size_t>(end - tail.begin());
    if (end == tail.end() || length > longest_symbol_name) {
      refuse(std::string(what) + " has a name without end");
    }
    return std::string(reinterpret_cast<const char*>(tail.data()), length);
  }

 private:
  std::span<const std::uint8_t> bytes_;
  const std::string& label_;
};

SymbolKind symbol_kind(unsigned char info) {
  switch (ELF64_ST_TYPE(info)) {
    case STT_NOTYPE:
      return SymbolKind::none;
    case STT_OBJECT:
      return SymbolKind::object;
    case STT_FUNC:
      return SymbolKind::function;
    case STT_SECTION:
      return SymbolKind::section;
    case STT_FILE:
      return SymbolKind::file;
    default:
      return SymbolKind::other;
  }
}

void check_header(const Reader& reader, std::span<const std::uint8_t> bytes) {
  if (bytes.size() > max_object_bytes) {
    reader.refuse("too large: " + std::to_string(bytes.size()) + " bytes, at most 16 MiB");
  }
  if (bytes.size() < SELFMAG || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) {
    reader.refuse("not an ELF file; a policy is what clang -target bpf -c writes");
  }
  if (bytes.size() > EI_CLASS && bytes[EI_CLASS] != ELFCLASS64) {
    reader.refuse("not a 64-bit ELF file");
  }
  if (bytes.size() > EI_DATA && bytes[EI_DATA] != ELFDATA2LSB) {
    reader.refuse("big endian; compile with -target bpfel (or -target bpf on a little-endian host)");
  }
  const auto header = reader.at<Elf64_Ehdr>(0, "the ELF header");
  if (header.e_machine != EM_BPF) {
    reader.refuse("not a BPF object (e_machine " + std::to_string(header.e_machine) + ", EM_BPF is 247)");
  }
  if (header.e_type != ET_REL) {
    reader.refuse("not a relocatable object (e_type " + std::to_string(header.e_type) + ")");
  }
  if (header.e_version != EV_CURRENT || header.e_ident[EI_VERSION] != EV_CURRENT) {
    reader.refuse("unknown ELF version");
  }
  if (header.e_shentsize != sizeof(Elf64_Shdr)) {
    reader.refuse("section headers of an unexpected size");
  }
  if (header.e_shnum == 0 || header.e_shnum > max_sections || header.e_shstrndx >= header.e_shnum) {
    reader.refuse("no usable section table");
  }
}

void read_sections(const Reader& reader, const Elf64_Ehdr& header, ElfView& view) {
  std::vector<Elf64_Shdr> headers;
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    reader.range(header.e_shoff, (i + 1) * sizeof(Elf64_Shdr), "the section table");
    headers.push_back(reader.at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr), "a section header"));
  }
  const Elf64_Shdr& names = headers[header.e_shstrndx];
  if (names.sh_type != SHT_STRTAB) {
    reader.refuse("the section name table is not a string table");
  }
  const auto name_table = reader.range(names.sh_offset, names.sh_size, "the section name table");
  for (const Elf64_Shdr& raw : headers) {
    ElfSection section;
    section.name = raw.sh_type == SHT_NULL ? "" : reader.text(name_table, raw.sh_name, "a section");
    section.type = raw.sh_type;
    section.flags = raw.sh_flags;
    section.size = raw.sh_size;
    section.link = raw.sh_link;
    section.info = raw.sh_info;
    if ((raw.sh_flags & SHF_COMPRESSED) != 0) {
      reader.refuse("section " + section.name + " is compressed");
    }
    if (raw.sh_type != SHT_NULL && raw.sh_type != SHT_NOBITS) {
      section.data = reader.range(raw.sh_offset, raw.sh_size, "section " + section.name);
    } else if (raw.sh_size > max_object_bytes) {
      reader.refuse("section " + section.name + " is larger than 16 MiB");
    }
    view.sections.push_back(std::move(section));
  }
}

void read_symbols(const Reader& reader, ElfView& view) {
  bool seen = false;
  for (const ElfSection& section : view.sections) {
    if (section.type != SHT_SYMTAB) {
      continue;
    }
    if (seen) {
      reader.refuse("more than one symbol table");
    }
    seen = true;
    const std::size_t count = section.data.size() / sizeof(Elf64_Sym);
    if (section.data.size() % sizeof(Elf64_Sym) != 0 || count > max_symbols) {
      reader.refuse("a symbol table of an impossible size");
    }
    if (section.link >= view.sections.size() || view.sections[section.link].type != SHT_STRTAB) {
      reader.refuse("the symbol table has no string table");
    }
    const auto names = view.sections[section.link].data;
    for (std::size_t i = 0; i < count; ++i) {
      Elf64_Sym raw;
      std::memcpy(&raw, section.data.data() + i * sizeof raw, sizeof raw);
      ElfSymbol symbol;
      symbol.name = names.empty() && raw.st_name == 0 ? "" : reader.text(names, raw.st_name, "a symbol");
      symbol.kind = symbol_kind(raw.st_info);
      symbol.weak = ELF64_ST_BIND(raw.st_info) == STB_WEAK;
      symbol.global = ELF64_ST_BIND(raw.st_info) == STB_GLOBAL || symbol.weak;
      symbol.section = raw.st_shndx;
      symbol.value = raw.st_value;
      symbol.size = raw.st_size;
      const bool reserved = raw.st_shndx >= SHN_LORESERVE;
      if (!reserved && raw.st_shndx >= view.sections.size()) {
        reader.refuse("symbol " + symbol.name + " lies in a section that does not exist");
      }
      if (!reserved && raw.st_shndx != SHN_UNDEF) {
        const std::uint64_t limit = view.sections[raw.st_shndx].size;
        if (symbol.value > limit || limit - symbol.value < symbol.size) {
          reader.refuse("symbol " + symbol.name + " reaches outside its section");
        }
      }
      view.symbols.push_back(std::move(symbol));
    }
  }
}

void read_relocations(const Reader& reader, ElfView& view) {
  view.relocations.resize(view.sections.size());
  std::size_t total = 0;
  for (const ElfSection& section : view.sections) {
    if (section.type == SHT_RELA) {
      reader.refuse("section " + section.name + ": BPF objects use REL relocations, not RELA");
    }
    if (section.type != SHT_REL) {
      continue;
    }
    if (section.info >= view.sections.size()) {
      reader.refuse("section " + section.name + " relocates a section that does not exist");
    }
    if (section.data.size() % sizeof(Elf64_Rel) != 0) {
      reader.refuse("section " + section.name + " has an impossible size");
    }
    const std::size_t count = section.data.size() / sizeof(Elf64_Rel);
    total += count;
    if (total > max_relocations) {
      reader.refuse("more than " + std::to_string(max_relocations) + " relocations");
    }
    auto& list = view.relocations[section.info];
    for (std::size_t i = 0; i < count; ++i) {
      Elf64_Rel raw;
      std::memcpy(&raw, section.data.data() + i * sizeof raw, sizeof raw);
      if (ELF64_R_SYM(raw.r_info) >= view.symbols.size()) {
        reader.refuse("section " + section.name + " names a symbol that does not exist");
      }
      if (raw.r_offset >= view.sections[section.info].size) {
        reader.refuse("section " + section.name + " relocates outside its section");
      }
      list.push_back({raw.r_offset, static_cast<std::uint32_t>(ELF64_R_TYPE(raw.r_info)),
                      static_cast<std::uint32_t>(ELF64_R_SYM(raw.r_info))});
    }
  }
  for (auto& list : view.relocations) {
    std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
  }
}

}  // namespace

const ElfSection* ElfView::find(const std::string& name) const {
  for (const ElfSection& section : sections) {
    if (section.name == name) {
      return &section;
    }
  }
  return nullptr;
}

ElfView parse_elf(std::span<const std::uint8_t> bytes, const std::string& label) {
  const Reader reader(bytes, label);
  check_header(reader, bytes);
  ElfView view;
  view.label = label;
  read_sections(reader, reader.at<Elf64_Ehdr>(0, "the ELF header"), view);
  read_symbols(reader, view);
  read_relocations(reader, view);
  return view;
}

}  // namespace rxpool::bpf
