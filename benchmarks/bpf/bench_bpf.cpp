// Speed of the engines on three programs: p1 returns, p2 parses and counts, p3 looks a flow up and runs a token bucket.
// The packet is hot. Native is the same C, compiled by clang -O2, over the same map memory; the ratio to it is printed
// as a counter of every benchmark, measured in the same process just before. Batches are of 64, as a NAPI poll.

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/loader.hpp"
#include "models/bpf/maps/make_map.hpp"
#include "models/bpf/vm.hpp"

using namespace rxpool::bpf;

extern "C" {
struct bench_context {
  void* data;
  void* data_end;
};
struct bench_array {
  char* base;
  std::uint32_t stride;
  std::uint32_t entries;
};
bench_array bench_counters;
std::uint64_t bench_now_ns;
void* bench_hash_lookup(const void* key);
int native_p1(bench_context* ctx);
int native_p2(bench_context* ctx);
int native_p3(bench_context* ctx);
}

namespace {

constexpr std::size_t batch = 64;
constexpr std::uint32_t frame = 64;

/// A policy over one hot packet.
struct Bench {
  Box box;
  Object object;
  std::vector<std::unique_ptr<Map>> maps;
  HelperTable helpers = make_helper_table();
  std::unique_ptr<Vm> vm;
  std::vector<PacketView> packets;
  std::vector<Outcome> outcomes;
  BoxOffset data = 0;

  Bench(const std::string& name, Engine engine)
      : object(load_object_file(std::string(RXPOOL_BENCH_OBJECTS) + "/" + name + ".bpf.o", {})) {
    const MapPlacement place{box, 1};
    std::vector<Map*> pointers;
    for (const MapDefinition& definition : object.maps) {
      maps.push_back(make_map(definition, place));
      pointers.push_back(maps.back().get());
    }
    VmOptions options;
    options.engine = engine;
    options.cost.insn_ps = 300;
    vm = std::make_unique<Vm>(box, object.programs, pointers, helpers, options);
    fill_packet();
    for (const auto& map : maps) {
      fill_flows(*map);
    }
    outcomes.resize(batch);
  }

  void fill_packet() {
    const BoxOffset slot = box.map_packet_slots(1);
    const BoxOffset contexts = box.map_region(ObjectClass::context, batch * 64, "contexts");
    data = slot + Box::packet_headroom;
    static const unsigned char bytes[] = {2,    0, 0,  0,  0, 1, 2,    0,    0,    0,    0, 2,  8,  0,
                                          0x45, 0, 0,  50, 0, 0, 0,    0,    64,   17,   0, 0,  10, 0,
                                          0,    1, 10, 0,  0, 2, 0x04, 0x00, 0x1f, 0x90, 0, 30, 0,  0};
    std::memcpy(box.at(data), bytes, sizeof bytes);
    const XdpMd md{data, data + frame, data, 1, 0, 0};
    for (std::size_t i = 0; i < batch; ++i) {
      const BoxOffset context = contexts + static_cast<BoxOffset>(i) * 64;
      std::memcpy(box.at(context), &md, sizeof md);
      packets.push_back({.context = context, .slot = slot});
    }
  }

