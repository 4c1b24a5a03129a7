#include "kernel/attach/lease.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernel/live/system.hpp"

namespace rxpool::attach {
namespace {

constexpr char alive = 'a';
constexpr char done = 'd';

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  std::getline(file, id);
  return id;
}

std::string prefix() {
  struct stat space{};
  stat("/proc/self/ns/net", &space);
  return "attach-" + std::to_string(space.st_ino) + "-";
}

// The file, locked; -1 if another process has it.
int lock(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) {
    fail("the state file " + path);
  }
  if (flock(file, LOCK_EX | LOCK_NB) != 0) {
    close(file);
    return -1;
  }
  return file;
}

std::string lines_of(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) {
    all += text + "\n";
  }
  return all;
}

}  // namespace

Recovery recover(const std::string& folder) {
  Recovery recovery;
  if (!std::filesystem::is_directory(folder)) {
    return recovery;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string file = entry.path().filename();
    if (!file.starts_with(prefix())) {
      continue;
    }
    const std::string interface = file.substr(prefix().size());
    const int held = lock(entry.path());
    if (held < 0) {
      recovery.in_use.push_back(interface);
      continue;
    }
    std::ifstream text(entry.path());
    const auto state = nlohmann::json::parse(text, nullptr, false);
    if (state.is_object() && state.value("boot_id", "") == boot_id()) {
      try {
        for (const std::string& what : Nic(interface).restore(NicSettings::from_json(state.at("settings")))) {
          recovery.lost.push_back(interface + ": " + what);
        }
        recovery.interfaces.push_back(interface);
      } catch (const std::exception& error) {
        recovery.lost.push_back(error.what());
      }
    }
    unlink(entry.path().c_str());
    close(held);
  }
  return recovery;
}

Lease::Lease(const Nic& nic, const std::string& folder, std::int64_t dead_man_ns)
    : nic_(nic), path_(folder + "/" + prefix() + nic.name()), dead_man_ns_(dead_man_ns), saved_(nic.settings()) {
  std::filesystem::create_directories(folder);
  lock_ = lock(path_);
  if (lock_ < 0) {
    throw std::runtime_error(nic.name() + ": another process has taken it (" + path_ + ")");
  }
  const nlohmann::json state{{"boot_id", boot_id()}, {"process", getpid()}, {"settings", saved_.to_json()}};
  const std::string text = state.dump();
  if (ftruncate(lock_, 0) != 0 || pwrite(lock_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      fsync(lock_) != 0) {
    fail("writing " + path_);
  }
  int signs[2];
  int results[2];
  if (pipe2(signs, O_CLOEXEC) != 0 || pipe2(results, O_CLOEXEC) != 0) {
    fail("pipes to the guardian");
  }
  const int user = getpid();
  guardian_ = fork();
  if (guardian_ < 0) {
    fail("starting the guardian");
  }
  if (guardian_ == 0) {
    close(signs[1]);
    close(results[0]);
    guard(signs[0], results[1], user);
  }
  close(signs[0]);
  close(results[1]);
  signs_ = signs[1];
  results_ = results[0];
  signal(SIGPIPE, SIG_IGN);  // a guardian that is gone shows as an error of the write
}

// The lock is shared with the user by fork: it is free when both are gone.
void Lease::guard(int signs, int results, int user) const {
  setsid();
  prctl(PR_SET_NAME, "rxpool-guardian");
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) {
    signal(number, SIG_IGN);
  }
  const int nowhere = open("/dev/null", O_RDWR);
  for (int file = 0; file < 3; ++file) {
    dup2(nowhere, file);  // whoever waits for the user's output does not wait for the guardian
  }
  char sign = alive;
  while (sign == alive) {
    pollfd wait{.fd = signs, .events = POLLIN, .revents = 0};
    const int came = poll(&wait, 1, static_cast<int>(dead_man_ns_ / 1'000'000));
    if (came == 0) {
      kill(user, SIGKILL);  // with it goes the link, and so the program on the NIC
      break;
    }
    if (came > 0 && read(signs, &sign, 1) != 1) {
      break;
    }
  }
  const std::string lost = lines_of(nic_.restore(saved_));
  unlink(path_.c_str());
  const bool told = write(results, lost.data(), lost.size()) == static_cast<ssize_t>(lost.size());
  _exit(told ? EXIT_SUCCESS : EXIT_FAILURE);
}

void Lease::renew() {
  if (write(signs_, &alive, 1) != 1) {
    throw Unavailable(nic_.name() + ": the guardian of its settings is gone");
  }
}

std::vector<std::string> Lease::give_back() {
  std::vector<std::string> lost;
  if (over_) {
    return lost;
  }
  over_ = true;
  const bool asked = write(signs_, &done, 1) == 1;
  close(signs_);
  std::string text;
  char part[512];
  for (ssize_t got = 0; (got = read(results_, part, sizeof(part))) > 0;) {
    text.append(part, static_cast<std::size_t>(got));
  }
  close(results_);
  int status = 0;
  waitpid(guardian_, &status, 0);
  if (!asked || !WIFEXITED(status)) {
    lost = nic_.restore(saved_);  // somebody killed the guardian
    unlink(path_.c_str());
  }
  close(lock_);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    lost.push_back(line);
  }
  return lost;
}

Lease::~Lease() {
  give_back();
}

}  // namespace rxpool::attach
