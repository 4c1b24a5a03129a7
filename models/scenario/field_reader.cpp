#include "models/scenario/field_reader.hpp"

#include <algorithm>
#include <cmath>

#include "models/scenario/json_text.hpp"
#include "models/scenario/names_of.hpp"

namespace rxpool::scenario {
namespace {

using nlohmann::json;

std::string shown(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "a list";
  return printable(value.dump());
}

/// Numbers the way people write them: 1e+20 stays short, 4096.0 is 4096.
std::string number_text(double value) {
  if (value == 18446744073709551615.0) return "18446744073709551615";
  if (std::abs(value) < 9e15 && value == std::floor(value)) return std::to_string(static_cast<std::int64_t>(value));
  return json(value).dump();
}

bool is_time(const Limits& limits) {
  return limits.max >= 4.6e9 && (limits.unit == "ms" || limits.unit == "us" || limits.unit == "ns");
}

bool all_digits(const std::vector<std::string_view>& names) {
  return std::all_of(names.begin(), names.end(), [](std::string_view name) {
    return std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
}

std::string joined(const std::vector<std::string_view>& names) {
  std::string all;
  for (const std::string_view name : names) {
    if (!all.empty()) all += ", ";
    all += name;
  }
  return all;
}

}  // namespace

std::string range_text(const Limits& limits) {
  std::string text = number_text(limits.min) + " … " + number_text(limits.max);
  if (!limits.unit.empty()) text += " " + std::string(limits.unit);
  return text;
}

void Origin::fail(const std::string& place, const std::string& problem) const {
  for (const auto& [path, value] : overrides_) {
    if (place == path || place.rfind(path + ".", 0) == 0) {
      scenario::fail("override " + path + "=" + printable(value), place == path ? "" : place, problem);
    }
  }
  scenario::fail(source_name_, place, problem);
}

FieldReader::FieldReader(const Origin& origin, const json& object, std::string place, const json* defaults,
                         std::string defaults_place)
    : origin_(origin),
      object_(object),
      place_(std::move(place)),
      defaults_(defaults),
      defaults_place_(std::move(defaults_place)) {
  if (!object_.is_object()) {
    origin_.fail(place_, shown(object_) + (place_.empty() ? " is no scenario; write one object, { … }"
                                                          : " stands where an object belongs; write { … }"));
  }
}

void FieldReader::refuse_unknown() const {
  for (const auto& [name, ignored] : object_.items()) {
    if (std::find(names_.begin(), names_.end(), name) != names_.end()) continue;
    const std::string_view near = nearest(name, names_);
    origin_.fail(join_place(place_, name), "unknown key; " + (near.empty() ? "remove it, known are " + joined(names_)
                                                                           : "did you mean " + in_quotes(near) + "?"));
  }
}

FieldReader::Found FieldReader::find(const FieldSpec& field) {
  names_.push_back(field.name);
  const std::string name(field.name);
  if (const auto own = object_.find(name); own != object_.end()) {
    const std::string place = join_place(place_, name);
    if (!field.applies) origin_.fail(place, "only for " + std::string(field.condition) + "; remove it");
    return {&*own, place};
  }
  if (defaults_ != nullptr && field.applies) {
    if (const auto standing = defaults_->find(name); standing != defaults_->end() && !standing->is_object()) {
      return {&*standing, join_place(defaults_place_, name)};
    }
  }
  return {};
}

double FieldReader::checked_number(const FieldSpec& field, const Found& found) const {
  if (!found.value->is_number())
    origin_.fail(found.place, shown(*found.value) + " must be a number, " + range_text(field.limits));
  const double value = found.value->get<double>();
  if (value < field.limits.min || value > field.limits.max) {
    const char* problem = is_time(field.limits) && value > field.limits.max ? " overflows simulated time; use "
                                                                            : " is out of range; use ";
    origin_.fail(found.place, shown(*found.value) + problem + range_text(field.limits));
  }
  return value;
}

template <class T>
void FieldReader::read_whole(const FieldSpec& field, T& value) {
  const Found found = find(field);
  if (!found) return;
  const double number = checked_number(field, found);
  if (found.value->is_number_float()) {
    if (number != std::floor(number) || std::abs(number) > 9007199254740992.0) {
      origin_.fail(found.place, shown(*found.value) + " must be a whole number, " + range_text(field.limits));
    }
    value = static_cast<T>(number);
  } else {
    value = found.value->get<T>();
  }
}

void FieldReader::on_signed(const FieldSpec& field, std::int64_t& value) {
  read_whole(field, value);
}
void FieldReader::on_unsigned(const FieldSpec& field, std::uint64_t& value) {
  read_whole(field, value);
}

void FieldReader::on_double(const FieldSpec& field, double& value) {
  if (const Found found = find(field)) value = checked_number(field, found);
}

void FieldReader::on_bool(const FieldSpec& field, bool& value) {
  const Found found = find(field);
  if (!found) return;
  if (!found.value->is_boolean()) origin_.fail(found.place, shown(*found.value) + " must be true or false");
  value = found.value->get<bool>();
}

void FieldReader::on_text(const FieldSpec& field, std::string& value) {
  const Found found = find(field);
  if (!found) return;
  if (!found.value->is_string()) {
    origin_.fail(found.place, shown(*found.value) + " must be a text; put it in quotation marks");
  }
  value = found.value->get<std::string>();
}

void FieldReader::on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) {
  const Found found = find(field);
  if (!found) return;
  const bool numeric = all_digits(names);
  std::string given;
  if (numeric ? found.value->is_number_integer() : found.value->is_string()) {
    given = numeric ? found.value->dump() : found.value->get<std::string>();
    const auto option = std::find(names.begin(), names.end(), given);
    if (option != names.end()) {
      index = static_cast<std::size_t>(option - names.begin());
      return;
    }
  }
  const std::string_view near = given.empty() ? std::string_view() : nearest(given, names);
  origin_.fail(found.place, shown(*found.value) + " is not one of " + joined(names) +
                                (numeric || near.empty() ? (numeric ? " (numbers)" : " (in quotation marks)")
                                                         : "; did you mean " + in_quotes(near) + "?"));
}

void FieldReader::on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) {
  const Found found = find(field);
  if (!field.applies) return;
  const json empty = json::object();
  json wrapped;
  const json* value = found ? found.value : &empty;
  if (found && !short_form.empty() && !value->is_object() && !value->is_array()) {
    wrapped = {{std::string(short_form), *value}};
    value = &wrapped;
  }
  FieldReader reader(origin_, *value, join_place(place_, field.name));
  object.visit(reader);
  reader.refuse_unknown();
}

void FieldReader::check_name(const std::string& name, const std::string& place) const {
  const bool allowed = !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
  if (!allowed) {
    origin_.fail(place, in_quotes(name) +
                            " is no name; use 1 … 64 letters, digits and _, since names are parts of dotted paths");
  }
}

void FieldReader::on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) {
  const Found found = find(field);
  if (!found) return;
  if (!found.value->is_object()) {
    origin_.fail(found.place, shown(*found.value) + " must be an object keyed by name: {\"name\": { … }}");
  }
  const std::vector<std::string_view> parameters = names_of(children);
  const auto is_parameter = [&](const std::string& name) {
    return std::find(parameters.begin(), parameters.end(), name) != parameters.end();
  };
  for (const auto& [name, value] : found.value->items()) {
    const std::string place = join_place(found.place, name);
    if (value.is_object() ? is_parameter(name) : false) {
      origin_.fail(place,
                   "is a parameter, not a name: on the parent only plain values are defaults; set it in each child");
    }
    if (!value.is_object() && is_parameter(name)) continue;  // a default, read with each child
    if (!value.is_object() && short_form.empty()) {
      const std::string_view near = nearest(name, parameters);
      origin_.fail(place, "is neither a child (an object) nor the default of a parameter; " +
                              (near.empty() ? std::string("remove it") : "did you mean " + in_quotes(near) + "?"));
    }
    check_name(name, place);
    const json child = value.is_object() ? value : json{{std::string(short_form), value}};
    FieldReader reader(origin_, child, place, found.value, found.place);
    children.visit(name, reader);
    reader.refuse_unknown();
  }
}

void FieldReader::on_values(const FieldSpec& field, std::map<std::string, ParamValue>& value) {
  const Found found = find(field);
  if (!found) return;
  if (!found.value->is_object())
    origin_.fail(found.place, shown(*found.value) + " must be an object of names and plain values");
  for (const auto& [name, entry] : found.value->items()) {
    if (entry.is_boolean()) {
      value[name] = entry.get<bool>();
    } else if (entry.is_number()) {
      value[name] = entry.get<double>();
    } else if (entry.is_string()) {
      value[name] = entry.get<std::string>();
    } else {
      origin_.fail(join_place(found.place, name), shown(entry) + " must be a number, a text, true or false");
    }
  }
}

void FieldReader::on_numbers(const FieldSpec& field, std::map<std::string, double>& value) {
  const Found found = find(field);
  if (!found) return;
  if (!found.value->is_object())
    origin_.fail(found.place, shown(*found.value) + " must be an object of names and numbers");
  for (const auto& [name, entry] : found.value->items()) {
    value[name] = checked_number(field, {&entry, join_place(found.place, name)});
  }
}

}  // namespace rxpool::scenario
