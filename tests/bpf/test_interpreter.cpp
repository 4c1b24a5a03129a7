// Every instruction of RFC 9669 and its edges, in all three engines: each row is run by the interpreter, the checked
// interpreter and compiled code, which must agree in r0, memory, executed instructions and cost, and give what is
// stated.

#include <catch2/catch.hpp>

#include "sim/error.hpp"
#include "tests/bpf/run_all.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;

namespace {

constexpr std::uint64_t int64_min = std::uint64_t{1} << 63;
constexpr std::uint64_t int32_min = std::uint64_t{1} << 31;
constexpr std::uint64_t ones = ~std::uint64_t{0};

/// dst = a; src = b; the instruction on them; r0 = dst. Tried with several register pairs, dst = src included when a =
/// b.
std::uint64_t alu_result(unsigned opcode, std::uint64_t a, std::uint64_t b, int offset = 0) {
  std::optional<std::uint64_t> result;
  const unsigned pairs[][2] = {{6, 7}, {0, 2}, {2, 0}, {3, 4}, {4, 3}, {2, 3}, {9, 8}, {1, 5}};
  for (const auto& [dst, src] : pairs) {
    Code code(load_wide(0, 0x1111), load_wide(2, 0x2222), load_wide(3, 0x3333));
    code.add(load_wide(dst, a)).add(load_wide(src, b)).add(insn(opcode, dst, src, offset, 0)).add(mov_reg(0, dst));
    code.add(leave());
    const std::uint64_t got = run_all(code).r0;
    CHECK(result.value_or(got) == got);
    result = got;
  }
  return *result;
}

std::uint64_t alu_imm_result(unsigned opcode, std::uint64_t a, std::int32_t imm, int offset = 0) {
  std::optional<std::uint64_t> result;
  for (const unsigned dst : {0u, 2u, 3u, 7u}) {
    const Code code(load_wide(dst, a), insn(opcode, dst, 0, offset, imm), mov_reg(0, dst), leave());
    const std::uint64_t got = run_all(code).r0;
    CHECK(result.value_or(got) == got);
    result = got;
  }
  return *result;
}

bool jumps(unsigned opcode, std::uint64_t a, std::uint64_t b) {
  const Code code(load_wide(1, a), load_wide(2, b), mov(0, 1), insn(opcode, 1, 2, 1, 0), mov(0, 0), leave());
  return run_all(code).r0 == 1;
}

bool jumps_imm(unsigned opcode, std::uint64_t a, std::int32_t imm) {
  const Code code(load_wide(1, a), mov(0, 1), insn(opcode, 1, 0, 1, imm), mov(0, 0), leave());
  return run_all(code).r0 == 1;
}

constexpr unsigned reg64 = op::alu64 | op::reg, reg32 = op::alu | op::reg;

}  // namespace

TEST_CASE("64-bit arithmetic wraps modulo 2^64", "[bpf][isa]") {
  CHECK(alu_result(reg64 | op::add, ones, 2) == 1);
  CHECK(alu_result(reg64 | op::sub, 1, 2) == ones);
  CHECK(alu_result(reg64 | op::mul, ones, ones) == 1);
  CHECK(alu_result(reg64 | op::mul, std::uint64_t{1} << 33, std::uint64_t{1} << 31) == 0);
  CHECK(alu_result(reg64 | op::or_, 0xf0f0, 0x0ff0) == 0xfff0);
  CHECK(alu_result(reg64 | op::and_, 0xf0f0, 0x0ff0) == 0x00f0);
  CHECK(alu_result(reg64 | op::xor_, 0xf0f0, 0x0ff0) == 0xff00);
  CHECK(alu_result(reg64 | op::mov, 5, ones) == ones);
}

