// rxpool-lab PLAN.json SCHEDULE REALISED: runs one plan on this machine's kernel and prints what it saw as one JSON
// object.
//
//   generator (live frames, paced by lab.bpf.c) -> veth "sender" -> veth "receiver" with the policy -> UDP sockets,
//   readers
//
// Everything is made inside a network namespace without a name, which ends with this process however it ends: nothing
// can be left behind. No other interface is touched. The plan is written by rxpool.kernel; the schedule holds the send
// times as 64-bit entries (lab.h), and REALISED is written with the times at which they were sent. Exit code 0:
// measured; 2: bad plan; 3: this kernel or this user cannot.

#include <sys/prctl.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>

#include "kernel/lab/lab.hpp"

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: rxpool-lab PLAN.json SCHEDULE REALISED\n");
    return 2;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // whoever asked is gone: so is the lab
  try {
    const auto plan = rxpool::lab::read_plan(arguments[1]);
    rxpool::lab::Lab lab(plan, arguments[2], arguments[3]);
    std::cout << lab.run() << '\n';
    return 0;
  } catch (const rxpool::Unavailable& error) {
    std::fprintf(stderr, "rxpool-lab: %s\n", error.what());
    return 3;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rxpool-lab: %s\n", error.what());
    return 2;
  }
}
