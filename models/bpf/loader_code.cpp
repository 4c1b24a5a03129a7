#include "models/bpf/loader_code.hpp"

#include <elf.h>

#include <algorithm>
#include <cstring>

#include "models/bpf/core_relo.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::uint32_t relocation_64_32 = 10;     // R_BPF_64_32: CALL
constexpr std::int32_t error_not_supported = -95;  // -EOPNOTSUPP
constexpr std::size_t max_source_text = 160;
constexpr Insn missing_kfunc{.opcode = op::alu64 | op::mov | op::imm, .dst = 0, .imm = error_not_supported};

bool is_code(const ElfSection& section) {
  return section.type == SHT_PROGBITS && section.executable() && section.size != 0;
}

}  // namespace

struct CodeReader::Linked {
  Program program;
  std::vector<std::pair<std::size_t, std::uint32_t>> origins;  // section and instruction, per instruction
  std::map<const ObjectFunction*, std::uint32_t> placed;
};

CodeReader::CodeReader(const ElfView& elf, const Btf& btf, const MapTable& maps, const LoadOptions& options)
    : elf_(elf), btf_(btf), maps_(maps), options_(options) {
  read_sections();
  read_functions();
  for (auto& [section, code] : code_) {
    relocate(section);
    find_local_calls(section);
  }
  if (const ElfSection* extension = elf.find(".BTF.ext"); extension != nullptr && !btf.empty()) {
    for (const BtfSectionExtension& entry : parse_btf_extension(extension->data, btf, elf.label)) {
      read_extension(entry);
    }
  }
}

void CodeReader::refuse(const std::string& why) const {
  throw InputError(elf_.label + ": " + why, ExitCode::policy_rejected);
}

std::string CodeReader::place(std::size_t section, std::uint32_t at) const {
  return elf_.sections[section].name + " instruction " + std::to_string(at);
}

void CodeReader::read_sections() {
  for (const ElfSection& section : elf_.sections) {
    if (!is_code(section)) {
      continue;
    }
    if (section.data.size() % sizeof(Insn) != 0) {
      refuse("section " + section.name + " is no whole number of instructions");
    }
    Code code;
    code.insns.resize(section.data.size() / sizeof(Insn));
    if (code.insns.size() > max_insns) {
      refuse("section " + section.name + " has more than a million instructions");
    }
    std::memcpy(static_cast<void*>(code.insns.data()), section.data.data(), section.data.size());
    code_.emplace(elf_.index_of(&section), std::move(code));
  }
}

void CodeReader::read_functions() {
  for (const ElfSymbol& symbol : elf_.symbols) {
    const auto code = code_.find(symbol.section);
    if (symbol.kind != SymbolKind::function || code == code_.end()) {
      continue;
    }
    if (symbol.size == 0 || symbol.value % sizeof(Insn) != 0 || symbol.size % sizeof(Insn) != 0) {
      refuse("function " + symbol.name + " is no whole number of instructions");
    }
    functions_.push_back({symbol.name, symbol.section, static_cast<std::uint32_t>(symbol.value / sizeof(Insn)),
                          static_cast<std::uint32_t>(symbol.size / sizeof(Insn)), symbol.global});
  }
  std::sort(functions_.begin(), functions_.end(), [](const ObjectFunction& a, const ObjectFunction& b) {
    return std::tie(a.section, a.first, a.name) < std::tie(b.section, b.first, b.name);
  });
  for (std::size_t i = 1; i < functions_.size(); ++i) {
    const ObjectFunction& before = functions_[i - 1];
    if (before.section == functions_[i].section && before.first + before.count > functions_[i].first) {
      refuse("functions " + before.name + " and " + functions_[i].name + " overlap");
    }
  }
}

void CodeReader::relocate(std::size_t section) {
  Code& code = code_.at(section);
  for (const ElfRelocation& relocation : elf_.relocations[section]) {
    const auto at = static_cast<std::uint32_t>(relocation.offset / sizeof(Insn));
    const ElfSymbol& symbol = elf_.symbols[relocation.symbol];
    if (relocation.offset % sizeof(Insn) != 0) {
      refuse(place(section, at) + ": relocation inside an instruction");
    }
    const std::uint8_t opcode = code.insns[at].opcode;
    if (relocation.type == relocation_64_64 && opcode == op::lddw && at + 1 < code.insns.size()) {
      relocate_load(section, at, symbol);
    } else if (relocation.type == relocation_64_32 && opcode == op::call_insn) {
      relocate_call(section, at, symbol);
    } else {
      refuse(place(section, at) + ": relocation of type " + std::to_string(relocation.type) + " to " + symbol.name +
             " cannot be applied to opcode " + std::to_string(opcode));
    }
  }
}