TEST_CASE("32-bit arithmetic clears the upper half, whatever was there", "[bpf][isa]") {
  const std::uint64_t high = 0xdeadbeef00000000;
  CHECK(alu_result(reg32 | op::add, high | 0xffffffff, 1) == 0);
  CHECK(alu_result(reg32 | op::sub, high, 1) == 0xffffffff);
  CHECK(alu_result(reg32 | op::mul, high | 0x10000, 0x10000) == 0);
  CHECK(alu_result(reg32 | op::or_, high | 1, high | 2) == 3);
  CHECK(alu_result(reg32 | op::and_, high | 3, high | 2) == 2);
  CHECK(alu_result(reg32 | op::xor_, high | 3, high | 1) == 2);
  CHECK(alu_result(reg32 | op::mov, 0, high | 7) == 7);
  CHECK(alu_imm_result(op::alu | op::mov, high, -1) == 0xffffffff);
  CHECK(alu_imm_result(op::alu | op::add, high | 1, -1) == 0);
  CHECK(alu_imm_result(op::alu | op::or_, high, -1) == 0xffffffff);
  CHECK(alu_imm_result(op::alu | op::div, high | 100, 10) == 10);
}

TEST_CASE("a 64-bit immediate operand is sign extended", "[bpf][isa]") {
  CHECK(alu_imm_result(op::alu64 | op::mov, 0, -2) == ones - 1);
  CHECK(alu_imm_result(op::alu64 | op::add, 1, -2) == ones);
  CHECK(alu_imm_result(op::alu64 | op::sub, 1, -2) == 3);
  CHECK(alu_imm_result(op::alu64 | op::mul, 3, -2) == ones - 5);
  CHECK(alu_imm_result(op::alu64 | op::and_, ones, -2) == ones - 1);
  CHECK(alu_imm_result(op::alu64 | op::or_, 0, INT32_MIN) == 0xffffffff80000000);
  CHECK(alu_imm_result(op::alu64 | op::xor_, 0, -1) == ones);
  // Division takes the same extended value: huge when unsigned.
  CHECK(alu_imm_result(op::alu64 | op::div, ones, -1) == 1);
  CHECK(alu_imm_result(op::alu64 | op::mod, 5, -1) == 5);
}

TEST_CASE("division by zero gives zero and modulo by zero gives the dividend", "[bpf][isa]") {
  for (const int is_signed : {0, 1}) {
    CHECK(alu_result(reg64 | op::div, 77, 0, is_signed) == 0);
    CHECK(alu_result(reg64 | op::mod, int64_min + 5, 0, is_signed) == int64_min + 5);
    CHECK(alu_result(reg32 | op::div, 77, 0, is_signed) == 0);
    CHECK(alu_result(reg32 | op::mod, 0xffffffff00000005, 0, is_signed) == 5);
    // A divisor whose low half is zero is zero for 32 bits.
    CHECK(alu_result(reg32 | op::div, 77, std::uint64_t{1} << 32, is_signed) == 0);
    CHECK(alu_imm_result(op::alu64 | op::div, 77, 0, is_signed) == 0);
    CHECK(alu_imm_result(op::alu64 | op::mod, 77, 0, is_signed) == 77);
    CHECK(alu_imm_result(op::alu | op::div, 77, 0, is_signed) == 0);
    CHECK(alu_imm_result(op::alu | op::mod, 0xffffffff00000005, 0, is_signed) == 5);
  }
}

TEST_CASE("the smallest number divided by minus one is itself, its remainder zero", "[bpf][isa]") {
  CHECK(alu_result(reg64 | op::div, int64_min, ones, 1) == int64_min);
  CHECK(alu_result(reg64 | op::mod, int64_min, ones, 1) == 0);
  CHECK(alu_result(reg32 | op::div, int32_min, 0xffffffff, 1) == int32_min);
  CHECK(alu_result(reg32 | op::mod, int32_min, 0xffffffff, 1) == 0);
  CHECK(alu_imm_result(op::alu64 | op::div, int64_min, -1, 1) == int64_min);
  CHECK(alu_imm_result(op::alu64 | op::mod, int64_min, -1, 1) == 0);
  CHECK(alu_imm_result(op::alu | op::div, int32_min, -1, 1) == int32_min);
  CHECK(alu_imm_result(op::alu | op::mod, int32_min, -1, 1) == 0);
}

