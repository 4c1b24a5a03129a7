#pragma once
// What the operations of a sequence do (sequences.hpp), as macros over the locals of the interpreter: ip, r, base,
// execution. A plain sequence goes through the program's registers in memory; a chain keeps the value that it works on
// in a register of the host, `v`, and stores it once.

#include "models/bpf/semantics.hpp"
#include "models/bpf/sequences.hpp"

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
#define DO_sub64_reg DO_ALU(64, sub, SRC)
#define DO_call_array CALL_ARRAY
#define DO_exit goto exit
#define DO_account BOOK()
#define PLAIN2(a, b) \
  a##_##b : {        \
    DO_##a;          \
    ++ip;            \
    DO_##b;          \
    NEXT;            \
  }
#define PLAIN3(a, b, c) \
  a##_##b##_##c : {     \
    DO_##a;             \
    ++ip;               \
    DO_##b;             \
    ++ip;               \
    DO_##c;             \
    NEXT;               \
  }
#define PLAIN4(a, b, c, d) \
  a##_##b##_##c##_##d : {  \
    DO_##a;                \
    ++ip;                  \
    DO_##b;                \
    ++ip;                  \
    DO_##c;                \
    ++ip;                  \
    DO_##d;                \
    NEXT;                  \
  }

#define FIRST_LOAD(bits) (execution.position = ip, load<std::uint##bits##_t>(base + ADDRESS(ip->src)))
#define FIRST_load8 FIRST_LOAD(8)
#define FIRST_load16 FIRST_LOAD(16)
#define FIRST_load64 FIRST_LOAD(64)
#define FIRST_mov64_reg SRC
#define FIRST_bswap16 semantics::bswap16(SRC)
#define FIRST_lsh32_imm semantics::lsh<std::uint32_t>(W(DST), W(ip->imm))
#define FIRST_add32_imm semantics::add<std::uint32_t>(W(DST), W(ip->imm))
#define FIRST_and_32_imm semantics::and_<std::uint32_t>(W(DST), W(ip->imm))
#define STEP_ALU(width, name, operand)                                            \
  v = semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(v), \
                                            static_cast<std::uint##width##_t>(operand))
#define STEP_add64_imm STEP_ALU(64, add, ip->imm)
#define STEP_add32_imm STEP_ALU(32, add, ip->imm)
#define STEP_lsh32_imm STEP_ALU(32, lsh, ip->imm)
#define STEP_and_32_imm STEP_ALU(32, and_, ip->imm)
#define LAST_JUMP(width, name, operand)                                                    \
  DST = v;                                                                                 \
  if (semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(v),          \
                                            static_cast<std::uint##width##_t>(operand))) { \
    GO(ip->jump);                                                                          \
  }
#define LAST_add64_imm \
  STEP_add64_imm;      \
  DST = v
#define LAST_jgt64_reg LAST_JUMP(64, jgt, SRC)
#define LAST_jeq32_imm LAST_JUMP(32, jeq, ip->imm)
#define LAST_jne32_imm LAST_JUMP(32, jne, ip->imm)
#define LAST_jlt32_imm LAST_JUMP(32, jlt, ip->imm)
#define LAST_jgt32_imm LAST_JUMP(32, jgt, ip->imm)
#define LAST_store64_reg   \
  SRC = v;                 \
  execution.position = ip; \
  store<std::uint64_t>(base + ADDRESS(ip->dst), v)
#define LINKS2(a, b)           \
  std::uint64_t v = FIRST_##a; \
  ++ip;                        \
  LAST_##b
#define LINKS3(a, b, c)        \
  std::uint64_t v = FIRST_##a; \
  ++ip;                        \
  STEP_##b;                    \
  ++ip;                        \
  LAST_##c
#define LINKS4(a, b, c, d)     \
  std::uint64_t v = FIRST_##a; \
  ++ip;                        \
  STEP_##b;                    \
  ++ip;                        \
  STEP_##c;                    \
  ++ip;                        \
  LAST_##d
#define CHAIN2(a, b)  \
  chain_##a##_##b : { \
    LINKS2(a, b);     \
    NEXT;             \
  }
#define CHAIN3(a, b, c)     \
  chain_##a##_##b##_##c : { \
    LINKS3(a, b, c);        \
    NEXT;                   \
  }
#define CHAIN4(a, b, c, d)        \
  chain_##a##_##b##_##c##_##d : { \
    LINKS4(a, b, c, d);           \
    NEXT;                         \
  }
#define PREFIXED_CHAIN3(p, a, b) \
  prefixed_##p##_##a##_##b : {   \
    DO_##p;                      \
    ++ip;                        \
    LINKS2(a, b);                \
    NEXT;                        \
  }
#define PREFIXED_CHAIN4(p, a, b, c)  \
  prefixed_##p##_##a##_##b##_##c : { \
    DO_##p;                          \
    ++ip;                            \
    LINKS3(a, b, c);                 \
    NEXT;                            \
  }
/// load8, load8, lsh32_imm, or_32_reg: a number of two bytes.
#define TWO_BYTES(...)                                           \
  two_bytes: {                                                   \
    const std::uint32_t low = FIRST_load8;                       \
    DST = low;                                                   \
    ++ip;                                                        \
    const std::uint32_t high = FIRST_load8;                      \
    ++ip;                                                        \
    DST = semantics::lsh<std::uint32_t>(high, W(ip->imm)) | low; \
    ++ip;                                                        \
    NEXT;                                                        \
  }
