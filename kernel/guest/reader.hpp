#pragma once
// A UDP reader that can be told to pause, and a packet socket that keeps copies.

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "kernel/guest/frames.hpp"

namespace rxpool::guest {

// Reads datagrams while it is told to; closes only when nothing else runs (a close frees its queue with bottom halves
// enabled, where an interrupt could nest one probed call in another and its probe would be skipped).
class Reader {
 public:
  Reader(std::uint16_t port, int receive_buffer, int cpu) {
    fd_ = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
    check(setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof(receive_buffer)), "SO_RCVBUFFORCE");
    const timeval timeout{.tv_sec = 0, .tv_usec = 20000};
    check(setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), "SO_RCVTIMEO");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    check(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "bind");
    thread_ = std::thread([this, cpu] {
      run_on(cpu);
      char data[2048];
      while (!stop_) {
        if (paused_) {
          usleep(2000);
        } else if (recv(fd_, data, sizeof(data), 0) > 0) {
          ++received_;
        }
      }
    });
  }
  ~Reader() {
    stop_ = true;
    thread_.join();
    close(fd_);
  }
  void pause(bool yes) { paused_ = yes; }
  void drain() {
    pause(false);
    for (std::uint64_t before = 0; before != received_ || before == 0; usleep(60000)) {
      if (before == received_) {
        break;
      }
      before = received_;
    }
    usleep(60000);
  }

 private:
  int fd_ = -1;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> paused_ = false;
  std::atomic<std::uint64_t> received_ = 0;
  std::thread thread_;
};

/// A packet socket on one interface that keeps what it saw until it is told to read.
class Tap {
 public:
  explicit Tap(const std::string& interface) {
    fd_ = check(socket(AF_PACKET, SOCK_RAW, 0), "packet socket");
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_IP);
    address.sll_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
    check(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), "binding to " + interface);
  }
  ~Tap() { close(fd_); }
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  void drain() {
    char data[2048];
    while (recv(fd_, data, sizeof(data), MSG_DONTWAIT) > 0) {
    }
  }

 private:
  int fd_ = -1;
};

}  // namespace rxpool::guest
