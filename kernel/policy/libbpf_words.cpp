#include "kernel/policy/libbpf_words.hpp"

#include <bpf/libbpf.h>

#include <cstdarg>
#include <cstdio>
#include <initializer_list>
#include <sstream>
#include <string_view>

namespace rxpool::kernel {
namespace {

constexpr std::size_t most_kept = 64 * 1024;
std::mutex one_listener;
std::string kept;

int keep(enum libbpf_print_level level, const char* format, va_list arguments) {
  char line[4096];
  if (level == LIBBPF_WARN && kept.size() < most_kept && std::vsnprintf(line, sizeof line, format, arguments) > 0) {
    kept += line;
  }
  return 0;
}

}  // namespace

LibbpfWords::LibbpfWords() : turn_(one_listener) {
  kept.clear();
  libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
  before_ = reinterpret_cast<decltype(before_)>(libbpf_set_print(keep));
}

LibbpfWords::~LibbpfWords() {
  libbpf_set_print(reinterpret_cast<libbpf_print_fn_t>(before_));
}

const std::string& LibbpfWords::text() const {
  return kept;
}

std::string last_line(const std::string& log) {
  std::istringstream lines(log);
  std::string line;
  std::string last;
  while (std::getline(lines, line)) {
    bool says = line.find_first_not_of(" \t\r") != std::string::npos;
    for (const std::string_view frame : {"processed ", "verification time", "stack depth", "-- END PROG LOAD LOG",
                                         "max_states_per_insn", "mark_read"}) {
      says = says && line.rfind(frame, 0) != 0;
    }
    if (says) {
      last = line;
    }
  }
  return last;
}

}  // namespace rxpool::kernel
