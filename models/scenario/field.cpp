#include "models/scenario/field.hpp"

namespace rxpool::scenario {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The run of digits or of other characters that starts at `from`.
std::string_view chunk(std::string_view text, std::size_t from) {
  std::size_t to = from + 1;
  while (to < text.size() && is_digit(text[to]) == is_digit(text[from])) ++to;
  return text.substr(from, to - from);
}

std::string_view without_zeros(std::string_view digits) {
  const std::size_t first = digits.find_first_not_of('0');
  return first == std::string_view::npos ? std::string_view() : digits.substr(first);
}

int compare_chunks(std::string_view a, std::string_view b) {
  if (is_digit(a[0]) && is_digit(b[0])) {
    const std::string_view x = without_zeros(a);
    const std::string_view y = without_zeros(b);
    if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
    return x.compare(y);
  }
  return a.compare(b);
}

}  // namespace

bool NaturalLess::operator()(const std::string& a, const std::string& b) const {
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() && j < b.size()) {
    const std::string_view x = chunk(a, i);
    const std::string_view y = chunk(b, j);
    if (const int order = compare_chunks(x, y); order != 0) return order < 0;
    i += x.size();
    j += y.size();
  }
  if (i < a.size() || j < b.size()) return j < b.size();
  return a < b;
}

}  // namespace rxpool::scenario
