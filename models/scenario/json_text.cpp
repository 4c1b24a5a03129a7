#include "models/scenario/json_text.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <numeric>
#include <vector>

#include "sim/error.hpp"

namespace rxpool::scenario {
namespace {

using nlohmann::json;

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Builds the document and stops at the first thing that strict reading refuses.
class StrictHandler {
 public:
  StrictHandler(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  bool null() { return value(nullptr); }
  bool boolean(bool v) { return value(v); }
  bool number_integer(json::number_integer_t v) { return value(v); }
  bool number_unsigned(json::number_unsigned_t v) { return value(v); }
  bool number_float(json::number_float_t v, const std::string&) { return value(v); }
  bool string(std::string& v) {
    check_control(v, "control character in a string");
    return value(std::move(v));
  }
  bool binary(json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(json::array()); }
  bool end_array() { return close(); }
  bool key(std::string& name) {
    check_control(name, "control character in a name");
    if (open_.back()->contains(name)) {
      fail(source_, join_place(place(), name), "duplicate key; keep one of them");
    }
    keys_.back() = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string&, const json::exception& error) {
    const std::size_t at = std::min(position == 0 ? 0 : position - 1, text_.size());
    const auto before = text_.substr(0, at);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const std::size_t start = before.rfind('\n');
    const std::size_t column = start == std::string_view::npos ? at + 1 : at - start;
    std::string what = error.what();
    if (const auto cut = what.find("- "); cut != std::string::npos) {
      what = what.substr(cut + 2);
    } else if (const auto bracket = what.find("] "); bracket != std::string::npos) {
      what = what.substr(bracket + 2);
    }
    throw InputError(source_ + ":" + std::to_string(line) + ":" + std::to_string(column) +
                     ": not valid JSON: " + printable(what, 160));
  }

  json take() { return std::move(root_); }

 private:
  std::string place() const {
    std::string all;
    for (std::size_t i = 0; i + 1 < keys_.size(); ++i) all = join_place(all, keys_[i]);
    return all;
  }
  void check_control(const std::string& text, const char* problem) const {
    if (std::any_of(text.begin(), text.end(), is_control)) {
      fail(source_, keys_.empty() ? "" : join_place(place(), keys_.back()),
           std::string(problem) + " (" + in_quotes(text) + "); remove it");
    }
  }
  json* put(json&& v) {
    if (open_.empty()) {
      root_ = std::move(v);
      return &root_;
    }
    json& parent = *open_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(v));
      return &parent.back();
    }
    return &(parent[keys_.back()] = std::move(v));
  }
  bool value(json&& v) {
    put(std::move(v));
    return true;
  }
  bool open(json&& container) {
    if (open_.size() >= max_depth) {
      fail(source_, join_place(place(), keys_.back()),
           "nested deeper than " + std::to_string(max_depth) + " levels; flatten it");
    }
    open_.push_back(put(std::move(container)));
    keys_.emplace_back();
    return true;
  }
  bool close() {
    open_.pop_back();
    keys_.pop_back();
    return true;
  }

  std::string_view text_;
  const std::string& source_;
  json root_;
  std::vector<json*> open_;
  std::vector<std::string> keys_;  ///< current key at each open level
};

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

json parse_json(std::string_view text, const std::string& source_name) {
  if (text.size() > max_text_bytes) {
    fail(source_name, "", "larger than 16 MiB; a scenario names its data files, it does not hold them");
  }
  StrictHandler handler(text, source_name);
  json::sax_parse(text.begin(), text.end(), &handler);
  return handler.take();
}

std::string read_text_file(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) fail(path, "", "is a folder, not a file");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) fail(path, "", std::string("cannot be opened: ") + std::strerror(errno) + "; check the name");
  std::string text;
  std::array<char, 65536> block;
  for (std::size_t n = 0; (n = std::fread(block.data(), 1, block.size(), file.get())) > 0;) {
    text.append(block.data(), n);
    if (text.size() > max_text_bytes) fail(path, "", "larger than 16 MiB");
  }
  if (std::ferror(file.get()) != 0) fail(path, "", "cannot be read to its end");
  return text;
}

std::string printable(std::string_view text, std::size_t max_length) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, max_length)) {
    if (is_control(c)) {
      out += "\\x";
      out += hex[static_cast<unsigned char>(c) >> 4];
      out += hex[static_cast<unsigned char>(c) & 15];
    } else {
      out += c;
    }
  }
  if (text.size() > max_length) out += "…";
  return out;
}

std::string in_quotes(std::string_view text, std::size_t max_length) {
  std::string out(1, '"');
  out += printable(text, max_length);
  out += '"';
  return out;
}

std::string join_place(const std::string& place, std::string_view name) {
  return place.empty() ? std::string(name) : place + "." + std::string(name);
}

std::string_view nearest(std::string_view word, const std::vector<std::string_view>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word.substr(0, 64), candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

void fail(const std::string& source_name, const std::string& place, const std::string& problem) {
  throw InputError(printable(source_name, 4096) + ": " + (place.empty() ? "" : printable(place, 200) + ": ") + problem);
}

}  // namespace rxpool::scenario
