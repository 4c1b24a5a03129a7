#include "models/bpf/needs.hpp"

#include <set>

#include "models/bpf/helpers/table.hpp"

namespace rxpool::bpf {

Needs needs_of(const Object& object, const Program& program) {
  std::set<std::uint32_t> helpers;
  std::set<std::string> kfuncs;
  std::set<std::size_t> maps;
  Needs needs;
  for (std::size_t at = 0; at < program.insns.size(); ++at) {
    const Insn& insn = program.insns[at];
    const auto index = static_cast<std::size_t>(insn.imm);
    if (insn.opcode == op::lddw) {
      if ((insn.src == lddw_kind::map || insn.src == lddw_kind::map_value) && index < object.maps.size()) {
        maps.insert(index);
      }
      ++at;
    } else if (insn.opcode == op::call_insn && insn.src == call_kind::helper) {
      helpers.insert(static_cast<std::uint32_t>(insn.imm));
    } else if (insn.opcode == op::call_insn && insn.src == call_kind::kfunc && index < object.kfuncs.size()) {
      kfuncs.insert(object.kfuncs[index].name);
    }
    needs.calls_register |= insn.opcode == op::callx;
  }
  for (const std::uint32_t id : helpers) {
    needs.helpers.push_back(helper_name(id));
  }
  needs.kfuncs.assign(kfuncs.begin(), kfuncs.end());
  for (const std::size_t index : maps) {
    needs.maps.push_back(object.maps[index].name);
  }
  return needs;
}

const char* hook_name(Hook hook) {
  switch (hook) {
    case Hook::xdp:
      return "xdp";
    case Hook::xdp_devmap:
      return "xdp/devmap";
    case Hook::xdp_cpumap:
      return "xdp/cpumap";
    case Hook::rxpool_return:
      return "rxpool/return";
    case Hook::rxpool_egress:
      return "rxpool/egress";
  }
  return "?";
}

}  // namespace rxpool::bpf
