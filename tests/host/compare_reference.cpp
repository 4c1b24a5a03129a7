// Random scenarios through the simulator and the reference engine; the first difference stops with its seed.
//   compare_reference [--scenarios N] [--seed S] [--ms D] [--keep-going] [--print]
// With --fingerprints it runs the simulator alone and prints a line per scenario, for comparing builds
// (tools/compare-builds).

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "models/result.hpp"
#include "sim/error.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/random_scenario.hpp"

namespace {

std::string fingerprint_or_refusal(const std::string& text) {
  using namespace rxpool;
  try {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016" PRIx64, run_replication(load_random(text), {}).fingerprint);
    return digits;
  } catch (const InputError& error) {
    return std::string("refused: ") + error.what();
  }
}

}  // namespace

int main(int argc, char** argv) {
  using namespace rxpool;
  std::uint64_t scenarios = 300;
  std::uint64_t seed = 1;
  RandomScenarioOptions options;
  bool keep_going = false;
  bool print = false;
  bool fingerprints = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--scenarios") == 0 && i + 1 < argc) scenarios = std::strtoull(argv[++i], nullptr, 10);
    if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) seed = std::strtoull(argv[++i], nullptr, 10);
    if (std::strcmp(argv[i], "--ms") == 0 && i + 1 < argc) options.duration_ms = std::strtod(argv[++i], nullptr);
    keep_going = keep_going || std::strcmp(argv[i], "--keep-going") == 0;
    fingerprints = fingerprints || std::strcmp(argv[i], "--fingerprints") == 0;
    print = print || std::strcmp(argv[i], "--print") == 0;
  }
  std::uint64_t differences = 0;
  std::uint64_t packets = 0;
  std::uint64_t refused = 0;
  for (std::uint64_t s = seed; s < seed + scenarios; ++s) {
    const std::string text = random_scenario(s, options);
    if (print) std::printf("%s\n", text.c_str());
    if (fingerprints) {
      std::printf("seed %" PRIu64 " %s\n", s, fingerprint_or_refusal(text).c_str());
      continue;
    }
    Agreement agreement;
    try {
      agreement = compare_with_reference(load_random(text));
    } catch (const InputError& error) {
      agreement.differences.push_back(std::string("not a scenario: ") + error.what());
    } catch (const BugError& error) {
      agreement.differences.push_back(std::string("internal error: ") + error.what());
    }
    packets += agreement.packets;
    refused += agreement.refused.empty() ? 0 : 1;
    if (agreement.differences.empty()) continue;
    ++differences;
    std::printf("seed %" PRIu64 ": %zu differences\n", s, agreement.differences.size());
    for (const std::string& difference : agreement.differences) std::printf("  %s\n", difference.c_str());
    std::fflush(stdout);
    if (!keep_going) return 1;
  }
  if (fingerprints) return 0;
  std::printf("%" PRIu64 " scenarios, %" PRIu64 " packets, %" PRIu64 " scenarios differ, both refuse %" PRIu64 "\n",
              scenarios, packets, differences, refused);
  return differences == 0 ? 0 : 1;
}
