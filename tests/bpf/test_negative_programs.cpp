// Programs that must not be taken: what this kernel's verifier says of each, and what we say. First the 45 of the
// public conformance suite's kind, an instruction with one reserved field set, each beside its clean twin that both
// take; then programs that are wrong in what they do, of which the table says whether we refuse them too or take and
// contain them.

#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "kernel/policy/kernel_policy.hpp"
#include "models/bpf/checks/check.hpp"
#include "models/bpf/helpers/table.hpp"
#include "sim/error.hpp"
#include "tests/bpf/engine_fixture.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using namespace rxpool::bpf::testing;
using Catch::Matchers::Contains;

namespace {

constexpr std::uint32_t value_bytes = 8;

Object object_of(const std::vector<Insn>& insns) {
  Object object;
  object.label = "t.bpf.o";
  MapDefinition map;
  map.name = "values";
  map.type = BPF_MAP_TYPE_ARRAY;
  map.key_size = 4;
  map.value_size = value_bytes;
  map.max_entries = 1;
  object.maps = {map};
  Program program;
  program.name = "main";
  program.section = "xdp";
  program.insns = insns;
  program.subprograms = {{"main", 0, static_cast<std::uint32_t>(insns.size())}};
  object.programs.push_back(program);
  return object;
}

/// Empty when load-time checks and decoder take the program.
std::string our_refusal(const std::vector<Insn>& insns) {
  try {
    const HelperTable helpers = make_helper_table();
    const Object object = object_of(insns);
    check_object(object, helpers);
    Box box;
    TestArray values(box, value_bytes, 1);
    VmOptions options;
    options.engine = Engine::interpreter;
    const Vm vm(box, object.programs, {&values}, helpers, options);
    return "";
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::policy_rejected);
    return error.what();
  }
}

/// The verifier's log of a refused program; empty when the kernel takes it.
std::string kernel_refusal(std::vector<Insn> insns) {
  const int map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "values", 4, value_bytes, 1, nullptr);
  REQUIRE(map >= 0);
  for (Insn& one : insns) {
    if (one.opcode == op::lddw && one.src == lddw_kind::map) one.imm = map;
  }
  std::array<char, 65536> log{};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .log_level = 1, .log_size = log.size(), .log_buf = log.data());
  static_assert(sizeof(Insn) == sizeof(bpf_insn));
  const int program = bpf_prog_load(BPF_PROG_TYPE_XDP, "negative", "GPL",
                                    reinterpret_cast<const bpf_insn*>(insns.data()), insns.size(), &options);
  close(map);
  if (program < 0) return std::string("refused: ") + log.data();
  close(program);
  return "";
}

struct Reserved {
  const char* name;
  Insn clean;
  std::vector<const char*> fields;
};

const Reserved reserved[] = {
    {"add64_imm", insn(op::alu64 | op::add, 0, 0, 0, 1), {"offset", "src"}},
    {"add64_reg", insn(op::alu64 | op::add | op::reg, 0, 2, 0, 0), {"imm", "offset"}},
    {"add_imm", insn(op::alu | op::add, 0, 0, 0, 1), {"offset", "src"}},
    {"add_reg", insn(op::alu | op::add | op::reg, 0, 2, 0, 0), {"imm", "offset"}},
    {"be16", insn(op::alu | op::end | op::reg, 0, 0, 0, 16), {"offset", "src"}},
    {"le16", insn(op::alu | op::end, 0, 0, 0, 16), {"offset", "src"}},
    {"neg", insn(op::alu | op::neg, 0, 0, 0, 0), {"imm", "offset", "src"}},
    {"neg64", insn(op::alu64 | op::neg, 0, 0, 0, 0), {"imm", "offset", "src"}},
    {"mov_imm", insn(op::alu | op::mov, 0, 0, 0, 1), {"offset", "src"}},
    {"mov_reg", insn(op::alu | op::mov | op::reg, 0, 2, 0, 0), {"imm", "offset"}},
    {"mov64_imm", insn(op::alu64 | op::mov, 0, 0, 0, 1), {"offset", "src"}},
    {"mov64_reg", insn(op::alu64 | op::mov | op::reg, 0, 2, 0, 0), {"imm", "offset"}},
    {"ja", insn(op::ja_insn, 0, 0, 0, 0), {"dst", "imm", "src"}},
    {"jeq_imm", insn(op::jmp | op::jeq, 2, 0, 0, 0), {"src"}},
    {"jeq_reg", insn(op::jmp | op::jeq | op::reg, 2, 0, 0, 0), {"imm"}},
    {"jgt_imm", insn(op::jmp | op::jgt, 2, 0, 0, 0), {"src"}},
    {"jgt_reg", insn(op::jmp | op::jgt | op::reg, 2, 0, 0, 0), {"imm"}},
    {"ldxw", insn(op::ldx | op::mem | op::w, 0, 10, -8, 0), {"imm"}},
    {"ldxdw", insn(op::ldx | op::mem | op::dw, 0, 10, -8, 0), {"imm"}},
    {"stw", insn(op::st | op::mem | op::w, 10, 0, -8, 1), {"src"}},
    {"stdw", insn(op::st | op::mem | op::dw, 10, 0, -8, 1), {"src"}},
    {"stxw", insn(op::stx | op::mem | op::w, 10, 2, -8, 0), {"imm"}},
    {"stxdw", insn(op::stx | op::mem | op::dw, 10, 2, -8, 0), {"imm"}},
    {"call", call(helper_ktime), {"dst", "offset"}},
    {"exit", leave(), {"dst", "imm", "offset", "src"}},
};

Insn with_field(Insn one, const std::string& field) {
  if (field == "dst") one.dst = 1;
  if (field == "src") one.src = 2;
  if (field == "offset") one.offset = 1;
  if (field == "imm") one.imm = 1;
  return one;
}

