#include <catch2/catch.hpp>

#include "models/memory/ptr_ring.hpp"

namespace rxpool {
namespace {

void fill(PtrRing& ring) {
  PageId page = 1;
  while (ring.produce(page)) ++page;
}

}  // namespace

TEST_CASE("a ring takes as many entries as it has slots and gives them back in order", "[PP-35][ptr_ring]") {
  PtrRing ring(64);
  fill(ring);
  CHECK(ring.count() == 64);
  CHECK(ring.looks_full());
  for (PageId page = 1; page <= 64; ++page) CHECK(ring.consume() == page);
  CHECK(ring.consume() == no_page);
  CHECK(ring.count() == 0);
}

TEST_CASE("a ring looks full with N - 15 live entries, because slots are emptied 16 at a time", "[PP-35][ptr_ring]") {
  PtrRing ring(64);
  fill(ring);
  for (int i = 0; i < 15; ++i) ring.consume();
  CHECK(ring.count() == 64 - 15);
  CHECK_FALSE(ring.produce(1000));
  ring.consume();  // the sixteenth empties the batch
  for (int i = 0; i < 16; ++i) CHECK(ring.produce(1000));
  CHECK_FALSE(ring.produce(1000));
}

TEST_CASE("a ring smaller than 32 slots empties each slot at once", "[PP-36][ptr_ring]") {
  PtrRing small(31);
  CHECK(small.batch() == 1);
  fill(small);
  small.consume();
  CHECK(small.produce(1000));
  CHECK(PtrRing(32).batch() == 16);
}

TEST_CASE("the consumer empties what is left when it reaches the end of the array", "[PP-36][ptr_ring]") {
  PtrRing ring(40);  // batches of 16, 16, 8
  fill(ring);
  for (int i = 0; i < 32; ++i) ring.consume();
  for (int i = 0; i < 32; ++i) REQUIRE(ring.produce(1000));
  for (int i = 0; i < 7; ++i) ring.consume();
  CHECK_FALSE(ring.produce(1000));
  ring.consume();  // slot 39, the last of the array
  for (int i = 0; i < 8; ++i) CHECK(ring.produce(1000));
  CHECK_FALSE(ring.produce(1000));
}

TEST_CASE("the emptiness test looks at the consumer's slot only", "[PP-37][ptr_ring]") {
  PtrRing ring(64);
  CHECK(ring.peek() == no_page);
  ring.produce(7);
  CHECK(ring.peek() == 7);
  CHECK(ring.count() == 1);
  ring.consume();
  CHECK(ring.peek() == no_page);
}

}  // namespace rxpool
