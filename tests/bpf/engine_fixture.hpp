#pragma once
// What tests of the engine share: a writer of bytecode and one policy instance per engine, run side by side.

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "models/bpf/vm.hpp"

namespace rxpool::bpf::testing {

constexpr std::array<Engine, 3> all_engines = {Engine::interpreter, Engine::checked, Engine::jit};

inline Insn insn(unsigned opcode, unsigned dst, unsigned src, int offset, std::int64_t imm) {
  Insn out;
  out.opcode = static_cast<std::uint8_t>(opcode);
  out.dst = dst & 15;
  out.src = src & 15;
  out.offset = static_cast<std::int16_t>(offset);
  out.imm = static_cast<std::int32_t>(imm);
  return out;
}
inline Insn mov(unsigned dst, std::int64_t imm) {
  return insn(op::alu64 | op::mov, dst, 0, 0, imm);
}
inline Insn mov_reg(unsigned dst, unsigned src) {
  return insn(op::alu64 | op::mov | op::reg, dst, src, 0, 0);
}
inline Insn alu_imm(unsigned code, unsigned dst, std::int64_t imm) {
  return insn(op::alu64 | code, dst, 0, 0, imm);
}
inline Insn alu_reg(unsigned code, unsigned dst, unsigned src) {
  return insn(op::alu64 | code | op::reg, dst, src, 0, 0);
}
inline Insn load(unsigned size, unsigned dst, unsigned src, int offset) {
  return insn(op::ldx | op::mem | size, dst, src, offset, 0);
}
inline Insn store(unsigned size, unsigned dst, int offset, unsigned src) {
  return insn(op::stx | op::mem | size, dst, src, offset, 0);
}
inline Insn jump(unsigned code, unsigned dst, std::int64_t imm, int distance) {
  return insn(op::jmp | code, dst, 0, distance, imm);
}
inline Insn call(std::int32_t helper) {
  return insn(op::call_insn, 0, call_kind::helper, 0, helper);
}
inline Insn call_local(std::int32_t distance) {
  return insn(op::call_insn, 0, call_kind::local, 0, distance);
}
inline Insn leave() {
  return insn(op::exit_insn, 0, 0, 0, 0);
}
inline std::array<Insn, 2> load_wide(unsigned dst, std::uint64_t value, unsigned src = 0) {
  return {insn(op::lddw, dst, src, 0, static_cast<std::int32_t>(value)),
          insn(0, 0, 0, 0, static_cast<std::int32_t>(value >> 32))};
}

/// Bytecode from single instructions and pairs.
class Code {
 public:
  Code& add(Insn one) {
    insns_.push_back(one);
    return *this;
  }
  Code& add(const std::array<Insn, 2>& pair) { return add(pair[0]).add(pair[1]); }
  template <class... T>
  explicit Code(const T&... parts) {
    (add(parts), ...);
  }
  operator std::vector<Insn>() const { return insns_; }
  std::size_t size() const { return insns_.size(); }

 private:
  std::vector<Insn> insns_;
};

/// An array in the box, the simplest map there is.
class TestArray : public Map {
 public:
  TestArray(Box& box, std::uint32_t value_size, std::uint32_t entries, bool inlined = true, std::uint32_t cpus = 0)
      : Map({"test_array", cpus == 0 ? MapType::array : MapType::percpu_array, 4, value_size, entries, 0}),
        inlined_(inlined) {
    layout_.value_stride = (value_size + 7) / 8 * 8;
    layout_.max_entries = entries;
    layout_.cpu_stride = cpus == 0 ? 0 : layout_.value_stride * entries;
    const std::uint64_t bytes = std::uint64_t{layout_.value_stride} * entries * (cpus == 0 ? 1 : cpus);
    layout_.base = box.map_region(ObjectClass::map_value, bytes, "test_array");
  }
  BoxOffset value(std::uint32_t index, std::uint32_t cpu = 0) const {
    return layout_.base + cpu * layout_.cpu_stride + index * layout_.value_stride;
  }
  std::uint64_t lookup(Runtime& runtime, std::span<const std::byte> key) override { return find(runtime, key.data()); }
  int update(Runtime&, std::span<const std::byte>, std::span<const std::byte>, std::uint64_t) override {
    return -EINVAL;
  }
  int erase(Runtime&, std::span<const std::byte>) override { return -EINVAL; }
  int next_key(std::span<const std::byte>, std::span<std::byte>) override { return -ENOENT; }
  const ArrayLayout* array_layout() const override { return inlined_ ? &layout_ : nullptr; }
  LookupFn lookup_fn() const override {
    return [](Runtime& runtime, Map& map, const std::byte* key) {
      return static_cast<TestArray&>(map).find(runtime, key);
    };
  }

 private:
  std::uint64_t find(Runtime& runtime, const std::byte* key) const {
    std::uint32_t index = 0;
    std::memcpy(&index, key, sizeof index);
    return index < layout_.max_entries ? value(index, layout_.cpu_stride == 0 ? 0 : runtime.cpu) : 0;
  }
  ArrayLayout layout_;
  bool inlined_;
};

class TestProgArray : public Map {
 public:
  explicit TestProgArray(std::vector<std::int32_t> programs)
      : Map({"test_prog_array", MapType::prog_array, 4, 4, static_cast<std::uint32_t>(programs.size()), 0}),
        programs_(std::move(programs)) {}
  std::uint64_t lookup(Runtime&, std::span<const std::byte>) override { return 0; }
  int update(Runtime&, std::span<const std::byte>, std::span<const std::byte>, std::uint64_t) override {
    return -EINVAL;
  }
  int erase(Runtime&, std::span<const std::byte>) override { return -EINVAL; }
  int next_key(std::span<const std::byte>, std::span<std::byte>) override { return -ENOENT; }
  std::int32_t program_at(std::uint32_t index) const override {
    return index < programs_.size() ? programs_[index] : -1;
  }

