// Real time of one event: the tournament against the heap that a general simulator uses, and the engine around it.
#include <benchmark/benchmark.h>

#include <memory>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "sim/engine.hpp"

namespace rxpool {
namespace {

/// The next instant of a component: some way ahead, none alike.
class Gaps {
 public:
  Time next() {
    state_ = state_ * 6364136223846793005 + 1442695040888963407;
    return Time{static_cast<std::int64_t>(state_ >> 44)};
  }

 private:
  std::uint64_t state_ = 1;
};

// Take the earliest of n and put it back later: what every event of a simulation does.
void winner_tree_hold(benchmark::State& state) {
  const auto n = static_cast<std::uint32_t>(state.range(0));
  Gaps gaps;
  WinnerTree tree(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    tree.set_key_only(i, make_key(gaps.next(), EventClass::poll, i));
    tree.update(i);
  }
  for (auto _ : state) {
    const std::uint32_t leaf = tree.winner();
    tree.set_key_only(leaf, make_key(key_time(tree.winner_key()) + gaps.next(), EventClass::poll, leaf));
    tree.update(leaf);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(winner_tree_hold)->Arg(4)->Arg(40)->Arg(1000);

void priority_queue_hold(benchmark::State& state) {
  using Entry = std::pair<EventKey, std::uint32_t>;
  const auto n = static_cast<std::uint32_t>(state.range(0));
  Gaps gaps;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue;
  for (std::uint32_t i = 0; i < n; ++i) queue.emplace(make_key(gaps.next(), EventClass::poll, i), i);
  for (auto _ : state) {
    const auto [key, owner] = queue.top();
    queue.pop();
    queue.emplace(make_key(key_time(key) + gaps.next(), EventClass::poll, owner), owner);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(priority_queue_hold)->Arg(4)->Arg(40)->Arg(1000);

// The engine with n components that do nothing but re-arm themselves, all alone in their groups or all in one.
void engine_event(benchmark::State& state) {
  struct Component {
    Engine* engine;
    Gaps* gaps;
    Event event;
  };
  const auto n = static_cast<std::uint32_t>(state.range(0));
  const bool coupled = state.range(1) != 0;
  Engine engine;
  Gaps gaps;
  std::vector<std::unique_ptr<Component>> components;
  for (std::uint32_t i = 0; i < n; ++i) {
    Component& made = *components.emplace_back(std::make_unique<Component>());
    made.engine = &engine;
    made.gaps = &gaps;
    engine.add(made.event, "c" + std::to_string(i), coupled ? 1 : i + 1, &made, [](void* owner, Time now) {
      auto& self = *static_cast<Component*>(owner);
      self.engine->arm(self.event, now + self.gaps->next(), EventClass::poll);
    });
  }
  engine.seal();
  for (const auto& component : components) engine.arm(component->event, gaps.next(), EventClass::poll);
  const std::uint64_t before = engine.fired();
  for (auto _ : state) engine.run(engine.now() + microseconds(100), {});
  state.SetItemsProcessed(static_cast<std::int64_t>(engine.fired() - before));
}
BENCHMARK(engine_event)->ArgNames({"components", "coupled"})->Args({4, 0})->Args({4, 1})->Args({40, 0})->Args({40, 1});

}  // namespace
}  // namespace rxpool

BENCHMARK_MAIN();
