// The front: batches, clock and cost, maps, tail calls, and what is refused at load.
#include "models/bpf/disasm.hpp"
#include "sim/error.hpp"
#include "tests/bpf/run_all.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;
using Catch::Matchers::Contains;

TEST_CASE("cost is the executed instructions and the helpers that were called, on every path", "[bpf][cost]") {
  // if (r1 chosen) { ktime; } else { sum; sum; } with a loop of three turns in front.
  for (const int choice : {0, 1}) {
    const Code code(mov(6, 3), mov(7, choice), alu_imm(op::sub, 6, 1), jump(op::jne, 6, 0, -2), jump(op::jeq, 7, 0, 3),
                    call(helper_ktime), mov(0, 2), leave(), mov(1, 0), mov(2, 0), mov(3, 0), mov(4, 0), mov(5, 0),
                    call(helper_sum), mov(1, 0), mov(2, 0), mov(3, 0), mov(4, 0), mov(5, 0), call(helper_sum), leave());
    const Outcome outcome = run_all(code);
    const std::uint32_t insns = choice == 1 ? 2 + 3 * 2 + 1 + 3 : 2 + 3 * 2 + 1 + 13;
    CHECK(outcome.insns == insns);
    CHECK(outcome.cost_ps == insns * 333 + (choice == 1 ? 700 : 2 * 1100));
  }
}

TEST_CASE("executed instructions are counted through functions and callbacks", "[bpf][cost]") {
  const Code code(mov(1, 5), load_wide(2, 8, lddw_kind::function), mov(3, 0), mov(4, 0), call(helper_loop),
                  call_local(3), leave(),
                  // callback, five times
                  mov(0, 0), leave(),
                  // function
                  mov(0, 1), mov(0, 2), leave());
  const Outcome outcome = run_all(code);
  CHECK(outcome.r0 == 2);
  CHECK(outcome.insns == 7 + 5 * 2 + 3);
  CHECK(outcome.cost_ps == outcome.insns * 333 + 2'000);
}

TEST_CASE("the clock advances between the packets of a batch by what each executed", "[bpf][cost]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    const BoxOffset contexts = instance.box.map_region(ObjectClass::context, 64 * 64, "contexts");
    // r0 = ktime; packet i spends i more turns of a loop first.
    instance.load({program_of(Code(load(op::w, 6, 1, 0), jump(op::jeq, 6, 0, 2), alu_imm(op::sub, 6, 1),
                                   insn(op::ja_insn, 0, 0, -3, 0), call(helper_ktime), leave()))},
                  engine, 1'000'000, 1000);
    std::vector<PacketView> packets;
    for (std::uint32_t i = 0; i < 64; ++i) {
      std::memcpy(instance.box.at(contexts + i * 64), &i, 4);
      packets.push_back({.context = contexts + i * 64, .lead_ps = 10'000});
    }
    std::vector<Outcome> outcomes(64);
    instance.vm->runtime().now = nanoseconds(5'000);
    instance.vm->run_batch(0, packets, outcomes);
    std::uint64_t now_ps = 5'000'000;
    for (std::uint32_t i = 0; i < 64; ++i) {
      now_ps += 10'000;
      CHECK(outcomes[i].r0 == now_ps / 1000);
      CHECK(outcomes[i].insns == 2 + 3 * i + 2);
      CHECK(outcomes[i].cost_ps == (4 + 3 * i) * 1000 + 700);
      now_ps += static_cast<std::uint64_t>(outcomes[i].cost_ps);
    }
    CHECK(instance.vm->runtime().now.ps == static_cast<std::int64_t>(now_ps));
  }
}

TEST_CASE("a fault in the middle of a batch aborts that packet alone", "[bpf][box]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    const BoxOffset contexts = instance.box.map_region(ObjectClass::context, 64 * 64, "contexts");
    // A context that holds 0 makes the program read NULL.
    instance.load({program_of(Code(load(op::w, 6, 1, 0), load(op::w, 0, 6, 0), mov(0, 2), leave()))}, engine);
    std::vector<PacketView> packets;
    for (std::uint32_t i = 0; i < 64; ++i) {
      const std::uint32_t pointer = i % 7 == 3 ? 0 : contexts;
      std::memcpy(instance.box.at(contexts + i * 64), &pointer, 4);
      packets.push_back({.context = contexts + i * 64});
    }
    std::vector<Outcome> outcomes(64);
    instance.vm->run_batch(0, packets, outcomes);
    for (std::uint32_t i = 0; i < 64; ++i) {
      CHECK(outcomes[i].r0 == (i % 7 == 3 ? xdp_aborted : xdp_pass));
      CHECK(outcomes[i].abort == static_cast<std::uint32_t>(i % 7 == 3 ? Abort::memory : Abort::none));
      CHECK(outcomes[i].insns == (i % 7 == 3 ? 2u : 4u));
    }
    CHECK(instance.vm->aborts(Abort::memory) == 9);
  }
}

TEST_CASE("a redirect is recorded with its packet", "[bpf][batch]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    instance.helpers.add({.id = 23,
                          .name = "redirect",
                          .fn = [](Runtime& runtime, std::uint64_t r1, std::uint64_t r2, std::uint64_t, std::uint64_t,
                                   std::uint64_t) -> std::uint64_t {
                            runtime.redirect = {r2, 0, static_cast<std::uint32_t>(r1), true};
                            return xdp_redirect;
                          },
                          .args = {ArgKind::scalar, ArgKind::scalar}});
    const BoxOffset contexts = instance.box.map_region(ObjectClass::context, 4 * 64, "contexts");
    instance.load(
        {program_of(Code(load(op::w, 1, 1, 0), mov(0, 2), jump(op::jeq, 1, 0, 2), mov(2, 7), call(23), leave()))},
        engine);
    std::vector<PacketView> packets;
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t target = i % 2 * (i + 10);
      std::memcpy(instance.box.at(contexts + i * 64), &target, 4);
      packets.push_back({.context = contexts + i * 64});
    }
    std::vector<Outcome> outcomes(4);
    instance.vm->run_batch(0, packets, outcomes);
    for (std::uint32_t i = 0; i < 4; ++i) {
      CHECK(outcomes[i].redirect.pending == (i % 2 == 1));
      if (i % 2 == 1) {
        CHECK(outcomes[i].redirect.ifindex_or_key == i + 10);
        CHECK(outcomes[i].redirect.flags == 7);
      }
    }
  }
}

