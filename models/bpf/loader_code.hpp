#pragma once
// Code of an object: instructions per section with relocations applied, functions found through the symbol table, and
// the linker that puts a program together with the subprograms it reaches (as libbpf does: static functions of its own
// section and global ones of .text are copied behind it, once each).

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/bpf/btf.hpp"
#include "models/bpf/loader.hpp"
#include "models/bpf/loader_elf.hpp"
#include "models/bpf/loader_maps.hpp"

namespace rxpool::bpf {

struct ObjectFunction {
  std::string name;
  std::size_t section = 0;
  std::uint32_t first = 0;  // instruction within the section
  std::uint32_t count = 0;
  bool global = false;
};

class CodeReader {
 public:
  CodeReader(const ElfView& elf, const Btf& btf, const MapTable& maps, const LoadOptions& options);

  const std::vector<ObjectFunction>& functions() const { return functions_; }
  const std::vector<Kfunc>& kfuncs() const { return kfuncs_; }
  const std::vector<std::string>& notes() const { return notes_; }

  /// The function and everything it calls, as one program (hook not set).
  Program link(const ObjectFunction& entry) const;

 private:
  struct Target {  // of a pseudo call or a function address
    std::size_t section = 0;
    std::int64_t insn = 0;
  };
  struct Code {
    std::vector<Insn> insns;
    std::map<std::uint32_t, Target> targets;  // by instruction
    std::vector<LineInfo> lines;
  };
  struct Linked;

  [[noreturn]] void refuse(const std::string& why) const;
  void read_sections();
  void read_functions();
  void relocate(std::size_t section);
  void relocate_load(std::size_t section, std::uint32_t at, const ElfSymbol& symbol);
  void relocate_call(std::size_t section, std::uint32_t at, const ElfSymbol& symbol);
  void relocate_extern_address(std::size_t section, std::uint32_t at, const ElfSymbol& symbol);
  void find_local_calls(std::size_t section);
  void read_extension(const BtfSectionExtension& extension);
  std::uint32_t kfunc_index(const ElfSymbol& symbol);
  std::uint32_t append(Linked& linked, const ObjectFunction& function) const;
  const ObjectFunction* function_at(const Target& target) const;
  std::string place(std::size_t section, std::uint32_t at) const;

  const ElfView& elf_;
  const Btf& btf_;
  const MapTable& maps_;
  const LoadOptions& options_;
  std::map<std::size_t, Code> code_;  // by ELF section
  std::vector<ObjectFunction> functions_;
  std::vector<Kfunc> kfuncs_;
  std::vector<std::string> notes_;
};

}  // namespace rxpool::bpf
