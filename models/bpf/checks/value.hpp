#pragma once
// What a register or stack slot may hold, as the dataflow pass knows it, and how knowledge of two paths is joined.

#include <array>
#include <cstdint>
#include <string>

#include "models/bpf/isa.hpp"
#include "models/bpf/object.hpp"

namespace rxpool::bpf::checks {

enum class Kind : std::uint8_t {
  uninitialised,  // on at least one path
  scalar,
  context,
  frame,
  packet,
  packet_meta,
  packet_end,
  stale_packet,  // from before the packet was moved
  map,
  map_or_null,
  map_value,
  map_value_or_null,
  memory,  // dynptr data, ring buffer record
  memory_or_null,
  record,
  record_or_null,
  function,
  any,    // initialised, nothing else known: no complaint
  mixed,  // different things on different paths: a remark when it is used as a pointer
};

struct Value {
  Kind kind = Kind::uninitialised;
  bool known = false;    // scalar: `number` is its value; frame, context: its offset
  std::uint32_t id = 0;  // or_null kinds: the instruction that made it, shared by copies
  std::int64_t number = 0;
  const MapDefinition* map = nullptr;

  bool operator==(const Value&) const = default;
};

constexpr std::size_t stack_slots = frame_bytes / 8;

struct State {
  std::array<Value, register_count> registers{};
  std::array<Value, stack_slots> stack{};  // slot i covers r10 - 8 * (i + 1)

  /// True if anything changed.
  bool join(const State& other);
  std::string describe() const;
};

bool is_or_null(Kind kind);
Kind without_null(Kind kind);
bool is_pointer(Kind kind);
bool is_packet(Kind kind);
/// A pointer to bytes that may be read.
bool is_memory(Kind kind);
std::string register_name(std::size_t reg);
std::string describe(const Value& value);
Value scalar();
Value constant(std::int64_t number);
Value join(const Value& a, const Value& b);

}  // namespace rxpool::bpf::checks
