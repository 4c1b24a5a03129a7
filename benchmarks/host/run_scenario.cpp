// Runs one scenario file in this process and prints one line: offered packets, packets that reached the program, both
// per CPU second of the event loop, the fingerprint and the peak memory. The whole-process benchmark calls it.
//   run_scenario FILE [path=value ...]

#include <sys/resource.h>

#include <cinttypes>
#include <cstdio>
#include <string>

#include "models/result.hpp"
#include "models/scenario/scenario.hpp"
#include "sim/error.hpp"

int main(int argc, char** argv) {
  using namespace rxpool;
  if (argc < 2) {
    std::fprintf(stderr, "usage: run_scenario FILE [path=value ...]\n");
    return static_cast<int>(ExitCode::bad_input);
  }
  try {
    LoadOptions options;
    bool verbose = false;
    for (int i = 2; i < argc; ++i) {
      const std::string text = argv[i];
      if (text == "-v") {
        verbose = true;
        continue;
      }
      const std::size_t equals = text.find('=');
      options.overrides.emplace_back(text.substr(0, equals),
                                     equals == std::string::npos ? "" : text.substr(equals + 1));
    }
    const Scenario scenario = load_scenario_file(argv[1], options);
    const ReplicationResult result = run_replication(scenario, {});
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    if (verbose) {
      for (const MetricRow& row : result.metrics) {
        if (row.value != 0)
          std::printf("%s %s %g %s\n", row.component.c_str(), row.metric.c_str(), row.value, row.unit.c_str());
      }
      for (const auto& [place, count] : result.packets.places)
        std::printf("packets %s %" PRIu64 "\n", place.c_str(), count);
      for (const auto& [place, count] : result.pages.places)
        std::printf("pages %s %" PRIu64 "\n", place.c_str(), count);
      std::printf("%s\n", result.bottleneck.sentence.c_str());
    }
    const double seconds = result.loop_cpu_seconds;
    std::printf("offered=%" PRIu64 " program=%" PRIu64
                " cpu_s=%.3f offered_Mpps=%.2f program_Mpps=%.2f fingerprint=%016" PRIx64 " peak_mib=%ld\n",
                result.offered_packets, result.program_packets, seconds,
                static_cast<double>(result.offered_packets) / seconds * 1e-6,
                static_cast<double>(result.program_packets) / seconds * 1e-6, result.fingerprint,
                usage.ru_maxrss / 1024);
  } catch (const InputError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  } catch (const BugError& error) {
    std::fprintf(stderr, "internal error: %s\n", error.what());
    return static_cast<int>(ExitCode::internal);
  }
}
