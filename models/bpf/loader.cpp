#include "models/bpf/loader.hpp"

#include <linux/bpf.h>

#include <algorithm>
#include <fstream>
#include <optional>

#include "models/bpf/btf.hpp"
#include "models/bpf/loader_child.hpp"
#include "models/bpf/loader_code.hpp"
#include "models/bpf/loader_elf.hpp"
#include "models/bpf/loader_maps.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t max_programs = 256;
constexpr std::size_t max_linked_insns = 1'000'000;  // of all programs together, subprograms copied into each

std::string without_mark(const std::string& section) {
  return !section.empty() && section[0] == '?' ? section.substr(1) : section;
}

std::optional<Hook> hook_of(const std::string& section) {
  static const std::pair<const char*, Hook> hooks[] = {
      {"xdp", Hook::xdp},
      {"xdp.frags", Hook::xdp},
      {"xdp/devmap", Hook::xdp_devmap},
      {"xdp.frags/devmap", Hook::xdp_devmap},
      {"xdp/cpumap", Hook::xdp_cpumap},
      {"xdp.frags/cpumap", Hook::xdp_cpumap},
      {"rxpool/return", Hook::rxpool_return},
      {"rxpool/egress", Hook::rxpool_egress},
  };
  for (const auto& [name, hook] : hooks) {
    if (section == name) {
      return hook;
    }
  }
  return std::nullopt;
}

bool is_entry(const ElfView& elf, const ObjectFunction& function) {
  return function.global && elf.sections[function.section].name != ".text";
}

void read_programs(const ElfView& elf, const CodeReader& code, Object& object) {
  std::size_t instructions = 0;
  for (const ObjectFunction& function : code.functions()) {
    if (!is_entry(elf, function)) {
      continue;
    }
    const std::string section = without_mark(elf.sections[function.section].name);
    const auto hook = hook_of(section);
    if (!hook) {
      object.notes.push_back("program " + function.name + " in section " + section + ": no such hook here, left out");
      continue;
    }
    Program program = code.link(function);
    program.section = section;
    program.hook = *hook;
    instructions += program.insns.size();
    object.programs.push_back(std::move(program));
    if (object.programs.size() > max_programs || instructions > max_linked_insns) {
      throw InputError(object.label + ": too many programs or instructions", ExitCode::policy_rejected);
    }
  }
  if (object.programs.empty()) {
    throw InputError(object.label +
                         ": no program for a hook that exists here (xdp, xdp/devmap, xdp/cpumap, ?rxpool/return, "
                         "?rxpool/egress)",
                     ExitCode::policy_rejected);
  }
}

std::string read_license(const ElfView& elf) {
  const ElfSection* section = elf.find("license");
  if (section == nullptr) {
    return "";
  }
  const auto end = std::find(section->data.begin(), section->data.end(), std::uint8_t{0});
  return std::string(section->data.begin(), end);
}

void check_initial_values(const Object& object) {
  for (const MapDefinition& map : object.maps) {
    for (const MapInitialEntry& entry : map.initial) {
      const bool found = map.type == BPF_MAP_TYPE_PROG_ARRAY ? object.find_program(entry.target) != nullptr
                                                             : object.map_index(entry.target) >= 0;
      if (!found || entry.index >= map.max_entries) {
        throw InputError(object.label + ": map " + map.name + " starts with " + entry.target + " at " +
                             std::to_string(entry.index) + ", which does not exist or does not fit",
                         ExitCode::policy_rejected);
      }
    }
  }
}

void compare_with_libbpf(std::span<const std::uint8_t> bytes, const ElfView& elf, const CodeReader& code,
                         const Object& object) {
  std::vector<std::string> lines;
  for (const MapDefinition& map : object.maps) {
    if (map.section == DataSection::none) {
      lines.push_back(inventory_line(map.name, map.type, map.key_size, map.value_size, map.max_entries, map.flags));
    }
  }
  for (const ObjectFunction& function : code.functions()) {
    if (is_entry(elf, function)) {
      lines.push_back(inventory_line(without_mark(elf.sections[function.section].name), function.name, function.count));
    }
  }
  const std::string ours = join_inventory(std::move(lines));
  const std::string theirs = libbpf_inventory(bytes, object.label);
  if (ours != theirs) {
    const auto differ = std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end());
    const auto line_at = [](const std::string& text, std::string::const_iterator at) {
      const auto position = static_cast<std::size_t>(at - text.begin());
      const auto begin = position == 0 ? 0 : text.rfind('\n', position - 1) + 1;
      return text.substr(begin, text.find('\n', begin) - begin);
    };
    throw InputError(object.label + ": libbpf reads \"" + line_at(theirs, differ.second) + "\" where we read \"" +
                         line_at(ours, differ.first) + "\"",
                     ExitCode::policy_rejected);
  }
}

}  // namespace

Object load_object(std::span<const std::uint8_t> bytes, const std::string& label, const LoadOptions& options) {
  const ElfView elf = parse_elf(bytes, label);
  const ElfSection* btf_section = elf.find(".BTF");
  const Btf btf = btf_section == nullptr ? Btf() : Btf::parse(btf_section->data, label);
  MapTable maps = read_maps(elf, btf);
  const CodeReader code(elf, btf, maps, options);

  Object object;
  object.label = label;
  object.license = read_license(elf);
  object.notes = std::move(maps.notes);
  object.notes.insert(object.notes.end(), code.notes().begin(), code.notes().end());
  object.kfuncs = code.kfuncs();
  object.maps = std::move(maps.maps);
  read_programs(elf, code, object);
  check_initial_values(object);
  if (options.ask_libbpf) {
    compare_with_libbpf(bytes, elf, code, object);
  }
  return object;
}

Object load_object_file(const std::string& path, const LoadOptions& options) {
  const std::string label = path.substr(path.find_last_of('/') + 1);
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) {
    throw InputError(path + ": cannot be read");
  }
  const auto size = static_cast<std::uint64_t>(file.tellg());
  if (size > max_object_bytes) {
    throw InputError(label + ": too large: " + std::to_string(size) + " bytes, at most 16 MiB",
                     ExitCode::policy_rejected);
  }
  std::vector<std::uint8_t> bytes(size);
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size));
  if (!file && size != 0) {
    throw InputError(path + ": cannot be read");
  }
  return load_object(bytes, label, options);
}

}  // namespace rxpool::bpf
