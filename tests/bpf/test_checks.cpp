// Load-time checks: what is refused, at which instruction and with which words; and what is not refused.

#include <linux/bpf.h>

#include <catch2/catch.hpp>

#include "models/bpf/checks/check.hpp"
#include "models/bpf/helpers/table.hpp"
#include "models/bpf/loader.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using Catch::Matchers::Contains;

namespace {

constexpr Insn mov(unsigned reg, std::int32_t value) {
  return {.opcode = op::alu64 | op::mov | op::imm, .dst = static_cast<std::uint8_t>(reg & 15), .imm = value};
}
constexpr Insn mov_reg(unsigned reg, unsigned from) {
  return {.opcode = op::alu64 | op::mov | op::reg,
          .dst = static_cast<std::uint8_t>(reg & 15),
          .src = static_cast<std::uint8_t>(from & 15)};
}
constexpr Insn add(unsigned reg, std::int32_t value) {
  return {.opcode = op::alu64 | op::add | op::imm, .dst = static_cast<std::uint8_t>(reg & 15), .imm = value};
}
constexpr Insn load(std::uint8_t size, unsigned reg, unsigned from, std::int16_t offset) {
  return {.opcode = static_cast<std::uint8_t>(op::ldx | op::mem | size),
          .dst = static_cast<std::uint8_t>(reg & 15),
          .src = static_cast<std::uint8_t>(from & 15),
          .offset = offset};
}
constexpr Insn store(std::uint8_t size, unsigned to, std::int16_t offset, unsigned from) {
  return {.opcode = static_cast<std::uint8_t>(op::stx | op::mem | size),
          .dst = static_cast<std::uint8_t>(to & 15),
          .src = static_cast<std::uint8_t>(from & 15),
          .offset = offset};
}
constexpr Insn jeq(unsigned reg, std::int32_t value, std::int16_t distance) {
  return {.opcode = op::jmp | op::jeq | op::imm,
          .dst = static_cast<std::uint8_t>(reg & 15),
          .offset = distance,
          .imm = value};
}
constexpr Insn call(std::int32_t helper) {
  return {.opcode = op::call_insn, .imm = helper};
}
constexpr Insn call_local(std::int32_t distance) {
  return {.opcode = op::call_insn, .src = call_kind::local, .imm = distance};
}
constexpr Insn map_reference(unsigned reg, std::int32_t index) {
  return {.opcode = op::lddw, .dst = static_cast<std::uint8_t>(reg & 15), .src = lddw_kind::map, .imm = index};
}
constexpr Insn second_half{};
constexpr Insn exit_insn{.opcode = op::exit_insn};

Object object_of(std::vector<Insn> insns, Hook hook = Hook::xdp, std::vector<Subprogram> functions = {}) {
  Object object;
  object.label = "t.bpf.o";
  MapDefinition hash;
  hash.name = "flows";
  hash.type = BPF_MAP_TYPE_HASH;
  hash.key_size = 4;
  hash.value_size = 16;
  hash.max_entries = 8;
  MapDefinition queue;
  queue.name = "queue";
  queue.type = BPF_MAP_TYPE_QUEUE;
  queue.value_size = 8;
  queue.max_entries = 8;
  object.maps = {hash, queue};
  Program program;
  program.name = "main";
  program.section = hook == Hook::xdp ? "xdp" : "other";
  program.hook = hook;
  if (functions.empty()) {
    functions.push_back({"main", 0, static_cast<std::uint32_t>(insns.size())});
  }
  program.insns = std::move(insns);
  program.subprograms = std::move(functions);
  object.programs.push_back(std::move(program));
  return object;
}

std::string refusal(const Object& object) {
  try {
    check_object(object, make_helper_table());
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::policy_rejected);
    return error.what();
  }
  return "accepted";
}

std::string refusal(std::vector<Insn> insns, Hook hook = Hook::xdp) {
  return refusal(object_of(std::move(insns), hook));
}

