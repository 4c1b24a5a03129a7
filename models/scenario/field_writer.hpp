#pragma once
// Writes parameter structs as JSON, every field that applies, defaults included: the resolved scenario.

#include <nlohmann/json.hpp>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

class FieldWriter final : public FieldVisitor {
 public:
  nlohmann::json take() { return std::move(object_); }

  /// Whole numbers without a fraction: 100, not 100.0, whichever way they were written.
  static nlohmann::json number(double value);
  /// One option of a choice; choices among numbers (hz) are numbers in JSON.
  static nlohmann::json option(const std::vector<std::string_view>& names, std::string_view name);

 protected:
  void on_signed(const FieldSpec& field, std::int64_t& value) override { put(field, value); }
  void on_unsigned(const FieldSpec& field, std::uint64_t& value) override { put(field, value); }
  void on_double(const FieldSpec& field, double& value) override { put(field, number(value)); }
  void on_bool(const FieldSpec& field, bool& value) override { put(field, value); }
  void on_text(const FieldSpec& field, std::string& value) override { put(field, value); }
  void on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) override;
  void on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) override;
  void on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) override;
  void on_values(const FieldSpec& field, std::map<std::string, ParamValue>& value) override;
  void on_numbers(const FieldSpec& field, std::map<std::string, double>& value) override;

 private:
  void put(const FieldSpec& field, nlohmann::json value) {
    if (field.applies) object_[std::string(field.name)] = std::move(value);
  }

  nlohmann::json object_ = nlohmann::json::object();
};

}  // namespace rxpool::scenario
