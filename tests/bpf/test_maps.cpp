// Maps from outside: the kernel's error codes and limits, what eviction and replacement do, and random operations
// compared with the maps of this machine's kernel.

#include <catch2/catch.hpp>
#include <random>

#include "kernel/policy/kernel_policy.hpp"
#include "models/bpf/map_access.hpp"
#include "models/bpf/maps/bloom_filter.hpp"
#include "models/bpf/maps/hash.hpp"
#include "models/bpf/maps/make_map.hpp"
#include "models/bpf/maps/redirect_map.hpp"
#include "models/bpf/maps/ringbuf.hpp"
#include "sim/error.hpp"
#include "tests/bpf/kernel_access.hpp"

using namespace rxpool;
using namespace rxpool::bpf;
using Catch::Matchers::Contains;

namespace {

MapDefinition definition(MapType type, std::uint32_t key, std::uint32_t value, std::uint32_t entries,
                         std::uint32_t flags = 0) {
  MapDefinition map;
  map.name = "m";
  map.type = static_cast<std::uint32_t>(type);
  map.key_size = key;
  map.value_size = value;
  map.max_entries = entries;
  map.flags = flags;
  return map;
}

// A map with a runtime around it, as a Policy would have.
struct Bench {
  explicit Bench(const MapDefinition& shape, std::uint32_t cpus = 2) {
    runtime.box = &box;
    map = make_map(shape, {box, cpus});
  }
  MapAccess access() { return {*map, runtime}; }

