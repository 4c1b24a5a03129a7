// From decoded operations to those of the interpreter.
#include <span>

#include "models/bpf/interpreter.hpp"

namespace rxpool::bpf {

namespace {

/// Index of the handler for the first of `ops`: of the first sequence that begins there, else its own.
std::size_t handler_index(std::span<const Op> ops, bool fuse) {
  const auto sequence = fuse ? sequence_at(ops) : Sequence::count;
  return sequence == Sequence::count ? static_cast<std::size_t>(ops[0].kind)
                                     : op_kinds + static_cast<std::size_t>(sequence);
}

}  // namespace

std::vector<ThreadedOp> thread_code(const Decoded& code, bool checked) {
  const HandlerTable handlers = handler_table(checked);
  std::vector<ThreadedOp> threaded;
  threaded.reserve(code.ops.size());
  for (std::size_t i = 0; i < code.ops.size(); ++i) {
    const Op& op = code.ops[i];
    ThreadedOp out;
    out.handler = handlers[handler_index(std::span(code.ops).subspan(i), !checked)];
    out.imm = op.imm;
    out.site = op.site;
    const std::uint32_t target = op.kind == OpKind::call_local ? code.functions[op.target].first_op : op.target;
    out.jump = static_cast<std::int32_t>(target - static_cast<std::uint32_t>(i));
    out.offset = op.offset;
    out.dst = op.dst;
    out.src = op.src;
    out.zeroed = static_cast<std::uint8_t>(op.zeroed);
    switch (op.kind) {
      case OpKind::account:
      case OpKind::account_check:
      case OpKind::account_ja:
      case OpKind::account_ja_check:
      case OpKind::exit:
        out.insns = op.booked.insns;
        out.imm = op.booked.helper_ps;
        break;
      case OpKind::load_packet8:
      case OpKind::load_packet16:
      case OpKind::load_packet32:
        // A load past the packet leaves the function: what is pending here is booked then.
        out.insns = code.pending[i].insns;
        out.helper_ps = code.pending[i].helper_ps;
        out.offset =
            static_cast<std::int16_t>(1 << (static_cast<int>(op.kind) - static_cast<int>(OpKind::load_packet8)));
        break;
      default:
        break;
    }
    threaded.push_back(out);
  }
  return threaded;
}

}  // namespace rxpool::bpf