// r0 = lookup in "flows" with a key at fp-4.
std::vector<Insn> after_lookup(std::vector<Insn> rest) {
  std::vector<Insn> insns{
      mov(1, 0), store(op::w, 10, -4, 1), mov_reg(2, 10), add(2, -4), map_reference(1, 0), second_half, call(1)};
  insns.insert(insns.end(), rest.begin(), rest.end());
  return insns;
}

}  // namespace

TEST_CASE("a register that no path or only one path has set is refused", "[checks]") {
  CHECK_THAT(refusal({mov_reg(0, 3), exit_insn}), Contains("instruction 0") && Contains("R3 is not initialised"));
  CHECK_THAT(refusal({exit_insn}), Contains("R0 is not initialised"));
  CHECK_THAT(refusal({mov(2, 1), jeq(2, 0, 1), mov(0, 1), exit_insn}), Contains("instruction 3") && Contains("R0"));
  CHECK(refusal({mov(0, 1), exit_insn}) == "accepted");
}

TEST_CASE("a call leaves R1 to R5 unset", "[checks]") {
  CHECK_THAT(refusal({call(5), mov_reg(0, 1), exit_insn}), Contains("R1 is not initialised"));
}

TEST_CASE("the context has fields of four bytes, read-only", "[checks]") {
  CHECK(refusal({load(op::w, 0, 1, 16), exit_insn}) == "accepted");
  CHECK_THAT(refusal({load(op::dw, 0, 1, 0), exit_insn}), Contains("struct xdp_md at offset 0, 8 bytes"));
  CHECK_THAT(refusal({load(op::w, 0, 1, 24), exit_insn}), Contains("no field there"));
  CHECK_THAT(refusal({load(op::w, 0, 1, 2), exit_insn}), Contains("no field there"));
  CHECK_THAT(refusal({mov(0, 0), store(op::w, 1, 4, 0), exit_insn}),
             Contains("field data_end") && Contains("read-only"));
  CHECK_THAT(refusal({load(op::w, 0, 1, 20), exit_insn}), Contains("no field there"));
  CHECK(refusal({load(op::w, 0, 1, 20), exit_insn}, Hook::xdp_devmap) == "accepted");
}

TEST_CASE("the egress context lets backoff be written, the return context nothing", "[checks][egress][return]") {
  CHECK(refusal({mov(0, 1), store(op::w, 1, 32, 0), exit_insn}, Hook::rxpool_egress) == "accepted");
  CHECK_THAT(refusal({mov(0, 1), store(op::w, 1, 24, 0), exit_insn}, Hook::rxpool_egress), Contains("ring_fill"));
  CHECK(refusal({load(op::dw, 0, 1, 0), exit_insn}, Hook::rxpool_return) == "accepted");
  CHECK_THAT(refusal({mov(0, 1), store(op::w, 1, 16, 0), exit_insn}, Hook::rxpool_return), Contains("rx_hash"));
}

TEST_CASE("a map value is checked against NULL before use", "[checks]") {
  const std::string text = refusal(after_lookup({load(op::dw, 0, 0, 0), exit_insn}));
  CHECK_THAT(text, Contains("instruction 7"));
  CHECK_THAT(text, Contains("r0 = *(u64 *)(r0 + 0)") || Contains("r0 = *(u64 *)(r0 +0)"));
  CHECK_THAT(text, Contains("R0 is map_value_or_null(map=flows), expected a pointer checked against NULL"));
  CHECK_THAT(text, Contains("R10=fp"));
  CHECK(refusal(after_lookup({jeq(0, 0, 1), load(op::dw, 0, 0, 0), exit_insn})) == "accepted");
  CHECK_THAT(refusal(after_lookup({add(0, 8), mov(0, 0), exit_insn})), Contains("arithmetic before the check"));
}

TEST_CASE("the NULL check of one copy counts for all, spilled ones included", "[checks]") {
  CHECK(refusal(after_lookup({mov_reg(6, 0), store(op::dw, 10, -16, 0), jeq(6, 0, 3), load(op::dw, 1, 10, -16),
                              load(op::dw, 0, 1, 8), exit_insn, mov(0, 1), exit_insn})) == "accepted");
}

