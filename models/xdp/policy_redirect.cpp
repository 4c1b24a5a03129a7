#include "models/xdp/policy_redirect.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>

#include "models/bpf/maps/redirect_map.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

std::uint32_t parse_interface(std::string_view text, const Interfaces& interfaces, const std::string& what) {
  if (const auto named = interfaces.find(std::string(text)); named != interfaces.end()) return named->second;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  std::string known;
  for (const auto& [name, ifindex] : interfaces) {
    if (whole && ifindex == number) return number;
    known += (known.empty() ? "" : ", ") + name + " (" + std::to_string(ifindex) + ")";
  }
  throw InputError(what + ": EINVAL: no NIC \"" + std::string(text) + "\"; there are " + known);
}

std::uint32_t parse_program(std::string_view name, const bpf::Policy& policy, bpf::Hook hook, const std::string& what) {
  const int index = policy.program_index(std::string(name));
  if (index < 0 || policy.object().programs[static_cast<std::size_t>(index)].hook != hook) {
    std::string known;
    for (const bpf::Program& program : policy.object().programs) {
      if (program.hook == hook) known += (known.empty() ? "" : ", ") + program.name;
    }
    throw InputError(what + ": EINVAL: \"" + std::string(name) + "\" is no program of section xdp/" +
                     (hook == bpf::Hook::xdp_devmap ? "devmap" : "cpumap") + "; the object has " +
                     (known.empty() ? "none" : known));
  }
  return static_cast<std::uint32_t>(index) + 1;  // as RedirectMap has it
}

/// A target and, behind a comma, the program of the entry.
struct EntryText {
  std::string_view target;
  std::string_view program;  ///< empty: none
};

EntryText split_entry(std::string_view text, std::uint32_t value_size, std::string_view type, const std::string& what) {
  constexpr std::string_view program_key = "bpf_prog=";
  const std::size_t comma = std::min(text.find(','), text.size());
  if (comma == text.size()) return {text, {}};
  const std::string_view rest = text.substr(comma + 1);
  if (!rest.starts_with(program_key)) {
    throw InputError(what + ": \"" + std::string(text) + "\": write the target alone, or with the entry's program as " +
                     std::string(text.substr(0, comma)) + ",bpf_prog=name");
  }
  if (value_size < 2 * sizeof(std::uint32_t)) {
    throw InputError(what + ": EINVAL: the values of this map have " + std::to_string(value_size) +
                     " bytes, without room for a program; declare them as struct " + std::string(type));
  }
  return {text.substr(0, comma), rest.substr(program_key.size())};
}

bpf::Bytes entry_value(std::uint32_t target, std::uint32_t program, std::uint32_t value_size) {
  const std::uint32_t fields[2] = {target, program};
  bpf::Bytes value(value_size);
  std::memcpy(value.data(), fields, std::min<std::size_t>(value_size, sizeof fields));
  return value;
}

}  // namespace

bpf::Bytes devmap_value(const std::string& text, const bpf::Policy& policy, std::uint32_t value_size,
                        const Interfaces& interfaces, const std::string& what) {
  const EntryText entry = split_entry(text, value_size, "bpf_devmap_val", what);
  const std::uint32_t ifindex = parse_interface(entry.target, interfaces, what);
  return entry_value(ifindex,
                     entry.program.empty() ? 0 : parse_program(entry.program, policy, bpf::Hook::xdp_devmap, what),
                     value_size);
}

bpf::Bytes cpumap_value(const std::string& text, const bpf::Policy& policy, std::uint32_t value_size,
                        const std::string& what) {
  const EntryText entry = split_entry(text, value_size, "bpf_cpumap_val", what);
  std::uint32_t qsize = 0;
  const auto [end, error] = std::from_chars(entry.target.data(), entry.target.data() + entry.target.size(), qsize);
  if (error != std::errc() || end != entry.target.data() + entry.target.size()) {
    throw InputError(what + ": \"" + text + "\": write the frames that the CPU's queue holds, 1 … 16384");
  }
  if (qsize > bpf::RedirectMap::max_queue) {
    throw InputError(what + ": EOVERFLOW: the queue of a cpumap entry holds at most 16384 frames");
  }
  if (qsize == 0) throw InputError(what + ": 0 deletes the entry of the map; leave it out or use 1 … 16384 frames");
  return entry_value(
      qsize, entry.program.empty() ? 0 : parse_program(entry.program, policy, bpf::Hook::xdp_cpumap, what), value_size);
}

bpf::Bytes xskmap_value(const std::string& text, const std::vector<std::string>& sockets, std::uint32_t value_size,
                        const std::string& what) {
  const auto found = std::find(sockets.begin(), sockets.end(), text);
  if (found == sockets.end()) {
    std::string known;
    for (const std::string& name : sockets) known += (known.empty() ? "" : ", ") + name;
    throw InputError(what + ": EOPNOTSUPP: \"" + text + "\" is no AF_XDP socket; " +
                     (known.empty() ? "add it to xsks" : "there are " + known));
  }
  return entry_value(static_cast<std::uint32_t>(found - sockets.begin()) + 1, 0, value_size);
}

