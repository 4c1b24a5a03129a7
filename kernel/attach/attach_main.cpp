// rxpool-attach PLAN.json PACKETS: takes a named NIC over as the plan says, and prints what it saw as one JSON object.
// rxpool-attach --recover FOLDER: restores what users that are gone left changed, and prints that.
//
// Whoever calls this has the user's consent. Exit code 0: done and everything restored; 1: something could not be
// restored; 2: refused, or a bad plan; 3: this kernel, driver or user cannot.

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "kernel/attach/attachment.hpp"
#include "kernel/live/system.hpp"

namespace {

int recover(const std::string& folder) {
  const auto recovery = rxpool::attach::recover(folder);
  const nlohmann::json told{
      {"restored", recovery.interfaces}, {"not_restored", recovery.lost}, {"in_use", recovery.in_use}};
  std::cout << told.dump() << '\n';
  return recovery.lost.empty() ? 0 : 1;
}

int run(const std::string& plan_path, const std::string& packets_path) {
  const auto plan = rxpool::attach::read_attach_plan(plan_path);
  const auto recovery = rxpool::attach::recover(plan.state);
  for (const std::string& interface : recovery.interfaces) {
    std::cerr << "rxpool-attach: " << interface << ": restored what an earlier use left changed\n";
  }
  const char* objects = std::getenv("RXPOOL_ATTACH_OBJECTS");
  rxpool::attach::Attachment attachment(plan, std::string(objects != nullptr ? objects : ".") + "/attach.bpf.o");
  const nlohmann::json seen = attachment.run(packets_path);
  std::cout << seen.dump() << '\n';
  return seen.at("not_restored").empty() ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    std::fprintf(stderr, "usage: rxpool-attach PLAN.json PACKETS | --recover FOLDER\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // whoever asked is gone: the NIC is given back
  try {
    return std::string(arguments[1]) == "--recover" ? recover(arguments[2]) : run(arguments[1], arguments[2]);
  } catch (const rxpool::Unavailable& error) {
    std::fprintf(stderr, "rxpool-attach: %s\n", error.what());
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rxpool-attach: %s\n", error.what());
    return 2;
  }
}
