#include "kernel/lab/tcp_sender.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "kernel/lab/commands.hpp"
#include "kernel/lab/reader.hpp"

namespace rxpool::lab {
namespace {

constexpr std::size_t bytes_per_call = 64 * TcpSender::segment_bytes;
constexpr timeval patience{.tv_sec = 0, .tv_usec = 1000};

int own_namespace() {
  return open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
}

// The calling thread is in another network namespace for as long as this lives.
class Visit {
 public:
  explicit Visit(int there) : home_(own_namespace()) {
    if (setns(there, CLONE_NEWNET) != 0) {
      fail("entering the sender's network namespace");
    }
  }
  ~Visit() {
    setns(home_, CLONE_NEWNET);
    close(home_);
  }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  int home_;
};

int new_namespace() {
  const int home = own_namespace();
  if (unshare(CLONE_NEWNET) != 0) {
    fail("a second network namespace needs CAP_SYS_ADMIN");
  }
  const int made = own_namespace();
  setns(home, CLONE_NEWNET);
  close(home);
  return made;
}

}  // namespace

TcpSender::TcpSender(const TcpPlan& plan, int cpu, const std::string& interface)
    : plan_(plan), cpu_(cpu), namespace_(new_namespace()) {
  shell("ip link set " + interface + " netns /proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(namespace_));
  const Visit visit(namespace_);
  write_file("/proc/sys/net/ipv4/tcp_timestamps", "0");
  write_file("/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6", "1");
  shell("ip address add " + std::string(sender_address) + "/24 dev " + interface);
  shell("ip link set " + interface + " up");
  fd_ = socket(AF_INET, SOCK_STREAM, 0);
  if (fd_ < 0) {
    fail("socket");
  }
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  const std::string& law = plan.congestion_control;
  if (setsockopt(fd_, IPPROTO_TCP, TCP_CONGESTION, law.data(), static_cast<socklen_t>(law.size())) != 0) {
    fail("congestion control " + law);
  }
}

TcpSender::~TcpSender() {
  stop();
  close(fd_);
  close(namespace_);
}

void TcpSender::connect() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(plan_.port);
  inet_pton(AF_INET, receiver_address, &address.sin_addr);
  const timeval longer{.tv_sec = 2, .tv_usec = 0};
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &longer, sizeof(longer));
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    fail("connecting to port " + std::to_string(plan_.port));
  }
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void TcpSender::start(std::int64_t begin_ns) {
  thread_ = std::thread([this, begin_ns] { send_until_stopped(begin_ns); });
}

void TcpSender::stop() {
  stop_ = true;
  if (thread_.joinable()) {
    thread_.join();
  }
}

void TcpSender::send_until_stopped(std::int64_t begin_ns) const {
  run_on_cpu(cpu_);
  go_first();
  sleep_until_ns(begin_ns + static_cast<std::int64_t>(plan_.start_ms * 1e6));
  const std::vector<char> data(bytes_per_call);
  while (!stop_) {
    send(fd_, data.data(), data.size(), MSG_NOSIGNAL);  // what does not fit within the patience is tried again
  }
}

TcpSender::State TcpSender::state() const {
  tcp_info info{};
  socklen_t size = sizeof(info);
  getsockopt(fd_, IPPROTO_TCP, TCP_INFO, &info, &size);
  return {.segments = info.tcpi_data_segs_out, .retransmitted = info.tcpi_total_retrans};
}

}  // namespace rxpool::lab
