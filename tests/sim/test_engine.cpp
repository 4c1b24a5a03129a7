// Order of events: by time, class and name; who may run ahead of whom; what ends a run.
#include <catch2/catch.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/engine.hpp"
#include "sim/error.hpp"

using namespace rxpool;

namespace {

/// Components that write down when they fire; what else one does is up to the test.
struct Bench {
  struct Component {
    Component(Bench& of, std::string called) : bench(&of), name(std::move(called)) {}
    Bench* bench;
    std::string name;
    Event event;
    std::function<void(Time)> then;
  };

  Component& add(const std::string& name, std::uint32_t group) {
    components.push_back(std::make_unique<Component>(*this, name));
    Component& made = *components.back();
    engine.add(made.event, name, group, &made, [](void* owner, Time now) {
      auto& self = *static_cast<Component*>(owner);
      self.bench->fired += self.name + "@" + std::to_string(now.ps) + " ";
      if (self.then) self.then(now);
    });
    return made;
  }

  Engine engine;
  std::vector<std::unique_ptr<Component>> components;
  std::string fired;
};

}  // namespace

TEST_CASE("events fire by time, then class, then name, never by creation") {
  Bench bench;
  auto& second = bench.add("b", 2);
  auto& first = bench.add("a", 1);
  auto& early = bench.add("z", 1);
  auto& other = bench.add("c", 3);
  bench.engine.seal();
  bench.engine.arm(second.event, Time{10}, EventClass::poll);
  bench.engine.arm(first.event, Time{10}, EventClass::poll);
  bench.engine.arm(early.event, Time{10}, EventClass::arrival);
  bench.engine.arm(other.event, Time{9}, EventClass::sampler);
  CHECK(bench.engine.run(Time{100}, {}) == Engine::Status::finished);
  CHECK(bench.fired == "c@9 z@10 a@10 b@10 ");
  CHECK(bench.engine.fired() == 4);
}

TEST_CASE("what is due at the end still fires, what is later does not") {
  Bench bench;
  auto& a = bench.add("a", 1);
  bench.engine.seal();
  a.then = [&](Time now) { bench.engine.arm(a.event, now + Time{50}, EventClass::timer); };
  bench.engine.arm(a.event, Time{50}, EventClass::timer);
  bench.engine.run(Time{150}, {});
  CHECK(bench.fired == "a@50 a@100 a@150 ");
  CHECK(bench.engine.armed_at(a.event) == Time{200});
}

TEST_CASE("an event can be moved and cancelled, by itself and by others") {
  Bench bench;
  auto& a = bench.add("a", 1);
  auto& b = bench.add("b", 1);
  auto& c = bench.add("c", 2);
  bench.engine.seal();
  a.then = [&](Time) {
    bench.engine.arm(b.event, Time{20}, EventClass::timer);  // from 30
    bench.engine.cancel(c.event);
  };
  bench.engine.arm(a.event, Time{10}, EventClass::timer);
  bench.engine.arm(b.event, Time{30}, EventClass::timer);
  bench.engine.arm(c.event, Time{15}, EventClass::timer);
  bench.engine.run(Time{100}, {});
  CHECK(bench.fired == "a@10 b@20 ");
}

TEST_CASE("alone in its group a component runs ahead to the next event of everybody or the window's end") {
  Bench bench;
  auto& alone = bench.add("alone", 1);
  auto& sampler = bench.add("sampler", Engine::everybody);
  auto& far = bench.add("far", 2);
  bench.engine.seal();
  bench.engine.set_window(Time{1000});
  alone.then = [&](Time) {
    CHECK(bench.engine.alone(alone.event));
    CHECK(bench.engine.private_horizon() == Time{400});
    // The other group is nearer, and does not matter.
    CHECK(bench.engine.may_run(alone.event, Time{399}, EventClass::poll));
    CHECK_FALSE(bench.engine.may_run(alone.event, Time{401}, EventClass::poll));
    CHECK(bench.engine.is_earliest(alone.event, Time{199}, EventClass::poll));
    CHECK_FALSE(bench.engine.is_earliest(alone.event, Time{201}, EventClass::poll));
  };
  bench.engine.arm(alone.event, Time{100}, EventClass::poll);
  bench.engine.arm(far.event, Time{200}, EventClass::poll);
  bench.engine.arm(sampler.event, Time{400}, EventClass::sampler);
  bench.engine.run(Time{500}, {});
  CHECK(bench.fired == "alone@100 far@200 sampler@400 ");
}

