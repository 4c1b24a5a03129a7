#include <catch2/catch.hpp>
#include <string>

#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

using namespace rxpool;

namespace {

std::string problem(const std::string& text) {
  try {
    scenario::parse_json(text, "file.json");
    return "";
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::bad_input);
    return error.what();
  }
}

}  // namespace

TEST_CASE("a syntax error is named with line and column") {
  CHECK(problem("{\n  \"a\": 1,\n  \"b\": ]\n}").rfind("file.json:3:8: not valid JSON: ", 0) == 0);
  CHECK(problem("").rfind("file.json:1:1: not valid JSON: ", 0) == 0);
  CHECK(problem("{\"a\": 1} x").rfind("file.json:1:10: not valid JSON: ", 0) == 0);
  CHECK(problem("{\"a\": \"\xff\"}").rfind("file.json:1:8: not valid JSON: ", 0) == 0);
  CHECK(problem("{\"a\": 1e999}").rfind("file.json:1:", 0) == 0);
  CHECK(problem("{\"a\": NaN}") != "");
  CHECK(problem("{\"a\": 1} // no comments") != "");
}

TEST_CASE("a message is one line whatever the text holds") {
  for (const std::string text : {"{\"a\n\": 1}", "{\"a\\u000a\": 1}", "[\"\\u0007\"]", "{\"a\": tr\nue}"}) {
    const std::string message = problem(text);
    CHECK(message != "");
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a duplicate key is refused at its place, the same key elsewhere is not") {
  CHECK(problem(R"({"a": {"b": 1, "b": 2}})") == "file.json: a.b: duplicate key; keep one of them");
  CHECK(problem(R"({"a": {"b": 1}, "c": {"b": 2}, "d": [{"b": 1}, {"b": 2}]})") == "");
}

TEST_CASE("control characters in names and strings are refused and shown as escapes") {
  CHECK(problem("{\"ni\\u0007c\": 1}") == "file.json: control character in a name (\"ni\\x07c\"); remove it");
  CHECK(problem("{\"a\": \"x\\u001by\"}") == "file.json: a: control character in a string (\"x\\x1by\"); remove it");
}

TEST_CASE("thirty-two levels are read, thirty-three are refused") {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(problem(nested(32)) == "");
  CHECK(problem(nested(33)) == "file.json: nested deeper than 32 levels; flatten it");
  CHECK(problem(std::string(1000000, '[')) == "file.json: nested deeper than 32 levels; flatten it");
}

TEST_CASE("sixteen MiB are read, one byte more is refused") {
  std::string text = "[]" + std::string(scenario::max_text_bytes - 2, ' ');
  CHECK(problem(text) == "");
  CHECK(problem(text + " ").find("larger than 16 MiB") != std::string::npos);
}

TEST_CASE("the nearest word is found by edit distance, a far one is not offered") {
  CHECK(scenario::nearest("rx_rign", {"rx_ring", "rx_usecs"}) == "rx_ring");
  CHECK(scenario::nearest("portt", {"port", "cpu"}) == "port");
  CHECK(scenario::nearest("banana", {"rx_ring", "rx_usecs"}).empty());
}