TEST_CASE("a lookup with its key in the frame, as compilers write it, is what its instructions are", "[bpf][map]") {
  const auto lookup = load_wide(1, 0, lddw_kind::map);
  const auto key_from = [](unsigned source, int offset) { return store(op::w, 10, offset, source); };
  const auto at = [](int offset) { return alu_imm(op::add, 2, offset); };
  SECTION("of a key in a register, with and without a check for NULL") {
    for (const int key : {0, 3, 4, 1000, -1}) {  // the array has four values
      CAPTURE(key);
      run_all(Code(mov(6, key), key_from(6, -4), mov_reg(2, 10), at(-4), lookup, call(helper_lookup),
                   jump(op::jeq, 0, 0, 1), load(op::w, 7, 0, 0), load(op::w, 3, 10, -4), alu_reg(op::add, 0, 3),
                   leave()));
      run_all(Code(mov(1, key), key_from(1, -8), mov_reg(2, 10), at(-8), lookup, call(helper_lookup), leave()));
      CHECK((run_all(Code(mov(6, key), key_from(6, -4), mov_reg(2, 10), at(-4), lookup, call(helper_lookup),
                          jump(op::jeq, 0, 0, 1), mov(0, 1), leave()))
                 .r0 == 1) == (key >= 0 && key < 4));
    }
  }
  SECTION("of a key that is a number, or stored elsewhere before") {
    run_all(Code(insn(op::st | op::mem | op::w, 10, 0, -4, 2), mov_reg(2, 10), at(-4), lookup, call(helper_lookup),
                 jump(op::jeq, 0, 0, 0), leave()));
    run_all(Code(mov(6, 1), key_from(6, -4), mov(6, 3), key_from(6, -8), mov_reg(2, 10), at(-4), lookup,
                 call(helper_lookup), leave()));
  }
  SECTION("that reads its arguments' registers afterwards") {
    const Outcome outcome =
        run_all(Code(mov(6, 1), key_from(6, -4), mov_reg(2, 10), at(-4), lookup, call(helper_lookup),
                     jump(op::jeq, 0, 0, 2), mov_reg(0, 2), alu_reg(op::add, 0, 1), leave()));
    CHECK(outcome.r0 == 0);
  }
  SECTION("that is jumped into between store and call") {
    run_all(Code(mov(6, 2), mov_reg(7, 10), jump(op::jeq, 6, 2, 1), key_from(7, -4), mov_reg(2, 10), at(-4), lookup,
                 call(helper_lookup), leave()));
    run_all(Code(mov(6, 2), key_from(6, -4), mov_reg(2, 10), jump(op::jeq, 6, 2, 1), mov_reg(2, 10), at(-4), lookup,
                 call(helper_lookup), leave()));
  }
  SECTION("whose key would lie far outside the frame") {
    for (const Engine engine : all_engines) {
      const Code code(mov_reg(2, 10), alu_imm(op::add, 2, 0x7fffffff), lookup, call(helper_lookup), leave());
      CHECK(run_one(code, engine).abort != 0);
    }
  }
}

