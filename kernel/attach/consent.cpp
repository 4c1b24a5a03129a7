#include "kernel/attach/consent.hpp"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

namespace rxpool::attach {
namespace {

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

// /proc/net/route: interface, destination, gateway, flags, counts, metric, mask; /proc/net/ipv6_route: destination,
// its prefix length, ..., interface.
bool carries_default_route(const std::string& interface) {
  std::ifstream routes("/proc/net/route");
  for (std::string line; std::getline(routes, line);) {
    const auto words = words_of(line);
    if (words.size() > 7 && words[0] == interface && words[1] == "00000000" && words[7] == "00000000") {
      return true;
    }
  }
  std::ifstream routes6("/proc/net/ipv6_route");
  for (std::string line; std::getline(routes6, line);) {
    const auto words = words_of(line);
    if (words.size() > 9 && words.back() == interface && words[0] == std::string(32, '0') && words[1] == "00") {
      return true;
    }
  }
  return false;
}

std::string text_of(const sockaddr* address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address->sa_family == AF_INET) {
    inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, text, sizeof(text));
  } else if (address->sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, text, sizeof(text));
  }
  return text;
}

bool has_address(const std::string& interface, const std::string& address) {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) {
    return true;  // not knowing is no consent
  }
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr != nullptr && interface == one->ifa_name && text_of(one->ifa_addr) == address) {
      return true;
    }
  }
  return false;
}

// A value of a process's environment as it was started.
std::string variable_of(int process, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(process) + "/environ");
  for (std::string entry; std::getline(file, entry, '\0');) {
    if (entry.starts_with(name + "=")) {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

int parent_of(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("PPid:")) {
      return std::stoi(line.substr(5));
    }
  }
  return 0;
}

}  // namespace

std::string connection_address() {
  // sudo and the like do not hand the variable on: whoever started this knows it.
  for (int process = getpid(); process > 1; process = parent_of(process)) {
    const auto words = words_of(variable_of(process, "SSH_CONNECTION"));  // client, its port, server, its port
    if (words.size() == 4) {
      return words[2];
    }
  }
  return "";
}

std::string refusal(const std::string& interface) {
  if (carries_default_route(interface)) {
    return interface + " carries a default route";
  }
  const std::string address = connection_address();
  if (!address.empty() && has_address(interface, address)) {
    return interface + " carries the connection that this is called over (" + address + ")";
  }
  return "";
}

}  // namespace rxpool::attach
