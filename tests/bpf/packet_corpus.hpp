#pragma once
// Packets for comparisons: those of the captures that RXPOOL_CAPTURES names (Ethernet, pcap or pcapng), and generated
// ones of every shape the policies look at, cut at random.

#include <cstdint>
#include <vector>

namespace rxpool::bpf {

using PacketCorpus = std::vector<std::vector<std::uint8_t>>;

/// Empty where RXPOOL_CAPTURES is not set. Only packets that BPF_PROG_TEST_RUN takes (14 to 3400 bytes).
PacketCorpus captured_packets();
PacketCorpus generated_packets(std::size_t count);

}  // namespace rxpool::bpf
