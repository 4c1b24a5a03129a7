#include "models/bpf/interpreter.hpp"

#include <cstring>
#include <span>

#include "models/bpf/semantics.hpp"
#include "models/bpf/sequences.hpp"
#include "models/bpf/vm_state.hpp"

// Labels as values: the one extension that makes direct threading possible; gcc and clang have it.
#pragma GCC diagnostic ignored "-Wpedantic"

namespace rxpool::bpf {

namespace {

/// Values that outlive a call of a BPF function: where to go on, and the registers it must not change.
struct SavedFrame {
  const ThreadedOp* resume;
  std::uint64_t r6, r7, r8, r9;
};

constexpr auto op_kinds = static_cast<std::size_t>(OpKind::count);
using HandlerTable = std::array<const void*, op_kinds + static_cast<std::size_t>(Sequence::count)>;

#define NEXT goto * (++ip)->handler
#define GO(distance)    \
  do {                  \
    ip += (distance);   \
    goto * ip->handler; \
  } while (false)
#define DST r[ip->dst]
#define SRC r[ip->src]
#define IMM static_cast<std::uint64_t>(ip->imm)
#define W(value) static_cast<std::uint32_t>(value)
/// Offset of an access in the box; `reach` marks the operation as the one that may fault.
#define ADDRESS(reg) (static_cast<std::int64_t>(W(r[reg])) + ip->offset)
#define REACH(address, bytes, write)                          \
  execution.position = ip;                                    \
  if constexpr (checked) {                                    \
    check_access(*state, (address), (bytes), (write), frame); \
  }
#define BOOK()                      \
  execution.fuel_left -= ip->insns; \
  execution.helper_ps += ip->imm
#define OUT_OF_FUEL()                         \
  if (execution.fuel_left < 0) [[unlikely]] { \
    execution.position = ip;                  \
    runtime.abort(Abort::fuel);               \
  }
#define ZERO(call)                                      \
  if ((call)->zeroed != 0) [[unlikely]] {               \
    for (unsigned n = 1; n <= 5; ++n) {                 \
      r[n] = ((call)->zeroed >> n & 1) != 0 ? 0 : r[n]; \
    }                                                   \
  }

template <class T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store(std::byte* at, std::uint64_t value) {
  const T narrow = static_cast<T>(value);
  std::memcpy(at, &narrow, sizeof narrow);
}

/// Keeps the compiler from loading arguments two at a time right behind their stores, which stalls the load.
std::uint64_t one_word(std::uint64_t value) {
  asm("" : "+r"(value));
  return value;
}

/// The whole machine. With a null state it only hands out its handlers.
template <bool checked>
std::uint64_t execute(VmState* state, const ThreadedOp* ip, const std::uint64_t* arguments, BoxOffset frame,
                      HandlerTable* table) {
  static const HandlerTable handlers = {
#define X(name) &&name##64_imm, &&name##64_reg, &&name##32_imm, &&name##32_reg,
      RXPOOL_BPF_ALU(X) RXPOOL_BPF_COND(X)
#undef X
#define X(name) &&name,
          RXPOOL_BPF_UNARY(X) RXPOOL_BPF_MEMORY(X)
#undef X
#define X(name) &&atomic_##name##32, &&atomic_##name##64, &&fetch_##name##32, &&fetch_##name##64,
              RXPOOL_BPF_ATOMIC(X)
#undef X
#define X(name) &&name,
                  RXPOOL_BPF_OTHER(X)
#undef X
#define X2(a, b) &&a##_##b,
#define X3(a, b, c) &&a##_##b##_##c,
#define X4(a, b, c, d) &&a##_##b##_##c##_##d,
                      RXPOOL_BPF_SEQUENCES(X2, X3, X4)
#undef X2
#undef X3
#undef X4
  };
  if (table != nullptr) {
    *table = handlers;
    return 0;
  }
  Runtime& runtime = *state->runtime;
  Execution& execution = runtime.execution;
  std::byte* const base = state->box.base();
  std::uint64_t r[register_count] = {0, one_word(arguments[0]), one_word(arguments[1])};
  r[3] = arguments[2];
  r[4] = arguments[3];
  r[5] = arguments[4];
  r[frame_register] = frame;
  SavedFrame saved[max_call_depth];
  SavedFrame* caller = saved;
  goto * ip->handler;

#define X(name)                                                            \
  name##64_imm : DST = semantics::name<std::uint64_t>(DST, IMM);           \
  NEXT;                                                                    \
  name##64_reg : DST = semantics::name<std::uint64_t>(DST, SRC);           \
  NEXT;                                                                    \
  name##32_imm : DST = semantics::name<std::uint32_t>(W(DST), W(ip->imm)); \
  NEXT;                                                                    \
  name##32_reg : DST = semantics::name<std::uint32_t>(W(DST), W(SRC));     \
  NEXT;
  RXPOOL_BPF_ALU(X)
#undef X

#define JUMP_IF(condition) \
  if (condition) {         \
    GO(ip->jump);          \
  }                        \
  NEXT
#define X(name)                                                               \
  name##64_imm : JUMP_IF(semantics::name<std::uint64_t>(DST, IMM));           \
  name##64_reg : JUMP_IF(semantics::name<std::uint64_t>(DST, SRC));           \
  name##32_imm : JUMP_IF(semantics::name<std::uint32_t>(W(DST), W(ip->imm))); \
  name##32_reg : JUMP_IF(semantics::name<std::uint32_t>(W(DST), W(SRC)));
  RXPOOL_BPF_COND(X)
#undef X

#define X(name)               \
  name:                       \
  DST = semantics::name(SRC); \
  NEXT;
  RXPOOL_BPF_UNARY(X)
#undef X

#define LOAD(name, type)                                                                     \
  name: {                                                                                    \
    const std::int64_t address = ADDRESS(ip->src);                                           \
    REACH(address, sizeof(type), false)                                                      \
    DST = static_cast<std::uint64_t>(static_cast<std::int64_t>(load<type>(base + address))); \
  }                                                                                          \
  NEXT;
  LOAD(load8, std::uint8_t)
  LOAD(load16, std::uint16_t)
  LOAD(load32, std::uint32_t)
  LOAD(load64, std::uint64_t)
  LOAD(loads8, std::int8_t)
  LOAD(loads16, std::int16_t)
  LOAD(loads32, std::int32_t)

#define STORE(name, type, value)                   \
  name: {                                          \
    const std::int64_t address = ADDRESS(ip->dst); \
    REACH(address, sizeof(type), true)             \
    store<type>(base + address, value);            \
  }                                                \
  NEXT;
  STORE(store8_imm, std::uint8_t, IMM)
  STORE(store16_imm, std::uint16_t, IMM)
  STORE(store32_imm, std::uint32_t, IMM)
  STORE(store64_imm, std::uint64_t, IMM)
  STORE(store8_reg, std::uint8_t, SRC)
  STORE(store16_reg, std::uint16_t, SRC)
  STORE(store32_reg, std::uint32_t, SRC)
  STORE(store64_reg, std::uint64_t, SRC)

  // One thread runs a box, so a plain read-modify-write is atomic.
#define MODIFY(label, type, change, result)        \
  label: {                                         \
    const std::int64_t address = ADDRESS(ip->dst); \
    REACH(address, sizeof(type), true)             \
    const type old = load<type>(base + address);   \
    store<type>(base + address, (change));         \
    result;                                        \
  }                                                \
  NEXT;
#define X(name)                                                                                    \
  MODIFY(atomic_##name##32, std::uint32_t, semantics::name<std::uint32_t>(old, W(SRC)), (void)old) \
  MODIFY(atomic_##name##64, std::uint64_t, semantics::name<std::uint64_t>(old, SRC), (void)old)    \
  MODIFY(fetch_##name##32, std::uint32_t, semantics::name<std::uint32_t>(old, W(SRC)), SRC = old)  \
  MODIFY(fetch_##name##64, std::uint64_t, semantics::name<std::uint64_t>(old, SRC), SRC = old)
  RXPOOL_BPF_ATOMIC(X)
#undef X
  MODIFY(xchg32, std::uint32_t, SRC, SRC = old)
  MODIFY(xchg64, std::uint64_t, SRC, SRC = old)
  MODIFY(cmpxchg32, std::uint32_t, old == W(r[0]) ? SRC : old, r[0] = old)
  MODIFY(cmpxchg64, std::uint64_t, old == r[0] ? SRC : old, r[0] = old)

load_packet8:
load_packet16:
load_packet32: {
  execution.position = ip;
  const std::uint64_t position = W(W(ip->imm) + (ip->dst != 0 ? W(SRC) : 0));
  r[0] = calls::load_packet(runtime, r[6], position, static_cast<std::uint64_t>(ip->offset));
  ZERO(ip)
  if (r[0] != calls::packet_end) {
    NEXT;
  }
  r[0] = 0;
  execution.fuel_left -= ip->insns;
  execution.helper_ps += ip->helper_ps;
  goto leave;
}

lddw:
  DST = IMM;
  NEXT;
ja:
  GO(ip->jump);
account:
  BOOK();
  NEXT;
account_check:
  BOOK();
  OUT_OF_FUEL();
  NEXT;
account_ja:
  BOOK();
  GO(ip->jump);
account_ja_check:
  BOOK();
  OUT_OF_FUEL();
  GO(ip->jump);

call_helper:
  execution.position = ip;
  execution.frame = frame;
  r[0] = ip->site->fn(runtime, r[1], r[2], r[3], r[4], r[5]);
  ZERO(ip)
  NEXT;
#define CALL_ARRAY                                                                                                    \
  REACH(W(r[2]), sizeof(std::uint32_t), false)                                                                        \
  const ArrayLayout& array = ip->site->array;                                                                         \
  const auto index = load<std::uint32_t>(base + W(r[2]));                                                             \
  r[0] = index < array.max_entries ? W(array.base + runtime.cpu * array.cpu_stride + index * array.value_stride) : 0; \
  ZERO(ip)
call_array: {
  CALL_ARRAY
  NEXT;
}
call_lookup:
  REACH(W(r[2]), ip->site->map->info().key_size, false)
  r[0] = ip->site->lookup(runtime, *ip->site->map, base + W(r[2]));
  ZERO(ip)
  NEXT;
call_ktime:
  r[0] = runtime.now_ns();
  ZERO(ip)
  NEXT;
call_cpu:
  r[0] = runtime.cpu;
  ZERO(ip)
  NEXT;
call_numa:
  r[0] = runtime.numa_node;
  ZERO(ip)
  NEXT;
call_register:
  execution.position = ip;
  execution.frame = frame;
  execution.call_register = SRC;
  r[0] = calls::call_register(runtime, r[1], r[2], r[3], r[4], r[5]);
  ZERO(ip)
  NEXT;
call_local:
  execution.position = ip;
  if (frame < state->stack_begin + 2 * frame_bytes) [[unlikely]] {
    runtime.abort(Abort::call_depth);
  }
  *caller++ = {ip, r[6], r[7], r[8], r[9]};
  frame -= frame_bytes;
  r[frame_register] = frame;
  GO(ip->jump);
tail_call: {
  execution.position = ip;
  const std::int64_t program = calls::tail_call(runtime, r[1], r[2], r[3]);
  if (program < 0) {
    r[0] = 0;
    ZERO(ip)
    NEXT;
  }
  const std::uint64_t context = W(r[1]);
  std::memset(r, 0, frame_register * sizeof r[0]);
  r[1] = context;
  const Decoded& code = state->code;
  ip = state->threaded.data() + code.functions[code.program_entry[static_cast<std::size_t>(program)]].first_op;
  goto * ip->handler;
}

// What an operation of a sequence does; a jump that is taken ends it.
#define DO_ALU(width, name, operand)                                                  \
  DST = semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(DST), \
                                              static_cast<std::uint##width##_t>(operand))
#define DO_LOAD(bits)      \
  execution.position = ip; \
  DST = load<std::uint##bits##_t>(base + ADDRESS(ip->src))
#define DO_STORE(bits)     \
  execution.position = ip; \
  store<std::uint##bits##_t>(base + ADDRESS(ip->dst), SRC)
#define DO_JUMP(width, name, operand)                                                      \
  if (semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(DST),        \
                                            static_cast<std::uint##width##_t>(operand))) { \
    GO(ip->jump);                                                                          \
  }
#define DO_load8 DO_LOAD(8)
#define DO_load16 DO_LOAD(16)
#define DO_load32 DO_LOAD(32)
#define DO_load64 DO_LOAD(64)
#define DO_store32_reg DO_STORE(32)
#define DO_store64_reg DO_STORE(64)
#define DO_mov64_reg DO_ALU(64, mov, SRC)
#define DO_mov32_reg DO_ALU(32, mov, SRC)
#define DO_mov32_imm DO_ALU(32, mov, ip->imm)
#define DO_add64_imm DO_ALU(64, add, ip->imm)
#define DO_add64_reg DO_ALU(64, add, SRC)
#define DO_add32_imm DO_ALU(32, add, ip->imm)
#define DO_lsh32_imm DO_ALU(32, lsh, ip->imm)
#define DO_lsh64_imm DO_ALU(64, lsh, ip->imm)
#define DO_rsh64_imm DO_ALU(64, rsh, ip->imm)
#define DO_or_32_reg DO_ALU(32, or_, SRC)
#define DO_and_32_imm DO_ALU(32, and_, ip->imm)
#define DO_jeq32_imm DO_JUMP(32, jeq, ip->imm)
#define DO_jne32_imm DO_JUMP(32, jne, ip->imm)
#define DO_jlt32_imm DO_JUMP(32, jlt, ip->imm)
#define DO_jgt32_imm DO_JUMP(32, jgt, ip->imm)
#define DO_jeq64_imm DO_JUMP(64, jeq, ip->imm)
#define DO_jgt64_reg DO_JUMP(64, jgt, SRC)
#define DO_bswap16 DST = semantics::bswap16(SRC)
#define DO_lddw DST = IMM
#define DO_call_array CALL_ARRAY
#define DO_exit goto exit
#define X2(a, b) \
  a##_##b : {    \
    DO_##a;      \
    ++ip;        \
    DO_##b;      \
    NEXT;        \
  }
#define X3(a, b, c) \
  a##_##b##_##c : { \
    DO_##a;         \
    ++ip;           \
    DO_##b;         \
    ++ip;           \
    DO_##c;         \
    NEXT;           \
  }
#define X4(a, b, c, d)    \
  a##_##b##_##c##_##d : { \
    DO_##a;               \
    ++ip;                 \
    DO_##b;               \
    ++ip;                 \
    DO_##c;               \
    ++ip;                 \
    DO_##d;               \
    NEXT;                 \
  }
  RXPOOL_BPF_SEQUENCES(X2, X3, X4)
#undef X2
#undef X3
#undef X4

exit:
  BOOK();
leave:
  if (caller == saved) {
    return r[0];
  }
  --caller;
  ip = caller->resume;
  r[6] = caller->r6;
  r[7] = caller->r7;
  r[8] = caller->r8;
  r[9] = caller->r9;
  frame += frame_bytes;
  r[frame_register] = frame;
  ZERO(ip)
  NEXT;
}

/// Index of the handler for the first of `ops`: of the first sequence that begins there, else its own.
std::size_t handler_index(std::span<const Op> ops, bool fuse) {
  const auto sequence = fuse ? sequence_at(ops) : Sequence::count;
  return sequence == Sequence::count ? static_cast<std::size_t>(ops[0].kind)
                                     : op_kinds + static_cast<std::size_t>(sequence);
}

}  // namespace

std::vector<ThreadedOp> thread_code(const Decoded& code, bool checked) {
  HandlerTable handlers;
  checked ? execute<true>(nullptr, nullptr, nullptr, 0, &handlers)
          : execute<false>(nullptr, nullptr, nullptr, 0, &handlers);
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

std::uint64_t interpret(VmState& state, std::uint32_t op, const std::array<std::uint64_t, 5>& arguments,
                        BoxOffset frame, bool checked) {
  const ThreadedOp* first = state.threaded.data() + op;
  return checked ? execute<true>(&state, first, arguments.data(), frame, nullptr)
                 : execute<false>(&state, first, arguments.data(), frame, nullptr);
}

}  // namespace rxpool::bpf
