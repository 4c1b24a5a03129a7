#pragma once
// Bytecode after decoding: one flat list of operations for all programs of a policy, shared by the interpreters and the
// compiler. Operands are resolved (jump targets, helpers, maps, masked shift counts, constant divisors), and the cost
// is laid out: every operation knows how many instructions and helper picoseconds are executed but not yet booked when
// it starts ("pending"). Booking happens where control flow would make that number ambiguous (joins, loop heads),
// before calls into another function, and at exits, so straight code pays nothing; fuel is looked at where it is booked
// on backward jumps and calls.

#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "models/bpf/helper.hpp"
#include "models/bpf/map.hpp"
#include "models/bpf/program.hpp"

// clang-format off
/// Arithmetic with a 64- and a 32-bit form, an immediate and a register operand. Shift counts are masked, immediate
/// divisors are never 0 and immediate signed divisors never -1.
#define RXPOOL_BPF_ALU(X) \
  X(add) X(sub) X(mul) X(div) X(mod) X(sdiv) X(smod) X(or_) X(and_) X(xor_) X(lsh) X(rsh) X(arsh) X(mov)
/// Conditional jumps, same four forms.
#define RXPOOL_BPF_COND(X) \
  X(jeq) X(jne) X(jgt) X(jge) X(jlt) X(jle) X(jsgt) X(jsge) X(jslt) X(jsle) X(jset)
/// One register, in place or from src.
#define RXPOOL_BPF_UNARY(X) \
  X(neg64) X(neg32) X(sext8_64) X(sext16_64) X(sext32_64) X(sext8_32) X(sext16_32) X(zext16) X(zext32) \
  X(bswap16) X(bswap32) X(bswap64)
#define RXPOOL_BPF_MEMORY(X) \
  X(load8) X(load16) X(load32) X(load64) X(loads8) X(loads16) X(loads32) \
  X(store8_imm) X(store16_imm) X(store32_imm) X(store64_imm) X(store8_reg) X(store16_reg) X(store32_reg) X(store64_reg)
/// Read-modify-write with and without fetch, 32 and 64 bits.
#define RXPOOL_BPF_ATOMIC(X) X(add) X(or_) X(and_) X(xor_)
#define RXPOOL_BPF_OTHER(X) \
  X(xchg32) X(xchg64) X(cmpxchg32) X(cmpxchg64) X(load_packet8) X(load_packet16) X(load_packet32) \
  X(lddw) X(ja) X(account) X(account_check) X(account_ja) X(account_ja_check) \
  X(call_helper) X(call_array) X(call_lookup) X(call_ktime) X(call_cpu) X(call_numa) \
  X(call_local) X(call_register) X(tail_call) X(exit)
// clang-format on

namespace rxpool::bpf {

enum class OpKind : std::uint8_t {
#define X(name) name##64_imm, name##64_reg, name##32_imm, name##32_reg,
  RXPOOL_BPF_ALU(X) RXPOOL_BPF_COND(X)
#undef X
#define X(name) name,
      RXPOOL_BPF_UNARY(X) RXPOOL_BPF_MEMORY(X)
#undef X
#define X(name) atomic_##name##32, atomic_##name##64, fetch_##name##32, fetch_##name##64,
          RXPOOL_BPF_ATOMIC(X)
#undef X
#define X(name) name,
              RXPOOL_BPF_OTHER(X)
#undef X
                  count
};

/// Instructions and helper time executed since the last booking.
struct Pending {
  std::int32_t insns = 0;
  std::int64_t helper_ps = 0;

  bool operator==(const Pending&) const = default;
  bool any() const { return insns != 0 || helper_ps != 0; }
};

/// What a call of a helper needs; compiled code holds its address.
struct CallSite {
  const Helper* helper = nullptr;
  HelperFn fn = nullptr;
  Map* map = nullptr;  // lookups with a map known at load
  Map::LookupFn lookup = nullptr;
  ArrayLayout array{};
};

struct Op {
  OpKind kind{};
  std::uint8_t dst = 0;
  std::uint8_t src = 0;
  bool address_is_offset = false;  // memory: the address register is known to have no upper half
  std::int16_t offset = 0;
  std::uint16_t zeroed = 0;  // calls: bit n = r(n) is read later and must read as 0
  std::uint32_t insn = 0;    // instruction it comes from
  std::uint32_t target = 0;  // jumps: operation to go on with; call_local: function
  std::int64_t imm = 0;
  Pending booked{};                // account*, exit: what is booked here
  const CallSite* site = nullptr;  // call_helper, call_array, call_lookup
};

struct Function {
  std::uint32_t program = 0;
  std::uint32_t first_insn = 0;
  std::uint32_t first_op = 0;
  std::uint32_t end_op = 0;
  bool referenced = false;   // called or taken as callback, so that its r1 may be anything
  std::uint16_t zeroed = 0;  // entry: registers read before they are written
};

struct Decoded {
  std::vector<Op> ops;
  std::vector<Pending> pending;              // per op: executed including it, not booked; what an abort there adds
  std::vector<Function> functions;           // by program, then position
  std::vector<std::uint32_t> program_entry;  // function of each program's first instruction
  std::deque<CallSite> sites;

  const Function& function_of(std::uint32_t op) const;
};

/// Value of a function reference in a register: no helper id, and as an address inside the unmapped bottom of the box.
constexpr std::uint64_t function_tag = std::uint64_t{1} << 62;
constexpr std::uint64_t function_handle(std::uint32_t function) {
  return function_tag | (function + 1);
}

/// Checks encodings and jumps and builds the operations. Throws InputError (policy_rejected), naming program and
/// instruction, for what cannot be executed.
Decoded decode(std::span<const Program> programs, std::span<Map* const> maps, const HelperTable& helpers);

/// Fills Op::address_is_offset, Op::zeroed and Function::zeroed: one forward and one backward pass over registers.
void analyse_registers(Decoded& code);

/// Throws InputError for an opcode that does not exist or a reserved field that is not zero (RFC 9669).
/// `next` is the slot after the instruction, or nullptr at the end.
void check_encoding(const Insn& insn, const Insn* next, const Program& program, std::uint32_t index);

[[noreturn]] void reject(const Program& program, std::uint32_t index, const std::string& what);

}  // namespace rxpool::bpf
