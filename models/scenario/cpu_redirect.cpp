#include "models/scenario/cpu_redirect.hpp"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

namespace rxpool::scenario {
namespace {

constexpr double qsize_max = 16384;

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::size_t begin = 0;
  while (begin <= list.size()) {
    const std::size_t comma = std::min(list.find(',', begin), list.size());
    std::string name = list.substr(begin, comma - begin);
    std::erase(name, ' ');
    names.push_back(std::move(name));
    begin = comma + 1;
  }
  return names;
}

template <typename Value>
Value choice(const ParamValue& value, const std::string& param,
             std::initializer_list<std::pair<std::string_view, Value>> options, const RefuseParam& refuse) {
  const auto* text = std::get_if<std::string>(&value);
  std::string all;
  for (const auto& [name, option] : options) {
    if (text != nullptr && *text == name) return option;
    all += (all.empty() ? "" : ", ") + std::string(name);
  }
  refuse(param, (text == nullptr ? "a text is needed" : in_quotes(*text) + " is unknown") + "; use " + all);
  return options.begin()->second;
}

std::uint32_t queue_size(const ParamValue& value, const RefuseParam& refuse) {
  const auto* number = std::get_if<double>(&value);
  if (number == nullptr || *number != std::floor(*number) || *number < 0) refuse("qsize", "is no number of frames");
  if (*number == 0) refuse("qsize", "0 deletes the entry of the map (ENOENT for every packet); use 1 … 16384 frames");
  if (*number > qsize_max) refuse("qsize", "EOVERFLOW: the queue of a cpumap entry holds at most 16384 frames");
  return static_cast<std::uint32_t>(*number);
}

}  // namespace

bool redirects_to_cpus(const PolicyParams& policy) {
  return policy.program == "redirect" && policy.params.contains("cpu");
}

CpuRedirect cpu_redirect(const PolicyParams& policy, const RefuseParam& refuse) {
  CpuRedirect redirect;
  for (const auto& [name, value] : policy.params) {
    if (name == "cpu") {
      const auto* list = std::get_if<std::string>(&value);
      if (list == nullptr) refuse(name, "name CPUs of the host: \"cpu1\" or \"cpu1, cpu2\"");
      redirect.cpus = names_in(*list);
    } else if (name == "qsize") {
      redirect.qsize = queue_size(value, refuse);
    } else if (name == "program_mode") {
      redirect.spread = choice<CpuSpread>(
          value, name, {{"l4-hash", CpuSpread::l4_hash}, {"round-robin", CpuSpread::round_robin}}, refuse);
    } else if (name == "remote_action") {
      redirect.remote = choice<RemoteAction>(
          value, name,
          {{"disabled", RemoteAction::disabled}, {"pass", RemoteAction::pass}, {"drop", RemoteAction::drop}}, refuse);
    } else if (name == "to") {
      refuse(name, "given beside cpu; redirect to a NIC or to CPUs");
    } else {
      refuse(name, "unknown; a redirect to CPUs takes cpu, qsize, program_mode and remote_action");
    }
  }
  for (std::size_t i = 0; i < redirect.cpus.size(); ++i) {
    if (std::count(redirect.cpus.begin(), redirect.cpus.end(), redirect.cpus[i]) != 1) {
      refuse("cpu", in_quotes(redirect.cpus[i]) + " is named twice; a CPU has one entry in the map");
    }
  }
  return redirect;
}

CpuRedirect cpu_redirect(const PolicyParams& policy) {
  return cpu_redirect(policy, [](const std::string& param, const std::string& problem) {
    throw BugError("redirect to CPUs: the scenario let params." + param + " through: " + problem);
  });
}

}  // namespace rxpool::scenario
