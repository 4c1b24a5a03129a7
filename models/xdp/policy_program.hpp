#pragma once
// A policy object in a driver's XDP hook: puts each packet's bytes into the policy's box, runs the entry program at the
// instant the driver reaches the packet, and turns outcome and executed cost into verdict and CPU time; the return
// program likewise, when the packet's skb is freed, the egress program where a frame meets a transmit ring. One object
// serves all queues of its NIC; what the queues share through its maps couples their CPUs.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "models/bpf/policy.hpp"
#include "models/calibration/calibration.hpp"
#include "models/stack/return_hook.hpp"
#include "models/traffic/source.hpp"
#include "models/xdp/cpumap_program.hpp"
#include "models/xdp/egress_hook.hpp"
#include "models/xdp/kept_frames.hpp"
#include "models/xdp/policy_redirect.hpp"
#include "models/xdp/program.hpp"
#include "sim/random.hpp"

namespace rxpool {

struct PolicyProgramParams {
  std::string name;                  ///< component path, policies.<nic>: keys the random streams
  std::string file;                  ///< .bpf.o, or .bpf.c to be compiled
  std::string include_folder;        ///< of policy.bpf.h
  std::vector<std::uint8_t> object;  ///< instead of a file
  bpf::Params knobs;                 ///< const volatile variables
  /// Content of maps before the first packet: map, key, value, as bpf::parse_element reads them.
  std::map<std::string, std::map<std::string, std::string>> maps;
  std::vector<std::string> cpus{"cpu0"};  ///< of the host, in the order of their numbers
  std::uint32_t ifindex = 1;
  Interfaces interfaces;          ///< of the host, as devmap entries name them
  std::vector<std::string> xsks;  ///< AF_XDP sockets of the host, as xskmap entries name them
  std::uint32_t queues = 1;       ///< of its NIC
  std::uint64_t seed = 1;
  std::uint32_t replication = 0;
};

class PolicyProgram final : public XdpProgram, public ReturnHook, public EgressHook {
 public:
  /// `sources` indexed by Packet::source. Throws InputError (policy_rejected, bad_input).
  PolicyProgram(const PolicyProgramParams& params, const Calibration& calibration, std::vector<const Source*> sources);
  ~PolicyProgram() override;

  void run(std::span<const Packet> packets, std::uint16_t cpu, Time start, XdpLoop& loop) override;
  bool reads_packet() const override { return reads_packet_; }
  /// Do the programs of two CPUs meet in a map? Then these CPUs must take turns.
  bool shares_state() const override { return shares_state_; }

  bool has_return() const { return policy_->has(bpf::Hook::rxpool_return); }
  std::uint64_t cookie() const override;
  Time returned(const Packet& packet, std::uint64_t cookie, std::uint16_t cpu, Time now) override;
  bool has_egress() const { return policy_->has(bpf::Hook::rxpool_egress); }
  Verdict leaves(const Packet& packet, const Ring& ring, std::uint16_t cpu, Time start) override;
  /// The object's map of that name, if it has it.
  std::optional<bpf::MapAccess> map(const std::string& name) const;

  bpf::Policy& policy() { return *policy_; }
  PolicyRedirect& redirect() { return redirect_; }
  const PolicyRedirect& redirect() const { return redirect_; }
  /// Before time starts: room for frames on their way to programs of devmap entries.
  void prepare_devmap_programs(std::uint32_t targets);
  /// The program with that number in the object, of section xdp/cpumap.
  CpumapProgram& cpumap_program(std::int32_t index);

 private:
  class CpuRandom;
  class Feed;
  class Devmap;
  class Cpumap;
  /// A program is about to run on that CPU.
  void enter(std::uint16_t cpu);
  void load(const Packet& packet, Time at);
  XdpVerdict verdict_of(const Packet& packet, const bpf::Outcome& outcome);
  void clear_payload(std::size_t from, std::size_t to);

  std::unique_ptr<bpf::Policy> policy_;
  PolicyRedirect redirect_;
  std::vector<std::unique_ptr<Devmap>> devmap_programs_;
  std::vector<std::unique_ptr<Cpumap>> cpumap_programs_;
  std::unique_ptr<KeptFrames> kept_;  ///< null without such programs
  std::span<std::byte> room_;         ///< for the bytes of a packet
  std::vector<const Source*> sources_;
  std::vector<std::unique_ptr<CpuRandom>> random_;  ///< by CPU
  std::uint32_t ifindex_;
  std::uint32_t queues_;
  int entry_;
  bool reads_packet_;
  bool shares_state_;
};

}  // namespace rxpool