TEST_CASE("on the NULL side of the check the pointer is a number", "[checks]") {
  CHECK_THAT(refusal(after_lookup({jeq(0, 0, 2), mov(0, 1), exit_insn, load(op::dw, 0, 0, 0), exit_insn})),
             Contains("R0 is 0, expected a pointer to memory"));
}

TEST_CASE("numbers, map references and packet ends are no memory", "[checks]") {
  CHECK_THAT(refusal({mov(2, 0x1000), load(op::dw, 0, 2, 0), exit_insn}), Contains("expected a pointer to memory"));
  CHECK_THAT(refusal({map_reference(2, 0), second_half, load(op::dw, 0, 2, 0), exit_insn}),
             Contains("map_ptr(map=flows)"));
  CHECK_THAT(refusal({load(op::w, 2, 1, 4), load(op::b, 0, 2, 0), exit_insn}), Contains("pkt_end"));
}

TEST_CASE("stack accesses stay within 512 bytes below R10", "[checks]") {
  CHECK(refusal({mov(0, 1), store(op::dw, 10, -512, 0), exit_insn}) == "accepted");
  CHECK_THAT(refusal({mov(0, 1), store(op::dw, 10, -520, 0), exit_insn}), Contains("fp-520") && Contains("fp-512"));
  CHECK_THAT(refusal({mov(0, 1), store(op::dw, 10, 0, 0), exit_insn}), Contains("fp+0"));
  CHECK_THAT(refusal({mov(0, 1), store(op::dw, 10, -4, 0), exit_insn}), Contains("fp-4"));
}

TEST_CASE("pointers into a packet are stale once a helper has moved it", "[checks]") {
  const std::vector<Insn> insns{mov_reg(6, 1), load(op::w, 7, 1, 0), mov(2, -20),
                                call(44),      load(op::b, 0, 7, 0), exit_insn};
  CHECK_THAT(refusal(insns), Contains("read ctx->data again"));
}

TEST_CASE("helper arguments have the kinds that the helper takes", "[checks][helpers]") {
  CHECK_THAT(refusal({mov(1, 5), mov(2, 5), call(1), exit_insn}),
             Contains("argument 1 of bpf_map_lookup_elem: R1 is 5, expected map_ptr"));
  CHECK_THAT(refusal({map_reference(1, 0), second_half, mov(2, 5), call(1), exit_insn}),
             Contains("argument 2 of bpf_map_lookup_elem: R2 is 5, expected a pointer to memory"));
  CHECK_THAT(refusal({mov_reg(2, 10), add(2, -4), map_reference(1, 1), second_half, call(1), exit_insn}),
             Contains("map queue is of type QUEUE"));
  CHECK_THAT(refusal({mov_reg(2, 10), add(2, -2), map_reference(1, 0), second_half, call(1), exit_insn}),
             Contains("4 bytes at fp-2"));
}

TEST_CASE("helpers that do not exist here or not in this hook are refused by name", "[checks][helpers]") {
  CHECK_THAT(refusal({call(84), exit_insn}), Contains("bpf_sk_lookup_tcp (84) does not exist here"));
  CHECK_THAT(refusal({call(9999), exit_insn}), Contains("helper 9999"));
  CHECK_THAT(refusal({mov(2, 0), call(44), exit_insn}, Hook::rxpool_return),
             Contains("bpf_xdp_adjust_head may not be called"));
}

TEST_CASE("unreachable code is refused", "[checks]") {
  CHECK_THAT(refusal({mov(0, 1), exit_insn, mov(0, 2), exit_insn}),
             Contains("instruction 2") && Contains("unreachable"));
}