void CodeReader::relocate_load(std::size_t section, std::uint32_t at, const ElfSymbol& symbol) {
  Insn& insn = code_.at(section).insns[at];
  Insn& second = code_.at(section).insns[at + 1];
  if (symbol.section == SHN_UNDEF) {
    relocate_extern_address(section, at, symbol);
    return;
  }
  if (code_.contains(symbol.section)) {
    const std::int64_t bytes = static_cast<std::int64_t>(symbol.value) + insn.imm;
    if (bytes % static_cast<std::int64_t>(sizeof(Insn)) != 0) {
      refuse(place(section, at) + ": address inside an instruction");
    }
    insn.src = lddw_kind::function;
    code_.at(section).targets[at] = {symbol.section, bytes / static_cast<std::int64_t>(sizeof(Insn))};
    return;
  }
  for (std::size_t i = 0; i < maps_.places.size(); ++i) {
    const MapPlace& candidate = maps_.places[i];
    if (candidate.section != symbol.section) {
      continue;
    }
    const MapDefinition& map = maps_.maps[i];
    if (map.section != DataSection::none) {
      const std::int64_t offset = static_cast<std::int64_t>(symbol.value) + insn.imm;
      if (offset < 0 || offset > static_cast<std::int64_t>(map.value_size)) {
        refuse(place(section, at) + ": address outside " + map.name);
      }
      insn.src = lddw_kind::map_value;
      insn.imm = static_cast<std::int32_t>(i);
      second.imm = static_cast<std::int32_t>(offset);
      return;
    }
    if (candidate.offset == symbol.value && insn.imm == 0) {
      insn.src = lddw_kind::map;
      insn.imm = static_cast<std::int32_t>(i);
      second.imm = 0;
      return;
    }
  }
  refuse(place(section, at) + ": relocation to " + symbol.name + ", which is neither a map nor data nor code");
}

// The address of an extern: only "does this kfunc exist?" (bpf_ksym_exists) has an answer here.
void CodeReader::relocate_extern_address(std::size_t section, std::uint32_t at, const ElfSymbol& symbol) {
  const bool exists = options_.kfunc_exists && options_.kfunc_exists(symbol.name);
  if (!exists && !symbol.weak) {
    refuse(place(section, at) + ": address of extern " + symbol.name +
           "; kernel variables and .kconfig do not exist here");
  }
  Insn& insn = code_.at(section).insns[at];
  insn.src = lddw_kind::constant;
  insn.imm = exists ? 1 : 0;
  code_.at(section).insns[at + 1].imm = 0;
}

std::uint32_t CodeReader::kfunc_index(const ElfSymbol& symbol) {
  for (std::uint32_t i = 0; i < kfuncs_.size(); ++i) {
    if (kfuncs_[i].name == symbol.name) {
      return i;
    }
  }
  kfuncs_.push_back({symbol.name, symbol.weak});
  return static_cast<std::uint32_t>(kfuncs_.size() - 1);
}

void CodeReader::relocate_call(std::size_t section, std::uint32_t at, const ElfSymbol& symbol) {
  Insn& insn = code_.at(section).insns[at];
  if (symbol.section == SHN_UNDEF) {
    if (options_.kfunc_exists && options_.kfunc_exists(symbol.name)) {
      insn.src = call_kind::kfunc;
      insn.offset = 0;
      insn.imm = static_cast<std::int32_t>(kfunc_index(symbol));
    } else if (symbol.weak) {
      insn = missing_kfunc;
      notes_.push_back("kernel function " + symbol.name +
                       " does not exist here; as it is weak, calls return -EOPNOTSUPP");
    } else {
      refuse(place(section, at) + ": unknown kernel function " + symbol.name);
    }
    return;
  }
  insn.src = call_kind::local;
  code_.at(section).targets[at] = {symbol.section,
                                   static_cast<std::int64_t>(symbol.value / sizeof(Insn)) + insn.imm + 1};
}

