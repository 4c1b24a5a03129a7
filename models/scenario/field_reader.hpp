#pragma once
// Reads JSON objects into parameter structs. Under an object keyed by name (`nics`, `rx_queues`) a key whose value is
// an object is a child; a key whose value is plain is the default of that parameter for all children.

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "models/scenario/field.hpp"

namespace rxpool::scenario {

/// Where errors say they are: the file, or the override that put the value there.
class Origin {
 public:
  Origin(std::string source_name, std::vector<std::pair<std::string, std::string>> overrides)
      : source_name_(std::move(source_name)), overrides_(std::move(overrides)) {}
  [[noreturn]] void fail(const std::string& place, const std::string& problem) const;
  const std::string& source_name() const { return source_name_; }

 private:
  std::string source_name_;
  std::vector<std::pair<std::string, std::string>> overrides_;
};

class FieldReader final : public FieldVisitor {
 public:
  /// `defaults`: plain values of the parent that stand in for missing keys; null without a parent.
  FieldReader(const Origin& origin, const nlohmann::json& object, std::string place,
              const nlohmann::json* defaults = nullptr, std::string defaults_place = "");

  /// Refuses the keys that no field has asked for. Call after `fields`.
  void refuse_unknown() const;
  const std::vector<std::string_view>& names() const { return names_; }

 protected:
  bool reads() const override { return true; }
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
  struct Found {
    const nlohmann::json* value = nullptr;
    std::string place;
    explicit operator bool() const { return value != nullptr; }
  };
  Found find(const FieldSpec& field);
  template <class T>
  void read_whole(const FieldSpec& field, T& value);
  double checked_number(const FieldSpec& field, const Found& found) const;
  void check_name(const std::string& name, const std::string& place) const;

  const Origin& origin_;
  const nlohmann::json& object_;
  std::string place_;
  const nlohmann::json* defaults_;
  std::string defaults_place_;
  std::vector<std::string_view> names_;
};

/// "1 … 4096 packets"
std::string range_text(const Limits& limits);

}  // namespace rxpool::scenario
