#pragma once
// The keys that a child of an object keyed by name can have; needed before its first child is read.

#include <string_view>
#include <vector>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

class NameCollector final : public FieldVisitor {
 public:
  std::vector<std::string_view> names;

 protected:
  void on_signed(const FieldSpec& field, std::int64_t&) override { names.push_back(field.name); }
  void on_unsigned(const FieldSpec& field, std::uint64_t&) override { names.push_back(field.name); }
  void on_double(const FieldSpec& field, double&) override { names.push_back(field.name); }
  void on_bool(const FieldSpec& field, bool&) override { names.push_back(field.name); }
  void on_text(const FieldSpec& field, std::string&) override { names.push_back(field.name); }
  void on_choice(const FieldSpec& field, const std::vector<std::string_view>&, std::size_t&) override {
    names.push_back(field.name);
  }
  void on_object(const FieldSpec& field, ObjectRef&, std::string_view) override { names.push_back(field.name); }
  void on_children(const FieldSpec& field, ChildrenRef&, std::string_view) override { names.push_back(field.name); }
  void on_values(const FieldSpec& field, std::map<std::string, ParamValue>&) override { names.push_back(field.name); }
  void on_numbers(const FieldSpec& field, std::map<std::string, double>&) override { names.push_back(field.name); }
};

inline std::vector<std::string_view> names_of(const ChildrenRef& children) {
  NameCollector collector;
  children.visit_prototype(collector);
  return std::move(collector.names);
}

}  // namespace rxpool::scenario
