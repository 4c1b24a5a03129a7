#include <arpa/inet.h>

#include <catch2/catch.hpp>
#include <cstring>
#include <string>
#include <utility>

#include "models/traffic/toeplitz.hpp"

using namespace rxpool;

namespace {

FlowKey key_of(int version, const char* source, int source_port, const char* destination, int destination_port) {
  FlowKey key;
  key.ip_version = static_cast<std::uint8_t>(version);
  key.has_ports = true;
  key.protocol = protocol_tcp;
  const std::size_t bytes = version == 6 ? 16 : 4;
  const int family = version == 6 ? AF_INET6 : AF_INET;
  REQUIRE(inet_pton(family, source, key.bytes.data()) == 1);
  REQUIRE(inet_pton(family, destination, key.bytes.data() + bytes) == 1);
  const std::uint16_t ports[2] = {htons(static_cast<std::uint16_t>(source_port)),
                                  htons(static_cast<std::uint16_t>(destination_port))};
  std::memcpy(key.bytes.data() + 2 * bytes, ports, 4);
  return key;
}

/// RS-1 word for word, bit by bit.
std::uint32_t slow_hash(const RssKey& rss, std::span<const std::uint8_t> input) {
  std::uint32_t result = 0;
  for (std::size_t bit = 0; bit < 8 * input.size(); ++bit) {
    if ((input[bit / 8] & (0x80 >> bit % 8)) != 0) {
      for (std::size_t i = 0; i < 32; ++i) {
        const std::size_t at = bit + i;
        result ^= static_cast<std::uint32_t>((rss[at / 8] >> (7 - at % 8)) & 1) << (31 - i);
      }
    }
  }
  return result;
}

}  // namespace

TEST_CASE("the verification vectors come out, with and without ports", "[RS-1][RS-2][RS-3][RS-4][toeplitz]") {
  struct Vector {
    int version;
    const char* source;
    int source_port;
    const char* destination;
    int destination_port;
    std::uint32_t addresses;
    std::uint32_t ports;
  };
  const Vector vectors[] = {
      {4, "66.9.149.187", 2794, "161.142.100.80", 1766, 0x323e8fc2, 0x51ccc178},
      {4, "199.92.111.2", 14230, "65.69.140.83", 4739, 0xd718262a, 0xc626b0ea},
      {4, "24.19.198.95", 12898, "12.22.207.184", 38024, 0xd2d0a5de, 0x5c2b394a},
      {4, "38.27.205.30", 48228, "209.142.163.6", 2217, 0x82989176, 0xafc7327f},
      {4, "153.39.163.191", 44251, "202.188.127.2", 1303, 0x5d1809c5, 0x10e828a2},
      {6, "3ffe:2501:200:1fff::7", 2794, "3ffe:2501:200:3::1", 1766, 0x2cc18cd5, 0x40207d3d},
      {6, "3ffe:501:8::260:97ff:fe40:efab", 14230, "ff02::1", 4739, 0x0f0c461c, 0xdde51bbf},
      {6, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, "fe80::200:f8ff:fe21:67cf", 38024, 0x4b61e985, 0x02d1feef},
  };
  const ToeplitzHash hash;
  for (const Vector& v : vectors) {
    const FlowKey key = key_of(v.version, v.source, v.source_port, v.destination, v.destination_port);
    CHECK(hash.of_addresses(key) == v.addresses);
    CHECK(hash.of_flow(key) == v.ports);
  }
}

TEST_CASE("the tables give what the definition gives, for every byte position", "[RS-1][toeplitz]") {
  const ToeplitzHash hash(default_rss_key());
  for (std::size_t position = 0; position < 36; ++position) {
    for (const int value : {1, 2, 0x80, 0x5a, 0xff}) {
      std::array<std::uint8_t, 36> input{};
      input[position] = static_cast<std::uint8_t>(value);
      REQUIRE(hash(input) == slow_hash(default_rss_key(), input));
    }
  }
}

TEST_CASE("the symmetric key hashes both directions of a flow alike, the default key does not", "[RS-6][toeplitz]") {
  const FlowKey there = key_of(4, "198.18.0.7", 1234, "198.19.0.1", 80);
  const FlowKey back = key_of(4, "198.19.0.1", 80, "198.18.0.7", 1234);
  CHECK(ToeplitzHash(symmetric_rss_key()).of_flow(there) == ToeplitzHash(symmetric_rss_key()).of_flow(back));
  CHECK(ToeplitzHash().of_flow(there) != ToeplitzHash().of_flow(back));
}

TEST_CASE("a fragment hashes on addresses only and a frame that is not IP hashes to zero", "[RS-13][toeplitz]") {
  FlowKey key = key_of(4, "198.18.0.7", 1234, "198.19.0.1", 80);
  const ToeplitzHash hash;
  key.has_ports = false;
  CHECK(hash.of_flow(key) == hash.of_addresses(key));
  key.ip_version = 0;
  CHECK(hash.of_flow(key) == 0);
}
