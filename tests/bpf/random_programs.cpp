#include "tests/bpf/random_programs.hpp"

#include <cstddef>

#include "models/bpf/decoded.hpp"
#include "tests/bpf/engine_fixture.hpp"
#include "tests/bpf/opcode_name.hpp"

namespace rxpool::bpf::testing {

namespace {

constexpr unsigned alu_codes[] = {op::add,  op::sub,  op::mul, op::div, op::mod,  op::or_,
                                  op::and_, op::xor_, op::lsh, op::rsh, op::arsh, op::mov};
constexpr unsigned jump_codes[] = {op::jeq,  op::jne,  op::jgt,  op::jge,  op::jlt, op::jle,
                                   op::jset, op::jsgt, op::jsge, op::jslt, op::jsle};
constexpr unsigned sizes[] = {op::b, op::h, op::w, op::dw};
constexpr std::int32_t atomic_codes[] = {atomic::add, atomic::or_, atomic::and_, atomic::xor_};
constexpr int stack_slots = 16;
constexpr int stack_low = -8 * stack_slots;
constexpr int key_slot = stack_low - 8;

template <std::size_t n>
unsigned pick(Dice& dice, const unsigned (&table)[n]) {
  return table[dice.below(n)];
}

bool is_division(unsigned code) {
  return code == op::div || code == op::mod;
}
bool is_shift(unsigned code) {
  return code == op::lsh || code == op::rsh || code == op::arsh;
}

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : dice_(seed) {}

  RandomProgram write() {
    packet_ = dice_.one_in(8);
    pointer_ = packet_ ? 7 + dice_.below(3) : 6 + dice_.below(4);
    for (unsigned r = 0; r <= 9; ++r) {
      if (r != pointer_ && !(packet_ && r == 6)) {
        usable_.push_back(r);
      }
    }
    prologue();
    const unsigned items = 6 + dice_.below(30);
    for (unsigned i = 0; i < items; ++i) {
      item(false);
    }
    epilogue();
    subprograms();
    return {std::move(out_), packet_};
  }

 private:
  void emit(const Insn& one) { out_.push_back(one); }
  unsigned any() { return usable_[dice_.below(static_cast<unsigned>(usable_.size()))]; }
  unsigned any_but(unsigned reserved) {
    unsigned r = any();
    while (r == reserved) {
      r = any();
    }
    return r;
  }
  std::int32_t immediate() { return static_cast<std::int32_t>(dice_.value()); }

  void prologue() {
    if (packet_) {
      emit(mov_reg(6, 1));
    }
    emit(insn(op::st | op::mem | op::w, 10, 0, key_slot, 0));
    emit(mov_reg(2, 10));
    emit(alu_imm(op::add, 2, key_slot));
    for (const Insn& half : load_wide(1, 0, lddw_kind::map)) {
      emit(half);
    }
    emit(call(1));
    emit(jump(op::jne, 0, 0, 2));
    emit(mov(0, 0));
    emit(leave());
    emit(mov_reg(pointer_, 0));
    for (int slot = 0; slot < stack_slots; ++slot) {
      emit(load(op::dw, 1, pointer_, static_cast<int>(offsetof(RandomValue, stack_in)) + 8 * slot));
      emit(store(op::dw, 10, stack_low + 8 * slot, 1));
    }
    for (const unsigned r : usable_) {
      refill(r);
    }
  }

  void refill(unsigned r) {
    emit(load(op::dw, r, pointer_, static_cast<int>(offsetof(RandomValue, in)) + 8 * static_cast<int>(r)));
  }

  void epilogue() {
    for (const unsigned r : usable_) {
      emit(store(op::dw, pointer_, static_cast<int>(offsetof(RandomValue, out)) + 8 * static_cast<int>(r), r));
    }
    for (int slot = 0; slot < stack_slots; ++slot) {
      emit(load(op::dw, 1, 10, stack_low + 8 * slot));
      emit(store(op::dw, pointer_, static_cast<int>(offsetof(RandomValue, stack_out)) + 8 * slot, 1));
    }
    emit(load(op::dw, 0, pointer_, static_cast<int>(offsetof(RandomValue, out)) + 8 * static_cast<int>(usable_[1])));
    emit(leave());
  }

