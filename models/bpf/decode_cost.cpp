#include "models/bpf/decode_cost.hpp"

namespace rxpool::bpf {

namespace {

Pending difference(const Pending& a, const Pending& b) {
  return {a.insns - b.insns, a.helper_ps - b.helper_ps};
}

bool ends_path(std::uint8_t opcode) {
  return opcode == op::exit_insn || opcode == op::ja_insn || opcode == op::gotol;
}

/// Calls that leave for another function of ours; everything is booked before them.
bool books_before(const Insn& insn, const HelperTable& helpers) {
  if (insn.opcode != op::call_insn) {
    return false;
  }
  if (insn.src == call_kind::local) {
    return true;
  }
  const Helper* helper = helpers.find(static_cast<std::uint32_t>(insn.imm));
  return helper != nullptr && helper->intrinsic == Intrinsic::tail_call;
}

std::int64_t helper_cost(const Insn& insn, const HelperTable& helpers) {
  if (insn.opcode != op::call_insn || insn.src == call_kind::local) {
    return 0;
  }
  const Helper* helper = helpers.find(static_cast<std::uint32_t>(insn.imm));
  return helper == nullptr ? 0 : std::int64_t{helper->cost_ps};
}

}  // namespace

FunctionBody::FunctionBody(const Program& program, std::uint32_t begin, std::uint32_t end, const HelperTable& helpers)
    : program_(program),
      begin_(begin),
      end_(end),
      leaders_(end - begin, false),
      loop_heads_(end - begin, false),
      before_(end - begin),
      after_(end - begin) {
  find_leaders();
  lay_out(helpers);
}

std::uint32_t FunctionBody::branch_target(std::uint32_t insn) const {
  return insn + 1 + static_cast<std::uint32_t>(branch_distance(program_.insns[insn]));
}

void FunctionBody::find_leaders() {
  leaders_[0] = true;
  loop_heads_[0] = true;  // entered from outside with nothing pending
  std::vector<bool> starts(end_ - begin_, false);
  std::uint32_t last = begin_;
  for (std::uint32_t i = begin_; i < end_; i = next(i)) {
    starts[i - begin_] = true;
    last = i;
  }
  if (!ends_path(program_.insns[last].opcode)) {
    reject(program_, last, "execution would run past the end of the function");
  }
  for (std::uint32_t i = begin_; i < end_; i = next(i)) {
    if (!is_branch(program_.insns[i].opcode)) {
      continue;
    }
    const std::int64_t target = std::int64_t{i} + 1 + branch_distance(program_.insns[i]);
    if (target < begin_ || target >= end_) {
      reject(program_, i, "the jump leaves its function");
    }
    const auto at = static_cast<std::uint32_t>(target) - begin_;
    if (!starts[at]) {
      reject(program_, i, "the jump ends in the middle of a 64-bit load");
    }
    leaders_[at] = true;
    loop_heads_[at] = loop_heads_[at] || target <= i;
    if (next(i) < end_) {
      leaders_[next(i) - begin_] = true;
    }
  }
}

void FunctionBody::lay_out(const HelperTable& helpers) {
  std::vector<bool> known(end_ - begin_, false);  // leader whose `before` a forward path has set
  bool reached = false;                           // the instruction before falls through to this one
  Pending running;
  for (std::uint32_t i = begin_; i < end_; i = next(i)) {
    const std::uint32_t at = i - begin_;
    if (leaders_[at]) {
      // Falling through costs nothing; a join takes the amount of the path above it, or of its first jump.
      running = loop_heads_[at] ? Pending{} : reached ? running : known[at] ? before_[at] : Pending{};
      before_[at] = running;
    }
    const Insn& insn = program_.insns[i];
    running.insns += 1;
    running.helper_ps += helper_cost(insn, helpers);
    if (books_before(insn, helpers)) {
      running = {};
    }
    after_[at] = running;
    if (is_branch(insn.opcode)) {
      const std::uint32_t target = branch_target(i) - begin_;
      if (target > at && !known[target]) {
        known[target] = true;
        before_[target] = running;
      }
    }
    reached = !ends_path(insn.opcode);
  }
}

namespace {

/// Emits one function; branches carry instruction numbers as targets until `resolve`.
class Emitter {
 public:
  Emitter(const FunctionBody& body, InsnDecoder& decoder, Decoded& code)
      : body_(body), decoder_(decoder), code_(code), op_of_insn_(body.end() - body.begin(), 0) {}

