#pragma once
// `policies.<nic>`: the XDP program of a NIC and the values of its `const volatile` variables. A plain string is the
// program. Built in are `none`, `pass`, `drop`, `tx` (swaps the addresses and sends back), `redirect` (the same, out of
// the NIC that `params.to` names, or to the CPUs that `params.cpu` names) and `xsk_def_prog` (libxdp's: to the AF_XDP
// socket of the packet's queue, on to the stack where there is none).

#include <map>
#include <memory>
#include <string>

#include "models/scenario/field.hpp"
#include "models/xdp/given_policy.hpp"

namespace rxpool::scenario {

/// `policies.<nic>.maps.<map>`: what a map holds before the first packet.
struct MapContentParams {
  std::map<std::string, ParamValue> entries;
};

inline void fields(FieldVisitor& v, MapContentParams& p) {
  v.values("entries", p.entries,
           "Keys and their values, written before the first packet (per-CPU maps: for every CPU). A number, fields as "
           "`source=10.0.0.1,port=53`, or bytes as `hex:0a000001`.");
}

/// `policies.<nic>.scaling`: an agent that takes and rests the CPUs of a redirect (CT-60 to CT-62).
struct ScalingParams {
  double period_ms = 0;
  double high = 0.9;
  double low = 0.7;
  std::uint32_t patience = 5;
  std::uint32_t start = 1;
};

inline void fields(FieldVisitor& v, ScalingParams& p) {
  v.number("period_ms", p.period_ms, time_ms(), "Period of its looks; 0: no agent, all CPUs are in use.");
  v.number("high", p.high, {0, 1}, "Busy share of the CPUs in use above which one more is taken.");
  v.number("low", p.low, {0, 1}, "Busy share that one less would have, below which one is rested.");
  v.number("patience", p.patience, {1, 1e6, "looks"}, "Looks in a row that find one less enough before it is rested.");
  v.number("start", p.start, {1, 1024, "CPUs"}, "CPUs in use at the start.");
}

struct PolicyParams {
  std::string program = "none";
  std::map<std::string, ParamValue> params;
  ScalingParams scaling;
  Named<MapContentParams> maps;
  std::string file;                          ///< the program's file as found, empty for the built-in ones; not a key
  std::string include_folder;                ///< where policy.bpf.h is, for a program to be compiled; not a key
  std::shared_ptr<const GivenPolicy> given;  ///< what the caller brought along under the program's name; not a key
};

inline void fields(FieldVisitor& v, PolicyParams& p) {
  v.text("program", p.program,
         "`none`, `pass`, `drop`, `tx`, `redirect`, `xsk_def_prog` (to the AF_XDP socket of the queue), a shipped "
         "policy's "
         "name, a `.bpf.c` or `.bpf.o` file, or, from Python, `module:function`.");
  v.values(
      "params", p.params,
      "Values of the program's `const volatile` variables. Of `redirect`: a NIC in `to`, or, as xdp-bench names "
      "them, `cpu` (\"cpu1, cpu2\"), `qsize` (2048), `program_mode` (`l4-hash`, `round-robin`) and `remote_action` "
      "(`disabled`, `pass`, `drop`: the program on the remote CPU).");
  v.when(p.program == "redirect" && p.params.contains("cpu"), "program redirects to CPUs",
         [&] { v.object("scaling", p.scaling, "An agent that takes and rests CPUs of the redirect by their load."); });
  v.children("maps", p.maps, "Initial content of the program's maps, by the map's name.");
}

}  // namespace rxpool::scenario
