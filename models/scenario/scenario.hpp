#pragma once
// A scenario: *what* is simulated, one JSON file, checked whole before time starts (design: Scenario). Loading fills in
// every default (the driver's, the kernel release's, a parent's), so the structs hold plain values and the host reads
// them without asking further. Zero means "the calibration's number" or "computed" only where the field says so.
// Every error is one line: file, dotted place, what is wrong, what to do.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/scenario/control_params.hpp"
#include "models/scenario/cpu_params.hpp"
#include "models/scenario/event_params.hpp"
#include "models/scenario/fault_params.hpp"
#include "models/scenario/kernel_params.hpp"
#include "models/scenario/memory_params.hpp"
#include "models/scenario/nic_params.hpp"
#include "models/scenario/pmd_params.hpp"
#include "models/scenario/policy_params.hpp"
#include "models/scenario/record_params.hpp"
#include "models/scenario/socket_params.hpp"
#include "models/scenario/traffic_fields.hpp"
#include "models/scenario/xsk_params.hpp"
#include "sim/time.hpp"

namespace rxpool {

enum class Analysis { transient, steady };

struct Scenario {
  std::string schema;  ///< "$schema", for editors
  std::string question;
  Analysis analysis = Analysis::transient;
  std::uint64_t seed = 1;
  std::uint32_t replications = 1;
  double warmup_ms = 0;
  double duration_ms = 100;
  std::string calibration = "m1-mlx5";
  bool calibration_uncertainty = false;
  scenario::KernelParams kernel;
  scenario::Named<scenario::CpuParams> cpus;
  scenario::MemoryParams memory;
  scenario::Named<scenario::NicParams> nics;
  scenario::Named<scenario::SocketParams> sockets;
  scenario::Named<scenario::XskParams> xsks;
  scenario::Named<scenario::PmdParams> pmds;
  scenario::Named<scenario::TrafficParams> traffic;
  scenario::Named<scenario::PolicyParams> policies;  ///< by NIC name
  scenario::ControlParams control;
  scenario::Named<scenario::EventParams> events;
  scenario::FaultParams faults;
  scenario::RecordParams record;
  double tolerance = 0.1;
  scenario::HeadlineParams headline;

  std::string source_name;       ///< where it came from, for messages; not a key
  std::string folder;            ///< folder that file names are relative to; not a key
  std::string calibration_file;  ///< path of the calibration file as found; not a key
};

namespace scenario {
void fields(FieldVisitor& v, Scenario& p);
}

struct LoadOptions {
  std::string source_name = "scenario";  ///< named in errors
  std::string folder = ".";              ///< folder of the scenario file
  bool allow_path = false;               ///< files outside `folder` are allowed
  std::string calibration_folder;  ///< where named calibrations are; empty: `calibration/` beside the scenario or above
  /// Policies that the caller brings along, by the name that `program` gives.
  std::map<std::string, std::shared_ptr<const GivenPolicy>> given_policies;
  std::string shipped_folder;  ///< its `calibration/` and `policies/` are the last place to look
  /// Dotted path and JSON text; text that is not JSON is taken as a string.
  std::vector<std::pair<std::string, std::string>> overrides;
};

/// Throws InputError.
Scenario load_scenario(std::string_view text, const LoadOptions& options = {});
/// Reads the file, with its name as the source and its folder as the folder. Throws InputError.
Scenario load_scenario_file(const std::string& path, LoadOptions options = {});

/// Canonical: keys sorted, every default filled in; loads back to the same scenario.
std::string resolved_json(const Scenario& scenario);
/// The files whose bytes belong to the scenario (calibration, captures, policies), as paths that can be opened.
std::vector<std::string> named_files(const Scenario& scenario);

/// Memory of one running replication, from above.
std::uint64_t memory_estimate_bytes(const Scenario& scenario);
/// Throws InputError with ExitCode::limit when the estimate exceeds `limit_bytes`.
void check_memory(const Scenario& scenario, std::uint64_t limit_bytes);

/// scenarios/schema.json.
std::string scenario_schema_json();
/// docs/scenario-format.md with the part between its markers made anew from the parameter structs.
std::string scenario_page(const std::string& page);

/// Nearest whole picosecond.
Time time_from_ms(double ms);
Time time_from_us(double us);
Time time_from_ns(double ns);

}  // namespace rxpool
