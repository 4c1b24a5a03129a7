#pragma once
// The front of the engine: takes the programs of one policy instance with its box, maps and helpers, decodes and (on
// x86-64) compiles them, and runs them one by one or a NAPI poll at a time. Three engines give the same r0, memory,
// executed instructions and cost for every program that stays inside its objects: the interpreter, compiled code, and
// the checked interpreter, which also stops at an access that leaves its object and names the instruction. A run that
// faults, spends its fuel or nests too deep ends as XDP_ABORTED; the process goes on. Thread rule: one Vm is used by
// one thread at a time; different Vms are independent. One Vm per Box.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/bpf/helper.hpp"
#include "models/bpf/map.hpp"
#include "models/bpf/program.hpp"
#include "models/bpf/runtime.hpp"

namespace rxpool::bpf {

struct VmState;  // vm_state.hpp

enum class Engine : std::uint8_t { interpreter, checked, jit };

/// True where compiled code exists (x86-64); elsewhere Engine::jit runs the interpreter.
bool jit_available();

struct VmOptions {
  Engine engine = Engine::jit;
  CostTable cost;
  /// Instructions one run may execute; looked at on backward jumps and calls. 1 … 2^31 - 1.
  std::int64_t fuel = 1'000'000;
};

/// Who has packets run one by one, each prepared when the one before has run.
class PacketFeed {
 public:
  virtual ~PacketFeed() = default;
  /// The packet at hand has run. True: the next one lies in its place.
  virtual bool ran(const Outcome& outcome) = 0;
};

class Vm {
 public:
  /// `maps` are indexed by the imm of LDDW map references and must outlive the Vm, as must box and helpers. Throws
  /// InputError (policy_rejected) naming program and instruction for bytecode that cannot be executed: bad encodings, a
  /// jump or call outside its function, an unknown helper.
  Vm(Box& box, std::vector<Program> programs, std::vector<Map*> maps, const HelperTable& helpers, VmOptions options);
  ~Vm();
  Vm(const Vm&) = delete;
  Vm& operator=(const Vm&) = delete;

  Runtime& runtime() { return *runtime_; }
  const Runtime& runtime() const { return *runtime_; }
  std::span<const Program> programs() const;
  Engine engine() const;

  /// One run with r1 (a context) and r2; the clock advances by its cost.
  Outcome run(std::uint32_t program, BoxOffset r1, std::uint64_t r2 = 0);
  /// One run per packet, r1 = its context; `outcomes` has an element per packet. Nothing here allocates or throws.
  void run_batch(std::uint32_t program, std::span<PacketView> packets, std::span<Outcome> outcomes);
  /// One run after the other, all of the packet in `view`, as long as the feed has more.
  void run_while(std::uint32_t program, PacketView& view, PacketFeed& feed);
  /// A callback of a program as a run of its own (timers). `function` is the value of an LDDW with src 4.
  Outcome run_function(std::uint64_t function, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3);

  /// Runs that ended as `reason` since construction.
  std::uint64_t aborts(Abort reason) const;
  /// The last aborted run: reason, address, instruction, source line where known, disassembly around it; empty if none.
  std::string last_abort() const;

 private:
  std::unique_ptr<VmState> state_;
  Runtime* runtime_;  ///< in the box
};

}  // namespace rxpool::bpf
