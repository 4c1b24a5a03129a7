#pragma once
// Packets for comparisons: those of captures (Ethernet, pcap or pcapng), of the folder that RXPOOL_CAPTURES names or
// the shipped ones, and generated ones of every shape the policies look at, cut at random.

#include <cstdint>
#include <vector>

namespace rxpool::bpf {

using PacketCorpus = std::vector<std::vector<std::uint8_t>>;

/// Only packets that BPF_PROG_TEST_RUN takes (14 to 3400 bytes).
PacketCorpus captured_packets();
PacketCorpus generated_packets(std::size_t count);

}  // namespace rxpool::bpf
