#pragma once
// One forward pass over a program: what every register and stack slot holds before each instruction, joined where paths
// meet, until nothing changes (the lattice is a few steps high, so each instruction is visited a few times). Functions
// are visited callers first, each with the arguments of all its call sites joined; what a function gives back is taken
// as anything.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "models/bpf/checks/call_graph.hpp"
#include "models/bpf/checks/value.hpp"
#include "models/bpf/helper.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf::checks {

struct Complaint {
  std::uint32_t insn = 0;
  std::string what;
  State state;  // before the instruction
};

class Dataflow {
 public:
  Dataflow(const Object& object, const Program& program, const CallGraph& graph, const HelperTable& helpers);

  /// False and a complaint at the first instruction that is wrong on every reading.
  bool run(Complaint& complaint);
  /// Bytes of stack that each function uses.
  const std::vector<std::uint32_t>& stack() const { return stack_; }
  /// Instructions where only path-sensitive knowledge could tell whether they are right, with the reason.
  const std::map<std::uint32_t, std::string>& remarks() const { return remarks_; }

 private:
  struct Wrong {
    std::string what;
  };
  struct Access {
    const Value& base;
    unsigned reg;
    std::int64_t offset;
    unsigned bytes;
    bool write;
  };

  void visit_function(std::uint32_t index, Complaint& complaint);
  void flow_to(std::uint32_t target, const State& state);
  std::optional<std::uint32_t> step(std::uint32_t at, State& state);
  void alu(const Insn& insn, State& state) const;
  Value pointer_plus(const Value& pointer, const Value& delta, bool subtract, unsigned reg) const;
  void load(const Insn& insn, State& state, std::uint32_t at);
  void store(const Insn& insn, State& state, std::uint32_t at);
  void atomic(const Insn& insn, State& state, std::uint32_t at);
  void legacy_load(const Insn& insn, State& state) const;
  void load_constant(const Insn& insn, State& state);
  void branch(const Insn& insn, State& state, std::uint32_t at);
  void check_access(const Access& access, std::uint32_t at);
  void check_context(const Access& access, Value* loaded) const;
  void touch_frame(const Value& base, std::int64_t offset, unsigned bytes);
  Value* slot_of(State& state, const Value& base, std::int64_t offset) const;
  void forget_slots(State& state, const Value& base, std::int64_t offset, std::uint64_t bytes) const;

  // helper_call.cpp
  void call_helper(const Insn& insn, State& state, std::uint32_t at);
  void call_local(std::uint32_t at, State& state);
  void check_argument(const Helper& helper, std::size_t index, const Insn& insn, const State& state,
                      const MapDefinition*& map, std::uint32_t at);
  void after_arguments(const Helper& helper, State& state, const MapDefinition* map);
  Value result_of(const Helper& helper, const MapDefinition* map, std::uint32_t at) const;
  void enter_function(std::uint32_t callee, const State& arguments, bool callback);

  void need_initialised(const State& state, unsigned reg) const;
  void remark(std::uint32_t at, std::string what) { remarks_.emplace(at, std::move(what)); }

  const Object& object_;
  const Program& program_;
  const CallGraph& graph_;
  const HelperTable& helpers_;
  std::map<std::uint32_t, State> joined_;  // state before instructions where paths meet
  std::set<std::uint32_t> open_;
  std::vector<bool> targets_;  // instructions that a jump leads to
  std::vector<State> entries_;
  std::vector<bool> entered_;
  std::vector<std::uint32_t> stack_;
  std::uint32_t function_ = 0;
  std::map<std::uint32_t, std::string> remarks_;
};

}  // namespace rxpool::bpf::checks