PolicyRedirect::PolicyRedirect(bpf::Policy& policy)
    : policy_(policy), entries_(policy.object().maps.size()), cpus_(entries_.size()) {
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const bpf::Map& map = policy.map_at(i);
    if (is_device_map(map.type())) entries_[i] = static_cast<const bpf::RedirectMap&>(map).entries();
  }
  targets_.reserve(1);
}

std::vector<PolicyRedirect::Cpu> PolicyRedirect::cpus() const {
  std::vector<Cpu> all;
  for (std::uint32_t i = 0; i < entries_.size(); ++i) {
    const bpf::Map& map = policy_.map_at(i);
    if (map.type() != bpf::MapType::cpumap) continue;
    for (const bpf::RedirectMap::Entry& entry : static_cast<const bpf::RedirectMap&>(map).entries()) {
      all.push_back({i, entry.key, entry.target, entry.program});
    }
  }
  return all;
}

void PolicyRedirect::set_cpu(const Cpu& at, CpumapEntry& entry) {
  std::vector<CpumapEntry*>& keys = cpus_[at.map];
  keys.resize(std::max<std::size_t>(keys.size(), at.cpu + 1));
  keys[at.cpu] = &entry;
}

CpumapEntry* PolicyRedirect::cpu(std::uint32_t map, std::uint32_t key) const {
  return key < cpus_[map].size() ? cpus_[map][key] : nullptr;
}

std::set<std::uint32_t> PolicyRedirect::devices_in_maps() const {
  std::set<std::uint32_t> found;
  for (const auto& entries : entries_) {
    for (const bpf::RedirectMap::Entry& entry : entries) found.insert(entry.target);
  }
  return found;
}

bool PolicyRedirect::names_devices() const {
  constexpr std::int32_t redirect_helper = 23;
  return std::any_of(policy_.object().programs.begin(), policy_.object().programs.end(), [](const auto& program) {
    return std::any_of(program.insns.begin(), program.insns.end(), [](const bpf::Insn& insn) {
      return insn.opcode == bpf::op::call_insn && insn.src == bpf::call_kind::helper && insn.imm == redirect_helper;
    });
  });
}

void PolicyRedirect::set_device(std::uint32_t ifindex, const XdpDevice& device) {
  devices_.resize(std::max<std::size_t>(devices_.size(), ifindex + 1));
  devices_[ifindex] = &device;
  targets_.reserve(devices_.size());
}

void PolicyRedirect::set_program(std::int32_t index, DevmapProgram& program) {
  programs_.resize(std::max(programs_.size(), static_cast<std::size_t>(index) + 1));
  programs_[static_cast<std::size_t>(index)] = &program;
}

/// Is the device one that xdp_do_redirect takes? EINVAL, EOPNOTSUPP and EMSGSIZE otherwise.
bool PolicyRedirect::add(std::uint32_t ifindex, std::int32_t program_index, std::uint32_t frame_bytes) {
  const XdpDevice* const to = device(ifindex);
  if (to == nullptr || !to->fits(frame_bytes)) return false;
  targets_.push_back({to, program(program_index)});
  return true;
}

/// XD-24: entries that cannot be sent to are passed over.
void PolicyRedirect::add_all(const bpf::RedirectInfo& info, std::uint32_t frame_bytes, std::uint32_t ingress_ifindex) {
  const bool but_ingress = (info.flags & bpf::redirect_flag::exclude_ingress) != 0;
  for (const bpf::RedirectMap::Entry& entry : entries_[info.map - 1]) {
    if (but_ingress && entry.target == ingress_ifindex) continue;
    add(entry.target, entry.program, frame_bytes);
  }
}

const XdpRedirection* PolicyRedirect::resolve(const bpf::RedirectInfo& info, std::uint32_t frame_bytes,
                                              std::uint32_t ingress_ifindex) {
  targets_.clear();
  if (!info.pending) return nullptr;
  if (info.map == 0) {
    if (!add(info.ifindex_or_key, -1, frame_bytes)) return nullptr;
  } else {
    const bpf::Map& map = policy_.map_at(info.map - 1);
    if (map.type() == bpf::MapType::cpumap) {
      CpumapEntry* const entry = cpu(info.map - 1, info.ifindex_or_key);
      if (entry == nullptr) return nullptr;
      targets_.push_back({.cpu = entry});
    } else if (map.type() == bpf::MapType::xskmap) {
      const std::uint32_t socket = static_cast<const bpf::RedirectMap&>(map).target(info.ifindex_or_key);
      if (socket == 0) return nullptr;
      targets_.push_back({.xsk = xsks_[socket - 1]});
    } else if (!is_device_map(map.type())) {
      return nullptr;
    } else if ((info.flags & bpf::redirect_flag::broadcast) != 0) {
      add_all(info, frame_bytes, ingress_ifindex);
    } else {
      const auto& entries = static_cast<const bpf::RedirectMap&>(map);
      if (!add(entries.target(info.ifindex_or_key), entries.target_program(info.ifindex_or_key), frame_bytes)) {
        return nullptr;
      }
    }
  }
  redirection_.targets = targets_;
  return &redirection_;
}

}  // namespace rxpool
