#pragma once
// The tables of docs/scenario-format.md: one per parameter struct, in the order in which the fields are described.

#include <string>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

class FieldDocs final : public FieldVisitor {
 public:
  /// `place`: "nics.<name>"; `about`: the sentence under the heading.
  FieldDocs(std::string place, std::string about) : place_(std::move(place)), about_(std::move(about)) {}
  /// This struct's table, then those of the structs inside it.
  std::string take() const;

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
  void row(const FieldSpec& field, const std::string& type, const std::string& default_value);

  std::string place_;
  std::string about_;
  std::string rows_;
  std::string inner_;
};

}  // namespace rxpool::scenario