  void fill_flows(Map& map) {
    if (map.type() != MapType::hash) {
      return;
    }
    for (std::uint32_t flow = 0; flow < map.info().max_entries; ++flow) {
      std::byte key[16] = {};
      std::memcpy(key, box.at(data + 26), 12);  // addresses and ports of the packet, the source varied
      const std::uint32_t source = flow == 0 ? 0x0100000a : 0x0b000000 + flow * 2654435761u;
      std::memcpy(key, &source, 4);
      const std::uint32_t protocol = 17;
      std::memcpy(key + 12, &protocol, 4);
      const std::uint64_t bucket[6] = {0, 0, std::uint64_t{1} << 34, std::uint64_t{1} << 24, 0, 0};
      std::byte value[sizeof bucket];
      std::memcpy(value, bucket, sizeof bucket);
      map.update(vm->runtime(), key, value, 0);
    }
  }
};

Bench* native_flows = nullptr;

using Clock = std::chrono::steady_clock;

/// ns per packet of 64 calls of a native program in a row; the least of several rounds.
double native_ns(const std::string& name) {
  static std::map<std::string, double> known;
  if (const auto found = known.find(name); found != known.end()) {
    return found->second;
  }
  Bench policy(name, Engine::interpreter);
  if (name == "p2") {
    const ArrayLayout& layout = *policy.maps[0]->array_layout();
    bench_counters = {reinterpret_cast<char*>(policy.box.at(layout.base)), layout.value_stride, layout.max_entries};
  }
  native_flows = &policy;
  bench_context contexts[batch];
  for (bench_context& context : contexts) {
    context = {policy.box.at(policy.data), policy.box.at(policy.data) + frame};
  }
  int (*volatile program)(bench_context*) = name == "p1" ? native_p1 : name == "p2" ? native_p2 : native_p3;
  std::uint32_t verdicts[batch];
  double best = 1e9;
  for (int round = 0; round < 3000; ++round) {
    constexpr int turns = 10;
    const auto start = Clock::now();
    for (int turn = 0; turn < turns; ++turn) {
      auto* const call = program;
      for (std::size_t i = 0; i < batch; ++i) {
        verdicts[i] = static_cast<std::uint32_t>(call(&contexts[i]));
        bench_now_ns += 20;
      }
      benchmark::DoNotOptimize(verdicts);
    }
    const double ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count() / (turns * batch);
    best = ns < best ? ns : best;
  }
  native_flows = nullptr;
  known[name] = best;
  return best;
}

void run_batches(benchmark::State& state, const std::string& name, Engine engine) {
  const double native = native_ns(name);
  Bench bench(name, engine);
  double best = 1e9;
  for (auto _ : state) {
    constexpr int turns = 10;
    const auto start = Clock::now();
    for (int turn = 0; turn < turns; ++turn) {
      bench.vm->run_batch(0, bench.packets, bench.outcomes);
    }
    const double ns = std::chrono::duration<double, std::nano>(Clock::now() - start).count() / (turns * batch);
    best = ns < best ? ns : best;
  }
  state.SetItemsProcessed(state.iterations() * 10 * static_cast<std::int64_t>(batch));
  state.counters["ns_min"] = best;
  state.counters["native_ns_min"] = native;
  state.counters["ratio"] = best / native;
  state.counters["insns"] = bench.outcomes[0].insns;
  state.counters["verdict"] = static_cast<double>(bench.outcomes[0].r0);
}

void run_single(benchmark::State& state, const std::string& name, Engine engine) {
  Bench bench(name, engine);
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench.vm->run(0, bench.packets[0].context));
  }
}

void generate(benchmark::State& state, const std::string& name) {
  Bench bench(name, Engine::interpreter);
  std::vector<Map*> pointers;
  for (const auto& map : bench.maps) {
    pointers.push_back(map.get());
  }
  for (auto _ : state) {
    Vm vm(bench.box, bench.object.programs, pointers, bench.helpers, {});
    benchmark::DoNotOptimize(&vm);
  }
}

void generate_all() {
  for (const std::string name : {"p1", "p2", "p3"}) {
    benchmark::RegisterBenchmark((name + "/jit/batch").c_str(), run_batches, name, Engine::jit);
    benchmark::RegisterBenchmark((name + "/interpreter/batch").c_str(), run_batches, name, Engine::interpreter);
    benchmark::RegisterBenchmark((name + "/checked/batch").c_str(), run_batches, name, Engine::checked);
    benchmark::RegisterBenchmark((name + "/jit/single").c_str(), run_single, name, Engine::jit);
    benchmark::RegisterBenchmark((name + "/code_generation").c_str(), generate, name);
  }
}

}  // namespace

void* bench_hash_lookup(const void* key) {
  Map& map = *native_flows->maps[0];
  static const Map::LookupFn lookup = map.lookup_fn();
  const std::uint64_t offset = lookup(native_flows->vm->runtime(), map, static_cast<const std::byte*>(key));
  return offset == 0 ? nullptr : native_flows->box.at(static_cast<BoxOffset>(offset));
}

int main(int argc, char** argv) {
  generate_all();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
