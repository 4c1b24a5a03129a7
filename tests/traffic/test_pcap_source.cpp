// Captures are written here byte by byte, so that each way in which a file can be wrong is there on purpose. With
// RXPOOL_CAPTURES set to a directory, real captures are read too.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "models/traffic/pcap_source.hpp"
#include "models/traffic/synthetic_source.hpp"
#include "models/traffic/wire.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using Catch::Matchers::Contains;

namespace {

using Bytes = std::vector<unsigned char>;

void put(Bytes& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<unsigned char>(value >> (8 * i)));
  }
}

constexpr std::uint32_t ethernet = 1;
constexpr std::uint32_t raw_ip = 101;

/// pcap with microseconds.
Bytes pcap_header(std::uint32_t link_type) {
  Bytes out;
  put(out, 0xa1b2c3d4, 4);
  put(out, 2, 2);
  put(out, 4, 2);
  put(out, 0, 4);
  put(out, 0, 4);
  put(out, 65535, 4);
  put(out, link_type, 4);
  return out;
}

void pcap_frame(Bytes& out, std::uint32_t second, std::uint32_t microsecond, const Bytes& frame,
                std::size_t length = 0) {
  put(out, second, 4);
  put(out, microsecond, 4);
  put(out, static_cast<std::uint32_t>(frame.size()), 4);
  put(out, static_cast<std::uint32_t>(length == 0 ? frame.size() : length), 4);
  out.insert(out.end(), frame.begin(), frame.end());
}

void pcapng_block(Bytes& out, std::uint32_t type, Bytes body) {
  while (body.size() % 4 != 0) {
    body.push_back(0);
  }
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  put(out, type, 4);
  put(out, length, 4);
  out.insert(out.end(), body.begin(), body.end());
  put(out, length, 4);
}

Bytes pcapng_header() {
  Bytes body;
  put(body, 0x1a2b3c4d, 4);
  put(body, 1, 2);
  put(body, 0, 2);
  put(body, 0xffffffff, 4);
  put(body, 0xffffffff, 4);
  Bytes out;
  pcapng_block(out, 0x0a0d0d0a, body);
  return out;
}

void pcapng_interface(Bytes& out, std::uint32_t link_type) {
  Bytes body;
  put(body, link_type, 2);
  put(body, 0, 2);
  put(body, 65535, 4);
  pcapng_block(out, 1, body);
}

void pcapng_frame(Bytes& out, std::uint32_t interface, std::uint32_t microsecond, const Bytes& frame) {
  Bytes body;
  put(body, interface, 4);
  put(body, 0, 4);
  put(body, microsecond, 4);
  put(body, static_cast<std::uint32_t>(frame.size()), 4);
  put(body, static_cast<std::uint32_t>(frame.size()), 4);
  body.insert(body.end(), frame.begin(), frame.end());
  pcapng_block(out, 6, body);
}

/// A frame of a synthetic source, without FCS.
Bytes make_frame(std::uint32_t flow, std::uint32_t version = 4, std::uint32_t protocol = 17, std::uint32_t vlan = 0,
                 std::uint32_t frame_bytes = 100) {
  SourceParams params;
  params.flows.ip_version = version;
  params.flows.protocol = protocol;
  params.flows.vlan = vlan;
  params.sizes.frame_bytes = frame_bytes;
  const SyntheticSource source("frames", 0, params, 1, 0);
  Packet packet;
  packet.flow = flow;
  packet.frame_bytes = static_cast<std::uint16_t>(frame_bytes);
  std::array<std::byte, 128> bytes;
  const std::size_t length = source.headers(packet, bytes);
  Bytes frame(frame_bytes - 4);
  std::memcpy(frame.data(), bytes.data(), length);
  return frame;
}