TEST_CASE("operations that compilers put side by side do what each does", "[bpf][isa]") {
  for (const std::int64_t value : {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{1} << 32}) {
    CAPTURE(value);
    for (const unsigned code : {op::add, op::sub, op::or_, op::and_, op::xor_}) {
      for (const std::int64_t operand : {0, 1, -1}) {
        for (const unsigned comparison : {op::jeq, op::jne}) {
          run_all(Code(load_wide(6, static_cast<std::uint64_t>(value)), alu_imm(code, 6, operand), mov(0, 1), leave()));
          run_all(Code(load_wide(6, static_cast<std::uint64_t>(value)), mov(0, 1), alu_imm(code, 6, operand),
                       jump(comparison, 6, 0, 1), mov(0, 2), alu_reg(op::add, 0, 6), leave()));
          run_all(Code(load_wide(6, static_cast<std::uint64_t>(value)), mov(0, 1),
                       insn(op::alu | code, 6, 0, 0, operand), insn(op::jmp32 | comparison, 6, 0, 1, 0), mov(0, 2),
                       alu_reg(op::add, 0, 6), leave()));
          run_all(Code(load_wide(6, static_cast<std::uint64_t>(value)), mov(0, 1),
                       insn(op::alu | code, 6, 0, 0, operand), jump(comparison, 6, 0, 1), mov(0, 2), leave()));
        }
      }
    }
    CHECK(
        run_all(Code(load_wide(6, static_cast<std::uint64_t>(value)), mov_reg(0, 6), alu_imm(op::add, 0, -2), leave()))
            .r0 == static_cast<std::uint64_t>(value - 2));
  }
}

TEST_CASE("array lookups find each CPU's value, and NULL outside", "[bpf][map]") {
  for (const Engine engine : all_engines) {
    for (const int map : {0, 1, 2}) {
      Instance instance;
      instance.load({program_of(Code(store(op::w, 10, -4, 2), mov_reg(2, 10), alu_imm(op::add, 2, -4),
                                     load_wide(1, static_cast<std::uint64_t>(map), lddw_kind::map), call(helper_lookup),
                                     leave()))},
                    engine);
      instance.vm->runtime().cpu = 2;
      TestArray& array = map == 0 ? instance.array : map == 1 ? instance.percpu : instance.by_function;
      for (std::uint32_t i = 0; i < array.info().max_entries; ++i) {
        CHECK(instance.vm->run(0, 0, i).r0 == array.value(i, map == 1 ? 2 : 0));
      }
      CHECK(instance.vm->run(0, 0, array.info().max_entries).r0 == 0);
      CHECK(instance.vm->run(0, 0, 0xffffffff).r0 == 0);
    }
  }
}

TEST_CASE("cpu, node and time come from the runtime", "[bpf][helper]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    instance.load({program_of(Code(call(helper_cpu), leave()), "cpu"), program_of(Code(call(helper_numa), leave())),
                   program_of(Code(call(helper_ktime), leave()))},
                  engine);
    Runtime& runtime = instance.vm->runtime();
    runtime.cpu = 3;
    runtime.numa_node = 1;
    CHECK(instance.vm->run(0, 0).r0 == 3);
    CHECK(instance.vm->run(1, 0).r0 == 1);
    for (const std::int64_t ps : {std::int64_t{0}, std::int64_t{999}, std::int64_t{1000}, std::int64_t{123'456'789'999},
                                  time_limit().ps, INT64_MAX - 10'000}) {
      runtime.now = Time{ps};
      CHECK(instance.vm->run(2, 0).r0 == static_cast<std::uint64_t>(ps) / 1000);
    }
  }
}