TEST_CASE("signed division rounds to zero and the remainder has the dividend's sign", "[bpf][isa]") {
  const auto minus = [](std::int64_t x) { return static_cast<std::uint64_t>(-x); };
  CHECK(alu_result(reg64 | op::div, minus(13), 4, 1) == minus(3));
  CHECK(alu_result(reg64 | op::mod, minus(13), 4, 1) == minus(1));
  CHECK(alu_result(reg64 | op::mod, 13, minus(4), 1) == 1);
  CHECK(alu_result(reg64 | op::div, 13, minus(4), 1) == minus(3));
  CHECK(alu_result(reg32 | op::div, 0xfffffff3, 4, 1) == 0xfffffffd);
  CHECK(alu_result(reg32 | op::mod, 0xfffffff3, 4, 1) == 0xffffffff);
  CHECK(alu_imm_result(op::alu64 | op::div, minus(13), 4, 1) == minus(3));
  CHECK(alu_imm_result(op::alu64 | op::mod, minus(13), -3, 1) == minus(1));
  // Unsigned the same bits are large numbers.
  CHECK(alu_result(reg64 | op::div, minus(13), 4) == (ones - 12) / 4);
  CHECK(alu_result(reg32 | op::div, minus(13), 4) == 0xfffffff3 / 4);
  CHECK(alu_imm_result(op::alu64 | op::div, 1000, 8) == 125);
  CHECK(alu_imm_result(op::alu64 | op::mod, 1003, 8) == 3);
  CHECK(alu_imm_result(op::alu64 | op::div, 1003, 1) == 1003);
  CHECK(alu_imm_result(op::alu | op::div, 0x100000064, 1) == 100);
}

TEST_CASE("shift counts are masked to the width", "[bpf][isa]") {
  CHECK(alu_result(reg64 | op::lsh, 1, 65) == 2);
  CHECK(alu_result(reg64 | op::rsh, 4, 65) == 2);
  CHECK(alu_result(reg64 | op::arsh, int64_min, 127) == ones);
  CHECK(alu_result(reg32 | op::lsh, 1, 33) == 2);
  CHECK(alu_result(reg32 | op::rsh, 0xffffffff00000004, 33) == 2);
  CHECK(alu_result(reg32 | op::arsh, int32_min, 63) == 0xffffffff);
  CHECK(alu_result(reg64 | op::lsh, 3, 64) == 3);
  CHECK(alu_result(reg32 | op::lsh, 0xffffffff00000003, 32) == 3);
  CHECK(alu_result(reg32 | op::rsh, 0xffffffff00000003, 0) == 3);
  CHECK(alu_imm_result(op::alu64 | op::lsh, 1, 65) == 2);
  CHECK(alu_imm_result(op::alu | op::lsh, 1, 33) == 2);
  CHECK(alu_imm_result(op::alu | op::rsh, 0xffffffff00000003, 32) == 3);
  CHECK(alu_imm_result(op::alu64 | op::arsh, int64_min, 63) == ones);
  CHECK(alu_imm_result(op::alu64 | op::rsh, int64_min, 63) == 1);
  CHECK(alu_imm_result(op::alu | op::arsh, 0x80000000, 31) == 0xffffffff);
  // A register shifted by itself.
  CHECK(run_all(Code(mov(3, 5), alu_reg(op::lsh, 3, 3), mov_reg(0, 3), leave())).r0 == 5 << 5);
}

TEST_CASE("negation and sign-extending moves", "[bpf][isa]") {
  CHECK(alu_imm_result(op::alu64 | op::neg, 1, 0) == ones);
  CHECK(alu_imm_result(op::alu64 | op::neg, int64_min, 0) == int64_min);
  CHECK(alu_imm_result(op::alu | op::neg, 0xffffffff00000001, 0) == 0xffffffff);
  CHECK(alu_imm_result(op::alu | op::neg, int32_min, 0) == int32_min);
  CHECK(alu_result(reg64 | op::mov, 0, 0x1280, 8) == 0xffffffffffffff80);
  CHECK(alu_result(reg64 | op::mov, 0, 0x127f, 8) == 0x7f);
  CHECK(alu_result(reg64 | op::mov, 0, 0x128000, 16) == 0xffffffffffff8000);
  CHECK(alu_result(reg64 | op::mov, 0, 0x80000000, 32) == 0xffffffff80000000);
  CHECK(alu_result(reg32 | op::mov, ones, 0x1280, 8) == 0xffffff80);
  CHECK(alu_result(reg32 | op::mov, ones, 0x128000, 16) == 0xffff8000);
}