  /// One piece of the body; `keep` is a loop counter that must not be written, or 99.
  void item(bool nested, unsigned keep = 99) {
    const unsigned kind = dice_.below(nested ? 16 : 20);
    if (kind < 9) {
      arithmetic(any_but(keep), any());
    } else if (kind < 12) {
      memory(keep);
    } else if (kind < 14) {
      atomic_item(keep);
    } else if (kind == 14) {
      for (const Insn& half : load_wide(any_but(keep), dice_.value())) {
        emit(half);
      }
    } else if (kind == 15) {
      emit(insn(dice_.one_in(2) ? op::ja_insn : op::gotol, 0, 0, 0, 0));
    } else if (kind < 18) {
      diamond();
    } else if (kind == 18) {
      loop();
    } else {
      packet_ ? packet_load() : local_call();
    }
  }

  void arithmetic(unsigned dst, unsigned src) {
    const bool wide = dice_.one_in(2);
    const unsigned cls = wide ? op::alu64 : op::alu;
    switch (dice_.below(10)) {
      case 0:
        emit(insn(cls | op::neg, dst, 0, 0, 0));
        return;
      case 1: {
        const int widths[] = {16, 32, 64};
        const unsigned form = dice_.below(3);  // le, be, bswap
        emit(insn((form == 2 ? op::alu64 : op::alu) | op::end | (form == 1 ? op::reg : 0u), dst, 0, 0,
                  widths[dice_.below(3)]));
        return;
      }
      case 2: {
        const int widths[] = {8, 16, 32};
        emit(insn(cls | op::mov | op::reg, dst, src, widths[dice_.below(wide ? 3 : 2)], 0));
        return;
      }
      default:
        break;
    }
    const unsigned code = pick(dice_, alu_codes);
    const int is_signed = is_division(code) && dice_.one_in(2) ? 1 : 0;
    if (dice_.one_in(2)) {
      emit(insn(cls | code | op::reg, dst, src, is_signed, 0));
      return;
    }
    std::int32_t imm = immediate();
    if (is_shift(code)) {
      imm = static_cast<std::int32_t>(dice_.below(wide ? 64 : 32));  // larger counts are refused
    } else if (is_division(code)) {
      imm = imm == 0 ? -1 : imm;
    }
    emit(insn(cls | code, dst, 0, is_signed, imm));
  }

  /// An aligned place of that size: on the stack, or in the scratch part of the value.
  std::pair<unsigned, int> place(unsigned size, bool on_stack) {
    const int bytes = static_cast<int>(access_bytes(static_cast<std::uint8_t>(size)));
    const int at = static_cast<int>(dice_.below(static_cast<unsigned>(8 * stack_slots / bytes))) * bytes;
    return on_stack ? std::pair{10u, stack_low + at}
                    : std::pair{pointer_, static_cast<int>(offsetof(RandomValue, scratch)) + at};
  }

  void memory(unsigned keep) {
    const unsigned size = pick(dice_, sizes);
    const auto [base, offset] = place(size, dice_.one_in(2));
    switch (dice_.below(4)) {
      case 0:
        emit(load(size, any_but(keep), base, offset));
        break;
      case 1: {
        const unsigned narrow = size == op::dw ? unsigned{op::w} : size;
        emit(insn(op::ldx | op::memsx | narrow, any_but(keep), base, offset, 0));
        break;
      }
      case 2:
        emit(store(size, base, offset, any()));
        break;
      default:
        emit(insn(op::st | op::mem | size, base, 0, offset, immediate()));
        break;
    }
  }

  void atomic_item(unsigned keep) {
    const unsigned size = dice_.one_in(2) ? unsigned{op::w} : unsigned{op::dw};
    const unsigned kind = dice_.below(4);
    const bool fetches = kind != 0;
    const auto [base, offset] = place(size, !fetches && dice_.one_in(2));
    const unsigned src = any_but(keep);
    std::int32_t imm = atomic_codes[dice_.below(4)];
    if (kind == 1) {
      imm |= atomic::fetch;
    } else if (kind == 2) {
      imm = atomic::xchg;
    } else if (kind == 3) {
      imm = atomic::cmpxchg;
      if (dice_.one_in(2)) {
        emit(load(size, 0, base, offset));  // make it succeed
      }
    }
    emit(insn(op::stx | op::atomic | size, base, src, offset, imm));
    if (imm == atomic::cmpxchg && size == op::w) {
      emit(insn(op::alu | op::mov | op::reg, 0, 0, 0, 0));
    }
  }

