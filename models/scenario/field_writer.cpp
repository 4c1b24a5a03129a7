#include "models/scenario/field_writer.hpp"

#include <algorithm>
#include <cmath>

namespace rxpool::scenario {

using nlohmann::json;

json FieldWriter::number(double value) {
  if (std::abs(value) < 9e15 && value == std::floor(value)) return static_cast<std::int64_t>(value);
  return value;
}

json FieldWriter::option(const std::vector<std::string_view>& names, std::string_view name) {
  const bool numeric = std::all_of(names.begin(), names.end(), [](std::string_view n) {
    return std::all_of(n.begin(), n.end(), [](char c) { return c >= '0' && c <= '9'; });
  });
  return numeric ? json(std::stoll(std::string(name))) : json(name);
}

void FieldWriter::on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) {
  put(field, option(names, names[index]));
}

void FieldWriter::on_object(const FieldSpec& field, ObjectRef& object, std::string_view) {
  if (!field.applies) return;
  FieldWriter inner;
  object.visit(inner);
  put(field, inner.take());
}

void FieldWriter::on_children(const FieldSpec& field, ChildrenRef& children, std::string_view) {
  json all = json::object();
  for (const std::string& name : children.names()) {
    FieldWriter inner;
    children.visit(name, inner);
    all[name] = inner.take();
  }
  put(field, std::move(all));
}

void FieldWriter::on_values(const FieldSpec& field, std::map<std::string, ParamValue>& value) {
  json all = json::object();
  for (const auto& [name, entry] : value) {
    if (const auto* number_value = std::get_if<double>(&entry)) {
      all[name] = number(*number_value);
    } else if (const auto* flag = std::get_if<bool>(&entry)) {
      all[name] = *flag;
    } else {
      all[name] = std::get<std::string>(entry);
    }
  }
  put(field, std::move(all));
}

void FieldWriter::on_numbers(const FieldSpec& field, std::map<std::string, double>& value) {
  json all = json::object();
  for (const auto& [name, entry] : value) all[name] = number(entry);
  put(field, std::move(all));
}

}  // namespace rxpool::scenario
