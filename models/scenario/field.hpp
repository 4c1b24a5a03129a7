#pragma once
// One description of every scenario parameter. A parameter struct has, right below it, a function `fields(visitor,
// struct)` that names each member with its unit, limits and one sentence; the loader, the writer of the resolved
// scenario, the JSON schema and the table in docs/scenario-format.md are four visitors over that one description.
// Defaults are the members' initialisers; a default that depends on another field (ring size by driver) is set in
// `derive`, which the loader runs between the fields before and after it.

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace rxpool::scenario {

/// Orders names as people number them: rx2 before rx10. Equal numbers with different zeros fall back to plain order.
struct NaturalLess {
  bool operator()(const std::string& a, const std::string& b) const;
};

/// Things that exist several times, keyed by name. The position in this order is their index (queue 0, 1, …).
template <class T>
using Named = std::map<std::string, T, NaturalLess>;

/// A value whose type is known only to whoever reads it: a policy constant or the new value in a timed change.
using ParamValue = std::variant<bool, double, std::string>;

/// Inclusive range and unit of a number.
struct Limits {
  double min = 0;
  double max = 0;
  std::string_view unit = "";
};

/// What a visitor is told about a field beside its value.
struct FieldSpec {
  std::string_view name;
  std::string_view doc;
  Limits limits;
  std::string_view default_note;  ///< stands for the default where it depends on other fields ("by driver")
  std::string_view condition;     ///< when the field has a meaning; empty: always
  bool applies = true;            ///< whether that condition holds
};

class FieldVisitor;

/// A nested object.
class ObjectRef {
 public:
  virtual ~ObjectRef() = default;
  virtual void visit(FieldVisitor& visitor) = 0;
};

/// Objects keyed by name.
class ChildrenRef {
 public:
  virtual ~ChildrenRef() = default;
  virtual std::vector<std::string> names() const = 0;
  virtual void visit(const std::string& name, FieldVisitor& visitor) = 0;  ///< makes the child when it is new
  virtual void visit_prototype(FieldVisitor& visitor) const = 0;           ///< a fresh child, thrown away afterwards
};

class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;

  template <std::integral T>
    requires(!std::same_as<T, bool>)
  void number(std::string_view name, T& value, Limits limits, std::string_view doc,
              std::string_view default_note = "") {
    const FieldSpec about = spec(name, doc, limits, default_note);
    if constexpr (std::is_signed_v<T>) {
      std::int64_t wide = value;
      on_signed(about, wide);
      value = static_cast<T>(wide);
    } else {
      std::uint64_t wide = value;
      on_unsigned(about, wide);
      value = static_cast<T>(wide);
    }
  }
  void number(std::string_view name, double& value, Limits limits, std::string_view doc,
              std::string_view default_note = "") {
    on_double(spec(name, doc, limits, default_note), value);
  }
  void flag(std::string_view name, bool& value, std::string_view doc, std::string_view default_note = "") {
    on_bool(spec(name, doc, {}, default_note), value);
  }
  void text(std::string_view name, std::string& value, std::string_view doc, std::string_view default_note = "") {
    on_text(spec(name, doc, {}, default_note), value);
  }
  template <class E>
  void choice(std::string_view name, E& value, const std::vector<std::pair<std::string_view, E>>& options,
              std::string_view doc, std::string_view default_note = "") {
    std::vector<std::string_view> names;
    std::size_t index = 0;
    for (const auto& [text, option] : options) {
      if (option == value) index = names.size();
      names.push_back(text);
    }
    on_choice(spec(name, doc, {}, default_note), names, index);
    value = options[index].second;
  }
  /// `short_form` names the field that a plain value stands for: "raw_drop": true is {"enabled": true}.
  template <class T>
  void object(std::string_view name, T& value, std::string_view doc, std::string_view short_form = "");
  /// `make` gives a fresh child with its defaults.
  template <class T>
  void children(std::string_view name, Named<T>& value, std::string_view doc, std::function<T()> make = {},
                std::string_view short_form = "");
  /// Free names with plain values.
  void values(std::string_view name, std::map<std::string, ParamValue>& value, std::string_view doc) {
    on_values(spec(name, doc), value);
  }
  /// Free names with numbers in a range.
  void numbers(std::string_view name, std::map<std::string, double>& value, Limits limits, std::string_view doc) {
    on_numbers(spec(name, doc, limits), value);
  }
  /// The fields that `block` names mean something only when `applies`; elsewhere they are refused and not written.
  template <class F>
  void when(bool applies, std::string_view condition, F&& block) {
    applies_ = applies;
    condition_ = condition;
    block();
    applies_ = true;
    condition_ = {};
  }
  /// Runs `set_defaults` where values are being read: fields before it are known, fields after it get new defaults.
  template <class F>
  void derive(F&& set_defaults) {
    if (reads()) set_defaults();
  }

 protected:
  virtual bool reads() const { return false; }
  virtual void on_signed(const FieldSpec& field, std::int64_t& value) = 0;
  virtual void on_unsigned(const FieldSpec& field, std::uint64_t& value) = 0;
  virtual void on_double(const FieldSpec& field, double& value) = 0;
  virtual void on_bool(const FieldSpec& field, bool& value) = 0;
  virtual void on_text(const FieldSpec& field, std::string& value) = 0;
  virtual void on_choice(const FieldSpec& field, const std::vector<std::string_view>& names, std::size_t& index) = 0;
  virtual void on_object(const FieldSpec& field, ObjectRef& object, std::string_view short_form) = 0;
  virtual void on_children(const FieldSpec& field, ChildrenRef& children, std::string_view short_form) = 0;
  virtual void on_values(const FieldSpec& field, std::map<std::string, ParamValue>& value) = 0;
  virtual void on_numbers(const FieldSpec& field, std::map<std::string, double>& value) = 0;

 private:
  FieldSpec spec(std::string_view name, std::string_view doc, Limits limits = {}, std::string_view note = {}) const {
    return {name, doc, limits, note, condition_, applies_};
  }

  bool applies_ = true;
  std::string_view condition_;
};

