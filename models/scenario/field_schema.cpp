#include "models/scenario/field_schema.hpp"

#include <algorithm>

#include "models/scenario/field_writer.hpp"
#include "models/scenario/scenario.hpp"

namespace rxpool::scenario {

using nlohmann::json;

namespace {

json ranged(const char* type, const Limits& limits) {
  return {{"type", type}, {"minimum", FieldWriter::number(limits.min)}, {"maximum", FieldWriter::number(limits.max)}};
}

/// With a short form a plain value may stand for the object.
json or_short_form(json object, std::string_view short_form) {
  if (short_form.empty()) return object;
  json plain = object["properties"][std::string(short_form)];
  return {{"anyOf", json::array({std::move(object), std::move(plain)})}};
}

bool is_plain(const json& schema) {
  if (schema.contains("enum")) return true;
  const auto type = schema.find("type");
  return type != schema.end() && *type != "object";
}

}  // namespace

json FieldSchema::take() {
  return {{"type", "object"}, {"properties", std::move(properties_)}, {"additionalProperties", false}};
}

void FieldSchema::put(const FieldSpec& field, json schema, json default_value) {
  std::string description(field.doc);
  if (!field.limits.unit.empty()) description += " Unit: " + std::string(field.limits.unit) + ".";
  if (!field.condition.empty()) description += " Only for " + std::string(field.condition) + ".";
  if (!field.default_note.empty()) {
    description += " Default: " + std::string(field.default_note) + ".";
  } else if (!default_value.is_null()) {
    schema["default"] = std::move(default_value);
  }
  schema["description"] = std::move(description);
  properties_[std::string(field.name)] = std::move(schema);
}

void FieldSchema::on_signed(const FieldSpec& field, std::int64_t& value) {
  put(field, ranged("integer", field.limits), value);
}
void FieldSchema::on_unsigned(const FieldSpec& field, std::uint64_t& value) {
  put(field, ranged("integer", field.limits), value);
}
void FieldSchema::on_double(const FieldSpec& field, double& value) {
  put(field, ranged("number", field.limits), FieldWriter::number(value));
}
void FieldSchema::on_bool(const FieldSpec& field, bool& value) {
  put(field, {{"type", "boolean"}}, value);
}
void FieldSchema::on_text(const FieldSpec& field, std::string& value) {
  put(field, {{"type", "string"}}, value);
}

void FieldSchema::on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) {
  json options = json::array();
  for (const std::string_view name : names) options.push_back(FieldWriter::option(names, name));
  put(field, {{"enum", std::move(options)}}, FieldWriter::option(names, names[index]));
}

void FieldSchema::on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) {
  FieldSchema inner;
  object.visit(inner);
  put(field, or_short_form(inner.take(), short_form), nullptr);
}

void FieldSchema::on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) {
  FieldSchema inner;
  children.visit_prototype(inner);
  json child = inner.take();
  // Plain values on the parent are defaults of the children; their objects are not.
  json defaults = json::object();
  for (const auto& [name, schema] : child["properties"].items())
    defaults[name] = is_plain(schema) ? schema : json(false);
  put(field,
      {{"type", "object"},
       {"properties", std::move(defaults)},
       {"propertyNames", {{"pattern", "^[A-Za-z0-9_]{1,64}$"}}},
       {"additionalProperties", or_short_form(std::move(child), short_form)}},
      nullptr);
}

void FieldSchema::on_values(const FieldSpec& field, std::map<std::string, ParamValue>&) {
  put(field, {{"type", "object"}, {"additionalProperties", {{"type", json::array({"boolean", "number", "string"})}}}},
      nullptr);
}

void FieldSchema::on_numbers(const FieldSpec& field, std::map<std::string, double>&) {
  put(field, {{"type", "object"}, {"additionalProperties", ranged("number", field.limits)}}, nullptr);
}

}  // namespace rxpool::scenario

namespace rxpool {

std::string scenario_schema_json() {
  Scenario defaults;
  scenario::FieldSchema visitor;
  scenario::fields(visitor, defaults);
  nlohmann::json schema = visitor.take();
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "rxpool scenario";
  return schema.dump(1) + "\n";
}

}  // namespace rxpool
