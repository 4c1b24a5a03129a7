// The loader on objects of our own compiler: what has to come out of them, and what is refused with which words.

#include <elf.h>
#include <linux/bpf.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <fstream>
#include <iterator>

#include "models/bpf/btf.hpp"
#include "models/bpf/contexts.hpp"
#include "models/bpf/core_relo.hpp"
#include "models/bpf/loader.hpp"
#include "models/bpf/loader_elf.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using Catch::Matchers::Contains;

namespace {

std::vector<std::uint8_t> bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<std::uint8_t> everything() {
  return bytes_of(RXPOOL_TEST_OBJECTS "/everything.bpf.o");
}

LoadOptions options(bool ask_libbpf = true) {
  return {[](std::string_view name) { return name == "bpf_xdp_metadata_rx_hash"; }, ask_libbpf};
}

Object load(const std::vector<std::uint8_t>& bytes) {
  return load_object(bytes, "test.bpf.o", options());
}

const MapDefinition& map_named(const Object& object, const std::string& name) {
  const int index = object.map_index(name);
  REQUIRE(index >= 0);
  return object.maps[index];
}

std::string refusal(const std::vector<std::uint8_t>& bytes) {
  try {
    load_object(bytes, "test.bpf.o", options(false));
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::policy_rejected);
    return error.what();
  }
  return "accepted";
}

std::string refusal_of_header(std::size_t offset, std::uint8_t value) {
  auto bytes = everything();
  bytes[offset] = value;
  return refusal(bytes);
}

}  // namespace

TEST_CASE("an object gives its programs with the subprograms they reach", "[loader]") {
  const Object object = load(everything());
  REQUIRE(object.programs.size() == 6);
  const Program* first = object.find_program("first");
  REQUIRE(first != nullptr);
  CHECK(first->section == "xdp");
  CHECK(first->hook == Hook::xdp);
  std::vector<std::string> names;
  for (const Subprogram& subprogram : first->subprograms) {
    names.push_back(subprogram.name);
  }
  CHECK_THAT(names, Catch::VectorContains(std::string("four_times")));
  CHECK_THAT(names, Catch::VectorContains(std::string("twice")));
  CHECK_THAT(names, Catch::VectorContains(std::string("each")));
  CHECK(std::count(names.begin(), names.end(), "twice") == 1);
  CHECK(object.find_program("second")->subprograms.size() == 1);
  CHECK(object.find_program("returned")->hook == Hook::rxpool_return);
  CHECK(object.license == "Dual BSD/GPL");
}

TEST_CASE("calls and callbacks of a linked program lead to the starts of its subprograms", "[loader]") {
  const Object object = load(everything());
  const Program& program = *object.find_program("first");
  int calls = 0;
  int callbacks = 0;
  for (std::uint32_t at = 0; at < program.insns.size(); ++at) {
    const Insn& insn = program.insns[at];
    const bool call = insn.opcode == op::call_insn && insn.src == call_kind::local;
    const bool address = insn.opcode == op::lddw && insn.src == lddw_kind::function;
    if (call || address) {
      const auto target = static_cast<std::uint32_t>(call ? static_cast<int>(at) + 1 + insn.imm : insn.imm);
      const bool found = std::any_of(program.subprograms.begin(), program.subprograms.end(),
                                     [&](const Subprogram& candidate) { return candidate.first_insn == target; });
      CHECK(found);
      (call ? calls : callbacks) += 1;
    }
    if (insn.opcode == op::lddw) {
      ++at;
    }
  }
  CHECK(calls == 3);
  CHECK(callbacks == 1);
}

TEST_CASE("source lines come from BTF.ext and follow the instructions", "[loader]") {
  const Object object = load(everything());
  const Program& program = *object.find_program("second");
  REQUIRE_FALSE(program.lines.empty());
  CHECK(program.lines[0].insn == 0);
  CHECK_THAT(program.lines[0].file, Contains("everything.bpf.c"));
  bool found = false;
  for (const LineInfo& line : program.lines) {
    found = found || line.text.find("last += 1") != std::string::npos;
  }
  CHECK(found);
}