namespace detail {

template <class T>
class ObjectOf final : public ObjectRef {
 public:
  explicit ObjectOf(T& value) : value_(value) {}
  void visit(FieldVisitor& visitor) override { fields(visitor, value_); }

 private:
  T& value_;
};

template <class T>
class ChildrenOf final : public ChildrenRef {
 public:
  ChildrenOf(Named<T>& value, std::function<T()> make) : value_(value), make_(std::move(make)) {}
  std::vector<std::string> names() const override {
    std::vector<std::string> all;
    for (const auto& entry : value_) all.push_back(entry.first);
    return all;
  }
  void visit(const std::string& name, FieldVisitor& visitor) override {
    fields(visitor, value_.try_emplace(name, fresh()).first->second);
  }
  void visit_prototype(FieldVisitor& visitor) const override {
    T child = fresh();
    fields(visitor, child);
  }

 private:
  T fresh() const { return make_ ? make_() : T{}; }

  Named<T>& value_;
  std::function<T()> make_;
};

}  // namespace detail

template <class T>
void FieldVisitor::object(std::string_view name, T& value, std::string_view doc, std::string_view short_form) {
  detail::ObjectOf<T> ref(value);
  on_object(spec(name, doc), ref, short_form);
}

template <class T>
void FieldVisitor::children(std::string_view name, Named<T>& value, std::string_view doc, std::function<T()> make,
                            std::string_view short_form) {
  detail::ChildrenOf<T> ref(value, std::move(make));
  on_children(spec(name, doc), ref, short_form);
}

/// Longest duration or latest instant a scenario may name: time_limit() of sim/time.hpp (53 days), in the field's unit.
constexpr Limits time_ms(double min = 0) {
  return {min, 4.6e9, "ms"};
}
constexpr Limits time_us(double min = 0) {
  return {min, 4.6e12, "us"};
}
constexpr Limits time_ns(double min = 0) {
  return {min, 4.6e15, "ns"};
}

}  // namespace rxpool::scenario
