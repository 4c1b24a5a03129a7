// Cost per packet of making traffic: random numbers, sources, the wire, headers and hash. Each figure is per item.
// Targets: exponential 1.5 ns, one Poisson source of 10^4 flows 6 ns, 16 sources 10 ns, Toeplitz 6 ns, histogram 1 ns.
#include <benchmark/benchmark.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "models/traffic/synthetic_source.hpp"
#include "models/traffic/toeplitz.hpp"
#include "models/traffic/wire.hpp"
#include "sim/histogram.hpp"
#include "sim/random.hpp"

namespace {

using namespace rxpool;

void per_item(benchmark::State& state, std::size_t items) {
  state.counters["per_item"] = benchmark::Counter(static_cast<double>(state.iterations()) * static_cast<double>(items),
                                                  benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void exponentials(benchmark::State& state) {
  RandomStream random(1, 0, "bench");
  std::vector<double> out(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    random.fill_exponential(out);
    benchmark::DoNotOptimize(out.data());
  }
  per_item(state, out.size());
}
BENCHMARK(exponentials)->Arg(64)->Arg(1024);

void words(benchmark::State& state) {
  RandomStream random(1, 0, "bench");
  std::vector<std::uint32_t> out(1024);
  for (auto _ : state) {
    random.fill_u32(out);
    benchmark::DoNotOptimize(out.data());
  }
  per_item(state, out.size());
}
BENCHMARK(words);

void histogram(benchmark::State& state) {
  RandomStream random(1, 0, "bench");
  std::vector<std::int64_t> values(4096);
  for (std::int64_t& v : values) {
    v = static_cast<std::int64_t>(1e6 * random.next_exponential());
  }
  Histogram h;
  for (auto _ : state) {
    for (const std::int64_t v : values) {
      h.record(v);
    }
    benchmark::DoNotOptimize(h);
  }
  per_item(state, values.size());
}
BENCHMARK(histogram);

/// Sources named a, b, …, that together send at `load` of a 100G link with 64-byte frames.
std::vector<std::unique_ptr<Source>> make_sources(std::size_t count, SourceParams params, double load) {
  std::vector<std::unique_ptr<Source>> sources;
  params.arrivals.rate_pps = load * 148'809'523.8 / static_cast<double>(count);
  for (std::size_t i = 0; i < count; ++i) {
    sources.push_back(std::make_unique<SyntheticSource>(std::string(1, static_cast<char>('a' + i)),
                                                        static_cast<std::uint16_t>(i), params, 1, 0));
  }
  return sources;
}

void pull(benchmark::State& state, const SourceParams& params, std::size_t count, double load) {
  const auto sources = make_sources(count, params, load);
  std::vector<Source*> pointers;
  for (const auto& source : sources) {
    pointers.push_back(source.get());
  }
  Wire wire(100'000, pointers);
  std::vector<Packet> packets(256);
  std::size_t pulled = 0;
  for (auto _ : state) {
    pulled += wire.pull(Time::never(), packets);
    benchmark::DoNotOptimize(packets.data());
  }
  if (pulled != static_cast<std::size_t>(state.iterations()) * packets.size()) {
    state.SkipWithError("the source ended");
  }
  per_item(state, packets.size());
}

void poisson(benchmark::State& state) {
  pull(state, SourceParams{}, static_cast<std::size_t>(state.range(0)), 0.7);
}
BENCHMARK(poisson)->Arg(1)->Arg(2)->Arg(4)->Arg(16);

void constant(benchmark::State& state) {
  SourceParams params;
  params.arrivals.kind = ArrivalKind::constant;
  pull(state, params, 1, 0.7);
}
BENCHMARK(constant);

void overload(benchmark::State& state) {
  pull(state, SourceParams{}, 1, 1.5);
}
BENCHMARK(overload);

void imix_zipf(benchmark::State& state) {
  SourceParams params;
  params.sizes.kind = SizeKind::imix;
  params.flows.zipf_exponent = 1.1;
  pull(state, params, 1, 0.1);
}
BENCHMARK(imix_zipf);

void spoofed_flood(benchmark::State& state) {
  SourceParams params;
  params.flows.addresses = AddressKind::per_packet;
  pull(state, params, 1, 0.7);
}
BENCHMARK(spoofed_flood);

void toeplitz(benchmark::State& state) {
  const ToeplitzHash hash;
  const auto sources = make_sources(1, SourceParams{}, 0.7);
  std::vector<FlowKey> keys;
  for (std::uint32_t i = 0; i < 1024; ++i) {
    keys.push_back(sources[0]->flow_key(i));
  }
  for (auto _ : state) {
    std::uint32_t sum = 0;
    for (const FlowKey& key : keys) {
      sum += hash.of_flow(key);
    }
    benchmark::DoNotOptimize(sum);
  }
  per_item(state, keys.size());
}
BENCHMARK(toeplitz);

void headers(benchmark::State& state) {
  const auto sources = make_sources(1, SourceParams{}, 0.7);
  std::array<std::byte, 128> bytes;
  Packet packet;
  packet.frame_bytes = 64;
  for (auto _ : state) {
    packet.flow = (packet.flow + 1) % 10'000;
    benchmark::DoNotOptimize(sources[0]->headers(packet, bytes));
    benchmark::DoNotOptimize(bytes);
  }
  per_item(state, 1);
}
BENCHMARK(headers);

}  // namespace

BENCHMARK_MAIN();
