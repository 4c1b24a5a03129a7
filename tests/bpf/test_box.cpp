// The box: what is mapped, what is not, and what helpers may reach.

#include <catch2/catch.hpp>

#include "models/bpf/box.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using namespace rxpool::bpf;

TEST_CASE("regions start above the unmapped bottom with an unmapped page between them", "[bpf][box]") {
  Box box;
  const BoxOffset first = box.map_region(ObjectClass::map_value, 100, "a");
  const BoxOffset second = box.map_region(ObjectClass::packet, 4096, "b");
  CHECK(first >= Box::first_offset);
  CHECK(second >= first + 2 * Box::page_bytes);
  CHECK(box.readable(first, 4096).size() == 4096);
  CHECK(box.readable(first, 4097).empty());
  CHECK(box.readable(first + 4096, 1).empty());
  CHECK(box.readable(0, 1).empty());
  CHECK(box.readable(Box::first_offset - 1, 1).empty());
}

TEST_CASE("a span outside the box, of length zero or with a wrapping length is refused", "[bpf][box]") {
  Box box;
  const BoxOffset at = box.map_region(ObjectClass::scratch, 4096, "a");
  CHECK(box.readable(at, 0).empty());
  CHECK(box.readable(std::uint64_t{1} << 32, 1).empty());
  CHECK(box.readable(at, ~std::uint64_t{0}).empty());
  CHECK(box.readable(~std::uint64_t{0}, 2).empty());
  CHECK(box.writable(at + 4095, 1).size() == 1);
}

TEST_CASE("typed spans check alignment and count", "[bpf][box]") {
  Box box;
  const BoxOffset at = box.map_region(ObjectClass::scratch, 64, "a");
  CHECK(box.span<std::uint64_t>(at, 8).size() == 8);
  CHECK(box.span<std::uint64_t>(at + 4).empty());
  CHECK(box.span<std::uint64_t>(at, std::uint64_t{1} << 61).empty());
  box.protect(at);
  CHECK(box.span<std::uint64_t>(at).empty());
  CHECK(box.span<const std::uint64_t>(at).size() == 1);
}

TEST_CASE("find_region knows the exact size that was asked for", "[bpf][box]") {
  Box box;
  const BoxOffset at = box.map_region(ObjectClass::map_value, 100, "counters");
  REQUIRE(box.find_region(at + 99, 1) != nullptr);
  CHECK(box.find_region(at + 99, 1)->name == "counters");
  CHECK(box.find_region(at + 99, 2) == nullptr);
  CHECK(box.find_region(at - 1, 1) == nullptr);
  CHECK(box.find_region(0, 1) == nullptr);
}

TEST_CASE("an unmapped region is gone and the newest gives its place back", "[bpf][box]") {
  Box box;
  const BoxOffset first = box.map_region(ObjectClass::scratch, 4096, "a");
  const BoxOffset second = box.map_region(ObjectClass::scratch, 4096, "b");
  *box.at(second) = std::byte{7};
  box.unmap_region(second);
  CHECK(box.readable(second, 1).empty());
  CHECK(box.map_region(ObjectClass::scratch, 4096, "c") == second);
  CHECK(*box.at(second) == std::byte{0});
  box.unmap_region(first);
  CHECK(box.map_region(ObjectClass::scratch, 4096, "d") > second);
}

TEST_CASE("a full box says what did not fit", "[bpf][box]") {
  Box box;
  try {
    box.map_region(ObjectClass::map_value, std::uint64_t{5} << 30, "huge");
    FAIL("5 GiB were mapped");
  } catch (const InputError& error) {
    CHECK(error.code() == ExitCode::limit);
    CHECK_THAT(error.what(), Catch::Matchers::Contains("huge"));
  }
}