 private:
  std::vector<std::int32_t> programs_;
};

inline std::uint64_t lookup_helper(Runtime& runtime, std::uint64_t map, std::uint64_t key, std::uint64_t, std::uint64_t,
                                   std::uint64_t) {
  Map* const target = runtime.map(map);
  return target == nullptr ? 0 : target->lookup(runtime, runtime.readable(key, target->info().key_size));
}
inline std::uint64_t sum_helper(Runtime&, std::uint64_t r1, std::uint64_t r2, std::uint64_t r3, std::uint64_t r4,
                                std::uint64_t r5) {
  return r1 + 10 * r2 + 100 * r3 + 1000 * r4 + 10'000 * r5;
}
/// bpf_loop: function(index, context) up to r1 times until it returns non-zero.
inline std::uint64_t loop_helper(Runtime& runtime, std::uint64_t turns, std::uint64_t function, std::uint64_t context,
                                 std::uint64_t, std::uint64_t) {
  std::uint64_t i = 0;
  while (i < turns && runtime.call_back(function, i, context) == 0) {
    ++i;
  }
  return i;
}
/// Reads 8 bytes that r1 points to.
inline std::uint64_t peek_helper(Runtime& runtime, std::uint64_t pointer, std::uint64_t, std::uint64_t, std::uint64_t,
                                 std::uint64_t) {
  std::uint64_t value = 0;
  std::memcpy(&value, runtime.readable(pointer, sizeof value).data(), sizeof value);
  return value;
}

constexpr std::int32_t helper_lookup = 1, helper_ktime = 5, helper_cpu = 8, helper_tail_call = 12, helper_numa = 42,
                       helper_loop = 181, helper_sum = 900, helper_peek = 901;

inline HelperTable test_helpers() {
  constexpr auto any = ArgKind::anything;
  HelperTable table;
  table.add({.id = helper_lookup,
             .name = "map_lookup_elem",
             .fn = lookup_helper,
             .args = {ArgKind::map, ArgKind::map_key},
             .returns = ReturnKind::map_value_or_null,
             .cost_ps = 5'000,
             .intrinsic = Intrinsic::map_lookup});
  table.add({.id = helper_ktime, .name = "ktime_get_ns", .cost_ps = 700, .intrinsic = Intrinsic::ktime_ns});
  table.add({.id = helper_cpu, .name = "get_smp_processor_id", .cost_ps = 300, .intrinsic = Intrinsic::cpu_id});
  table.add({.id = helper_numa, .name = "get_numa_node_id", .cost_ps = 200, .intrinsic = Intrinsic::numa_node});
  table.add({.id = helper_tail_call,
             .name = "tail_call",
             .args = {ArgKind::context, ArgKind::map, ArgKind::scalar},
             .cost_ps = 9'000,
             .intrinsic = Intrinsic::tail_call});
  table.add({.id = helper_loop,
             .name = "loop",
             .fn = loop_helper,
             .args = {any, ArgKind::function, any, any},
             .cost_ps = 2'000});
  table.add({.id = helper_sum, .name = "sum", .fn = sum_helper, .args = {any, any, any, any, any}, .cost_ps = 1'100});
  table.add({.id = helper_peek, .name = "peek", .fn = peek_helper, .args = {any}, .cost_ps = 1'300});
  return table;
}

/// One policy instance: box, scratch memory, maps and a Vm. Every instance has the same layout of its box.
struct Instance {
  static constexpr std::uint32_t memory_bytes = 256;

  Box box;
  BoxOffset memory;
  TestArray array;
  TestArray percpu;
  TestArray by_function;  // looked up through the function, not inline
  TestProgArray programs;
  HelperTable helpers = test_helpers();
  std::unique_ptr<Vm> vm;

  explicit Instance(std::vector<std::int32_t> tail = {})
      : memory(box.map_region(ObjectClass::scratch, memory_bytes, "memory")),
        array(box, 12, 4),
        percpu(box, 8, 3, true, 4),
        by_function(box, 16, 2, false),
        programs(std::move(tail)) {}

  void load(std::vector<Program> code, Engine engine, std::int64_t fuel = 1'000'000, std::uint32_t insn_ps = 333) {
    VmOptions options;
    options.engine = engine;
    options.fuel = fuel;
    options.cost.insn_ps = insn_ps;
    vm.reset();
    vm = std::make_unique<Vm>(box, std::move(code), std::vector<Map*>{&array, &percpu, &by_function, &programs},
                              helpers, options);
  }
  std::vector<std::byte> bytes() {
    std::vector<std::byte> out(box.at(memory), box.at(memory) + memory_bytes);
    out.insert(out.end(), box.at(array.value(0)), box.at(array.value(0)) + 64);
    out.insert(out.end(), box.at(percpu.value(0)), box.at(percpu.value(0)) + 96);
    return out;
  }
};

inline Program program_of(std::vector<Insn> insns, const std::string& name = "test") {
  Program program;
  program.name = name;
  program.insns = std::move(insns);
  return program;
}

}  // namespace rxpool::bpf::testing