TEST_CASE("in a larger group nobody passes another, but by the time that takes to arrive") {
  Bench bench;
  auto& a = bench.add("a", 1);
  auto& b = bench.add("b", 1);
  bench.engine.seal();
  bench.engine.set_window(Time{1000});
  a.then = [&](Time) {
    CHECK_FALSE(bench.engine.alone(a.event));
    CHECK(bench.engine.may_run(a.event, Time{149}, EventClass::poll));
    // At the same instant class and name decide.
    CHECK(bench.engine.may_run(a.event, Time{150}, EventClass::poll));
    CHECK_FALSE(bench.engine.may_run(a.event, Time{150}, EventClass::thread));
    CHECK_FALSE(bench.engine.may_run(a.event, Time{151}, EventClass::poll));
    CHECK(bench.engine.may_run_ahead(a.event, Time{159}, EventClass::poll, Time{10}));
    CHECK_FALSE(bench.engine.may_run_ahead(a.event, Time{160}, EventClass::poll, Time{10}));
    bench.engine.set_running_at(Time{120});
    CHECK(bench.engine.group_front(a.event) == Time{120});
    // An event that is armed meanwhile is heeded at once.
    bench.engine.arm(b.event, Time{110}, EventClass::poll);
    CHECK_FALSE(bench.engine.may_run(a.event, Time{111}, EventClass::poll));
    CHECK(bench.engine.group_front(a.event) == Time{110});
  };
  bench.engine.arm(a.event, Time{100}, EventClass::poll);
  bench.engine.arm(b.event, Time{150}, EventClass::poll);
  bench.engine.run(Time{500}, {});
  CHECK(bench.fired == "a@100 b@110 ");
}

TEST_CASE("the window ends a run ahead, and the end of the run does") {
  Bench bench;
  auto& a = bench.add("a", 1);
  bench.engine.seal();
  bench.engine.set_window(Time{50});
  a.then = [&](Time now) {
    CHECK(bench.engine.private_horizon() == std::min(now + Time{50}, Time{180}));
    bench.engine.arm(a.event, now + Time{60}, EventClass::poll);
  };
  bench.engine.arm(a.event, Time{100}, EventClass::poll);
  bench.engine.run(Time{180}, {});
  CHECK(bench.fired == "a@100 a@160 ");
}

TEST_CASE("a run is cancelled when nobody wants it any more, and goes on where it stopped") {
  Bench bench;
  auto& a = bench.add("a", 1);
  bench.engine.seal();
  a.then = [&](Time now) { bench.engine.arm(a.event, now + Time{1}, EventClass::timer); };
  bench.engine.arm(a.event, Time{1}, EventClass::timer);
  int questions = 0;
  CHECK(bench.engine.run(Time{1000}, [&](Time) { return ++questions < 2; }) == Engine::Status::cancelled);
  CHECK(bench.engine.fired() == 512);
  CHECK(bench.engine.run(Time{1000}, {}) == Engine::Status::finished);
  CHECK(bench.engine.fired() == 1000);
}

TEST_CASE("two components of one name, and one that comes late, are our mistakes") {
  Bench twins;
  twins.add("a", 1);
  twins.add("a", 2);
  CHECK_THROWS_AS(twins.engine.seal(), BugError);
  Bench late;
  late.add("a", 1);
  late.engine.seal();
  CHECK_THROWS_AS(late.add("b", 1), BugError);
}
