#include "tests/bpf/packet_corpus.hpp"

#include <pcap/pcap.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "tests/bpf/packet_builder.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t least = 14;
constexpr std::size_t most = 3400;

void read_capture(const std::string& path, PacketCorpus& packets) {
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* capture = pcap_open_offline(path.c_str(), error);
  if (capture == nullptr) {
    return;
  }
  pcap_pkthdr* header = nullptr;
  const unsigned char* bytes = nullptr;
  while (pcap_datalink(capture) == DLT_EN10MB && pcap_next_ex(capture, &header, &bytes) == 1) {
    if (header->caplen >= least && header->caplen <= most) {
      packets.emplace_back(bytes, bytes + header->caplen);
    }
  }
  pcap_close(capture);
}

}  // namespace

PacketCorpus captured_packets() {
  PacketCorpus packets;
  const char* const named = std::getenv("RXPOOL_CAPTURES");
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(named != nullptr ? named : RXPOOL_SHIPPED_CAPTURES)) {
    paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    read_capture(path, packets);
  }
  return packets;
}

PacketCorpus generated_packets(std::size_t count) {
  PacketCorpus packets;
  std::mt19937 random(1);  // test input only
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  while (packets.size() < count) {
    PacketBuilder builder;
    const std::string source = "10.0." + std::to_string(below(4)) + "." + std::to_string(below(200));
    const std::uint32_t shape = below(10);
    const auto port = [&] { return static_cast<std::uint16_t>(below(3) == 0 ? 9 : below(300)); };
    if (shape < 7) {
      builder.ipv4(source, "10.9.0." + std::to_string(below(8)), below(20) == 0 ? 77 : 0);
    } else if (shape < 9) {
      builder.ipv6("2001:db8::" + std::to_string(below(99)), "2001:db8::1");
    } else {
      builder.arp();
    }
    if (shape < 9) {
      switch (below(3)) {
        case 0:
          builder.udp(port(), port());
          break;
        case 1:
          builder.tcp(port(), port(), static_cast<std::uint8_t>(below(32)));
          break;
        default:
          builder.icmp();
      }
    }
    std::vector<std::uint8_t> bytes = builder.payload(below(200)).bytes();
    if (below(10) == 0) {
      bytes.resize(std::max<std::size_t>(least, below(static_cast<std::uint32_t>(bytes.size()))));
    }
    packets.push_back(std::move(bytes));
  }
  return packets;
}

}  // namespace rxpool::bpf