  Box box;
  Runtime runtime;
  std::unique_ptr<Map> map;
};

Bytes words(std::initializer_list<std::uint32_t> list) {
  Bytes all;
  for (const std::uint32_t word : list) {
    const auto* first = reinterpret_cast<const std::uint8_t*>(&word);
    all.insert(all.end(), first, first + 4);
  }
  return all;
}

std::string refusal(const MapDefinition& shape) {
  Box box;
  try {
    make_map(shape, {box, 2});
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("an array has all its elements from the start and loses none", "[maps]") {
  Bench bench(definition(MapType::array, 4, 4, 3));
  CHECK(bench.access().read(words({2})) == words({0}));
  CHECK(bench.access().write(words({2}), words({7})) == 0);
  CHECK(bench.access().read(words({2})) == words({7}));
  CHECK(bench.access().write(words({3}), words({7})) == -E2BIG);
  CHECK(bench.access().write(words({2}), words({7}), update_noexist) == -EEXIST);
  CHECK(bench.access().write(words({2}), words({7}), 9) == -EINVAL);
  CHECK(bench.access().erase(words({2})) == -EINVAL);
  CHECK_FALSE(bench.access().read(words({3})));
  CHECK(bench.access().dump().size() == 3);
}

TEST_CASE("a full hash refuses new keys and still replaces old ones", "[maps]") {
  Bench bench(definition(MapType::hash, 4, 4, 2));
  CHECK(bench.access().write(words({1}), words({10}), update_exist) == -ENOENT);
  CHECK(bench.access().write(words({1}), words({10})) == 0);
  CHECK(bench.access().write(words({2}), words({20})) == 0);
  CHECK(bench.access().write(words({3}), words({30})) == -E2BIG);
  CHECK(bench.access().write(words({1}), words({11}), update_noexist) == -EEXIST);
  CHECK(bench.access().write(words({1}), words({11})) == 0);
  CHECK(bench.access().erase(words({2})) == 0);
  CHECK(bench.access().erase(words({2})) == -ENOENT);
  CHECK(bench.access().write(words({3}), words({30})) == 0);
  CHECK(bench.access().read(words({1})) == words({11}));
}

TEST_CASE("replacing a hash value leaves the old one to who holds a pointer", "[maps]") {
  Bench bench(definition(MapType::hash, 4, 4, 2));
  CHECK(bench.access().write(words({1}), words({10})) == 0);
  const Bytes key = words({1});
  const auto old = static_cast<BoxOffset>(bench.map->lookup(bench.runtime, std::as_bytes(std::span(key))));
  CHECK(bench.access().write(key, words({11})) == 0);
  CHECK(std::to_integer<int>(*bench.box.at(old)) == 10);
  CHECK(bench.access().read(key) == words({11}));
}

TEST_CASE("a per-CPU element has a value per CPU, zero where nobody wrote", "[maps]") {
  Bench bench(definition(MapType::percpu_hash, 4, 4, 2));
  const Bytes key = words({1});
  const Bytes value = words({5});
  bench.runtime.cpu = 1;
  CHECK(bench.map->update(bench.runtime, std::as_bytes(std::span(key)), std::as_bytes(std::span(value)), 0) == 0);
  CHECK(bench.access().read(key) == words({0, 5}));
  CHECK(bench.access().write(key, words({8, 9})) == 0);
  CHECK(bench.access().read(key) == words({8, 9}));
  CHECK(bench.runtime.cpu == 1);
}

TEST_CASE("an LRU evicts the element that was not used for longest", "[maps]") {
  Bench bench(definition(MapType::lru_hash, 4, 4, 3));
  for (std::uint32_t key : {1U, 2U, 3U}) {
    CHECK(bench.access().write(words({key}), words({key})) == 0);
  }
  const Bytes one = words({1});
  CHECK(bench.map->lookup(bench.runtime, std::as_bytes(std::span(one))) != 0);
  CHECK(bench.access().write(words({4}), words({4})) == 0);
  CHECK(bench.access().read(words({1})));
  CHECK_FALSE(bench.access().read(words({2})));
  CHECK(bench.access().dump().size() == 3);
}

TEST_CASE("reading from outside does not save an element of an LRU", "[maps]") {
  Bench bench(definition(MapType::lru_hash, 4, 4, 2));
  CHECK(bench.access().write(words({1}), words({1})) == 0);
  CHECK(bench.access().write(words({2}), words({2})) == 0);
  CHECK(bench.access().read(words({1})));
  CHECK(bench.access().write(words({3}), words({3})) == 0);
  CHECK_FALSE(bench.access().read(words({1})));
}

TEST_CASE("the longest prefix wins", "[maps]") {
  Bench bench(definition(MapType::lpm_trie, 8, 4, 3, BPF_F_NO_PREALLOC));
  const auto prefix = [](std::uint32_t length, std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    Bytes key = words({length});
    key.insert(key.end(), {a, b, c, d});
    return key;
  };
  CHECK(bench.access().write(prefix(0, 0, 0, 0, 0), words({1})) == 0);
  CHECK(bench.access().write(prefix(9, 10, 128, 0, 0), words({2})) == 0);
  CHECK(bench.access().write(prefix(24, 10, 128, 3, 0), words({3})) == 0);
  CHECK(bench.access().write(prefix(32, 1, 2, 3, 4), words({4})) == -ENOSPC);
  CHECK(bench.access().write(prefix(33, 1, 2, 3, 4), words({4})) == -EINVAL);
  CHECK(bench.access().read(prefix(32, 10, 128, 3, 9)) == words({3}));
  CHECK(bench.access().read(prefix(32, 10, 200, 3, 9)) == words({2}));
  CHECK(bench.access().read(prefix(32, 10, 1, 3, 9)) == words({1}));
  CHECK(bench.access().erase(prefix(0, 0, 0, 0, 0)) == 0);
  CHECK_FALSE(bench.access().read(prefix(32, 10, 1, 3, 9)));
  CHECK(bench.access().erase(prefix(0, 0, 0, 0, 0)) == -ENOENT);
}

TEST_CASE("queues give the oldest first, stacks the newest", "[maps]") {
  const bool stack = GENERATE(false, true);
  Bench bench(definition(stack ? MapType::stack : MapType::queue, 0, 4, 3));
  Bytes out(4, 0xff);
  const auto pop = [&] { return bench.map->pop(bench.runtime, std::as_writable_bytes(std::span(out))); };
  CHECK(pop() == -ENOENT);
  CHECK(out == words({0}));
  for (std::uint32_t value : {1U, 2U, 3U}) {
    CHECK(bench.access().write({}, words({value})) == 0);
  }
  CHECK(bench.access().write({}, words({4})) == -E2BIG);
  CHECK(bench.access().write({}, words({4}), update_noexist) == -EINVAL);
  CHECK(bench.access().write({}, words({4}), update_exist) == 0);  // pushes the oldest out
  for (std::uint32_t expected : stack ? std::vector<std::uint32_t>{4, 3, 2} : std::vector<std::uint32_t>{2, 3, 4}) {
    CHECK(pop() == 0);
    CHECK(out == words({expected}));
  }
}

TEST_CASE("a bloom filter knows what was pushed and hardly anything else", "[maps]") {
  MapDefinition shape = definition(MapType::bloom_filter, 0, 4, 1000);
  shape.extra = 3;
  Bench bench(shape);
  CHECK(static_cast<BloomFilterMap&>(*bench.map).bit_count() == 8192);  // 1000 * 3 / 5 * 7 to a power of two
  const auto knows = [&](std::uint32_t value) {
    Bytes bytes = words({value});
    return bench.map->peek(bench.runtime, std::as_writable_bytes(std::span(bytes))) == 0;
  };
  for (std::uint32_t value = 0; value < 1000; ++value) {
    CHECK(bench.access().write({}, words({value})) == 0);
  }
  int known = 0;
  int wrong = 0;
  for (std::uint32_t value = 0; value < 2000; ++value) {
    (value < 1000 ? known : wrong) += knows(value);
  }
  CHECK(known == 1000);
  CHECK(wrong < 100);
}

TEST_CASE("a ring buffer gives records in order and stays full until they are read", "[maps]") {
  Bench bench(definition(MapType::ringbuf, 0, 0, 4096));
  auto& ring = static_cast<RingbufMap&>(*bench.map);
  std::vector<BoxOffset> records;
  for (BoxOffset record = ring.reserve(100); record != 0; record = ring.reserve(100)) {
    records.push_back(record);
  }
  CHECK(records.size() == 36);  // 112 bytes each with header and rounding, 4095 at most
  CHECK(ring.commit(records[1], false));
  CHECK(ring.consume().empty());  // the first is still being written
  CHECK(ring.commit(records[0], true));
  CHECK(ring.consume().size() == 100);  // discarded ones are passed over
  CHECK_FALSE(ring.commit(records[0], false));
  CHECK_FALSE(ring.commit(12345, false));
  CHECK(ring.reserve(100) != 0);
  CHECK(ring.reserve(5000) == 0);
}

TEST_CASE("redirect maps take what the kernel takes", "[maps][XD-23][XD-30]") {
  Bench cpus(definition(MapType::cpumap, 4, 4, 8), 4);
  CHECK(cpus.access().write(words({1}), words({RedirectMap::max_queue + 1})) == -EOVERFLOW);
  CHECK(cpus.access().write(words({5}), words({64})) == -ENODEV);
  CHECK(cpus.access().write(words({9}), words({64})) == -E2BIG);
  CHECK(cpus.access().write(words({1}), words({64})) == 0);
  CHECK(static_cast<RedirectMap&>(*cpus.map).target(1) == 64);
  CHECK(cpus.access().write(words({1}), words({0})) == 0);  // a queue of size 0 deletes
  CHECK(static_cast<RedirectMap&>(*cpus.map).target(1) == 0);
  Bench devices(definition(MapType::devmap_hash, 4, 8, 2));
  CHECK(devices.access().write(words({77}), words({3, 0})) == 0);
  CHECK(devices.access().write(words({78}), words({4, 0})) == 0);
  CHECK(devices.access().write(words({79}), words({5, 0})) == -E2BIG);
  CHECK(devices.access().erase(words({80})) == -ENOENT);
  CHECK(static_cast<RedirectMap&>(*devices.map).target(78) == 4);
}

TEST_CASE("maps that the kernel would not create are refused with its error", "[maps]") {
  CHECK_THAT(refusal(definition(MapType::array, 8, 4, 1)), Contains("map m (ARRAY): -EINVAL: its key is an index"));
  CHECK_THAT(refusal(definition(MapType::hash, 4, 4, 0)), Contains("max_entries is 0"));
  CHECK_THAT(refusal(definition(MapType::lpm_trie, 8, 4, 1)), Contains("BPF_F_NO_PREALLOC"));
  CHECK_THAT(refusal(definition(MapType::lru_hash, 4, 4, 1, BPF_F_NO_PREALLOC)), Contains("-ENOTSUPP"));
  CHECK_THAT(refusal(definition(MapType::ringbuf, 0, 0, 5000)), Contains("power of two"));
  CHECK_THAT(refusal(definition(MapType::percpu_array, 4, 40000, 1)), Contains("-E2BIG"));
  CHECK_THAT(refusal(definition(MapType::hash, 4, 1024, 1U << 30)), Contains("-ENOMEM"));
  CHECK_THAT(refusal(definition(static_cast<MapType>(15), 4, 4, 1)), Contains("type 15") && Contains("does not exist"));
}

namespace {

struct KernelMap {
  explicit KernelMap(const MapDefinition& shape) {
    bpf_map_create_opts options{};
    options.sz = sizeof options;
    options.map_flags = shape.flags;
    fd = bpf_map_create(static_cast<bpf_map_type>(shape.type), "m", shape.key_size, shape.value_size, shape.max_entries,
                        &options);
  }
  ~KernelMap() { close(fd); }
  int fd = -1;
};

bool queue_type(const MapDefinition& shape) {
  return static_cast<MapType>(shape.type) == MapType::queue || static_cast<MapType>(shape.type) == MapType::stack;
}

}  // namespace

TEST_CASE("random operations give the kernel's answers", "[maps][kernel][differential]") {
  const std::string reason = kernel::refusal();
  if (!reason.empty()) {
    WARN("skipped: " << reason);
    return;
  }
  const MapDefinition shape = GENERATE(
      definition(MapType::array, 4, 12, 5), definition(MapType::hash, 4, 12, 5), definition(MapType::hash, 8, 8, 64),
      definition(MapType::lpm_trie, 8, 4, 6, BPF_F_NO_PREALLOC), definition(MapType::queue, 0, 4, 5),
      definition(MapType::stack, 0, 4, 5), definition(MapType::lru_hash, 4, 4, 512));
  CAPTURE(map_type_name(shape.type), shape.max_entries);
  Bench bench(shape);
  KernelMap kernel(shape);
  REQUIRE(kernel.fd >= 0);
  std::mt19937 random(7);  // test input only
  int successes = 0;
  int failures = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes key(shape.key_size);
    if (!key.empty()) {
      key[0] = static_cast<std::uint8_t>(random() % (shape.key_size == 8 ? 36 : 9));
      key.back() = static_cast<std::uint8_t>(random() % 2);
    }
    Bytes value(shape.value_size);
    value[0] = static_cast<std::uint8_t>(random());
    const std::uint64_t flags = random() % 4 == 0 ? random() % 9 : 0;
    Bytes out(shape.value_size);
    int theirs = 0;
    int ours = 0;
    bool read_equal = true;
    switch (random() % 3) {
      case 0:
        theirs = bpf_map_update_elem(kernel.fd, key.data(), value.data(), flags) == 0 ? 0 : -errno;
        ours = bench.access().write(key, value, flags);
        break;
      case 1:
        if (queue_type(shape)) {
          theirs = bpf_map_lookup_and_delete_elem(kernel.fd, nullptr, out.data()) == 0 ? 0 : -errno;
          Bytes popped(shape.value_size);
          ours = bench.map->pop(bench.runtime, std::as_writable_bytes(std::span(popped)));
          read_equal = theirs != 0 || popped == out;
        } else {
          theirs = bpf_map_delete_elem(kernel.fd, key.data()) == 0 ? 0 : -errno;
          ours = bench.access().erase(key);
        }
        break;
      default:
        theirs = bpf_map_lookup_elem(kernel.fd, key.data(), out.data()) == 0 ? 0 : -errno;
        if (queue_type(shape)) {
          Bytes seen(shape.value_size);
          ours = bench.map->peek(bench.runtime, std::as_writable_bytes(std::span(seen)));
          read_equal = theirs != 0 || seen == out;
        } else {
          const auto seen = bench.access().read(key);
          ours = seen ? 0 : -ENOENT;
          read_equal = !seen || *seen == out;
        }
    }
    (theirs == 0 ? successes : failures) += 1;
    if (ours != theirs || !read_equal) {
      CAPTURE(i, flags, key, value);
      REQUIRE(ours == theirs);
      REQUIRE(read_equal);
    }
  }
  CHECK(successes > 2'000);
  CHECK(failures > 500);
}