TEST_CASE("BTF-defined maps keep types, sizes, inner shape and initial values", "[loader]") {
  const Object object = load(everything());
  const MapDefinition& outer = map_named(object, "outer");
  CHECK(outer.type == BPF_MAP_TYPE_ARRAY_OF_MAPS);
  CHECK(outer.max_entries == 4);
  REQUIRE(outer.inner.size() == 1);
  CHECK(outer.inner[0].type == BPF_MAP_TYPE_HASH);
  CHECK(outer.inner[0].max_entries == 16);
  REQUIRE(outer.initial.size() == 2);
  CHECK(outer.initial[0].index == 0);
  CHECK(outer.initial[0].target == "inner_a");
  CHECK(outer.initial[1].index == 2);
  CHECK(outer.initial[1].target == "inner_b");
  const MapDefinition& jumps = map_named(object, "jumps");
  REQUIRE(jumps.initial.size() == 1);
  CHECK(jumps.initial[0].index == 1);
  CHECK(jumps.initial[0].target == "second");
  CHECK(map_named(object, "guarded_map").spin_lock_offset == 8);
  CHECK(map_named(object, "rxpool_signal").value_size == 64);
  CHECK(map_named(object, "rxpool_signal").flags == BPF_F_MMAPABLE);
  CHECK_THAT(object.notes, Catch::VectorContains(std::string("map guarded_map: pinning has no meaning here and is "
                                                             "ignored")));
}

TEST_CASE("data sections become array maps with the content and variables of the object", "[loader]") {
  const Object object = load(everything());
  const MapDefinition& data = map_named(object, ".data");
  CHECK(data.section == DataSection::data);
  CHECK(data.max_entries == 1);
  CHECK(data.content.size() == data.value_size);
  const auto last = std::find_if(data.variables.begin(), data.variables.end(),
                                 [](const Variable& variable) { return variable.name == "last"; });
  REQUIRE(last != data.variables.end());
  std::uint64_t value = 0;
  std::memcpy(&value, data.content.data() + last->offset, sizeof value);
  CHECK(value == 0x1122334455667788);
  CHECK(map_named(object, ".bss").section == DataSection::bss);
  CHECK((map_named(object, ".rodata").flags & BPF_F_RDONLY_PROG) != 0);
}

TEST_CASE("const volatile variables are knobs by name, others are not", "[loader][params]") {
  Object object = load(everything());
  apply_params(object, {{"limit", 9}, {"weights[1]", -5}, {"enabled", 0}});
  std::map<std::string, std::int64_t> knobs;
  for (const Knob& knob : list_knobs(object)) {
    knobs[knob.name] = knob.value;
  }
  CHECK(knobs == std::map<std::string, std::int64_t>{
                     {"limit", 9}, {"weights[0]", 1}, {"weights[1]", -5}, {"weights[2]", 3}, {"enabled", 0}});
  CHECK_THROWS_WITH(apply_params(object, {{"fixed", 1}}), Contains("no knob \"fixed\"") && Contains("limit"));
  CHECK_THROWS_WITH(apply_params(object, {{"weights[3]", 1}}), Contains("is not one integer"));
  CHECK_THROWS_WITH(apply_params(object, {{"weights[0]", 40000}}), Contains("does not fit short[3]"));
  CHECK_THROWS_WITH(apply_params(object, {{"limit", -1}}), Contains("does not fit"));
}

TEST_CASE("a CO-RE record for a type of ours gets the real offset", "[loader][core]") {
  const Object object = load(everything());
  const Program& program = *object.find_program("returned");
  std::vector<int> offsets;
  for (const Insn& insn : program.insns) {
    if ((insn.opcode & op::class_mask) == op::ldx) {
      offsets.push_back(insn.offset);
    }
  }
  std::sort(offsets.begin(), offsets.end());
  CHECK(offsets == std::vector<int>{0, 32});  // held_ns and cpu of struct rxpool_return_ctx
}

TEST_CASE("a CO-RE record for a kernel type is refused by name", "[loader][core]") {
  CHECK_THAT(refusal(bytes_of(RXPOOL_TEST_OBJECTS "/core_foreign.bpf.o")),
             Contains("struct sk_buff, a type that rxpool does not define"));
}