TEST_CASE("tail calls go on in another program, 33 times at most, and fall through where there is none",
          "[bpf][call]") {
  for (const Engine engine : all_engines) {
    // Program 0 counts in memory and calls itself; program 1 returns its context.
    Instance instance({0, 1, -1});
    const auto tail = [](int index) {
      Code code(load(op::dw, 3, 1, 0), alu_imm(op::add, 3, 1), store(op::dw, 1, 0, 3), mov(6, 77), mov_reg(7, 1),
                load_wide(2, 3, lddw_kind::map), mov(3, index), call(helper_tail_call), mov_reg(0, 6), leave());
      return program_of(code);
    };
    instance.load(
        {tail(0), program_of(Code(mov_reg(0, 1), alu_reg(op::add, 0, 6), leave())), tail(1), tail(2), tail(9)}, engine);
    const auto counter = [&] {
      std::uint64_t value = 0;
      std::memcpy(&value, instance.box.at(instance.memory), 8);
      return value;
    };
    const Outcome chain = instance.vm->run(0, instance.memory);
    CHECK(chain.r0 == 77);
    CHECK(counter() == 34);
    CHECK(chain.insns == 34 * 8 + 2);  // an LDDW counts once
    CHECK(chain.cost_ps == chain.insns * 333 + 34 * 9'000);
    const Outcome other = instance.vm->run(2, instance.memory);
    CHECK(other.r0 == instance.memory);
    CHECK(other.insns == 8 + 3);
    CHECK(instance.vm->run(3, instance.memory).r0 == 77);
    CHECK(instance.vm->run(4, instance.memory).r0 == 77);
  }
}

TEST_CASE("a timer's callback runs as a run of its own", "[bpf][call]") {
  for (const Engine engine : all_engines) {
    Instance instance;
    instance.load({program_of(Code(load_wide(0, 3, lddw_kind::function), leave(), mov_reg(0, 3), leave()))}, engine);
    const std::uint64_t function = instance.vm->run(0, 0).r0;
    CHECK(instance.vm->run_function(function, 1, 2, 30).r0 == 30);
    CHECK_THROWS_AS(instance.vm->run_function(17, 0, 0, 0), BugError);
  }
}

TEST_CASE("what cannot be executed is refused with program and instruction", "[bpf][load]") {
  const auto refuse = [](std::vector<Insn> code, const std::string& words) {
    Instance instance;
    CHECK_THROWS_WITH(instance.load({program_of(std::move(code))}, Engine::jit), Contains(words));
  };
  refuse({}, "the program is empty");
  refuse(Code(mov(0, 1)), "past the end");
  refuse(Code(insn(op::ja_insn, 0, 0, 5, 0), leave()), "the jump leaves its function");
  refuse(Code(insn(op::ja_insn, 0, 0, 1, 0), load_wide(0, 1), leave()), "middle of a 64-bit load");
  refuse(Code(call_local(9), leave()), "outside the program");
  refuse(Code(call(777), leave()), "unknown helper 777");
  refuse(Code(mov(10, 1), leave()), "r10 is read-only");
  refuse(Code(insn(op::alu64 | op::mov, 11, 0, 0, 0), leave()), "registers are r0 to r10");
  refuse(Code(load_wide(1, 99, lddw_kind::map), leave()), "no map 99");
  refuse(Code(insn(op::lddw, 0, 0, 0, 1), leave(), leave()), "second half");
  refuse(Code(insn(0xff, 0, 0, 0, 0), leave()), "no such instruction");
  refuse(Code(insn(op::stx | op::atomic | op::b, 10, 1, -8, 0), leave()), "no such instruction");
  refuse(Code(insn(op::stx | op::atomic | op::w, 10, 1, -8, 0x33), leave()), "no such atomic");
}

TEST_CASE("a reserved field that is not zero is refused", "[bpf][load]") {
  const Insn bad[] = {
      insn(op::alu64 | op::add, 1, 2, 0, 1),
      insn(op::alu64 | op::add, 1, 0, 1, 1),
      insn(op::alu64 | op::add | op::reg, 1, 2, 0, 1),
      insn(op::alu | op::mov, 1, 0, 8, 1),
      insn(op::alu64 | op::mov | op::reg, 1, 2, 7, 0),
      insn(op::alu | op::mov | op::reg, 1, 2, 32, 0),
      insn(op::alu64 | op::div, 1, 0, 2, 1),
      insn(op::alu64 | op::neg, 1, 2, 0, 0),
      insn(op::alu64 | op::neg, 1, 0, 0, 1),
      insn(op::alu64 | op::neg | op::reg, 1, 0, 0, 0),
      insn(op::alu | op::end, 1, 0, 0, 8),
      insn(op::alu | op::end, 1, 2, 0, 16),
      insn(op::alu64 | op::end | op::reg, 1, 0, 0, 16),
      insn(op::ja_insn, 1, 0, 0, 0),
      insn(op::ja_insn, 0, 0, 0, 1),
      insn(op::gotol, 0, 0, 1, 0),
      insn(op::jmp | op::jeq, 1, 2, 0, 0),
      insn(op::jmp | op::jeq | op::reg, 1, 2, 0, 1),
      insn(op::exit_insn, 1, 0, 0, 0),
      insn(op::exit_insn, 0, 0, 0, 1),
      insn(op::call_insn, 1, 0, 0, 1),
      insn(op::call_insn, 0, 3, 0, 1),
      insn(op::call_insn, 0, 0, 1, 1),
      insn(op::ldx | op::mem | op::w, 1, 2, 0, 1),
      insn(op::st | op::mem | op::w, 10, 1, -4, 0),
      insn(op::stx | op::mem | op::w, 10, 1, -4, 1),
      insn(op::ldx | op::memsx | op::dw, 1, 2, 0, 0),
      insn(op::ld | op::abs | op::dw, 0, 0, 0, 0),
      insn(op::ld | op::abs | op::w, 1, 0, 0, 0),
      insn(op::ld | op::abs | op::w, 0, 1, 0, 0),
      insn(op::lddw, 1, 7, 0, 0),
      insn(op::callx, 1, 1, 0, 0),
  };
  for (const Insn& one : bad) {
    Instance instance;
    CAPTURE(disassemble(one, nullptr, 0));
    CHECK_THROWS_AS(
        instance.load({program_of(Code(mov(0, 0), one, insn(0, 0, 0, 0, 0), leave()))}, Engine::interpreter),
        InputError);
  }
}

TEST_CASE("the disassembler writes what the kernel's log writes", "[bpf][report]") {
  const auto text = [](Insn one) { return disassemble(one, nullptr, 10); };
  CHECK(text(mov(1, -3)) == "r1 = -3");
  CHECK(text(insn(op::alu | op::add | op::reg, 1, 2, 0, 0)) == "w1 += w2");
  CHECK(text(insn(op::alu64 | op::div | op::reg, 1, 2, 1, 0)) == "r1 s/= r2");
  CHECK(text(insn(op::alu64 | op::mov | op::reg, 1, 2, 16, 0)) == "r1 = (s16)r2");
  CHECK(text(insn(op::alu | op::end | op::reg, 3, 0, 0, 16)) == "r3 = be16 r3");
  CHECK(text(load(op::b, 1, 2, -5)) == "r1 = *(u8 *)(r2 - 5)");
  CHECK(text(insn(op::ldx | op::memsx | op::h, 1, 2, 6, 0)) == "r1 = *(s16 *)(r2 + 6)");
  CHECK(text(insn(op::st | op::mem | op::w, 10, 0, -4, 7)) == "*(u32 *)(r10 - 4) = 7");
  CHECK(text(insn(op::stx | op::atomic | op::dw, 1, 2, 8, atomic::add)) == "lock *(u64 *)(r1 + 8) += r2");
  CHECK(text(insn(op::jmp32 | op::jsge, 1, 0, 4, -1)) == "if w1 s>= -1 goto 15");
  CHECK(text(insn(op::gotol, 0, 0, 0, -11)) == "gotol 0");
  CHECK(text(call(5)) == "call #5");
  CHECK(text(leave()) == "exit");
}
