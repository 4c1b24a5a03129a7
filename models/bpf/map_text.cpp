#include "models/bpf/map_text.hpp"

#include <charconv>
#include <optional>
#include <string_view>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

struct Number {
  std::uint64_t magnitude = 0;
  bool negative = false;
};

std::optional<Number> parse_number(std::string_view text) {
  Number number;
  number.negative = !text.empty() && text[0] == '-';
  text.remove_prefix(number.negative ? 1 : 0);
  const bool hex = text.starts_with("0x") || text.starts_with("0X");
  text.remove_prefix(hex ? 2 : 0);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number.magnitude, hex ? 16 : 10);
  return error == std::errc() && end == text.data() + text.size() && !text.empty() ? std::optional(number)
                                                                                   : std::nullopt;
}

std::optional<Bytes> parse_ipv4(std::string_view text) {
  Bytes bytes;
  while (bytes.size() < 4) {
    const auto dot = text.find('.');
    const auto part = parse_number(text.substr(0, dot));
    if (!part || part->negative || part->magnitude > 255 || (dot == std::string_view::npos) != (bytes.size() == 3)) {
      return std::nullopt;
    }
    bytes.push_back(static_cast<std::uint8_t>(part->magnitude));
    text.remove_prefix(dot == std::string_view::npos ? text.size() : dot + 1);
  }
  return bytes;
}

// One number of `size` bytes.
Bytes parse_plain(std::string_view text, std::uint32_t size, bool is_signed, const std::string& what) {
  if (size == 4) {
    if (const auto address = parse_ipv4(text)) {
      return *address;
    }
  }
  const auto number = parse_number(text);
  if (!number) {
    throw InputError(what + ": \"" + std::string(text) + "\" is no whole number" +
                     (size == 4 ? " and no IPv4 address" : ""));
  }
  const unsigned bits = size * 8;
  const std::uint64_t half = std::uint64_t{1} << (bits - 1);
  const bool fits = number->negative ? is_signed && number->magnitude <= half
                    : is_signed      ? number->magnitude < half
                                     : bits == 64 || number->magnitude < half * 2;
  if (!fits) {
    throw InputError(what + ": " + std::string(text) + " does not fit " + (is_signed ? "a signed" : "an unsigned") +
                     " number of " + std::to_string(size) + " bytes");
  }
  const std::uint64_t word = number->negative ? 0 - number->magnitude : number->magnitude;
  Bytes bytes;
  for (std::uint32_t i = 0; i < size; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(word >> (8 * i)));
  }
  return bytes;
}

Bytes parse_hex(std::string_view text, std::uint32_t size, const std::string& what) {
  Bytes bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2) {
    std::uint8_t byte = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + at + 2, byte, 16);
    if (error != std::errc() || end != text.data() + at + 2) {
      throw InputError(what + ": " + std::string(text.substr(at, 2)) + " is no byte in hexadecimal");
    }
    bytes.push_back(byte);
  }
  if (bytes.size() != size || text.size() != 2 * std::size_t{size}) {
    throw InputError(what + ": give " + std::to_string(size) + " bytes, two digits each");
  }
  return bytes;
}

Bytes parse_fields(std::string_view text, const std::vector<Variable>& fields, std::uint32_t size,
                   const std::string& what) {
  Bytes bytes(size);
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(part.size() == text.size() ? part.size() : part.size() + 1);
    const auto equals = part.find('=');
    const std::string name(part.substr(0, equals));
    const Variable* field = nullptr;
    std::string known;
    for (const Variable& one : fields) {
      field = !one.name.empty() && one.name == name ? &one : field;
      known += one.name.empty() ? "" : (known.empty() ? "" : ", ") + one.name;
    }
    if (field == nullptr || equals == std::string_view::npos) {
      throw InputError(what + ": no field \"" + name + "\"; it has " + (known.empty() ? "no named fields" : known));
    }
    const std::string place = what + "." + name;
    if (!field->integer || field->size != field->element_size) {
      throw InputError(place + " is " + field->type + "; write the whole as hex:…");
    }
    const Bytes value = parse_plain(part.substr(equals + 1), field->size, field->is_signed, place);
    std::copy(value.begin(), value.end(), bytes.begin() + field->offset);
  }
  return bytes;
}

}  // namespace

Bytes parse_element(const std::string& text, const std::vector<Variable>& fields, std::uint32_t size,
                    const std::string& what) {
  if (text.starts_with("hex:")) {
    return parse_hex(std::string_view(text).substr(4), size, what);
  }
  if (text.find('=') != std::string::npos) {
    return parse_fields(text, fields, size, what);
  }
  if (size == 0 && text.empty()) {
    return {};
  }
  const bool typed = fields.size() == 1 && fields[0].integer && fields[0].size == size &&
                     fields[0].element_size == size && fields[0].name.empty();
  const bool untyped = fields.empty() && (size == 1 || size == 2 || size == 4 || size == 8);
  if (!typed && !untyped) {
    throw InputError(what + ": \"" + text + "\": it has " + std::to_string(size) +
                     " bytes; write field=number,… or hex:…");
  }
  return parse_plain(text, size, typed && fields[0].is_signed, what);
}

}  // namespace rxpool::bpf
