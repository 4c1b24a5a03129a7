#pragma once
// A packet on its way from the wire to the queue: one cache line, no pointers. Header bytes are not carried along;
// whoever reads them (a policy, a capture) asks the source that made the packet (models/traffic/source.hpp).

#include <cstdint>

#include "sim/time.hpp"

namespace rxpool {

/// What the sender says of a frame.
struct Frame {
  std::uint64_t variant = 0;      ///< per-packet entropy of sources that draw addresses per packet; 0 otherwise
  std::uint32_t flow = 0;         ///< index into the source's flow table
  std::uint16_t frame_bytes = 0;  ///< length on the wire with FCS, without preamble and gap
  std::uint8_t ip_protocol = 0;   ///< 6 TCP, 17 UDP, 0 when not IP
  std::uint8_t flags = 0;         ///< PacketFlag bits
};

struct alignas(64) Packet : Frame {
  Time arrival;          ///< last bit received at the port
  std::uint64_t id = 0;  ///< (source index << 48) | sequence within the source, from 0
  // Filled by the NIC's steering.
  std::uint32_t rss_hash = 0;          ///< Toeplitz hash (RS-1)
  std::uint16_t queue = 0;             ///< RX queue
  std::uint16_t destination_port = 0;  ///< TCP or UDP, host byte order
  std::uint16_t source = 0;            ///< index of the source among the scenario's sorted source names
  std::uint16_t reserved = 0;
  std::uint32_t buffer = 0;  ///< where the NIC wrote it: BufferId of models/memory/llc.hpp
  Time completed;            ///< completion visible to the driver
};
static_assert(sizeof(Packet) == 64);

}  // namespace rxpool
