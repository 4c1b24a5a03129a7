// The checksums are verified by summing the whole frame again, independently of the code that wrote them.
#include <array>
#include <catch2/catch.hpp>
#include <set>
#include <vector>

#include "models/traffic/synthetic_source.hpp"

using namespace rxpool;

namespace {

unsigned at16(const std::vector<unsigned char>& frame, std::size_t at) {
  return frame[at] << 8u | frame[at + 1];
}

/// One's complement sum of [from, from + length) and of `extra`; 0xffff when a checksum inside is right.
unsigned ones_sum(const std::vector<unsigned char>& frame, std::size_t from, std::size_t length, unsigned extra = 0) {
  unsigned sum = extra;
  for (std::size_t i = 0; i < length; ++i) {
    sum += i % 2 == 0 ? frame[from + i] << 8u : frame[from + i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return (sum & 0xffff) + (sum >> 16);
}

/// The frame without FCS: headers and a payload of zeros.
std::vector<unsigned char> frame_of(const Source& source, const Packet& packet) {
  std::array<std::byte, 128> bytes;
  const std::size_t length = source.headers(packet, bytes);
  std::vector<unsigned char> frame(packet.frame_bytes - 4u);
  for (std::size_t i = 0; i < length; ++i) {
    frame.at(i) = static_cast<unsigned char>(bytes[i]);
  }
  return frame;
}

std::vector<Packet> packets_of(Source& source, std::size_t count) {
  std::vector<Offer> offers(count);
  REQUIRE(source.produce(offers) == count);
  std::vector<Packet> packets(count);
  for (std::size_t i = 0; i < count; ++i) {
    packets[i].id = i;
    packets[i].flow = offers[i].flow;
    packets[i].variant = offers[i].variant;
    packets[i].frame_bytes = offers[i].frame_bytes;
  }
  return packets;
}

}  // namespace

TEST_CASE("every layer's length, type and checksum is right in all combinations", "[headers]") {
  for (const std::uint32_t version : {4u, 6u}) {
    for (const std::uint32_t protocol : {17u, 6u}) {
      for (const std::uint32_t vlan : {0u, 42u}) {
        for (const AddressKind addresses : {AddressKind::per_flow, AddressKind::per_packet}) {
          SourceParams params;
          params.flows.ip_version = version;
          params.flows.protocol = protocol;
          params.flows.vlan = vlan;
          params.flows.addresses = addresses;
          params.sizes.kind = SizeKind::imix;
          SyntheticSource source("test", 3, params, 1, 0);
          const std::size_t ip = vlan != 0 ? 18 : 14;
          const std::size_t transport = ip + (version == 6 ? 40 : 20);
          for (const Packet& packet : packets_of(source, 200)) {
            const auto frame = frame_of(source, packet);
            const FlowKey key = source.key(packet);
            if (vlan != 0) {
              REQUIRE(at16(frame, 12) == 0x8100);
              REQUIRE(at16(frame, 14) == 42);
            }
            REQUIRE(at16(frame, ip - 2) == (version == 6 ? 0x86dd : 0x0800));
            const std::size_t length = frame.size() - transport;
            if (version == 4) {
              REQUIRE(frame[ip] == 0x45);
              REQUIRE(at16(frame, ip + 2) == frame.size() - ip);
              REQUIRE(frame[ip + 9] == protocol);
              REQUIRE(ones_sum(frame, ip, 20) == 0xffff);
              REQUIRE(std::equal(frame.begin() + ip + 12, frame.begin() + transport + 4, key.bytes.begin()));
            } else {
              REQUIRE(frame[ip] == 0x60);
              REQUIRE(at16(frame, ip + 4) == length);
              REQUIRE(frame[ip + 6] == protocol);
              REQUIRE(std::equal(frame.begin() + ip + 8, frame.begin() + transport + 4, key.bytes.begin()));
            }
            const std::size_t addresses_at = version == 6 ? ip + 8 : ip + 12;
            const unsigned pseudo =
                ones_sum(frame, addresses_at, transport - addresses_at, protocol + static_cast<unsigned>(length));
            REQUIRE(ones_sum(frame, transport, length, pseudo) == 0xffff);
            if (protocol == 17) {
              REQUIRE(at16(frame, transport + 4) == length);
              REQUIRE(at16(frame, transport + 6) != 0);
            }
          }
        }
      }
    }
  }
}

TEST_CASE("a reader that asks for fewer bytes gets the beginning", "[headers]") {
  SyntheticSource source("test", 0, SourceParams{}, 1, 0);
  const Packet packet = packets_of(source, 1).front();
  std::array<std::byte, 128> all;
  std::array<std::byte, 20> some;
  CHECK(source.headers(packet, all) == 42);
  CHECK(source.headers(packet, some) == 20);
  CHECK(std::equal(some.begin(), some.end(), all.begin()));
}

TEST_CASE("a TCP source sends the flags it was given", "[headers]") {
  SourceParams params;
  params.flows.protocol = 6;
  params.flows.tcp_flags = 0x02;
  SyntheticSource source("syn", 0, params, 1, 0);
  CHECK(frame_of(source, packets_of(source, 1).front())[14 + 20 + 13] == 0x02);
}

TEST_CASE("flows are distinct and stay in their ranges, even when all of them are wanted", "[flows]") {
  SourceParams params;
  params.flows.sources = "198.18.0.0/30";
  params.flows.source_ports = {1000, 1009};
  params.flows.destination_ports = {80, 81};
  params.flows.count = 80;
  SyntheticSource all("all", 0, params, 1, 0);
  std::set<std::array<std::uint8_t, 36>> keys;
  for (std::uint32_t i = 0; i < all.flow_count(); ++i) {
    const FlowKey key = all.flow_key(i);
    keys.insert(key.bytes);
    CHECK(key.bytes[0] == 198);
    CHECK(key.bytes[3] < 4);
    CHECK(key.source_port() >= 1000);
    CHECK(key.source_port() <= 1009);
    CHECK(key.destination_port() - 80 < 2);
  }
  CHECK(keys.size() == 80);
  SyntheticSource many("many", 0, SourceParams{}, 1, 0);
  keys.clear();
  for (std::uint32_t i = 0; i < many.flow_count(); ++i) {
    keys.insert(many.flow_key(i).bytes);
  }
  CHECK(keys.size() == 10'000);
}

TEST_CASE("a spoofed flood draws addresses and ports per packet, uniformly", "[flows]") {
  SourceParams params;
  params.flows.addresses = AddressKind::per_packet;
  params.flows.source_ports = {0, 9};
  SyntheticSource flood("flood", 0, params, 1, 0);
  std::set<std::array<std::uint8_t, 36>> keys;
  std::array<int, 10> ports{};
  std::array<int, 256> last_byte{};
  for (const Packet& packet : packets_of(flood, 50'000)) {
    const FlowKey key = flood.key(packet);
    keys.insert(key.bytes);
    ++ports.at(key.source_port());
    ++last_byte[key.bytes[3]];
  }
  CHECK(keys.size() > 45'000);
  double chi_ports = 0;
  for (const int n : ports) {
    chi_ports += (n - 5000.0) * (n - 5000.0) / 5000.0;
  }
  CHECK(chi_ports < 27.9);  // 9 degrees of freedom, 0.1 %
  double chi_bytes = 0;
  for (const int n : last_byte) {
    chi_bytes += (n - 195.3125) * (n - 195.3125) / 195.3125;
  }
  CHECK(chi_bytes < 330.5);  // 255 degrees of freedom, 0.1 %
}
