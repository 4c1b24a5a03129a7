#pragma once
// What the operations of the interpreter do, alone and within a sequence (sequences.hpp), as macros over its locals:
// ip, r, base, execution, runtime. An operation works on a place: a register of the program in memory, or within a
// chain `v`, a register of the host that is stored once.

#include "models/bpf/semantics.hpp"
#include "models/bpf/sequences.hpp"

// One operation.
#define ALU(width, name, to, operand)                                               \
  to = semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(to), \
                                             static_cast<std::uint##width##_t>(operand))
#define UNARY(name, to) to = semantics::name(SRC)
/// A jump that is taken ends a sequence.
#define JUMP(width, name, value, operand)                                                  \
  if (semantics::name<std::uint##width##_t>(static_cast<std::uint##width##_t>(value),      \
                                            static_cast<std::uint##width##_t>(operand))) { \
    GO(ip->jump);                                                                          \
  }
#define LOAD(type, to)                                                                      \
  do {                                                                                      \
    const std::int64_t address = ADDRESS(ip->src);                                          \
    REACH(address, sizeof(type), false)                                                     \
    to = static_cast<std::uint64_t>(static_cast<std::int64_t>(load<type>(base + address))); \
  } while (false)
#define STORE(type, value)                         \
  do {                                             \
    const std::int64_t address = ADDRESS(ip->dst); \
    REACH(address, sizeof(type), true)             \
    store<type>(base + address, value);            \
  } while (false)

// In a plain sequence.
#define DO_load8 LOAD(std::uint8_t, DST)
#define DO_load16 LOAD(std::uint16_t, DST)
#define DO_load32 LOAD(std::uint32_t, DST)
#define DO_load64 LOAD(std::uint64_t, DST)
#define DO_store32_reg STORE(std::uint32_t, SRC)
#define DO_store64_reg STORE(std::uint64_t, SRC)
#define DO_mov64_reg ALU(64, mov, DST, SRC)
#define DO_mov32_reg ALU(32, mov, DST, SRC)
#define DO_mov32_imm ALU(32, mov, DST, ip->imm)
#define DO_add64_imm ALU(64, add, DST, ip->imm)
#define DO_add64_reg ALU(64, add, DST, SRC)
#define DO_add32_imm ALU(32, add, DST, ip->imm)
#define DO_lsh32_imm ALU(32, lsh, DST, ip->imm)
#define DO_lsh64_imm ALU(64, lsh, DST, ip->imm)
#define DO_rsh64_imm ALU(64, rsh, DST, ip->imm)
#define DO_or_32_reg ALU(32, or_, DST, SRC)
#define DO_and_32_imm ALU(32, and_, DST, ip->imm)
#define DO_jeq32_imm JUMP(32, jeq, DST, ip->imm)
#define DO_jne32_imm JUMP(32, jne, DST, ip->imm)
#define DO_jlt32_imm JUMP(32, jlt, DST, ip->imm)
#define DO_jgt32_imm JUMP(32, jgt, DST, ip->imm)
#define DO_jeq64_imm JUMP(64, jeq, DST, ip->imm)
#define DO_jgt64_reg JUMP(64, jgt, DST, SRC)
#define DO_bswap16 UNARY(bswap16, DST)
#define DO_lddw DST = IMM
#define DO_sub64_reg ALU(64, sub, DST, SRC)
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

// In a chain.
#define STEP_add64_imm ALU(64, add, v, ip->imm)
#define STEP_add32_imm ALU(32, add, v, ip->imm)
#define STEP_lsh32_imm ALU(32, lsh, v, ip->imm)
#define STEP_and_32_imm ALU(32, and_, v, ip->imm)
#define FIRST_load8 LOAD(std::uint8_t, v)
#define FIRST_load16 LOAD(std::uint16_t, v)
#define FIRST_load64 LOAD(std::uint64_t, v)
#define FIRST_mov64_reg v = SRC
#define FIRST_bswap16 UNARY(bswap16, v)
#define FIRST_lsh32_imm \
  v = DST;              \
  STEP_lsh32_imm
#define FIRST_add32_imm \
  v = DST;              \
  STEP_add32_imm
#define FIRST_and_32_imm \
  v = DST;               \
  STEP_and_32_imm
#define LAST_JUMP(width, name, operand) \
  DST = v;                              \
  JUMP(width, name, v, operand)
#define LAST_add64_imm \
  STEP_add64_imm;      \
  DST = v
#define LAST_jgt64_reg LAST_JUMP(64, jgt, SRC)
#define LAST_jeq32_imm LAST_JUMP(32, jeq, ip->imm)
#define LAST_jne32_imm LAST_JUMP(32, jne, ip->imm)
#define LAST_jlt32_imm LAST_JUMP(32, jlt, ip->imm)
#define LAST_jgt32_imm LAST_JUMP(32, jgt, ip->imm)
#define LAST_store64_reg \
  SRC = v;               \
  STORE(std::uint64_t, v)
#define LINKS2(a, b) \
  std::uint64_t v;   \
  FIRST_##a;         \
  ++ip;              \
  LAST_##b
#define LINKS3(a, b, c) \
  std::uint64_t v;      \
  FIRST_##a;            \
  ++ip;                 \
  STEP_##b;             \
  ++ip;                 \
  LAST_##c
#define LINKS4(a, b, c, d) \
  std::uint64_t v;         \
  FIRST_##a;               \
  ++ip;                    \
  STEP_##b;                \
  ++ip;                    \
  STEP_##c;                \
  ++ip;                    \
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
#define TWO_BYTES(...)       \
  two_bytes: {               \
    std::uint64_t low;       \
    LOAD(std::uint8_t, low); \
    DST = low;               \
    ++ip;                    \
    std::uint64_t v;         \
    FIRST_load8;             \
    ++ip;                    \
    STEP_lsh32_imm;          \
    ++ip;                    \
    ALU(32, or_, v, low);    \
    DST = v;                 \
    NEXT;                    \
  }
/// store32_reg, mov64_reg, add64_imm, lddw, call_array, jeq64_imm: the key does not go through the frame.
#define KEYED_LOOKUP(...)                         \
  keyed_lookup: {                                 \
    const auto key = W(SRC);                      \
    STORE(std::uint32_t, key);                    \
    ip += 4;                                      \
    const std::uint64_t value = ARRAY_VALUE(key); \
    r[0] = value;                                 \
    ZERO(ip)                                      \
    ++ip;                                         \
    JUMP(64, jeq, value, ip->imm);                \
    NEXT;                                         \
  }
