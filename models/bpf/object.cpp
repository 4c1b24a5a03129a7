#include "models/bpf/object.hpp"

#include <charconv>
#include <cstring>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

struct KnobPlace {
  MapDefinition* section = nullptr;
  const Variable* variable = nullptr;
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

// Splits "weights[2]" into name and index; an index of -1 means none.
std::pair<std::string, std::int64_t> split_element(const std::string& text) {
  const auto bracket = text.find('[');
  if (bracket == std::string::npos || text.back() != ']') {
    return {text, -1};
  }
  std::int64_t index = -1;
  const char* first = text.data() + bracket + 1;
  const char* last = text.data() + text.size() - 1;
  const auto [end, error] = std::from_chars(first, last, index);
  return {text.substr(0, bracket), error == std::errc() && end == last ? index : -1};
}

KnobPlace find_knob(Object& object, const std::string& text) {
  const auto [name, index] = split_element(text);
  for (MapDefinition& map : object.maps) {
    for (const Variable& variable : map.variables) {
      if (!variable.knob || variable.name != name) {
        continue;
      }
      const std::uint32_t elements = variable.element_size == 0 ? 0 : variable.size / variable.element_size;
      if (!variable.integer || (index < 0 && elements != 1) || index >= static_cast<std::int64_t>(elements)) {
        throw InputError("params: " + text + " of type " + variable.type + " is not one integer");
      }
      const auto element = static_cast<std::uint32_t>(index < 0 ? 0 : index);
      return {&map, &variable, variable.offset + element * variable.element_size, variable.element_size};
    }
  }
  return {};
}

bool fits(std::int64_t value, std::uint32_t size, bool is_signed) {
  if (size >= 8) {
    return true;
  }
  const int bits = static_cast<int>(size) * 8;
  if (is_signed) {
    const std::int64_t limit = std::int64_t{1} << (bits - 1);
    return value >= -limit && value < limit;
  }
  return value >= 0 && value < (std::int64_t{1} << bits);
}

}  // namespace

int Object::map_index(const std::string& name) const {
  for (std::size_t i = 0; i < maps.size(); ++i) {
    if (maps[i].name == name) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

const Program* Object::find_program(const std::string& name) const {
  for (const Program& program : programs) {
    if (program.name == name) {
      return &program;
    }
  }
  return nullptr;
}

void apply_params(Object& object, const Params& params) {
  for (const auto& [name, value] : params) {
    const KnobPlace place = find_knob(object, name);
    if (place.section == nullptr) {
      std::string known;
      for (const Knob& knob : list_knobs(object)) {
        known += (known.empty() ? "" : ", ") + knob.name;
      }
      throw InputError("params: " + object.label + " has no knob \"" + name + "\"" +
                       (known.empty() ? " (it has no const volatile variables)" : "; it has " + known));
    }
    if (!fits(value, place.size, place.variable->is_signed)) {
      throw InputError("params: " + name + " = " + std::to_string(value) + " does not fit " + place.variable->type);
    }
    std::memcpy(place.section->content.data() + place.offset, &value, place.size);
  }
}

std::vector<Knob> list_knobs(const Object& object) {
  std::vector<Knob> knobs;
  for (const MapDefinition& map : object.maps) {
    for (const Variable& variable : map.variables) {
      if (!variable.knob || !variable.integer || variable.element_size == 0) {
        continue;
      }
      const std::uint32_t elements = variable.size / variable.element_size;
      for (std::uint32_t i = 0; i < elements; ++i) {
        std::int64_t value = 0;
        std::memcpy(&value, map.content.data() + variable.offset + i * variable.element_size, variable.element_size);
        if (variable.is_signed && variable.element_size < 8) {
          const int shift = 64 - static_cast<int>(variable.element_size) * 8;
          value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << shift) >> shift;
        }
        knobs.push_back(
            {elements == 1 ? variable.name : variable.name + "[" + std::to_string(i) + "]", variable.type, value});
      }
    }
  }
  return knobs;
}

}  // namespace rxpool::bpf