// Calls within one section need no relocation: their distance is in the instruction.
void CodeReader::find_local_calls(std::size_t section) {
  Code& code = code_.at(section);
  for (std::uint32_t at = 0; at < code.insns.size(); ++at) {
    const Insn& insn = code.insns[at];
    if (insn.opcode == op::lddw) {
      if (insn.src == lddw_kind::function && !code.targets.contains(at)) {
        code.targets[at] = {section, std::int64_t{at} + 1 + insn.imm};
      }
      ++at;
    } else if (insn.opcode == op::call_insn && insn.src == call_kind::local && !code.targets.contains(at)) {
      code.targets[at] = {section, std::int64_t{at} + 1 + insn.imm};
    }
  }
}

void CodeReader::read_extension(const BtfSectionExtension& extension) {
  const ElfSection* section = elf_.find(extension.section);
  if (section == nullptr || !code_.contains(elf_.index_of(section))) {
    return;
  }
  const std::size_t index = elf_.index_of(section);
  Code& code = code_.at(index);
  std::map<std::uint32_t, const BtfLine*> lines;  // one per instruction, so that their number is bounded
  for (const BtfLine& line : extension.lines) {
    if (line.instruction < code.insns.size()) {
      lines[line.instruction] = &line;
    }
  }
  for (const auto& [insn, line] : lines) {
    code.lines.push_back({insn, btf_.string_at(line->file_name), line->line, line->column,
                          btf_.string_at(line->text).substr(0, max_source_text)});
  }
  for (const BtfCoreRelocation& relocation : extension.core_relocations) {
    const std::string where = elf_.label + ": " + place(index, relocation.instruction);
    if (relocation.instruction >= code.insns.size()) {
      refuse(place(index, relocation.instruction) + ": CO-RE record outside the section");
    }
    apply_core_relocation(btf_, relocation, code.insns, relocation.instruction, where);
  }
}

const ObjectFunction* CodeReader::function_at(const Target& target) const {
  const auto found = std::lower_bound(
      functions_.begin(), functions_.end(), target, [](const ObjectFunction& function, const Target& wanted) {
        return std::pair(function.section, std::int64_t{function.first}) < std::pair(wanted.section, wanted.insn);
      });
  const bool hit = found != functions_.end() && found->section == target.section && found->first == target.insn;
  return hit ? &*found : nullptr;
}

std::uint32_t CodeReader::append(Linked& linked, const ObjectFunction& function) const {
  const auto known = linked.placed.find(&function);
  if (known != linked.placed.end()) {
    return known->second;
  }
  const Code& code = code_.at(function.section);
  const auto first = static_cast<std::uint32_t>(linked.program.insns.size());
  if (first + function.count > max_insns) {
    refuse("program " + linked.program.name + " has more than a million instructions");
  }
  for (std::uint32_t i = 0; i < function.count; ++i) {
    linked.program.insns.push_back(code.insns[function.first + i]);
    linked.origins.emplace_back(function.section, function.first + i);
  }
  for (const LineInfo& line : code.lines) {
    if (line.insn >= function.first && line.insn < function.first + function.count) {
      linked.program.lines.push_back(line);
      linked.program.lines.back().insn = line.insn - function.first + first;
    }
  }
  linked.program.subprograms.push_back({function.name, first, function.count});
  linked.placed.emplace(&function, first);
  return first;
}

Program CodeReader::link(const ObjectFunction& entry) const {
  Linked linked;
  linked.program.name = entry.name;
  linked.program.section = elf_.sections[entry.section].name;
  append(linked, entry);
  for (std::uint32_t at = 0; at < linked.program.insns.size(); ++at) {
    const auto [section, original] = linked.origins[at];
    const auto& targets = code_.at(section).targets;
    const auto target = targets.find(original);
    if (target != targets.end()) {
      const ObjectFunction* callee = function_at(target->second);
      if (callee == nullptr) {
        refuse(place(section, original) + ": call to something that is not the start of a function");
      }
      const std::uint32_t first = append(linked, *callee);
      Insn& insn = linked.program.insns[at];
      insn.imm = insn.opcode == op::lddw ? static_cast<std::int32_t>(first)
                                         : static_cast<std::int32_t>(first) - static_cast<std::int32_t>(at) - 1;
    }
    if (linked.program.insns[at].opcode == op::lddw) {
      ++at;
    }
  }
  return std::move(linked.program);
}

}  // namespace rxpool::bpf