TEST_CASE("byte swaps of every width and order", "[bpf][isa]") {
  const std::uint64_t x = 0x1122334455667788;
  CHECK(alu_imm_result(op::alu | op::end, x, 16) == 0x7788);
  CHECK(alu_imm_result(op::alu | op::end, x, 32) == 0x55667788);
  CHECK(alu_imm_result(op::alu | op::end, x, 64) == x);
  for (const unsigned opcode : {op::alu | op::end | op::reg, op::alu64 | op::end}) {
    CHECK(alu_imm_result(opcode, x, 16) == 0x8877);
    CHECK(alu_imm_result(opcode, x, 32) == 0x88776655);
    CHECK(alu_imm_result(opcode, x, 64) == 0x8877665544332211);
  }
}

TEST_CASE("conditional jumps compare signed, unsigned and by bits, in 64 and 32 bits", "[bpf][isa]") {
  struct Row {
    unsigned code;
    bool less, equal, greater, minus_against_one;  // a < b, a == b, a > b, a = -1 against b = 1
  };
  const Row rows[] = {
      {op::jeq, false, true, false, false},  {op::jne, true, false, true, true},   {op::jgt, false, false, true, true},
      {op::jge, false, true, true, true},    {op::jlt, true, false, false, false}, {op::jle, true, true, false, false},
      {op::jsgt, false, false, true, false}, {op::jsge, false, true, true, false}, {op::jslt, true, false, false, true},
      {op::jsle, true, true, false, true},
  };
  for (const Row& row : rows) {
    for (const unsigned cls : {op::jmp, op::jmp32}) {
      const std::uint64_t minus = cls == op::jmp ? ones : 0xffffffff;
      const unsigned by_register = cls | row.code | op::reg;
      CHECK(jumps(by_register, 1, 2) == row.less);
      CHECK(jumps(by_register, 2, 2) == row.equal);
      CHECK(jumps(by_register, 3, 2) == row.greater);
      CHECK(jumps(by_register, minus, 1) == row.minus_against_one);
      CHECK(jumps_imm(cls | row.code, 1, 2) == row.less);
      CHECK(jumps_imm(cls | row.code, 2, 2) == row.equal);
      CHECK(jumps_imm(cls | row.code, 3, 2) == row.greater);
      CHECK(jumps_imm(cls | row.code, minus, 1) == row.minus_against_one);
      CHECK(jumps_imm(cls | row.code, 0, 0) == row.equal);
      CHECK(jumps_imm(cls | row.code, 5, 0) == row.greater);
    }
    // 32-bit jumps do not see the upper halves.
    CHECK(jumps(op::jmp32 | row.code | op::reg, 0xffffffff00000002, 0x7fffffff00000002) == row.equal);
  }
  CHECK(jumps(op::jmp | op::jset | op::reg, 6, 4));
  CHECK_FALSE(jumps(op::jmp | op::jset | op::reg, 6, 1));
  CHECK(jumps_imm(op::jmp | op::jset, int64_min, -1));
  CHECK_FALSE(jumps_imm(op::jmp32 | op::jset, int64_min, -1));
  CHECK(jumps_imm(op::jmp | op::jset, int64_min, INT32_MIN));
}

