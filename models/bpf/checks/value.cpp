#include "models/bpf/checks/value.hpp"

namespace rxpool::bpf::checks {
namespace {

const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::uninitialised:
      return "uninitialised";
    case Kind::scalar:
      return "scalar";
    case Kind::context:
      return "ctx";
    case Kind::frame:
      return "fp";
    case Kind::packet:
      return "pkt";
    case Kind::packet_meta:
      return "pkt_meta";
    case Kind::packet_end:
      return "pkt_end";
    case Kind::stale_packet:
      return "stale_pkt";
    case Kind::map:
      return "map_ptr";
    case Kind::map_or_null:
      return "map_ptr_or_null";
    case Kind::map_value:
      return "map_value";
    case Kind::map_value_or_null:
      return "map_value_or_null";
    case Kind::memory:
      return "mem";
    case Kind::memory_or_null:
      return "mem_or_null";
    case Kind::record:
      return "ringbuf_mem";
    case Kind::record_or_null:
      return "ringbuf_mem_or_null";
    case Kind::function:
      return "func";
    case Kind::any:
      return "any";
    default:
      return "mixed";
  }
}

}  // namespace

bool is_or_null(Kind kind) {
  return kind == Kind::map_or_null || kind == Kind::map_value_or_null || kind == Kind::memory_or_null ||
         kind == Kind::record_or_null;
}

Kind without_null(Kind kind) {
  switch (kind) {
    case Kind::map_or_null:
      return Kind::map;
    case Kind::map_value_or_null:
      return Kind::map_value;
    case Kind::memory_or_null:
      return Kind::memory;
    case Kind::record_or_null:
      return Kind::record;
    default:
      return kind;
  }
}

bool is_pointer(Kind kind) {
  return kind != Kind::uninitialised && kind != Kind::scalar;
}

bool is_packet(Kind kind) {
  return kind == Kind::packet || kind == Kind::packet_meta || kind == Kind::packet_end;
}

bool is_memory(Kind kind) {
  return kind == Kind::frame || kind == Kind::packet || kind == Kind::packet_meta || kind == Kind::map_value ||
         kind == Kind::memory || kind == Kind::record;
}

std::string register_name(std::size_t reg) {
  return "R" + std::to_string(reg);
}

Value scalar() {
  return {.kind = Kind::scalar};
}
Value constant(std::int64_t number) {
  return {.kind = Kind::scalar, .known = true, .number = number};
}

std::string describe(const Value& value) {
  std::string text = kind_name(value.kind);
  if (value.kind == Kind::scalar && value.known) {
    return std::to_string(value.number);
  }
  if (value.map != nullptr) {
    text += "(map=" + value.map->name + ")";
  }
  if ((value.kind == Kind::frame || value.kind == Kind::context) && value.known && value.number != 0) {
    text += (value.number > 0 ? "+" : "") + std::to_string(value.number);
  }
  return text;
}

// NULL and a checked value join to `mixed`: which of them it is depends on the path, so a later use is no refusal.
Value join(const Value& a, const Value& b) {
  if (a == b) {
    return a;
  }
  if (a.kind == Kind::uninitialised || b.kind == Kind::uninitialised) {
    return {};
  }
  if (a.kind == Kind::any || b.kind == Kind::any) {
    return {.kind = Kind::any};
  }
  if (a.kind == b.kind) {
    Value both = a;
    both.known = a.known && b.known && a.number == b.number;
    both.number = both.known ? a.number : 0;
    both.map = a.map == b.map ? a.map : nullptr;
    both.id = a.id == b.id ? a.id : 0;
    return is_or_null(a.kind) && a.id != b.id ? Value{.kind = Kind::mixed} : both;
  }
  return {.kind = Kind::mixed};
}

bool State::join(const State& other) {
  bool changed = false;
  const auto merge = [&](Value& mine, const Value& theirs) {
    const Value both = checks::join(mine, theirs);
    changed = changed || !(both == mine);
    mine = both;
  };
  for (std::size_t i = 0; i < registers.size(); ++i) {
    merge(registers[i], other.registers[i]);
  }
  for (std::size_t i = 0; i < stack.size(); ++i) {
    merge(stack[i], other.stack[i]);
  }
  return changed;
}

std::string State::describe() const {
  std::string text;
  for (std::size_t i = 0; i < registers.size(); ++i) {
    if (registers[i].kind != Kind::uninitialised) {
      text += (text.empty() ? "R" : " R") + std::to_string(i) + "=" + checks::describe(registers[i]);
    }
  }
  for (std::size_t i = 0; i < stack.size(); ++i) {
    if (is_pointer(stack[i].kind) && stack[i].kind != Kind::any) {
      text += " fp-" + std::to_string(8 * (i + 1)) + "=" + checks::describe(stack[i]);
    }
  }
  return text;
}

}  // namespace rxpool::bpf::checks