  Insn condition(unsigned dst, int distance) {
    const unsigned cls = dice_.one_in(2) ? op::jmp : op::jmp32;
    const unsigned code = pick(dice_, jump_codes);
    return dice_.one_in(2) ? insn(cls | code | op::reg, dst, any(), distance, 0)
                           : insn(cls | code, dst, 0, distance, immediate());
  }

  void diamond() {
    if (branches_ >= 6) {
      return arithmetic(any(), any());
    }
    ++branches_;
    const std::size_t head = out_.size();
    emit(condition(any(), 0));
    for (unsigned n = 1 + dice_.below(4); n > 0; --n) {
      item(true);
    }
    if (dice_.one_in(2)) {
      patch(head);
      return;
    }
    const std::size_t over = out_.size();
    const bool is_long = dice_.one_in(2);
    emit(insn(is_long ? op::gotol : op::ja_insn, 0, 0, 0, 0));
    patch(head);
    for (unsigned n = 1 + dice_.below(4); n > 0; --n) {
      item(true);
    }
    const auto distance = static_cast<std::int32_t>(out_.size() - over - 1);
    out_[over].imm = is_long ? distance : 0;
    out_[over].offset = static_cast<std::int16_t>(is_long ? 0 : distance);
  }

  void patch(std::size_t at) { out_[at].offset = static_cast<std::int16_t>(out_.size() - at - 1); }

  void loop() {
    const unsigned counter = any_but(0);
    emit(mov(counter, 1 + static_cast<int>(dice_.below(5))));
    const std::size_t head = out_.size();
    for (unsigned n = 1 + dice_.below(4); n > 0; --n) {
      item(true, counter);
    }
    emit(alu_imm(op::sub, counter, 1));
    const int distance = -static_cast<int>(out_.size() - head) - 1;
    emit(insn((dice_.one_in(2) ? op::jmp : op::jmp32) | op::jne, counter, 0, distance, 0));
  }

  void packet_load() {
    const unsigned size = sizes[dice_.below(3)];
    const auto position = static_cast<std::int32_t>(dice_.below(dice_.one_in(16) ? 80 : 48));
    if (dice_.one_in(2)) {
      emit(insn(op::ld | op::abs | size, 0, 0, 0, position));
    } else {
      const unsigned index = any_but(6);
      emit(alu_imm(op::and_, index, 7));
      emit(insn(op::ld | op::ind | size, 0, index, 0, position));
    }
    refill_arguments();
  }

  void local_call() {
    if (calls_.size() >= 3) {
      return arithmetic(any(), any());
    }
    // All five arguments are scalars, so any of them may be the pointer's neighbour but not the pointer.
    calls_.push_back(out_.size());
    emit(testing::call_local(0));
    refill_arguments();
  }

  void refill_arguments() {
    for (unsigned r = 1; r <= 5; ++r) {
      dice_.one_in(2) ? refill(r) : emit(mov(r, immediate()));
    }
  }

  /// Functions behind the program: scalars in r1 to r5, own stack, r0 out.
  void subprograms() {
    const std::vector<unsigned> outer = usable_;
    for (const std::size_t at : calls_) {
      out_[at].imm = static_cast<std::int32_t>(out_.size() - at - 1);
      usable_ = {0, 1, 2, 3, 4, 5};
      emit(mov_reg(0, 1 + dice_.below(5)));
      if (dice_.one_in(2)) {
        emit(mov_reg(6, 2));
        usable_.push_back(6);
      }
      emit(store(op::dw, 10, -8, any()));
      for (unsigned n = 2 + dice_.below(8); n > 0; --n) {
        arithmetic(any(), any());
      }
      emit(condition(any(), 1));
      arithmetic(any(), any());
      emit(load(op::dw, 2, 10, -8));
      emit(alu_reg(op::xor_, 0, 2));
      emit(leave());
    }
    usable_ = outer;
  }

