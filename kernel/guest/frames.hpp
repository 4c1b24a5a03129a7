#pragma once
// What the guest's agent needs of the system: errors, frames, addresses.

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace rxpool::guest {

using Bytes = std::vector<std::uint8_t>;

[[noreturn]] inline void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

inline int check(int result, const std::string& what) {
  if (result < 0) {
    errno = result == -1 ? errno : -result;
    fail(what);
  }
  return result;
}

inline void shell(const std::string& command) {
  if (std::system(command.c_str()) != 0) {
    throw std::runtime_error("failed: " + command);
  }
}

inline void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  check(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

inline std::uint16_t checksum(const std::uint8_t* data, std::size_t size) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    sum += static_cast<std::uint32_t>(data[i] << 8 | data[i + 1]);
  }
  while (sum >> 16 != 0) {
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<std::uint16_t>(~sum);
}

// Ethernet, IPv4, UDP without checksum.
inline Bytes udp_frame(const std::array<std::uint8_t, 6>& to, std::uint32_t source, std::uint32_t destination,
                       std::uint16_t port, std::size_t length) {
  Bytes frame(length, 0);
  std::copy(to.begin(), to.end(), frame.begin());
  frame[6] = 2;
  frame[11] = 99;
  frame[12] = 8;
  std::uint8_t* ip = frame.data() + 14;
  const auto put16 = [](std::uint8_t* at, std::size_t value) {
    at[0] = static_cast<std::uint8_t>(value >> 8);
    at[1] = static_cast<std::uint8_t>(value);
  };
  ip[0] = 0x45;
  put16(ip + 2, length - 14);
  ip[8] = 64;
  ip[9] = 17;
  for (int i = 0; i < 4; ++i) {
    ip[12 + i] = static_cast<std::uint8_t>(source >> (24 - 8 * i));
    ip[16 + i] = static_cast<std::uint8_t>(destination >> (24 - 8 * i));
  }
  put16(ip + 10, checksum(ip, 20));
  put16(ip + 20, 1000);
  put16(ip + 22, port);
  put16(ip + 24, length - 34);
  return frame;
}

inline std::array<std::uint8_t, 6> mac_of(const std::string& interface) {
  const int fd = check(socket(AF_INET, SOCK_DGRAM, 0), "socket");
  ifreq request{};
  std::strncpy(request.ifr_name, interface.c_str(), IFNAMSIZ - 1);
  check(ioctl(fd, SIOCGIFHWADDR, &request), "hardware address of " + interface);
  close(fd);
  std::array<std::uint8_t, 6> mac{};
  std::memcpy(mac.data(), request.ifr_hwaddr.sa_data, mac.size());
  return mac;
}

}  // namespace rxpool::guest