std::vector<Insn> around(const Insn& one) {
  return Code(mov(0, 0), mov(2, 0), insn(op::st | op::mem | op::dw, 10, 0, -8, 0), one, mov(0, 1), leave());
}

/// The same with an exit in the middle, which a jump leads past.
std::vector<Insn> around_exit(const Insn& one) {
  return Code(mov(0, 0), mov(2, 0), jump(op::jeq, 2, 1, 1), one, mov(0, 1), leave());
}

/// Of a key that the map does not have: with a constant key that it has, kernels from 6.15 on know that there is a
/// value.
Code lookup() {
  return Code(insn(op::st | op::mem | op::w, 10, 0, -4, 7), mov_reg(2, 10), alu_imm(op::add, 2, -4),
              load_wide(1, 0, lddw_kind::map), call(helper_lookup));
}
std::vector<Insn> after_lookup(const std::vector<Insn>& rest) {
  std::vector<Insn> all = lookup();
  all.insert(all.end(), rest.begin(), rest.end());
  return all;
}

struct Wrong {
  const char* name;
  std::vector<Insn> insns;
  const char* ours;  ///< words of our refusal; null: taken and contained
  bool kernel_takes = false;
};

const Wrong wrong[] = {
    {"packet read without bounds", Code(load(op::w, 2, 1, 0), load(op::b, 0, 2, 0), leave()), nullptr},
    {"value of a lookup without NULL check", after_lookup(Code(load(op::dw, 0, 0, 0), leave())), "map_value_or_null"},
    {"index beyond a map's value",
     after_lookup(Code(jump(op::jne, 0, 0, 2), mov(0, 0), leave(), load(op::dw, 3, 0, 0), alu_reg(op::add, 0, 3),
                       load(op::dw, 0, 0, 0), leave())),
     nullptr},
    {"endless loop", Code(mov(0, 1), jump(op::jne, 0, 0, -1), leave()), nullptr},
    {"store below the frame", Code(mov(0, 0), store(op::dw, 10, -520, 0), leave()), "R10"},
    {"store above the frame", Code(mov(0, 0), store(op::dw, 10, 8, 0), leave()), "R10"},
    {"store to a host address", Code(mov(0, 0), load_wide(2, 0x7f0012345678), store(op::dw, 2, 0, 0), leave()),
     "expected a pointer to memory"},
    {"key pointer that is a number",
     Code(mov(2, 16), load_wide(1, 0, lddw_kind::map), call(helper_lookup), mov(0, 0), leave()), "R2"},
    {"register that nobody has set", Code(mov_reg(0, 3), leave()), "R3 is not initialised"},
    {"no result", std::vector<Insn>(Code(leave())), "R0 is not initialised"},
    {"write to the context", Code(mov(0, 0), store(op::w, 1, 0, 0), leave()), "xdp_md"},
    {"context field that does not exist", Code(load(op::w, 0, 1, 24), leave()), "no field there"},
    {"code that nobody reaches", Code(mov(0, 0), leave(), mov(0, 1), leave()), "reach"},
    {"end without exit", std::vector<Insn>(Code(mov(0, 0))), "instruction"},
    {"jump out of the program", Code(mov(0, 0), jump(op::jeq, 0, 0, 7), leave()), "instruction"},
    {"write to r10", Code(mov(0, 0), mov(10, 0), leave()), "R10 is read-only"},
    {"helper that does not exist", Code(call(9999), leave()), "9999"},
    // With CAP_PERFMON the kernel lets pointers into maps.
    {"pointer stored in a map",
     after_lookup(Code(jump(op::jne, 0, 0, 2), mov(0, 0), leave(), store(op::dw, 0, 0, 10), mov(0, 0), leave())),
     nullptr, true},
};

}  // namespace

TEST_CASE("a reserved field that is set is refused by us, and by the kernel but for one of 45 programs",
          "[bpf][load][kernel]") {
  const std::string no_kernel = kernel::refusal();
  if (!no_kernel.empty()) WARN("the kernel's column is left out: " << no_kernel);
  int programs = 0;
  for (const Reserved& one : reserved) {
    const auto around_one = std::string(one.name) == "exit" ? around_exit : around;
    INFO(one.name);
    CHECK(our_refusal(around_one(one.clean)) == "");
    if (no_kernel.empty()) CHECK(kernel_refusal(around_one(one.clean)) == "");
    for (const std::string field : one.fields) {
      INFO("with " << field);
      ++programs;
      const std::vector<Insn> program = around_one(with_field(one.clean, field));
      const std::string ours = our_refusal(program);
      CHECK_THAT(ours, Contains("reserved field " + field) || Contains("no sign extension of this width"));
      // The kernel's verifier does not look at the offset of an exit; RFC 9669 has it reserved.
      const bool kernel_takes = std::string(one.name) == "exit" && field == "offset";
      if (no_kernel.empty()) CHECK(kernel_refusal(program).empty() == kernel_takes);
    }
  }
  CHECK(programs == 45);
}

TEST_CASE("what the kernel refuses we refuse too or take and contain, as the table says", "[bpf][load][kernel]") {
  const std::string no_kernel = kernel::refusal();
  if (!no_kernel.empty()) WARN("the kernel's column is left out: " << no_kernel);
  for (const Wrong& one : wrong) {
    INFO(one.name);
    const std::string ours = our_refusal(one.insns);
    if (one.ours == nullptr) {
      CHECK(ours == "");
    } else {
      CHECK_THAT(ours, Contains(one.ours));
    }
    if (no_kernel.empty()) CHECK(kernel_refusal(one.insns).empty() == one.kernel_takes);
  }
}
