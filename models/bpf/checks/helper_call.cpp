// Calls in the dataflow pass: arguments against the helper table, results, and what calls do to registers and stack.

#include <linux/bpf.h>

#include <algorithm>

#include "models/bpf/checks/dataflow.hpp"
#include "models/bpf/helpers/table.hpp"
#include "models/bpf/maps/make_map.hpp"

namespace rxpool::bpf::checks {
namespace {

bool in(std::uint32_t type, std::initializer_list<std::uint32_t> list) {
  return std::find(list.begin(), list.end(), type) != list.end();
}

// check_map_func_compatibility of the kernel, for the helpers that exist here.
bool compatible(std::uint32_t helper, std::uint32_t type) {
  const bool keyless = in(type, {BPF_MAP_TYPE_QUEUE, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_BLOOM_FILTER});
  const bool only_special = in(type, {BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_RINGBUF});
  const bool redirect = is_redirect_map(static_cast<MapType>(type));
  const bool of_maps = in(type, {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS});
  switch (helper) {
    case BPF_FUNC_map_lookup_elem:
      return !keyless && !only_special;
    case BPF_FUNC_map_update_elem:
    case BPF_FUNC_map_delete_elem:
      return !keyless && !only_special && !redirect && !of_maps;
    case BPF_FUNC_map_push_elem:
    case BPF_FUNC_map_peek_elem:
      return keyless;
    case BPF_FUNC_map_pop_elem:
      return keyless && type != BPF_MAP_TYPE_BLOOM_FILTER;
    case BPF_FUNC_tail_call:
      return type == BPF_MAP_TYPE_PROG_ARRAY;
    case BPF_FUNC_perf_event_output:
      return type == BPF_MAP_TYPE_PERF_EVENT_ARRAY;
    case BPF_FUNC_redirect_map:
      return redirect;
    case BPF_FUNC_ringbuf_output:
    case BPF_FUNC_ringbuf_reserve:
    case BPF_FUNC_ringbuf_query:
      return type == BPF_MAP_TYPE_RINGBUF;
    case BPF_FUNC_map_lookup_percpu_elem:
      return in(type, {BPF_MAP_TYPE_PERCPU_ARRAY, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH});
    default:
      return true;
  }
}

const char* expected(ArgKind kind) {
  switch (kind) {
    case ArgKind::context:
      return "ctx";
    case ArgKind::map:
      return "map_ptr";
    case ArgKind::function:
      return "func";
    case ArgKind::map_element:
      return "map_value";
    case ArgKind::ringbuf_record:
      return "ringbuf_mem";
    case ArgKind::dynptr:
      return "fp";
    case ArgKind::scalar:
    case ArgKind::size:
    case ArgKind::size_or_zero:
      return "scalar";
    default:
      return "a pointer to memory";
  }
}

bool fits(ArgKind kind, const Value& value) {
  if (value.kind == Kind::any || value.kind == Kind::mixed || kind == ArgKind::anything) {
    return true;
  }
  switch (kind) {
    case ArgKind::context:
      return value.kind == Kind::context && value.known && value.number == 0;
    case ArgKind::map:
      return value.kind == Kind::map;
    case ArgKind::function:
      return value.kind == Kind::function;
    case ArgKind::map_element:
      return value.kind == Kind::map_value;
    case ArgKind::ringbuf_record:
      return value.kind == Kind::record;
    case ArgKind::dynptr:
      return value.kind == Kind::frame;
    case ArgKind::scalar:
    case ArgKind::size:
    case ArgKind::size_or_zero:
      return value.kind == Kind::scalar;
    case ArgKind::memory_in_or_null:
      return is_memory(value.kind) || value.kind == Kind::scalar;
    default:
      return is_memory(value.kind);
  }
}

}  // namespace

void Dataflow::check_argument(const Helper& helper, std::size_t index, const Insn& insn, const State& state,
                              const MapDefinition*& map, std::uint32_t at) {
  const std::size_t reg = index + 1;
  const ArgKind kind = helper.args[index];
  const Value& value = state.registers[reg];
  const std::string call = "argument " + std::to_string(reg) + " of " + helper.name;
  if (value.kind == Kind::uninitialised) {
    throw Wrong{call + ": R" + std::to_string(reg) + " is not initialised on every path to here"};
  }
  if (!fits(kind, value)) {
    throw Wrong{call + ": " + register_name(reg) + " is " + describe(value) + ", expected " + expected(kind) +
                (is_or_null(value.kind) ? " checked against NULL" : "")};
  }
  if (kind == ArgKind::size && value.known && value.number <= 0) {
    throw Wrong{call + ": R" + std::to_string(reg) + " is " + describe(value) + ", expected a length above 0"};
  }
  if (kind == ArgKind::map && value.map != nullptr) {
    map = value.map;
    if (!compatible(static_cast<std::uint32_t>(insn.imm), map->type) && insn.src == call_kind::helper) {
      throw Wrong{call + ": map " + map->name + " is of type " + map_type_name(map->type) + ", which it does not take"};
    }
  }
  if (value.kind == Kind::frame && value.known) {
    unsigned bytes = 1;
    const bool sized = index + 1 < helper.args.size() &&
                       (helper.args[index + 1] == ArgKind::size || helper.args[index + 1] == ArgKind::size_or_zero);
    if (kind == ArgKind::map_key && map != nullptr) {
      bytes = map->key_size;
    } else if ((kind == ArgKind::map_value || kind == ArgKind::map_value_out) && map != nullptr) {
      bytes = map->value_size;
    } else if (sized && state.registers[reg + 1].known) {
      bytes = static_cast<unsigned>(std::clamp<std::int64_t>(state.registers[reg + 1].number, 0, 65536));
    } else if (kind == ArgKind::anything) {
      bytes = 0;
    }
    if (bytes != 0) {
      touch_frame(value, 0, bytes);
    }
  }
  if (value.kind == Kind::mixed && kind != ArgKind::anything && kind != ArgKind::memory_in_or_null) {
    remark(at, call + ": " + register_name(reg) + " is what it should be on some paths only");
  }
}

// What a helper writes through its arguments is a number afterwards; a callback may change the whole frame.
void Dataflow::after_arguments(const Helper& helper, State& state, const MapDefinition* map) {
  for (std::size_t index = 0; index < helper.args.size(); ++index) {
    const Value& value = state.registers[index + 1];
    switch (helper.args[index]) {
      case ArgKind::map_value_out:
        forget_slots(state, value, 0, map == nullptr ? 0 : map->value_size);
        break;
      case ArgKind::memory_out: {
        const Value& size = state.registers[std::min<std::size_t>(index + 2, 5)];
        forget_slots(state, value, 0,
                     size.known ? static_cast<std::uint64_t>(std::max<std::int64_t>(size.number, 0)) : 0);
        break;
      }
      case ArgKind::long_out:
        forget_slots(state, value, 0, 8);
        break;
      case ArgKind::int_out:
        forget_slots(state, value, 0, 4);
        break;
      case ArgKind::dynptr:
        forget_slots(state, value, 0, 16);
        break;
      case ArgKind::function:
        std::fill(state.stack.begin(), state.stack.end(), Value{.kind = Kind::any});
        break;
      default:
        break;
    }
  }
}

Value Dataflow::result_of(const Helper& helper, const MapDefinition* map, std::uint32_t at) const {
  const bool of_maps = map != nullptr && in(map->type, {BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH_OF_MAPS});
  switch (helper.returns) {
    case ReturnKind::map_value_or_null:
      if (of_maps) {
        return {.kind = Kind::map_or_null, .id = at + 1, .map = map->inner.empty() ? nullptr : &map->inner[0]};
      }
      return {.kind = Kind::map_value_or_null, .id = at + 1, .map = map};
    case ReturnKind::memory_or_null:
      return {.kind = Kind::memory_or_null, .id = at + 1};
    case ReturnKind::ringbuf_record_or_null:
      return {.kind = Kind::record_or_null, .id = at + 1, .map = map};
    case ReturnKind::nothing:
      return {};
    default:
      return scalar();
  }
}

void Dataflow::call_helper(const Insn& insn, State& state, std::uint32_t at) {
  std::uint32_t id = static_cast<std::uint32_t>(insn.imm);
  if (insn.src == call_kind::kfunc) {
    id = id < object_.kfuncs.size() ? kfunc_id(object_.kfuncs[id].name) : 0;
  }
  const Helper* helper = helpers_.find(id);
  if (helper == nullptr) {
    throw Wrong{"unknown helper: " + helper_name(id) + " (" + std::to_string(id) + ") does not exist here"};
  }
  if ((helper->hooks & hook_bit(program_.hook)) == 0) {
    throw Wrong{helper->name + " may not be called from section " + program_.section};
  }
  const MapDefinition* map = nullptr;
  for (std::size_t index = 0; index < helper->args.size() && helper->args[index] != ArgKind::none; ++index) {
    check_argument(*helper, index, insn, state, map, at);
    if (helper->args[index] == ArgKind::function) {
      for (const CallSite& site : graph_.calls[function_]) {
        if (site.callback) {
          enter_function(site.callee, state, true);
        }
      }
    }
  }
  after_arguments(*helper, state, map);
  if (helper->changes_packet) {
    const auto age = [](Value& value) { value = is_packet(value.kind) ? Value{.kind = Kind::stale_packet} : value; };
    std::for_each(state.registers.begin(), state.registers.end(), age);
    std::for_each(state.stack.begin(), state.stack.end(), age);
  }
  if (helper->id == BPF_FUNC_ringbuf_submit || helper->id == BPF_FUNC_ringbuf_discard) {
    for (Value& value : state.registers) {
      value = value.kind == Kind::record ? scalar() : value;
    }
  }
  const Value result = result_of(*helper, map, at);
  for (unsigned reg = 1; reg <= 5; ++reg) {
    state.registers[reg] = {};
  }
  state.registers[0] = result;
}

void Dataflow::enter_function(std::uint32_t callee, const State& arguments, bool callback) {
  State entry;
  for (unsigned reg = 1; reg <= 5; ++reg) {
    const Value& given = arguments.registers[reg];
    const bool keeps = given.kind != Kind::frame && !callback;
    entry.registers[reg] = keeps ? given : Value{.kind = Kind::any};
  }
  if (entered_[callee]) {
    entries_[callee].join(entry);
  } else {
    entries_[callee] = entry;
    entered_[callee] = true;
  }
}

void Dataflow::call_local(std::uint32_t at, State& state) {
  const std::int32_t callee = CallGraph::function_at(program_, std::int64_t{at} + 1 + program_.insns[at].imm);
  if (callee < 0) {
    throw Wrong{"the target is not the start of a function"};
  }
  enter_function(static_cast<std::uint32_t>(callee), state, false);
  // The callee may have written through a pointer into this frame.
  bool frame_given = false;
  for (unsigned reg = 1; reg <= 5; ++reg) {
    frame_given = frame_given || state.registers[reg].kind == Kind::frame || state.registers[reg].kind == Kind::any;
    state.registers[reg] = {};
  }
  if (frame_given) {
    std::fill(state.stack.begin(), state.stack.end(), Value{.kind = Kind::any});
  }
  state.registers[0] = {.kind = Kind::any};
}

}  // namespace rxpool::bpf::checks
