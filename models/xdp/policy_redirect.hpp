#pragma once
// Where the XDP_REDIRECT of an eBPF policy leads: bpf_redirect to the device with that ifindex, bpf_redirect_map over a
// DEVMAP or DEVMAP_HASH to the device of the entry, or to all of them (XD-15, XD-23, XD-24), over a CPUMAP to the CPU
// of the entry (XD-30), over an XSKMAP to its AF_XDP socket (XD-41). Entries, devices and CPUs are fixed before time
// starts: only user space writes such maps.

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "models/bpf/maps/redirect_map.hpp"
#include "models/bpf/policy.hpp"
#include "models/xdp/device.hpp"
#include "models/xdp/program.hpp"

namespace rxpool {

/// Names of the host's devices and their ifindex.
using Interfaces = std::map<std::string, std::uint32_t>;

/// The value of a DEVMAP entry from `nic1`, its ifindex, or with the program of the entry `nic1,bpf_prog=name`. Throws
/// InputError with the error that the kernel gives for the entry.
bpf::Bytes devmap_value(const std::string& text, const bpf::Policy& policy, std::uint32_t value_size,
                        const Interfaces& interfaces, const std::string& what);

/// The value of a CPUMAP entry from `192`, its qsize, or with the program of the entry `192,bpf_prog=name`. Throws
/// InputError with the error that the kernel gives for the entry.
bpf::Bytes cpumap_value(const std::string& text, const bpf::Policy& policy, std::uint32_t value_size,
                        const std::string& what);

/// The value of an XSKMAP entry from the name of an AF_XDP socket: its number, from 1. Throws InputError.
bpf::Bytes xskmap_value(const std::string& text, const std::vector<std::string>& sockets, std::uint32_t value_size,
                        const std::string& what);

class PolicyRedirect {
 public:
  /// An entry of a CPUMAP.
  struct Cpu {
    std::uint32_t map = 0;      ///< number in the object
    std::uint32_t cpu = 0;      ///< key
    std::uint32_t qsize = 0;    ///< frames
    std::int32_t program = -1;  ///< number in the object; -1: none
  };
  /// `policy` with its maps filled.
  explicit PolicyRedirect(bpf::Policy& policy);

  /// Devices that it may send to, as far as they are known before time starts: those in its maps.
  std::set<std::uint32_t> devices_in_maps() const;
  /// Does it call bpf_redirect? Then any device may be meant.
  bool names_devices() const;
  bool has_devmap_programs() const { return policy_.has(bpf::Hook::xdp_devmap); }

  /// What an ifindex leads to; null: no device, or none that can be sent to.
  void set_device(std::uint32_t ifindex, const XdpDevice& device);
  void set_program(std::int32_t index, DevmapProgram& program);
  /// Entries of its cpumaps.
  std::vector<Cpu> cpus() const;
  void set_cpu(const Cpu& at, CpumapEntry& entry);

  /// The AF_XDP sockets that entries of its xskmaps count, in the same order.
  void add_xsk(Xsk& xsk) { xsks_.push_back(&xsk); }

  /// What the helper recorded, for a frame (length with FCS) that came in by `ingress_ifindex`. Nothing:
  /// xdp_do_redirect refuses. The result is valid until the next call.
  const XdpRedirection* resolve(const bpf::RedirectInfo& info, std::uint32_t frame_bytes,
                                std::uint32_t ingress_ifindex);

 private:
  const XdpDevice* device(std::uint32_t ifindex) const {
    return ifindex < devices_.size() ? devices_[ifindex] : nullptr;
  }
  DevmapProgram* program(std::int32_t index) const {
    return index < 0 || static_cast<std::size_t>(index) >= programs_.size()
               ? nullptr
               : programs_[static_cast<std::size_t>(index)];
  }
  CpumapEntry* cpu(std::uint32_t map, std::uint32_t key) const;
  bool add(std::uint32_t ifindex, std::int32_t program_index, std::uint32_t frame_bytes);
  void add_all(const bpf::RedirectInfo& info, std::uint32_t frame_bytes, std::uint32_t ingress_ifindex);

  bpf::Policy& policy_;
  std::vector<std::vector<bpf::RedirectMap::Entry>> entries_;  ///< by map, in the order of a broadcast
  std::vector<const XdpDevice*> devices_;                      ///< by ifindex
  std::vector<DevmapProgram*> programs_;                       ///< by number in the object
  std::vector<std::vector<CpumapEntry*>> cpus_;                ///< by map and key
  std::vector<Xsk*> xsks_;
  std::vector<XdpTarget> targets_;  ///< of the redirect at hand
  XdpRedirection redirection_;
};

}  // namespace rxpool
