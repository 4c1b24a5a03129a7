// Text about the last aborted run, and the object rules of the checked interpreter.
#include <cstring>
#include <string>

#include "models/bpf/disasm.hpp"
#include "models/bpf/vm_state.hpp"

namespace rxpool::bpf {

namespace {

/// Limits of an object in the box.
struct Object {
  std::uint64_t begin;
  std::uint64_t end;
};

/// The object that an access inside `region` must stay in.
Object object_at(const VmState& state, const Region& region, std::uint64_t address, BoxOffset frame) {
  switch (region.object_class) {
    case ObjectClass::stack:
      // Frames of the running function and its callers.
      if (region.begin == state.stack_begin) {
        return {frame - frame_bytes, state.stack_top()};
      }
      break;
    case ObjectClass::packet:
      if (const PacketView* packet = state.runtime->packet) {
        XdpMd context;
        std::memcpy(&context, state.box.at(packet->context), sizeof context);
        const std::uint64_t data = context.data_meta < context.data ? context.data_meta : context.data;
        return {data, context.data_end};
      }
      break;
    case ObjectClass::map_value:
      for (const Map* map : state.maps) {
        const ArrayLayout* array = map->array_layout();
        if (array != nullptr && array->base >= region.begin && array->base < region.end() && array->value_stride != 0 &&
            address >= array->base) {
          const std::uint64_t value = address - (address - array->base) % array->value_stride;
          return {value, value + map->info().value_size};
        }
      }
      break;
    default:
      break;
  }
  return {region.begin, region.end()};
}

}  // namespace

void check_access(VmState& state, std::int64_t address, std::uint32_t bytes, bool write, BoxOffset frame) {
  Runtime& runtime = *state.runtime;
  const auto at = static_cast<std::uint64_t>(address);
  // Where the other engines fault.
  const bool mapped =
      address >= 0 && (write ? !state.box.writable(at, bytes).empty() : !state.box.readable(at, bytes).empty());
  if (mapped) {
    const Region* region = state.box.find_region(at, bytes);
    if (region != nullptr) {
      const Object object = object_at(state, *region, at, frame);
      if (at >= object.begin && at + bytes <= object.end) [[likely]] {
        return;
      }
    }
  }
  runtime.execution.fault_offset = static_cast<BoxOffset>(at);
  state.last_bytes = write ? -static_cast<std::int32_t>(bytes) : static_cast<std::int32_t>(bytes);
  runtime.abort(mapped ? Abort::region : Abort::memory);
}

std::string Vm::last_abort() const {
  const VmState& state = *state_;
  if (state.last_reason == Abort::none) {
    return "";
  }
  const Op& op = state.code.ops[state.last_op];
  const Function& function = state.code.function_of(state.last_op);
  const Program& program = state.programs[function.program];
  std::string text = "program '";
  text += program.name + "' aborted at instruction " + std::to_string(op.insn) + ": ";
  const auto offset = std::to_string(state.last_offset);
  switch (state.last_reason) {
    case Abort::fuel:
      text += "more than " + std::to_string(state.options.fuel) + " instructions";
      break;
    case Abort::call_depth:
      text += "more than " + std::to_string(max_call_depth) + " frames";
      break;
    case Abort::bad_function:
      text += "a call of something that is no function";
      break;
    default: {
      const Region* region = state.box.find_region(state.last_offset, 1);
      const bool mapped = !state.box.readable(state.last_offset, 1).empty();
      const bool known_size = state.last_bytes != 0 && state.options.engine == Engine::checked;
      const std::int32_t bytes = state.last_bytes;
      text += !known_size ? "access"
                          : std::string(bytes < 0 ? "write of " : "read of ") +
                                std::to_string(bytes < 0 ? -bytes : bytes) + " bytes";
      text += " at offset " + offset;
      if (state.last_offset < Box::first_offset) {
        text += ", which is NULL or near it";
      } else if (region == nullptr) {
        text += mapped ? ", behind the end of its object" : ", where nothing is mapped";
      } else if (!region->writable) {
        text += ", in read-only '" + region->name + "'";
      } else {
        text += std::string(", outside the object it points into (") + object_class_name(region->object_class) + " '" +
                region->name + "')";
      }
      break;
    }
  }
  return text + "\n" + disassemble_around(program, op.insn);
}

}  // namespace rxpool::bpf