TEST_CASE("an unknown kernel function is refused by name, a weak one answers -EOPNOTSUPP", "[loader][kfunc]") {
  CHECK_THAT(refusal(bytes_of(RXPOOL_TEST_OBJECTS "/kfunc_unknown.bpf.o")),
             Contains("unknown kernel function bpf_no_such_function"));
  const Object object = load_object(everything(), "test.bpf.o", {[](std::string_view) { return false; }, false});
  CHECK(object.kfuncs.empty());
  REQUIRE_FALSE(object.notes.empty());
  CHECK_THAT(object.notes, Catch::VectorContains(std::string("kernel function bpf_xdp_metadata_rx_hash does not exist "
                                                             "here; as it is weak, calls return -EOPNOTSUPP")));
}

TEST_CASE("objects that are no BPF objects get one line", "[loader][hostile]") {
  CHECK_THAT(refusal({}), Contains("not an ELF file"));
  CHECK_THAT(refusal({'h', 'e', 'l', 'l', 'o'}), Contains("not an ELF file"));
  CHECK_THAT(refusal_of_header(EI_CLASS, ELFCLASS32), Contains("not a 64-bit ELF file"));
  CHECK_THAT(refusal_of_header(EI_DATA, ELFDATA2MSB), Contains("big endian"));
  CHECK_THAT(refusal_of_header(offsetof(Elf64_Ehdr, e_machine), EM_X86_64), Contains("not a BPF object"));
  CHECK_THAT(refusal_of_header(offsetof(Elf64_Ehdr, e_type), ET_EXEC), Contains("not a relocatable object"));
  CHECK_THAT(refusal(std::vector<std::uint8_t>(max_object_bytes + 1)), Contains("too large"));
}

TEST_CASE("every truncation of an object is refused, none crashes", "[loader][hostile]") {
  const auto whole = everything();
  for (std::size_t length = 0; length < whole.size(); length += length < 256 ? 1 : 61) {
    CHECK(refusal({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)}) != "accepted");
  }
}

TEST_CASE("libbpf reads the same maps and programs in its child process", "[loader][libbpf]") {
  CHECK_NOTHROW(load_object(everything(), "test.bpf.o", options(true)));
}

TEST_CASE("an object that libbpf refuses is refused with libbpf's own words", "[loader][libbpf]") {
  const auto bytes = bytes_of(RXPOOL_TEST_OBJECTS "/static_program.bpf.o");
  CHECK_NOTHROW(load_object(bytes, "test.bpf.o", options(false)));
  CHECK_THROWS_WITH(load_object(bytes, "test.bpf.o", options(true)),
                    Contains("libbpf refuses the object") && Contains("hidden_program"));
}

TEST_CASE("an unknown attribute of a map is refused by name", "[loader][maps]") {
  auto bytes = everything();
  const std::string name = "pinning";
  for (auto at = bytes.begin();; ++at) {
    at = std::search(at, bytes.end(), name.begin(), name.end());
    if (at == bytes.end()) {
      break;
    }
    *at = 'q';
  }
  CHECK_THAT(refusal(bytes), Contains("map guarded_map: unknown attribute \"qinning\""));
}

TEST_CASE("signal and contexts have one layout: for programs, for the host and for CO-RE", "[loader][contexts]") {
  const auto bytes = everything();
  const ElfView elf = parse_elf(bytes, "test.bpf.o");
  const Btf btf = Btf::parse(elf.find(".BTF")->data, "test.bpf.o");
  const std::map<std::string, std::size_t> host_sizes{{"rxpool_signal", sizeof(Signal)},
                                                      {"rxpool_return_ctx", sizeof(ReturnContext)},
                                                      {"rxpool_egress_ctx", sizeof(EgressContext)},
                                                      {"xdp_md", 24}};
  for (const CoreType& known : core_types()) {
    CAPTURE(known.name);
    const auto id = btf.find(known.name, BtfKind::structure);
    REQUIRE(id);
    CHECK(btf.size_of(*id) == known.size);
    CHECK(host_sizes.at(known.name) == known.size);
    for (const CoreField& field : known.fields) {
      CAPTURE(field.name);
      const auto& members = btf.type(*id).members;
      const auto member = std::find_if(members.begin(), members.end(),
                                       [&](const BtfMember& candidate) { return candidate.name == field.name; });
      REQUIRE(member != members.end());
      CHECK(member->bit_offset == field.offset * 8);
      CHECK(btf.size_of(member->type) == field.size);
    }
  }
  CHECK(offsetof(Signal, hw_drops_total) == 56);
  CHECK(offsetof(ReturnContext, cpu) == 32);
  CHECK(offsetof(EgressContext, backoff) == 32);
}