class File {
 public:
  File(const std::string& name, const Bytes& bytes)
      : path_((std::filesystem::temp_directory_path() / ("rxpool-test-" + std::to_string(::getpid()) + "-" + name))) {
    std::ofstream(path_, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  ~File() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

CaptureParams replay(const std::string& path) {
  CaptureParams params;
  params.path = path;
  return params;
}

std::string error_of(const CaptureParams& params) {
  try {
    PcapSource source("replay", 0, params);
  } catch (const InputError& error) {
    CHECK(std::string(error.what()).find('\n') == std::string::npos);
    CHECK(error.code() == ExitCode::bad_input);
    return error.what();
  }
  return "no error";
}

std::string error_of(const Bytes& bytes) {
  const File file("error.pcap", bytes);
  const std::string error = error_of(replay(file.path()));
  CHECK_THAT(error, Contains(file.path()) || Contains("no error"));
  return error;
}

std::vector<Offer> produce(Source& source, std::size_t count) {
  std::vector<Offer> offers(count);
  offers.resize(source.produce(offers));
  return offers;
}

Packet packet_of(const Offer& offer) {
  Packet packet;
  packet.flow = offer.flow;
  packet.variant = offer.variant;
  packet.frame_bytes = offer.frame_bytes;
  return packet;
}

unsigned ones_sum(const Bytes& frame, std::size_t from, std::size_t length, unsigned sum = 0) {
  for (std::size_t i = 0; i < length; ++i) {
    sum += i % 2 == 0 ? frame[from + i] << 8u : frame[from + i];
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return (sum & 0xffff) + (sum >> 16);
}

/// Five frames of three flows at 0, 10, 30, 35 and 100 µs.
Bytes small_capture() {
  Bytes out = pcap_header(ethernet);
  const std::uint32_t flows[] = {0, 1, 0, 2, 1};
  const std::uint32_t times[] = {0, 10, 30, 35, 100};
  for (int i = 0; i < 5; ++i) {
    pcap_frame(out, 1'700'000'000, 999'950 + times[i], make_frame(flows[i]));
  }
  return out;
}

}  // namespace

TEST_CASE("a capture is replayed at its own times with its own bytes", "[pcap]") {
  const File file("replay.pcap", small_capture());
  PcapSource source("replay", 0, replay(file.path()));
  const auto offers = produce(source, 10);
  REQUIRE(offers.size() == 5);
  CHECK(source.flow_count() == 3);
  const std::int64_t times[] = {0, 10, 30, 35, 100};
  const std::uint32_t flows[] = {0, 1, 0, 2, 1};
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(offers[i].at == microseconds(times[i]));
    CHECK(offers[i].flow == flows[i]);
    CHECK(offers[i].frame_bytes == 100);
    CHECK(offers[i].ip_protocol == 17);
    std::array<std::byte, 128> bytes;
    const Bytes expected = make_frame(flows[i]);
    REQUIRE(source.headers(packet_of(offers[i]), bytes) == expected.size());
    CHECK(std::memcmp(bytes.data(), expected.data(), expected.size()) == 0);
  }
  SourceParams params;
  const SyntheticSource original("frames", 0, params, 1, 0);
  CHECK(source.flow_key(2).bytes == original.flow_key(2).bytes);
  CHECK(source.flow_key(2).has_ports);
}

TEST_CASE("equal beginnings and flows are kept once", "[pcap]") {
  const File file("arena.pcap", small_capture());
  const Capture capture = read_capture(file.path(), false);
  CHECK(capture.flows.size() == 3);
  CHECK(capture.frames[0].begins_at == capture.frames[2].begins_at);
  CHECK(capture.bytes.size() == 3 * 96);
}

TEST_CASE("VLAN, IPv6 and TCP frames and raw IP have their flows", "[pcap]") {
  for (const std::uint32_t version : {4u, 6u}) {
    for (const std::uint32_t protocol : {6u, 17u}) {
      for (const std::uint32_t vlan : {0u, 7u}) {
        const Bytes frame = make_frame(5, version, protocol, vlan);
        SourceParams params;
        params.flows.ip_version = version;
        params.flows.protocol = protocol;
        params.flows.vlan = vlan;
        params.sizes.frame_bytes = 100;
        const SyntheticSource original("frames", 0, params, 1, 0);
        Bytes bytes = pcap_header(ethernet);
        pcap_frame(bytes, 1, 0, frame);
        const File file("layers.pcap", bytes);
        PcapSource source("replay", 0, replay(file.path()));
        CHECK(source.flow_key(0) == original.flow_key(5));
        if (vlan == 0) {
          Bytes raw = pcap_header(raw_ip);
          pcap_frame(raw, 1, 0, Bytes(frame.begin() + 14, frame.end()));
          const File raw_file("raw.pcap", raw);
          PcapSource raw_source("replay", 0, replay(raw_file.path()));
          CHECK(raw_source.flow_key(0) == original.flow_key(5));
          const auto offers = produce(raw_source, 1);
          REQUIRE(offers.size() == 1);
          CHECK(offers[0].frame_bytes == 100);
          std::array<std::byte, 128> header;
          raw_source.headers(packet_of(offers[0]), header);
          CHECK(std::memcmp(header.data() + 12, frame.data() + 12, 84) == 0);
        }
      }
    }
  }
}

TEST_CASE("fragments have no ports and short frames are padded to the minimum", "[pcap][RS-13]") {
  Bytes frame = make_frame(0);
  frame[14 + 6] = 0x20;  // more fragments
  Bytes bytes = pcap_header(ethernet);
  pcap_frame(bytes, 1, 0, frame);
  Bytes shortest = make_frame(1);
  shortest.resize(42);
  pcap_frame(bytes, 1, 1, shortest);
  const Bytes arp{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1};
  pcap_frame(bytes, 1, 2, arp);
  const File file("odd.pcap", bytes);
  PcapSource source("replay", 0, replay(file.path()));
  const auto offers = produce(source, 3);
  REQUIRE(offers.size() == 3);
  CHECK(offers[0].flags == packet_flag::fragment);
  CHECK(!source.flow_key(0).has_ports);
  CHECK(offers[1].frame_bytes == 64);
  CHECK(offers[2].ip_protocol == 0);
  CHECK(source.flow_key(2).ip_version == 0);
}

TEST_CASE("time scale, start, loop, pause and withdrawal", "[pcap]") {
  const File file("scale.pcap", small_capture());
  CaptureParams params = replay(file.path());
  params.time_scale = 2;
  params.start_ms = 1;
  params.loop = true;
  PcapSource source("replay", 0, params);
  // The loop is 100 µs and one mean gap of 25 µs long, and all of it takes twice as long.
  const std::int64_t times[] = {0, 20, 60, 70, 200, 250, 270, 310, 320, 450, 500};
  const auto offers = produce(source, 11);
  REQUIRE(offers.size() == 11);
  for (std::size_t i = 0; i < 11; ++i) {
    CHECK(offers[i].at == milliseconds(1) + microseconds(times[i]));
  }
  source.withdraw(5);
  source.set_rate_factor(milliseconds(1) + microseconds(260), 0);
  source.set_rate_factor(milliseconds(1) + microseconds(300), 1);
  const auto later = produce(source, 2);
  REQUIRE(later.size() == 2);
  CHECK(later[0].at == milliseconds(1) + microseconds(310));
  CHECK(later[1].at == milliseconds(1) + microseconds(350));
}

TEST_CASE("rate scale sends copies with addresses of their own and right checksums", "[pcap]") {
  for (const std::uint32_t version : {4u, 6u}) {
    for (const std::uint32_t protocol : {6u, 17u}) {
      Bytes bytes = pcap_header(ethernet);
      for (std::uint32_t i = 0; i < 4; ++i) {
        pcap_frame(bytes, 1, i, make_frame(i, version, protocol));
      }
      const File file("copies.pcap", bytes);
      CaptureParams params = replay(file.path());
      params.rate_scale = 2.5;
      PcapSource source("replay", 0, params);
      const auto offers = produce(source, 100);
      REQUIRE(offers.size() == 10);
      CHECK(source.flow_count() == 12);
      for (const Offer& offer : offers) {
        std::array<std::byte, 128> raw;
        const std::size_t length = source.headers(packet_of(offer), raw);
        Bytes frame(96);
        std::memcpy(frame.data(), raw.data(), std::min<std::size_t>(length, 96));
        const std::size_t addresses = version == 6 ? 22 : 26;
        const std::size_t transport = version == 6 ? 54 : 34;
        const FlowKey key = source.flow_key(offer.flow);
        CHECK(std::equal(frame.begin() + static_cast<std::ptrdiff_t>(addresses),
                         frame.begin() + static_cast<std::ptrdiff_t>(transport) + 4, key.bytes.begin()));
        if (version == 4) {
          CHECK(ones_sum(frame, 14, 20) == 0xffff);
        }
        const unsigned pseudo = ones_sum(frame, addresses, transport - addresses,
                                         protocol + static_cast<unsigned>(frame.size() - transport));
        CHECK(ones_sum(frame, transport, frame.size() - transport, pseudo) == 0xffff);
      }
    }
  }
  Bytes bytes = small_capture();
  const File file("thin.pcap", bytes);
  CaptureParams params = replay(file.path());
  params.rate_scale = 0.4;
  PcapSource source("replay", 0, params);
  CHECK(produce(source, 100).size() == 2);
}

TEST_CASE("pcapng that describes two interfaces is one stream if all frames are of one", "[pcap]") {
  Bytes bytes = pcapng_header();
  pcapng_interface(bytes, ethernet);
  pcapng_interface(bytes, ethernet);
  pcapng_frame(bytes, 1, 5, make_frame(0));
  pcapng_frame(bytes, 1, 9, make_frame(1));
  const File file("two.pcapng", bytes);
  PcapSource source("replay", 0, replay(file.path()));
  const auto offers = produce(source, 3);
  REQUIRE(offers.size() == 2);
  CHECK(offers[1].at == microseconds(4));
}

TEST_CASE("every broken capture gives one line with file, frame and remedy", "[pcap][errors]") {
  CHECK_THAT(error_of(replay("/nonexistent/x.pcap")),
             Contains("/nonexistent/x.pcap: No such file or directory: check the path"));
  CHECK_THAT(error_of(Bytes{}), Contains("empty file: record the capture again"));
  CHECK_THAT(error_of(pcap_header(ethernet)), Contains("holds no frame: record the capture again"));
  CHECK_THAT(error_of(Bytes(100, 'x')), Contains("not a pcap or pcapng capture"));

  Bytes cut = small_capture();
  cut.resize(cut.size() - 10);
  CHECK_THAT(error_of(cut), Contains("frame 5: cut off") && Contains("keep the 4 frames before it"));
  cut.resize(10);
  CHECK_THAT(error_of(cut), Contains("cut off within the file header"));

  Bytes backward = small_capture();
  pcap_frame(backward, 1'700'000'000, 0, make_frame(0));
  CHECK_THAT(error_of(backward), Contains("frame 6: earlier than the frame before it: sort"));

  Bytes snapped = small_capture();
  pcap_frame(snapped, 1'700'000'002, 0, make_frame(0), 1000);
  CHECK_THAT(error_of(snapped), Contains("frame 6: only 96 of 1000 bytes were captured") && Contains("cut_frames"));

  Bytes large = small_capture();
  pcap_frame(large, 1'700'000'002, 0, Bytes(40'000));
  CHECK_THAT(error_of(large), Contains("frame 6: 40004 bytes are more than a NIC receives") && Contains("GRO"));

  Bytes runt = small_capture();
  pcap_frame(runt, 1'700'000'002, 0, Bytes(10));
  CHECK_THAT(error_of(runt), Contains("frame 6: 10 bytes are no Ethernet frame"));

  Bytes far = small_capture();
  pcap_frame(far, 1'710'000'000, 0, make_frame(0));
  CHECK_THAT(error_of(far), Contains("frame 6: 10000000 s after the first frame"));

  Bytes cooked = pcap_header(113);
  pcap_frame(cooked, 1, 0, make_frame(0));
  CHECK_THAT(error_of(cooked), Contains("link type LINUX_SLL is neither Ethernet nor raw IP"));

  Bytes kinds = pcapng_header();
  pcapng_interface(kinds, ethernet);
  pcapng_frame(kinds, 0, 5, make_frame(0));
  pcapng_interface(kinds, raw_ip);
  pcapng_frame(kinds, 1, 9, make_frame(1));
  CHECK_THAT(error_of(kinds), Contains("frame 2: several interfaces of different kinds"));

  Bytes two_links = pcapng_header();
  pcapng_interface(two_links, ethernet);
  pcapng_interface(two_links, ethernet);
  pcapng_frame(two_links, 0, 5, make_frame(0));
  pcapng_frame(two_links, 0, 7, make_frame(1));
  pcapng_frame(two_links, 1, 9, make_frame(2));
  CHECK_THAT(error_of(two_links),
             Contains("frame 3: of another interface than the frames before it") && Contains("to a file of its own"));

  Bytes unsorted = pcapng_header();
  pcapng_interface(unsorted, ethernet);
  pcapng_interface(unsorted, ethernet);
  pcapng_frame(unsorted, 0, 5, make_frame(0));
  pcapng_frame(unsorted, 1, 4, make_frame(1));
  CHECK_THAT(error_of(unsorted), Contains("frame 2: earlier") && Contains("(2 interfaces in one file)"));

  CaptureParams params = replay("x");
  params.time_scale = 0;
  CHECK_THAT(error_of(params), Contains("replay.time_scale: 0 is outside"));
}

TEST_CASE("a cut frame is accepted when asked for, its rest is zeros", "[pcap]") {
  Bytes snapped = small_capture();
  pcap_frame(snapped, 1'700'000'002, 0, make_frame(0), 1000);
  const File file("snapped.pcap", snapped);
  CaptureParams params = replay(file.path());
  params.cut_frames = true;
  PcapSource source("replay", 0, params);
  const auto offers = produce(source, 10);
  REQUIRE(offers.size() == 6);
  CHECK(offers[5].frame_bytes == 1004);
}

TEST_CASE("real captures go through the wire whole, or say what is wrong with them", "[pcap]") {
  const char* directory = std::getenv("RXPOOL_CAPTURES");
  if (directory == nullptr) {
    WARN("RXPOOL_CAPTURES is not set: no real capture was read");
    return;
  }
  int replayed = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    CaptureParams params = replay(entry.path().string());
    params.cut_frames = true;
    try {
      PcapSource source("replay", 0, params);
      Wire wire(10'000, {&source});
      std::vector<Packet> packets(1000);
      std::uint64_t ip = 0;
      Time last;
      while (const std::size_t count = wire.pull(Time::never(), packets)) {
        for (std::size_t i = 0; i < count; ++i) {
          REQUIRE(packets[i].arrival > last);
          last = packets[i].arrival;
          std::array<std::byte, 128> bytes;
          REQUIRE(source.headers(packets[i], bytes) >= 14);
          ip += source.key(packets[i]).ip_version != 0 ? 1 : 0;
        }
      }
      CHECK(wire.statistics().packets == read_capture(params.path, true).frames.size());
      CHECK(ip > wire.statistics().packets / 2);
      ++replayed;
    } catch (const InputError& error) {
      // Frames behind GRO, files put together from different years, a frame cut to four bytes.
      CHECK_THAT(error.what(), Catch::Matchers::StartsWith(params.path + ": frame "));
    }
  }
  CHECK(replayed > 0);
}
