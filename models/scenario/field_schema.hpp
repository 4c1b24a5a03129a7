#pragma once
// The JSON schema of the parameter structs, for editors (scenarios/schema.json). The loader is stricter: it also checks
// what depends on other fields.

#include <nlohmann/json.hpp>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

class FieldSchema final : public FieldVisitor {
 public:
  /// The schema of the object whose fields were visited.
  nlohmann::json take();

 protected:
  void on_signed(const FieldSpec& field, std::int64_t& value) override;
  void on_unsigned(const FieldSpec& field, std::uint64_t& value) override;
  void on_double(const FieldSpec& field, double& value) override;
  void on_bool(const FieldSpec& field, bool& value) override;
  void on_text(const FieldSpec& field, std::string& value) override;
  void on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) override;
  void on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) override;
  void on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) override;
  void on_values(const FieldSpec& field, std::map<std::string, ParamValue>& value) override;
  void on_numbers(const FieldSpec& field, std::map<std::string, double>& value) override;

 private:
  void put(const FieldSpec& field, nlohmann::json schema, nlohmann::json default_value);

  nlohmann::json properties_ = nlohmann::json::object();
};

}  // namespace rxpool::scenario
