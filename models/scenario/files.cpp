#include "models/scenario/files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string_view>

#include "models/scenario/json_text.hpp"

namespace rxpool::scenario {
namespace {

namespace fs = std::filesystem;

bool is_plain_name(const std::string& text) {
  return text.find('/') == std::string::npos && text.find('.') == std::string::npos;
}

bool is_inside(const fs::path& folder, const fs::path& file) {
  std::error_code error;
  const fs::path relative = fs::weakly_canonical(file, error).lexically_relative(fs::weakly_canonical(folder, error));
  return !error && !relative.empty() && *relative.begin() != "..";
}

/// A file that the scenario names by path, relative to its folder.
std::string find_path(const std::string& named, const std::string& place, const LoadOptions& options,
                      const Origin& origin) {
  const fs::path folder = options.folder.empty() ? "." : options.folder;
  const fs::path path = folder / named;
  if (!options.allow_path && !is_inside(folder, path)) {
    origin.fail(place, in_quotes(named, 200) + " is outside the scenario's folder; copy it there or give --allow-path");
  }
  std::error_code error;
  if (!fs::exists(path, error)) {
    origin.fail(place, in_quotes(named, 200) + " does not exist (looked for " +
                           printable(path.lexically_normal().string(), 200) + "); check the name");
  }
  if (!fs::is_regular_file(path, error)) origin.fail(place, in_quotes(named, 200) + " is no regular file");
  return path.lexically_normal().string();
}

/// A shipped file by its bare name: in `first`, else in `subfolder` of the scenario's folder or of one above it, else
/// where they are shipped.
std::optional<std::string> find_shipped(const std::string& file_name, const std::string& subfolder,
                                        const std::string& first, const LoadOptions& options) {
  std::error_code error;
  if (!first.empty() && fs::is_regular_file(fs::path(first) / file_name, error)) {
    return (fs::path(first) / file_name).lexically_normal().string();
  }
  fs::path folder = fs::weakly_canonical(options.folder.empty() ? "." : options.folder, error);
  for (int level = 0; level < 5; ++level) {
    for (const fs::path& candidate : {folder / subfolder / file_name, folder / "scenarios" / subfolder / file_name}) {
      if (fs::is_regular_file(candidate, error)) return candidate.string();
    }
    if (folder == folder.parent_path()) break;
    folder = folder.parent_path();
  }
  const fs::path shipped = fs::path(options.shipped_folder) / subfolder / file_name;
  if (!options.shipped_folder.empty() && fs::is_regular_file(shipped, error))
    return shipped.lexically_normal().string();
  return std::nullopt;
}

std::string find_calibration(const std::string& named, const LoadOptions& options, const Origin& origin) {
  if (!is_plain_name(named)) return find_path(named, "calibration", options, origin);
  const auto found = find_shipped(named + ".json", "calibration", options.calibration_folder, options);
  if (!found) {
    origin.fail("calibration", "no calibration " + in_quotes(named) + " (calibration/" + printable(named) +
                                   ".json beside the scenario or above); check the name or give a path");
  }
  return *found;
}

std::string find_policy(const std::string& program, const std::string& place, const LoadOptions& options,
                        const Origin& origin) {
  constexpr std::array<std::string_view, 6> built_in = {"none", "pass", "drop", "tx", "redirect", "xsk_def_prog"};
  if (std::find(built_in.begin(), built_in.end(), program) != built_in.end()) return "";
  if (program.find(':') != std::string::npos && program.find('/') == std::string::npos) {
    origin.fail(place, in_quotes(program) + " is a Python function; only rxpool.run and the rxpool command call those");
  }
  if (!is_plain_name(program)) return find_path(program, place, options, origin);
  const auto found = find_shipped(program + ".bpf.c", "policies", "", options);
  if (!found) {
    origin.fail(
        place,
        "no policy " + in_quotes(program) +
            "; use none, pass, drop, tx, redirect, xsk_def_prog, a shipped policy's name, or a .bpf.c or .bpf.o file");
  }
  return *found;
}

}  // namespace

void find_files(Scenario& scenario, const LoadOptions& options, const Origin& origin) {
  scenario.folder = options.folder.empty() ? "." : options.folder;
  scenario.calibration_file = find_calibration(scenario.calibration, options, origin);
  for (auto& [name, traffic] : scenario.traffic) {
    if (traffic.kind != TrafficKind::pcap) continue;
    const std::string place = "traffic." + name + ".file";
    traffic.capture.path = find_path(traffic.file, place, options, origin);
  }
  for (auto& [name, policy] : scenario.policies) {
    const auto given = options.given_policies.find(policy.program);
    if (given != options.given_policies.end()) {
      policy.given = given->second;
      continue;
    }
    policy.file = find_policy(policy.program, "policies." + name + ".program", options, origin);
    const auto header = find_shipped("policy.bpf.h", "policies", "", options);
    if (header) policy.include_folder = std::filesystem::path(*header).parent_path().string();
  }
}

}  // namespace rxpool::scenario
