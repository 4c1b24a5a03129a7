#include "models/bpf/interpreter.hpp"

#include <cstring>
#include <span>

#include "models/bpf/semantics.hpp"
#include "models/bpf/sequence_steps.hpp"
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

/// Where the value of a key lies in the box, or 0.
std::uint64_t array_value(const ArrayLayout& array, std::uint32_t cpu, std::uint32_t index) {
  return index < array.max_entries ? W(array.base + cpu * array.cpu_stride + index * array.value_stride) : 0;
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
#define K6(...) &&keyed_lookup,
#define C2(a, b) &&chain_##a##_##b,
#define C3(a, b, c) &&chain_##a##_##b##_##c,
#define C4(a, b, c, d) &&chain_##a##_##b##_##c##_##d,
#define P3(a, b, c) &&prefixed_##a##_##b##_##c,
#define P4(a, b, c, d) &&prefixed_##a##_##b##_##c##_##d,
#define T4(a, b, c, d) &&two_bytes,
                      RXPOOL_BPF_SEQUENCES
#undef X2
#undef X3
#undef X4
#undef K6
#undef C2
#undef C3
#undef C4
#undef P3
#undef P4
#undef T4
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

#define X(name)                               \
  name##64_imm : ALU(64, name, DST, ip->imm); \
  NEXT;                                       \
  name##64_reg : ALU(64, name, DST, SRC);     \
  NEXT;                                       \
  name##32_imm : ALU(32, name, DST, ip->imm); \
  NEXT;                                       \
  name##32_reg : ALU(32, name, DST, SRC);     \
  NEXT;
  RXPOOL_BPF_ALU(X)
#undef X

#define X(name)                                     \
  name##64_imm : JUMP(64, name, DST, ip->imm) NEXT; \
  name##64_reg : JUMP(64, name, DST, SRC) NEXT;     \
  name##32_imm : JUMP(32, name, DST, ip->imm) NEXT; \
  name##32_reg : JUMP(32, name, DST, SRC) NEXT;
  RXPOOL_BPF_COND(X)
#undef X

#define X(name)     \
  name:             \
  UNARY(name, DST); \
  NEXT;
  RXPOOL_BPF_UNARY(X)
#undef X

#define X(name, type) \
  name:               \
  LOAD(type, DST);    \
  NEXT;
  X(load8, std::uint8_t)
  X(load16, std::uint16_t)
  X(load32, std::uint32_t)
  X(load64, std::uint64_t)
  X(loads8, std::int8_t)
  X(loads16, std::int16_t)
  X(loads32, std::int32_t)
#undef X

#define X(name, type, value) \
  name:                      \
  STORE(type, value);        \
  NEXT;
  X(store8_imm, std::uint8_t, IMM)
  X(store16_imm, std::uint16_t, IMM)
  X(store32_imm, std::uint32_t, IMM)
  X(store64_imm, std::uint64_t, IMM)
  X(store8_reg, std::uint8_t, SRC)
  X(store16_reg, std::uint16_t, SRC)
  X(store32_reg, std::uint32_t, SRC)
  X(store64_reg, std::uint64_t, SRC)
#undef X

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
  DO_lddw;
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
#define ARRAY_VALUE(index) array_value(ip->site->array, runtime.cpu, index)
#define CALL_ARRAY                                         \
  REACH(W(r[2]), sizeof(std::uint32_t), false)             \
  r[0] = ARRAY_VALUE(load<std::uint32_t>(base + W(r[2]))); \
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

#define X2(...) PLAIN2(__VA_ARGS__)
#define X3(...) PLAIN3(__VA_ARGS__)
#define X4(...) PLAIN4(__VA_ARGS__)
#define K6(...) KEYED_LOOKUP(__VA_ARGS__)
#define C2(...) CHAIN2(__VA_ARGS__)
#define C3(...) CHAIN3(__VA_ARGS__)
#define C4(...) CHAIN4(__VA_ARGS__)
#define P3(...) PREFIXED_CHAIN3(__VA_ARGS__)
#define P4(...) PREFIXED_CHAIN4(__VA_ARGS__)
#define T4(...) TWO_BYTES(__VA_ARGS__)
  RXPOOL_BPF_SEQUENCES
#undef X2
#undef X3
#undef X4
#undef K6
#undef C2
#undef C3
#undef C4
#undef P3
#undef P4
#undef T4

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

}  // namespace

HandlerTable handler_table(bool checked) {
  HandlerTable handlers;
  checked ? execute<true>(nullptr, nullptr, nullptr, 0, &handlers)
          : execute<false>(nullptr, nullptr, nullptr, 0, &handlers);
  return handlers;
}

std::uint64_t interpret(VmState& state, std::uint32_t op, const std::array<std::uint64_t, 5>& arguments,
                        BoxOffset frame, bool checked) {
  const ThreadedOp* first = state.threaded.data() + op;
  return checked ? execute<true>(&state, first, arguments.data(), frame, nullptr)
                 : execute<false>(&state, first, arguments.data(), frame, nullptr);
}

}  // namespace rxpool::bpf
