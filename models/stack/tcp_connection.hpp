#pragma once
// The receiving end of one TCP connection, as far as it decides what is acknowledged, which window is offered and which
// memory is held: reassembly by segment, acknowledgements of every second segment, tcp_rmem autotuning, tcp_mem. A
// state machine without a CPU or a clock of its own. Rules TC-30 to TC-36. Leaves out: handshake, the timer of delayed
// acknowledgements (a lone segment is acknowledged when it is read), collapsing, compressed SACKs, urgent data.

#include <array>
#include <cstdint>
#include <vector>

#include "models/stack/socket_memory.hpp"
#include "models/traffic/tcp/segment.hpp"
#include "sim/time.hpp"

namespace rxpool {

/// What all connections of a host share (net.ipv4.tcp_mem), in pages.
struct TcpMemory {
  std::uint64_t pressure = ~std::uint64_t{0};  ///< windows do not grow beyond it
  std::uint64_t most = ~std::uint64_t{0};      ///< nothing more is queued
  std::uint64_t bytes = 0;                     ///< truesize of all that is queued

  std::uint64_t pages() const { return bytes >> 12; }
};

struct TcpConnectionParams {
  std::uint32_t number = 0;         ///< among the host's connections
  MemoryCgroup* cgroup = nullptr;   ///< that its memory is charged to; null for none
  std::uint32_t segment_bytes = 0;  ///< payload of a full segment
  std::uint32_t rcvbuf = 131072;    ///< bytes at first: tcp_rmem[1], or twice SO_RCVBUF
  std::uint32_t most = 6291456;     ///< bytes it may grow to: tcp_rmem[2]
  bool autotuned = true;            ///< not when the application has set SO_RCVBUF
};

class TcpConnection {
 public:
  TcpConnection(const TcpConnectionParams& params, TcpMemory& memory);

  enum class Arrival : std::uint8_t {
    in_order,       ///< queued; next() has moved on, over what was waiting beyond it too
    beyond,         ///< kept until the gap closes
    old,            ///< was here before: dropped (TCP_OLD_DATA)
    no_buffer,      ///< more than the receive buffer is charged: dropped (SOCKET_RCVBUFF)
    no_tcp_memory,  ///< tcp_mem or the group's memory.max: dropped (PROTO_MEM)
  };
  /// What would become of this segment now.
  Arrival judge(std::uint64_t number) const;
  /// Takes it in; then asks for acknowledgements.
  Arrival receive(Time now, const TcpSegment& segment, std::uint32_t truesize);
  /// The application has copied the oldest segment.
  void read(Time now, std::uint32_t truesize);

  /// Acknowledgements that are due, oldest first; at most two, valid until the next call of anything.
  std::uint32_t acks_due() const { return due_count_; }
  const TcpAck& ack(std::uint32_t i) const { return due_[i]; }
  void acks_sent() { due_count_ = 0; }

  std::uint64_t next() const { return next_; }
  std::uint32_t rmem_alloc() const { return rmem_; }
  std::uint32_t rcvbuf() const { return rcvbuf_; }
  /// Bytes that the last acknowledgement offered.
  std::uint64_t window_bytes() const { return (window_end_ - acked_) * params_.segment_bytes; }

 private:
  struct Block {
    std::uint64_t from;
    std::uint64_t to;
  };
  std::uint64_t window_of_space(std::uint64_t bytes) const { return bytes * scaling_ratio_ >> 8; }
  std::uint64_t space_of_window(std::uint64_t bytes) const { return (bytes << 8) / scaling_ratio_; }
  bool waits(std::uint64_t number) const;
  /// After a change of rmem_ from `before`.
  void charge_group(std::uint32_t before);
  Block keep(std::uint64_t number);
  void advance();
  void grow_window();
  void measure_rtt(Time now);
  void adjust_space(Time now);
  std::uint64_t select_window() const;
  void acknowledge(const Block& block = {0, 0});

  TcpConnectionParams params_;
  TcpMemory& memory_;
  std::uint64_t next_ = 0;       ///< rcv_nxt
  std::uint64_t acked_ = 0;      ///< rcv_wup
  std::uint64_t read_ = 0;       ///< copied_seq
  std::vector<Block> beyond_;    ///< sorted, not touching
  std::uint32_t rmem_ = 0;       ///< sk_rmem_alloc
  std::uint32_t rcvbuf_;         ///< sk_rcvbuf
  std::uint32_t scaling_ratio_;  ///< payload per 256 bytes of truesize
  std::uint64_t ssthresh_;       ///< rcv_ssthresh: bytes that it dares to offer
  std::uint64_t window_end_;
  std::uint32_t quick_acks_;
  bool ce_ = false;
  // Autotuning.
  Time rtt_{0};
  Time rtt_began_{0};
  std::uint64_t rtt_ends_ = 0;  ///< segment that ends the measurement
  Time space_began_{0};
  std::uint64_t space_read_ = 0;  ///< read_ then
  std::uint64_t space_;           ///< bytes read in the best round trip so far

  std::array<TcpAck, 2> due_{};
  std::uint32_t due_count_ = 0;
};

}  // namespace rxpool