TEST_CASE("jumps reach backwards, over nothing, and far with gotol", "[bpf][isa]") {
  CHECK(run_all(Code(mov(0, 1), insn(op::ja_insn, 0, 0, 0, 0), leave())).r0 == 1);
  CHECK(run_all(Code(mov(0, 1), insn(op::gotol, 0, 0, 0, 1), mov(0, 2), leave())).r0 == 1);
  // exit stands in front of the body.
  CHECK(run_all(Code(insn(op::ja_insn, 0, 0, 1, 0), leave(), mov(0, 7), insn(op::gotol, 0, 0, 0, -3))).r0 == 7);
  Code far;
  far.add(insn(op::gotol, 0, 0, 0, 40'000));
  for (int i = 0; i < 40'000; ++i) {
    far.add(mov(0, 1));
  }
  far.add(mov(0, 9)).add(leave());
  CHECK(run_all(far).r0 == 9);
}

TEST_CASE("loads zero- or sign-extend, stores cut, at negative and positive offsets", "[bpf][isa]") {
  const auto at = [](unsigned opcode, std::uint64_t stored) {
    return run_all(Code(load_wide(2, stored), store(op::dw, 10, -16, 2), insn(opcode, 0, 10, -16, 0), leave())).r0;
  };
  const std::uint64_t x = 0xf1f2f3f4f5f6f7f8;
  CHECK(at(op::ldx | op::mem | op::b, x) == 0xf8);
  CHECK(at(op::ldx | op::mem | op::h, x) == 0xf7f8);
  CHECK(at(op::ldx | op::mem | op::w, x) == 0xf5f6f7f8);
  CHECK(at(op::ldx | op::mem | op::dw, x) == x);
  CHECK(at(op::ldx | op::memsx | op::b, x) == 0xfffffffffffffff8);
  CHECK(at(op::ldx | op::memsx | op::h, x) == 0xfffffffffffff7f8);
  CHECK(at(op::ldx | op::memsx | op::w, x) == 0xfffffffff5f6f7f8);
  CHECK(at(op::ldx | op::memsx | op::b, 0x7f) == 0x7f);
  for (const unsigned src : {0u, 1u, 2u, 5u, 7u}) {
    for (const unsigned size : {op::b, op::h, op::w, op::dw}) {
      const std::uint64_t mask =
          size == op::dw ? ones : (std::uint64_t{1} << 8 * access_bytes(static_cast<std::uint8_t>(size))) - 1;
      CHECK(run_all(Code(mov_reg(6, 10), insn(op::st | op::mem | op::dw, 6, 0, -8, 0), load_wide(src, x),
                         store(size, 6, -8, src), load(op::dw, 0, 6, -8), leave()))
                .r0 == (x & mask));
      CHECK(run_all(Code(insn(op::st | op::mem | op::dw, 10, 0, -8, 0), insn(op::st | op::mem | size, 10, 0, -8, -2),
                         load(op::dw, 0, 10, -8), leave()))
                .r0 == ((ones - 1) & mask));
    }
  }
  // r1 is the memory of the test, r2 its length; a positive offset and an unaligned access.
  CHECK(run_all(Code(load_wide(3, x), store(op::dw, 1, 13, 3), load(op::w, 0, 1, 15), leave())).r0 ==
        ((x >> 16) & 0xffffffff));
}

TEST_CASE("addresses use the low half of a register", "[bpf][box]") {
  const Outcome outcome = run_all(Code(mov_reg(6, 10), load_wide(7, 0xabcd000000000000), alu_reg(op::or_, 6, 7),
                                       mov(3, 5), store(op::dw, 6, -8, 3), load(op::dw, 0, 10, -8), leave()));
  CHECK(outcome.r0 == 5);
}

TEST_CASE("atomics change memory and fetch the old value", "[bpf][isa]") {
  struct Row {
    std::int32_t code;
    std::uint64_t result;
  };
  const std::uint64_t memory = 0xf0f0f0f0f0f0f0f0, operand = 0x1234567812345678;
  const Row rows[] = {{atomic::add, memory + operand},
                      {atomic::or_, memory | operand},
                      {atomic::and_, memory & operand},
                      {atomic::xor_, memory ^ operand}};
  const auto run = [&](unsigned size, std::int32_t code, unsigned src, bool result_is_memory) {
    return run_all(Code(load_wide(src, memory), store(op::dw, 10, -8, src), load_wide(src, operand),
                        insn(op::stx | op::atomic | size, 10, src, -8, code),
                        result_is_memory ? load(op::dw, 0, 10, -8) : mov_reg(0, src), leave()))
        .r0;
  };
  for (const Row& row : rows) {
    const std::uint64_t narrow = (memory & ~std::uint64_t{0xffffffff}) | (row.result & 0xffffffff);
    for (const unsigned src : {0u, 2u, 6u}) {
      CHECK(run(op::dw, row.code, src, true) == row.result);
      CHECK(run(op::dw, row.code, src, false) == operand);
      CHECK(run(op::dw, row.code | atomic::fetch, src, true) == row.result);
      CHECK(run(op::dw, row.code | atomic::fetch, src, false) == memory);
      CHECK(run(op::w, row.code | atomic::fetch, src, false) == (memory & 0xffffffff));
      if (row.code != atomic::add) {
        CHECK(run(op::w, row.code, src, true) == narrow);
      }
    }
  }
  CHECK(run(op::w, atomic::add, 1, true) ==
        ((memory & ~std::uint64_t{0xffffffff}) | ((memory + operand) & 0xffffffff)));
  CHECK(run(op::dw, atomic::xchg, 3, true) == operand);
  CHECK(run(op::dw, atomic::xchg, 3, false) == memory);
  CHECK(run(op::w, atomic::xchg, 3, true) == ((memory & ~std::uint64_t{0xffffffff}) | (operand & 0xffffffff)));
  CHECK(run(op::w, atomic::xchg, 3, false) == (memory & 0xffffffff));
}

TEST_CASE("cmpxchg compares r0, and loads the old value zero-extended whether it stored or not", "[bpf][isa]") {
  const std::uint64_t memory = 0xf0f0f0f0f0f0f0f0;
  const auto run = [&](unsigned size, std::uint64_t r0, bool result_is_memory) {
    return run_all(Code(load_wide(3, memory), store(op::dw, 10, -8, 3), load_wide(3, 0x55), load_wide(0, r0),
                        insn(op::stx | op::atomic | size, 10, 3, -8, atomic::cmpxchg),
                        result_is_memory ? load(op::dw, 0, 10, -8) : mov_reg(0, 0), leave()))
        .r0;
  };
  CHECK(run(op::dw, memory, true) == 0x55);
  CHECK(run(op::dw, memory, false) == memory);
  CHECK(run(op::dw, 1, true) == memory);
  CHECK(run(op::dw, 1, false) == memory);
  CHECK(run(op::w, memory, true) == (memory & ~std::uint64_t{0xffffffff}) + 0x55);
  CHECK(run(op::w, 0x12345678f0f0f0f0, false) == 0xf0f0f0f0);
  CHECK(run(op::w, 1, true) == memory);
  CHECK(run(op::w, 1, false) == 0xf0f0f0f0);
}

TEST_CASE("legacy packet loads read big endian and leave with 0 past the end", "[bpf][isa]") {
  // The memory of the test is a context here: data and data_end, then the packet.
  const auto run = [](Insn load_insn) {
    Code code(mov_reg(6, 1), mov_reg(2, 1), alu_imm(op::add, 2, 16), store(op::w, 1, 0, 2), alu_imm(op::add, 2, 8),
              store(op::w, 1, 4, 2), load_wide(3, 0x8877665544332211), store(op::dw, 1, 16, 3), mov(7, 2), mov(0, 99));
    code.add(load_insn).add(leave());
    return run_all(code).r0;
  };
  CHECK(run(insn(op::ld | op::abs | op::b, 0, 0, 0, 1)) == 0x22);
  CHECK(run(insn(op::ld | op::abs | op::h, 0, 0, 0, 0)) == 0x1122);
  CHECK(run(insn(op::ld | op::abs | op::w, 0, 0, 0, 4)) == 0x55667788);
  CHECK(run(insn(op::ld | op::ind | op::h, 0, 7, 0, 1)) == 0x4455);
  CHECK(run(insn(op::ld | op::abs | op::w, 0, 0, 0, 5)) == 0);
  CHECK(run(insn(op::ld | op::ind | op::b, 0, 7, 0, -3)) == 0);
}

TEST_CASE("a local call has its own frame and keeps r6 to r9", "[bpf][call]") {
  const Code code(
      mov(6, 60), mov(7, 70), mov(8, 80), mov(9, 90), insn(op::st | op::mem | op::dw, 10, 0, -8, 1000), mov(1, 1),
      mov(2, 2), mov(3, 3), mov(4, 4), mov(5, 5), call_local(7), alu_reg(op::add, 0, 6), alu_reg(op::add, 0, 7),
      alu_reg(op::add, 0, 8), alu_reg(op::add, 0, 9), load(op::dw, 1, 10, -8), alu_reg(op::add, 0, 1), leave(),
      // The function: sum of its arguments; overwrites what it may.
      mov_reg(0, 1), alu_reg(op::add, 0, 2), alu_reg(op::add, 0, 3), alu_reg(op::add, 0, 4), alu_reg(op::add, 0, 5),
      mov(6, 0), mov(7, 0), mov(8, 0), mov(9, 0), insn(op::st | op::mem | op::dw, 10, 0, -8, 0), leave());
  CHECK(run_all(code).r0 == 15 + 60 + 70 + 80 + 90 + 1000);
}

TEST_CASE("registers read as zero where nothing was written, at entry and after calls", "[bpf][call]") {
  for (const unsigned r : {0u, 3u, 5u, 6u, 9u}) {
    CHECK(run_all(Code(mov_reg(0, r), leave())).r0 == 0);
  }
  for (const unsigned r : {1u, 2u, 3u, 4u, 5u}) {
    CHECK(run_all(Code(mov(1, 1), mov(2, 2), mov(3, 3), mov(4, 4), mov(5, 5), call(helper_sum), mov_reg(0, r), leave()))
              .r0 == 0);
    CHECK(run_all(Code(mov(1, 1), mov(2, 2), mov(3, 3), mov(4, 4), mov(5, 5), call_local(2), mov_reg(0, r), leave(),
                       mov(0, 1), leave()))
              .r0 == 0);
  }
}

TEST_CASE("helpers get their five arguments in order", "[bpf][call]") {
  CHECK(run_all(Code(mov(1, 1), mov(2, 2), mov(3, 3), mov(4, 4), mov(5, 5), call(helper_sum), leave())).r0 == 54321);
}

TEST_CASE("callx calls a helper by number and a function by reference", "[bpf][call]") {
  CHECK(run_all(Code(mov(1, 1), mov(2, 2), mov(3, 0), mov(4, 0), mov(5, 0), mov(6, helper_sum),
                     insn(op::callx, 6, 0, 0, 0), leave()))
            .r0 == 21);
  CHECK(run_all(Code(load_wide(6, 6, lddw_kind::function), mov(1, 4), mov(7, 100), insn(op::callx, 6, 0, 0, 0), leave(),
                     mov_reg(0, 1), alu_imm(op::mul, 0, 3), leave()))
            .r0 == 12);
}

TEST_CASE("a helper calls back into the program", "[bpf][call]") {
  // loop(10, add, &sum): the callback adds its index to the sum and stops at 6.
  const Code code(insn(op::st | op::mem | op::dw, 10, 0, -8, 0), mov(1, 10), load_wide(2, 11, lddw_kind::function),
                  mov_reg(3, 10), alu_imm(op::add, 3, -8), mov(4, 0), call(helper_loop), load(op::dw, 1, 10, -8),
                  alu_reg(op::add, 0, 1), leave(), load(op::dw, 3, 2, 0), alu_reg(op::add, 3, 1),
                  store(op::dw, 2, 0, 3), mov(0, 0), jump(op::jne, 1, 6, 1), mov(0, 1), leave());
  CHECK(run_all(code).r0 == 6 + 21);
}
