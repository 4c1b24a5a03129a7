#include "models/bpf/loader_child.hpp"

#include <bpf/libbpf.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr rlim_t memory_allowance = rlim_t{512} << 20;
constexpr rlim_t cpu_seconds = 10;
constexpr int wall_limit_ms = 20'000;
constexpr std::size_t max_answer = std::size_t{8} << 20;

char last_warning[512];  // in the child only

int keep_warning(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_WARN) {
    std::vsnprintf(last_warning, sizeof last_warning, format, arguments);
  }
  return 0;
}

void limit(__rlimit_resource resource, rlim_t value) {
  const rlimit both{value, value};
  setrlimit(resource, &both);
}

// Bytes of writable private memory that the process has now: RLIMIT_DATA counts from there, so that a parent with a
// large heap does not make its child fail.
rlim_t data_now() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long pages[6] = {};
  if (file != nullptr) {
    if (std::fscanf(file, "%lu %lu %lu %lu %lu %lu", &pages[0], &pages[1], &pages[2], &pages[3], &pages[4],
                    &pages[5]) != 6) {
      pages[5] = 0;
    }
    std::fclose(file);
  }
  return static_cast<rlim_t>(pages[5]) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
}

void confine(int out) {
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTERM, SIGINT, SIGPIPE}) {
    std::signal(number, SIG_DFL);
  }
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  const int kept = dup2(out, 3);
  for (const int standard : {0, 1, 2}) {
    dup2(null, standard);
  }
  close_range(static_cast<unsigned>(kept) + 1, ~0U, 0);
  limit(RLIMIT_DATA, data_now() + memory_allowance);
  limit(RLIMIT_CPU, cpu_seconds);
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  limit(RLIMIT_NOFILE, 0);
}

std::string read_with_libbpf(std::span<const std::uint8_t> bytes) {
  libbpf_set_print(keep_warning);
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "policy";
  bpf_object* object = bpf_object__open_mem(bytes.data(), bytes.size(), &options);
  if (object == nullptr) {
    return std::string("refused ") + (last_warning[0] != 0 ? last_warning : std::strerror(errno));
  }
  std::vector<std::string> lines;
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (!bpf_map__is_internal(map)) {
      lines.push_back(inventory_line(bpf_map__name(map), bpf_map__type(map), bpf_map__key_size(map),
                                     bpf_map__value_size(map), bpf_map__max_entries(map), bpf_map__map_flags(map)));
    }
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    lines.push_back(
        inventory_line(bpf_program__section_name(program), bpf_program__name(program), bpf_program__insn_cnt(program)));
  }
  return join_inventory(std::move(lines));
}

[[noreturn]] void child_main(std::span<const std::uint8_t> bytes, int out) {
  confine(out);
  const std::string answer = read_with_libbpf(bytes) + "end\n";
  std::size_t done = 0;
  while (done < answer.size()) {
    const ssize_t n = write(3, answer.data() + done, answer.size() - done);
    if (n <= 0) {
      _exit(1);
    }
    done += static_cast<std::size_t>(n);
  }
  _exit(0);
}

std::int64_t monotonic_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Reads until the child closes its end, the deadline passes or the answer grows absurd.
bool collect(int in, std::string& answer) {
  const std::int64_t deadline = monotonic_ms() + wall_limit_ms;
  char buffer[65536];
  while (answer.size() <= max_answer) {
    const std::int64_t left = deadline - monotonic_ms();
    pollfd wait_for{in, POLLIN, 0};
    const int ready = left <= 0 ? 0 : poll(&wait_for, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) {
      continue;
    }
    if (ready <= 0) {
      return false;
    }
    const ssize_t n = read(in, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n <= 0) {
      return n == 0;
    }
    answer.append(buffer, static_cast<std::size_t>(n));
  }
  return false;
}

}  // namespace

std::string inventory_line(const std::string& map, std::uint32_t type, std::uint32_t key_size, std::uint32_t value_size,
                           std::uint32_t max_entries, std::uint32_t flags) {
  return "map " + map + " type " + std::to_string(type) + " key " + std::to_string(key_size) + " value " +
         std::to_string(value_size) + " entries " + std::to_string(max_entries) + " flags " + std::to_string(flags);
}

std::string inventory_line(const std::string& section, const std::string& program, std::size_t instructions) {
  return "program " + program + " in " + section + " with " + std::to_string(instructions) + " instructions";
}

std::string join_inventory(std::vector<std::string> lines) {
  std::sort(lines.begin(), lines.end());
  std::string all;
  for (const std::string& line : lines) {
    all += line + "\n";
  }
  return all;
}

std::string libbpf_inventory(std::span<const std::uint8_t> bytes, const std::string& label) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw InputError(label + ": no pipe for the libbpf child: " + std::strerror(errno), ExitCode::limit);
  }
  const pid_t child = fork();
  if (child < 0) {
    close(ends[0]);
    close(ends[1]);
    throw InputError(label + ": no process for the libbpf child: " + std::strerror(errno), ExitCode::limit);
  }
  if (child == 0) {
    child_main(bytes, ends[1]);
  }
  close(ends[1]);
  std::string answer;
  const bool in_time = collect(ends[0], answer);
  close(ends[0]);
  if (!in_time) {
    kill(child, SIGKILL);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const bool complete = answer.size() >= 4 && answer.compare(answer.size() - 4, 4, "end\n") == 0;
  if (!in_time || !complete) {
    const std::string how = !in_time              ? "took too long"
                            : WIFSIGNALED(status) ? std::string("died: ") + strsignal(WTERMSIG(status))
                                                  : "gave no answer";
    throw InputError(label + ": libbpf in a child process " + how + " on this object", ExitCode::policy_rejected);
  }
  answer.resize(answer.size() - 4);
  if (answer.rfind("refused ", 0) == 0) {
    while (!answer.empty() && answer.back() == '\n') {
      answer.pop_back();
    }
    throw InputError(label + ": libbpf refuses the object: " + answer.substr(8), ExitCode::policy_rejected);
  }
  return answer;
}

}  // namespace rxpool::bpf
