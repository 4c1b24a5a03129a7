#include "kernel/lab/reader.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "kernel/lab/tcp_sender.hpp"

namespace rxpool::lab {
namespace {

constexpr std::size_t datagram_bytes = 2048;
constexpr int highest_priority = -20;

}  // namespace

void run_on_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (sched_setaffinity(0, sizeof(set), &set) != 0) {
    fail("running on CPU " + std::to_string(cpu));
  }
}

void go_before_others(Urgency urgency, int thread) {
  const sched_param param{.sched_priority = static_cast<int>(urgency)};
  if (sched_setscheduler(thread, SCHED_FIFO, &param) != 0) {
    setpriority(PRIO_PROCESS, static_cast<id_t>(thread), highest_priority);
  }
}

void go_first() {
  setpriority(PRIO_PROCESS, 0, highest_priority);
}

std::vector<int> threads_called(const std::string& beginning) {
  std::vector<int> found;
  DIR* processes = opendir("/proc");
  for (dirent* entry = readdir(processes); entry != nullptr; entry = readdir(processes)) {
    std::ifstream name(std::string("/proc/") + entry->d_name + "/comm");
    std::string text;
    if (name && std::getline(name, text) && text.starts_with(beginning)) {
      found.push_back(std::atoi(entry->d_name));
    }
  }
  closedir(processes);
  return found;
}

void leave_autogroup() {
  setsid();
  std::ofstream("/proc/self/autogroup") << highest_priority;
}

Reader::Reader(const SocketPlan& plan, bool shares_cpu) : plan_(plan), shares_cpu_(shares_cpu) {
  const int opened = socket(AF_INET, plan.tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
  if (opened < 0) {
    fail("socket");
  }
  if (plan.tcp) {
    listening_ = opened;
  } else {
    fd_ = opened;
  }
  const int size = static_cast<int>(plan.rcvbuf);  // a connection inherits it
  if (size != 0 && setsockopt(opened, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) != 0) {
    fail("SO_RCVBUF");
  }
  const timeval timeout{.tv_sec = 0, .tv_usec = 1000};
  setsockopt(opened, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(plan.port);
  if (bind(opened, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      (plan.tcp && listen(opened, 1) != 0)) {
    fail("binding port " + std::to_string(plan.port));
  }
  const std::size_t piece = plan.tcp ? TcpSender::segment_bytes : datagram_bytes;
  data_.resize(piece * plan.batch);
  for (std::uint32_t i = 0; i < plan.batch; ++i) {
    pieces_.push_back({.iov_base = data_.data() + i * piece, .iov_len = piece});
  }
  messages_.resize(plan.batch);
  for (std::uint32_t i = 0; i < plan.batch; ++i) {
    messages_[i].msg_hdr.msg_iov = &pieces_[i];
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

Reader::~Reader() {
  stop();
  close(fd_);
  close(listening_);
}

void Reader::start(std::int64_t begin_ns) {
  if (plan_.tcp && (fd_ = accept(listening_, nullptr, nullptr)) < 0) {
    fail("accepting the connection to port " + std::to_string(plan_.port));
  }
  thread_ = std::thread([this, begin_ns] { read_until_stopped(begin_ns); });
}

void Reader::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

bool pauses_at(const std::vector<Pause>& pauses, double at_ms) {
  return std::any_of(pauses.begin(), pauses.end(), [&](const Pause& pause) {
    double since = at_ms - pause.at_ms;
    if (since >= 0 && pause.every_ms > 0) {
      since = std::fmod(since, pause.every_ms);
    }
    return since >= 0 && since < pause.for_ms;
  });
}

void work_ns(double duration_ns) {
  const std::int64_t end = now_ns() + static_cast<std::int64_t>(duration_ns);
  while (now_ns() < end) {
  }
}

// A reader with a rate takes one batch at each of its instants; one that was late does not hurry to catch up.
void Reader::read_until_stopped(std::int64_t begin_ns) {
  run_on_cpu(plan_.cpu);
  if (shares_cpu_) {
    go_first();
  } else {
    go_before_others(Urgency::works);
  }
  std::int64_t next_ns = begin_ns;
  while (!stop_) {
    const std::int64_t now = now_ns();
    if (plan_.paused || pauses_at(plan_.pauses, static_cast<double>(now - begin_ns) / 1e6)) {
      sleep_until_ns(now + 100'000);
      continue;
    }
    const double got = plan_.tcp ? receive_bytes() : receive_datagrams();
    if (got == 0) {
      continue;
    }
    received_ = received_ + got;
    if (plan_.service_ns > 0) {
      work_ns(plan_.service_ns * got);
    }
    if (plan_.rate_pps > 0) {
      const auto interval_ns = static_cast<std::int64_t>(1e9 * got / plan_.rate_pps);
      next_ns = std::max(next_ns, now_ns() - interval_ns) + interval_ns;
      if (next_ns > now_ns() + 60'000) {
        sleep_until_ns(next_ns - 50'000);
      }
      while (now_ns() < next_ns && !stop_) {
      }
    }
  }
}

double Reader::receive_datagrams() {
  return std::max(0, recvmmsg(fd_, messages_.data(), plan_.batch, MSG_WAITFORONE, nullptr));
}

double Reader::receive_bytes() {
  return static_cast<double>(std::max<ssize_t>(0, recv(fd_, data_.data(), data_.size(), 0))) / TcpSender::segment_bytes;
}

Reader::State Reader::state() const {
  std::uint32_t info[SK_MEMINFO_VARS] = {};
  socklen_t size = sizeof(info);
  getsockopt(fd_, SOL_SOCKET, SO_MEMINFO, info, &size);
  return {.received = received_, .rmem_alloc = info[SK_MEMINFO_RMEM_ALLOC], .drops = info[SK_MEMINFO_DROPS]};
}

std::uint32_t Reader::rcvbuf() const {
  int size = 0;
  socklen_t length = sizeof(size);
  getsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, &length);
  return static_cast<std::uint32_t>(size);
}

}  // namespace rxpool::lab