  Dice dice_;
  std::vector<Insn> out_;
  std::vector<unsigned> usable_;
  std::vector<std::size_t> calls_;
  unsigned pointer_ = 9;
  unsigned branches_ = 0;
  bool packet_ = false;
};

}  // namespace

std::uint64_t Dice::value() {
  switch (below(8)) {
    case 0:
      return below(4);
    case 1:
      return ~std::uint64_t{0} - below(4);
    case 2:
      return std::uint64_t{1} << below(64);
    case 3:
      return (std::uint64_t{1} << below(64)) - 1;
    case 4:
      return std::uint64_t{0x80000000} - below(2) + below(3);
    case 5:
      return std::uint64_t{0x8000000000000000} - below(2) + below(3);
    case 6:
      return next() >> below(64);
    default:
      return next();
  }
}

RandomProgram random_program(std::uint64_t seed) {
  return Writer(seed).write();
}

void random_inputs(Dice& dice, RandomValue& value) {
  auto* words = reinterpret_cast<std::uint64_t*>(&value);
  for (std::size_t i = 0; i < offsetof(RandomValue, out) / 8; ++i) {
    words[i] = dice.value();
  }
}

std::vector<std::string> all_opcode_names() {
  std::vector<Insn> all;
  for (const unsigned cls : {op::alu64, op::alu}) {
    for (const unsigned code : alu_codes) {
      for (const unsigned source : {op::imm, op::reg}) {
        all.push_back(insn(cls | code | source, 0, 0, 0, 1));
        if (is_division(code)) {
          all.push_back(insn(cls | code | source, 0, 0, 1, 1));
        }
      }
    }
    all.push_back(insn(cls | op::neg, 0, 0, 0, 0));
    for (const int width : {8, 16, 32}) {
      if (width < 32 || cls == op::alu64) {
        all.push_back(insn(cls | op::mov | op::reg, 0, 0, width, 0));
      }
    }
  }
  for (const int width : {16, 32, 64}) {
    all.push_back(insn(op::alu | op::end, 0, 0, 0, width));
    all.push_back(insn(op::alu | op::end | op::reg, 0, 0, 0, width));
    all.push_back(insn(op::alu64 | op::end, 0, 0, 0, width));
  }
  for (const unsigned cls : {op::jmp, op::jmp32}) {
    for (const unsigned code : jump_codes) {
      all.push_back(insn(cls | code, 0, 0, 0, 0));
      all.push_back(insn(cls | code | op::reg, 0, 0, 0, 0));
    }
  }
  for (const unsigned size : sizes) {
    all.push_back(insn(op::ldx | op::mem | size, 0, 0, 0, 0));
    all.push_back(insn(op::st | op::mem | size, 0, 0, 0, 0));
    all.push_back(insn(op::stx | op::mem | size, 0, 0, 0, 0));
    if (size != op::dw) {
      all.push_back(insn(op::ldx | op::memsx | size, 0, 0, 0, 0));
      all.push_back(insn(op::ld | op::abs | size, 0, 0, 0, 0));
      all.push_back(insn(op::ld | op::ind | size, 0, 0, 0, 0));
    }
  }
  for (const unsigned size : {op::w, op::dw}) {
    for (const std::int32_t code : atomic_codes) {
      all.push_back(insn(op::stx | op::atomic | size, 0, 0, 0, code));
      all.push_back(insn(op::stx | op::atomic | size, 0, 0, 0, code | atomic::fetch));
    }
    all.push_back(insn(op::stx | op::atomic | size, 0, 0, 0, atomic::xchg));
    all.push_back(insn(op::stx | op::atomic | size, 0, 0, 0, atomic::cmpxchg));
  }
  for (const unsigned opcode : {op::lddw, op::ja_insn, op::gotol, op::exit_insn, op::call_insn}) {
    all.push_back(insn(opcode, 0, 0, 0, 0));
  }
  all.push_back(testing::call_local(0));
  std::vector<std::string> names;
  for (const Insn& one : all) {
    names.push_back(opcode_name(one));
  }
  return names;
}

}  // namespace rxpool::bpf::testing
