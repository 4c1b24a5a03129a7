#pragma once
// Packets written as builders: packet().ipv4("10.0.0.1", "10.0.0.2").udp(1000, 9).payload(18).

#include <arpa/inet.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace rxpool::bpf {

class PacketBuilder {
 public:
  PacketBuilder() {
    add({0x02, 0, 0, 0, 0, 0x02, 0x02, 0, 0, 0, 0, 0x01});
    add16(0);
  }

  PacketBuilder& ether_type(std::uint16_t type) {
    put16(12, type);
    return *this;
  }
  PacketBuilder& arp() { return ether_type(0x0806).payload(28); }

  PacketBuilder& ipv4(const std::string& source, const std::string& destination, std::uint16_t fragment = 0) {
    ether_type(0x0800);
    ip_ = bytes_.size();
    add({0x45, 0, 0, 20, 0, 0, 0, 0, 64, 0, 0, 0});
    put16(ip_ + 6, fragment);
    add_address(AF_INET, source);
    add_address(AF_INET, destination);
    return *this;
  }
  PacketBuilder& ipv6(const std::string& source, const std::string& destination) {
    ether_type(0x86dd);
    ip_ = bytes_.size();
    ipv6_ = true;
    add({0x60, 0, 0, 0, 0, 0, 0, 64});
    add_address(AF_INET6, source);
    add_address(AF_INET6, destination);
    return *this;
  }
  PacketBuilder& udp(std::uint16_t source, std::uint16_t destination) {
    protocol(17);
    add16(source);
    add16(destination);
    add({0, 8, 0, 0});
    return finish();
  }
  PacketBuilder& tcp(std::uint16_t source, std::uint16_t destination, std::uint8_t flags) {
    protocol(6);
    add16(source);
    add16(destination);
    add({0, 0, 0, 0, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0});
    return finish();
  }
  PacketBuilder& icmp() {
    protocol(ipv6_ ? 58 : 1);
    add({8, 0, 0, 0, 0, 0, 0, 0});
    return finish();
  }
  PacketBuilder& payload(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) {
      bytes_.push_back(static_cast<std::uint8_t>(i));
    }
    return finish();
  }

  const std::vector<std::uint8_t>& bytes() const { return bytes_; }

 private:
  void add(std::initializer_list<std::uint8_t> bytes) { bytes_.insert(bytes_.end(), bytes); }
  void add16(std::uint16_t value) { add({static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value)}); }
  void put16(std::size_t at, std::uint16_t value) {
    bytes_[at] = static_cast<std::uint8_t>(value >> 8);
    bytes_[at + 1] = static_cast<std::uint8_t>(value);
  }
  void add_address(int family, const std::string& text) {
    std::uint8_t address[16];
    inet_pton(family, text.c_str(), address);
    bytes_.insert(bytes_.end(), address, address + (family == AF_INET ? 4 : 16));
  }
  void protocol(std::uint8_t number) { bytes_[ip_ + (ipv6_ ? 6 : 9)] = number; }
  PacketBuilder& finish() {
    if (ip_ != 0) {
      const auto length = static_cast<std::uint16_t>(bytes_.size() - ip_);
      put16(ip_ + (ipv6_ ? 4 : 2), ipv6_ ? static_cast<std::uint16_t>(length - 40) : length);
    }
    return *this;
  }

  std::vector<std::uint8_t> bytes_;
  std::size_t ip_ = 0;
  bool ipv6_ = false;
};

inline PacketBuilder packet() {
  return {};
}

}  // namespace rxpool::bpf