  void emit_all() {
    for (std::uint32_t i = body_.begin(); i < body_.end(); i = body_.next(i)) {
      if (body_.is_leader(i)) {
        decoder_.r1_map = -1;
        enter(i);
      }
      op_of_insn_[i - body_.begin()] = size();
      emit(i);
      falls_from_ = i;
      falls_ = !ends_path(insn(i).opcode);
    }
    resolve();
  }

 private:
  struct Jump {
    std::uint32_t op;
    std::uint32_t insn;
  };

  const Insn& insn(std::uint32_t index) const { return body_.program().insns[index]; }
  std::uint32_t size() const { return static_cast<std::uint32_t>(code_.ops.size()); }

  void push(const Op& op, const Pending& pending) {
    code_.ops.push_back(op);
    code_.pending.push_back(pending);
  }

  /// Books what the instruction above leaves over what the leader expects.
  void enter(std::uint32_t leader) {
    if (!falls_) {
      return;
    }
    const Pending extra = difference(body_.after(falls_from_), body_.before(leader));
    if (extra.any()) {
      push({.kind = OpKind::account, .insn = falls_from_, .booked = extra}, {});
    }
  }

  void emit(std::uint32_t index) {
    std::optional<Op> op = decoder_.decode(index);
    if (!op.has_value()) {
      return;
    }
    const Pending& pending = body_.after(index);
    if (op->kind == OpKind::call_local || op->kind == OpKind::tail_call) {
      // What was pending before the call, the call itself and its helper's cost.
      Pending all = previous(index);
      all.insns += 1;
      all.helper_ps += helper_cost(insn(index), decoder_.helpers);
      push({.kind = OpKind::account_check, .insn = index, .booked = all}, {});
    }
    if (op->kind == OpKind::exit) {
      op->booked = pending;
    }
    if (is_branch(insn(index).opcode)) {
      const std::uint32_t target = body_.branch_target(index);
      const Pending extra = difference(pending, body_.before(target));
      const bool backward = target <= index;
      if (op->kind == OpKind::ja && (extra.any() || backward)) {
        op->kind = backward ? OpKind::account_ja_check : OpKind::account_ja;
        op->booked = extra;
      } else if (extra.any() || backward) {
        detours_.push_back({size(), index});
      }
      jumps_.push_back({size(), index});
    }
    push(*op, pending);
  }

  /// Pending just before an instruction that is no leader, or is one.
  Pending previous(std::uint32_t index) const {
    if (body_.is_leader(index)) {
      return body_.before(index);
    }
    // The slot before may be the second half of an LDDW.
    const std::uint32_t before = falls_from_;
    return body_.after(before);
  }

  void resolve() {
    for (const Jump& jump : jumps_) {
      code_.ops[jump.op].target = op_of_insn_[body_.branch_target(jump.insn) - body_.begin()];
    }
    // A conditional jump with something to book goes through a booking jump behind the function.
    for (const Jump& jump : detours_) {
      const std::uint32_t target = body_.branch_target(jump.insn);
      const std::uint32_t landing = code_.ops[jump.op].target;
      code_.ops[jump.op].target = size();
      push({.kind = target <= jump.insn ? OpKind::account_ja_check : OpKind::account_ja,
            .insn = jump.insn,
            .target = landing,
            .booked = difference(body_.after(jump.insn), body_.before(target))},
           {});
    }
  }

  const FunctionBody& body_;
  InsnDecoder& decoder_;
  Decoded& code_;
  std::vector<std::uint32_t> op_of_insn_;
  std::vector<Jump> jumps_;
  std::vector<Jump> detours_;
  std::uint32_t falls_from_ = 0;
  bool falls_ = false;
};

}  // namespace

void emit_function(const FunctionBody& body, InsnDecoder& decoder, Decoded& code) {
  Emitter(body, decoder, code).emit_all();
}

}  // namespace rxpool::bpf