TEST_CASE("recursion and chains of more than eight frames are refused", "[checks][calls]") {
  CHECK_THAT(refusal(object_of({call_local(1), exit_insn, call_local(-1), exit_insn}, Hook::xdp,
                               {{"main", 0, 2}, {"again", 2, 2}})),
             Contains("recursion"));
  std::vector<Insn> insns;
  std::vector<Subprogram> functions;
  for (std::uint32_t i = 0; i < 9; ++i) {
    functions.push_back({"f" + std::to_string(i), i * 2, 2});
    insns.push_back(i < 8 ? call_local(1) : mov(0, 1));
    insns.push_back(exit_insn);
  }
  CHECK_THAT(refusal(object_of(insns, Hook::xdp, functions)), Contains("9 frames deep"));
  insns.erase(insns.begin(), insns.begin() + 2);
  functions.pop_back();
  CHECK(refusal(object_of(insns, Hook::xdp, functions)) == "accepted");
}

TEST_CASE("the stacks of a chain of calls add up to 512 bytes at most", "[checks][calls]") {
  const auto chain = [](std::int16_t mine, std::int16_t below) {
    return refusal(object_of({mov(1, 1), store(op::dw, 10, mine, 1), call_local(1), exit_insn, mov(0, 1),
                              store(op::dw, 10, below, 0), exit_insn},
                             Hook::xdp, {{"main", 0, 4}, {"below", 4, 3}}));
  };
  CHECK(chain(-256, -256) == "accepted");
  CHECK_THAT(chain(-264, -256), Contains("544 bytes, at most 512"));
}

TEST_CASE("what only paths can tell is accepted with a remark", "[checks]") {
  // r0 is the value on one path and 1 on the other; whether it is used as a pointer wrongly depends on the path.
  const auto object =
      object_of(after_lookup({jeq(0, 0, 0), load(op::w, 1, 10, -4), jeq(1, 0, 1), mov(0, 1), mov_reg(3, 0),
                              jeq(1, 0, 2), mov(0, 1), exit_insn, mov(0, 2), exit_insn}));
  CHECK(refusal(object) == "accepted");
}

TEST_CASE("a message names source line and registers where the object has them", "[checks][message]") {
  Object object = object_of(after_lookup({load(op::dw, 0, 0, 0), exit_insn}));
  object.programs[0].lines = {{0, "policy.bpf.c", 10, 1, "  int main()"},
                              {7, "policy.bpf.c", 17, 3, "\treturn *value;"}};
  CHECK_THAT(refusal(object), Contains("at policy.bpf.c:17: return *value;"));
}

TEST_CASE("hostile shapes are refused before anything indexes with them", "[checks][hostile]") {
  CHECK_THAT(refusal({{.opcode = op::alu64 | op::mov, .dst = 12}, exit_insn}), Contains("no register above R10"));
  CHECK_THAT(refusal({mov(10, 1), exit_insn}), Contains("R10 is read-only"));
  CHECK_THAT(refusal({map_reference(1, 77), second_half, exit_insn}), Contains("no map 77"));
  CHECK_THAT(refusal({mov(0, 1), map_reference(1, 0)}), Contains("second half"));
  CHECK_THAT(refusal({mov(0, 1)}), Contains("control leaves the function"));
  CHECK_THAT(refusal({mov(0, 1), jeq(0, 0, 100), exit_insn}), Contains("control leaves the function"));
}

TEST_CASE("no shipped policy gives a refusal or a remark", "[checks][policies]") {
  const char* name = GENERATE("breaker_approve", "codel_return", "drop_udp_port", "egress_classes", "egress_meter",
                              "flow_fair_share", "heavy_hitter_shed", "load_balancer", "redirect_cpu",
                              "rx_overload_shed", "rxq_count", "rxq_read", "syn_guard", "token_bucket");
  CAPTURE(name);
  const Object object = load_object_file(std::string(RXPOOL_POLICY_OBJECTS "/") + name + ".bpf.o",
                                         {[](std::string_view kfunc) { return kfunc_id(kfunc) != 0; }, false});
  CHECK(check_object(object, make_helper_table()).empty());
}
