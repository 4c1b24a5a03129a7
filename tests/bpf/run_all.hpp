#pragma once
// Runs one program in all three engines and requires that they agree in everything they report.

#include <catch2/catch.hpp>

#include "tests/bpf/engine_fixture.hpp"

namespace rxpool::bpf::testing {

/// r1 = 256 bytes of memory, r2 = 256. Engines must agree in result, abort, executed instructions, cost and memory.
inline Outcome run_all(const std::vector<Insn>& code, std::int64_t fuel = 1'000'000) {
  std::optional<Outcome> first;
  std::vector<std::byte> first_bytes;
  for (const Engine engine : all_engines) {
    Instance instance;
    instance.load({program_of(code)}, engine, fuel);
    const Outcome outcome = instance.vm->run(0, instance.memory, Instance::memory_bytes);
    CHECK(instance.vm->runtime().now.ps == outcome.cost_ps);
    if (!first.has_value()) {
      first = outcome;
      first_bytes = instance.bytes();
      continue;
    }
    CAPTURE(static_cast<int>(engine), instance.vm->last_abort());
    CHECK(outcome.r0 == first->r0);
    CHECK(outcome.insns == first->insns);
    CHECK(outcome.cost_ps == first->cost_ps);
    CHECK(outcome.abort == first->abort);
    CHECK(instance.bytes() == first_bytes);
  }
  return *first;
}

/// Runs code on one engine, and sees that the instance goes on working; `text` receives the report of an abort.
inline Outcome run_one(const std::vector<Insn>& code, Engine engine, std::string* text = nullptr) {
  Instance instance;
  instance.load({program_of(code)}, engine);
  const Outcome outcome = instance.vm->run(0, instance.memory, Instance::memory_bytes);
  if (text != nullptr) {
    *text = instance.vm->last_abort();
  }
  CHECK(instance.vm->aborts(static_cast<Abort>(outcome.abort)) == (outcome.abort != 0 ? 1u : 0u));
  instance.load({program_of(Code(mov(0, 2), leave()))}, engine);
  CHECK(instance.vm->run(0, 0).r0 == 2);
  return outcome;
}

}  // namespace rxpool::bpf::testing
