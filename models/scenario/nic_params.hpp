#pragma once
// `nics.<name>`: a network device with its queues, steering, interrupt moderation and the netfilter rules in front of
// its sockets. Defaults follow the driver (models/scenario/driver_defaults.hpp); a queue's defaults follow its NIC.

#include <cstdint>
#include <map>
#include <string>

#include "models/scenario/driver_defaults.hpp"
#include "models/scenario/field.hpp"
#include "models/scenario/xdp_features.hpp"

namespace rxpool::scenario {

/// The bus between NIC and memory as a server; zeros take the calibration's numbers.
struct PcieParams {
  double gbytes_per_s = 0;
  double packet_ns = 0;
  bool cqe_compress = false;
};

inline void fields(FieldVisitor& v, PcieParams& p) {
  v.number("gbytes_per_s", p.gbytes_per_s, {0, 1000, "GB/s"}, "Byte rate of the bus; 0 takes the calibration's.");
  v.number("packet_ns", p.packet_ns, {0, 1e6, "ns"},
           "Descriptor and completion overhead per packet; 0 takes the calibration's.");
  v.flag("cqe_compress", p.cqe_compress, "Completion compression (XP-9), in place of one completion per packet.");
}

enum class HashFields { sd, sdfn };

/// Receive-side scaling (RS-1 to RS-13).
struct RssParams {
  /// The Microsoft verification key (RS-3): Linux draws one per boot (RS-5), a scenario has to be repeatable.
  std::string key = "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa";
  std::uint32_t indirection_size = 128;
  std::map<std::string, double> indirection;
  HashFields udp = HashFields::sdfn;
  HashFields tcp = HashFields::sdfn;
};

inline void fields(FieldVisitor& v, RssParams& p) {
  v.text("key", p.key, "Toeplitz key, 40 to 52 bytes in hexadecimal (RS-3).");
  v.number("indirection_size", p.indirection_size, {1, 4096, "entries"},
           "Entries of the indirection table, a power of two (RS-10).", "by driver");
  v.numbers("indirection", p.indirection, {0, 65535},
            "Weight of each queue in the table, as `ethtool -X weight` (RS-12); empty: all equal.");
  v.choice<HashFields>("udp", p.udp, {{"sd", HashFields::sd}, {"sdfn", HashFields::sdfn}},
                       "Fields hashed for UDP: addresses only, or with ports (RS-13).");
  v.choice<HashFields>("tcp", p.tcp, {{"sd", HashFields::sd}, {"sdfn", HashFields::sdfn}},
                       "Fields hashed for TCP (RS-13).");
}

enum class RuleProtocol { any, tcp, udp };

/// A steering rule that is tried before RSS (RS-12). Rules are tried in the order of their names.
struct NtupleParams {
  std::string src;
  std::string dst;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  RuleProtocol protocol = RuleProtocol::any;
  std::string queue;
  bool drop = false;
};

inline void fields(FieldVisitor& v, NtupleParams& p) {
  v.text("src", p.src, "Source address or prefix (CIDR); empty matches all.");
  v.text("dst", p.dst, "Destination address or prefix (CIDR); empty matches all.");
  v.number("src_port", p.src_port, {0, 65535}, "Source port; 0 matches all.");
  v.number("dst_port", p.dst_port, {0, 65535}, "Destination port; 0 matches all.");
  v.choice<RuleProtocol>("protocol", p.protocol,
                         {{"any", RuleProtocol::any}, {"tcp", RuleProtocol::tcp}, {"udp", RuleProtocol::udp}},
                         "Transport protocol.");
  v.text("queue", p.queue, "RX queue that matching packets go to.");
  v.choice<bool>("action", p.drop, {{"queue", false}, {"drop", true}}, "Deliver to `queue`, or drop in the NIC.");
}

struct QueueParams {
  Driver driver = Driver::mlx5;  ///< of its NIC; not a key
  std::string cpu;
  std::uint32_t rx_ring = 1024;
  std::uint32_t rx_usecs = 16;
  std::uint32_t rx_frames = 32;
  bool adaptive_rx = true;
  std::uint32_t pool_size = 1024;
  bool napi_threaded = false;
  bool napi_busy_poll = false;
  std::string thread_cpu;
};

inline void fields(FieldVisitor& v, QueueParams& p) {
  v.text("cpu", p.cpu, "CPU that takes the queue's interrupt, required.");
  v.number("rx_ring", p.rx_ring, {1, 8192, "packets"}, "Descriptors (`ethtool -G`), within the driver's limits.",
           "the NIC's");
  v.derive([&] { p.pool_size = default_pool_size(p.driver, p.rx_ring); });
  v.number("rx_usecs", p.rx_usecs, {0, 1e6, "us"}, "Interrupt moderation: longest wait (NA-50).", "the NIC's");
  v.number("rx_frames", p.rx_frames, {0, 65535, "packets"},
           "Interrupt moderation: most packets waiting; 0 no such limit (NA-50).", "the NIC's");
  v.flag("adaptive_rx", p.adaptive_rx, "Moderation tuned at run time by DIM (NA-52).", "the NIC's");
  v.number("pool_size", p.pool_size, {0, 32768, "pages"},
           "Size asked for the page_pool's ptr_ring; 0 is the kernel's 1024 where the driver has a pool.",
           "by driver and ring");
  v.flag("napi_threaded", p.napi_threaded, "Poll in a kernel thread of its own (NA-40).", "the NIC's");
  v.flag("napi_busy_poll", p.napi_busy_poll,
         "That thread never stops polling, `threaded` is `busy-poll` (NA-47); needs napi_threaded.");
  v.text("thread_cpu", p.thread_cpu, "CPU of that thread; empty: the interrupt's.");
}

/// A rule that drops.
struct DropRuleParams {
  bool enabled = false;
  RuleProtocol protocol = RuleProtocol::any;
  std::uint16_t dst_port = 0;
};

inline void fields(FieldVisitor& v, DropRuleParams& p) {
  v.flag("enabled", p.enabled, "Whether the rule exists.");
  v.choice<RuleProtocol>("protocol", p.protocol,
                         {{"any", RuleProtocol::any}, {"tcp", RuleProtocol::tcp}, {"udp", RuleProtocol::udp}},
                         "Transport protocol it drops.");
  v.number("dst_port", p.dst_port, {0, 65535}, "Destination port it drops; 0 all.");
}

struct NetfilterParams {
  DropRuleParams raw_drop;
  DropRuleParams filter_drop;
  bool filter = false;
  std::uint32_t filter_rules = 1;
  bool conntrack = false;
};

inline void fields(FieldVisitor& v, NetfilterParams& p) {
  v.object("raw_drop", p.raw_drop, "A rule that drops in PREROUTING raw, before the stack.", "enabled");
  v.object("filter_drop", p.filter_drop, "A rule that drops in INPUT filter, after the route lookup (XP-20).",
           "enabled");
  v.derive([&] { p.filter = p.filter_drop.enabled; });
  v.flag("filter", p.filter, "Whether a filter table is loaded (CM-9).", "as filter_drop");
  v.number("filter_rules", p.filter_rules, {1, 100000, "rules"},
           "Rules that a packet passes in the loaded tables; what one costs is in the calibration (CM-9).");
  v.flag("conntrack", p.conntrack, "Whether connection tracking is loaded (XP-20).");
}

struct NicParams {
  Driver driver = Driver::mlx5;
  double link_gbps = 100;
  bool link_up = true;
  std::uint32_t stats_block_usecs = 0;
  std::uint32_t node = 0;
  std::uint32_t mtu = 1500;
  double buffer_kib = 256;
  PcieParams pcie;
  std::uint32_t rx_ring = 1024;
  std::uint32_t tx_ring = 1024;
  std::uint32_t tx_usecs = 16;
  bool rx_cqe_mode = false;
  std::uint32_t rx_usecs = 16;
  std::uint32_t rx_frames = 32;
  bool adaptive_rx = true;
  bool gro = true;
  bool napi_threaded = false;
  double gro_flush_timeout_ns = 0;
  double irq_suspend_timeout_ns = 0;
  std::uint32_t napi_defer_hard_irqs = 0;
  RssParams rss;
  Named<NtupleParams> ntuple;
  NetfilterParams netfilter;
  Named<QueueParams> rx_queues;
};

inline void set_driver_defaults(NicParams& p) {
  const DriverDefaults& d = driver_defaults(p.driver);
  p.link_gbps = d.link_gbps;
  p.stats_block_usecs = d.stats_block_usecs;
  p.buffer_kib = d.buffer_kib;
  p.rx_ring = d.rx_ring;
  p.tx_ring = xdp_features(p.driver).tx_ring;
  p.rx_usecs = d.rx_usecs;
  p.tx_usecs = d.rx_usecs;
  p.rx_frames = d.rx_frames;
  p.adaptive_rx = d.adaptive_rx;
  p.rss.indirection_size = d.indirection_size;
}

inline QueueParams queue_of(const NicParams& p) {
  QueueParams queue;
  queue.driver = p.driver;
  queue.rx_ring = p.rx_ring;
  queue.rx_usecs = p.rx_usecs;
  queue.rx_frames = p.rx_frames;
  queue.adaptive_rx = p.adaptive_rx;
  queue.pool_size = default_pool_size(p.driver, p.rx_ring);
  queue.napi_threaded = p.napi_threaded;
  return queue;
}

inline void fields(FieldVisitor& v, NicParams& p) {
  std::vector<std::pair<std::string_view, Driver>> drivers;
  for (const DriverDefaults& row : driver_table) drivers.emplace_back(row.name, row.driver);
  v.choice<Driver>("driver", p.driver, drivers, "Driver profile, which sets most defaults.");
  v.derive([&] { set_driver_defaults(p); });
  v.number("link_gbps", p.link_gbps, {0.001, 1600, "Gbit/s"}, "Link rate.", "by driver");
  v.flag("link_up", p.link_up, "Whether the link is up at the start; a timed change can switch it.");
  v.number("node", p.node, {0, 63}, "NUMA node of the slot.");
  v.number("mtu", p.mtu, {68, 9000, "bytes"}, "Largest IP packet.");
  v.number("buffer_kib", p.buffer_kib, {0, 1048576, "KiB"}, "Packet buffer on the NIC; 0 for a device without one.",
           "by driver");
  v.object("pcie", p.pcie, "The bus.");
  v.number("rx_ring", p.rx_ring, {1, 8192, "packets"}, "Default ring size of its queues (`ethtool -G`).", "by driver");
  v.number("tx_ring", p.tx_ring, {16, 8192, "packets"}, "Descriptors of each XDP transmit queue (`ethtool -G tx`).",
           "by driver");
  v.number("tx_usecs", p.tx_usecs, {0, 1e6, "us"}, "From a transmit completion to its interrupt (`ethtool -C`, NA-51).",
           "by driver");
  v.flag("rx_cqe_mode", p.rx_cqe_mode, "Moderation timer restarts at each completion (NA-50).");
  v.derive([&] {
    if (p.rx_cqe_mode && (p.driver == Driver::mlx5 || p.driver == Driver::mlx5_striding)) p.rx_usecs = 3;  // NA-51
  });
  v.number("rx_usecs", p.rx_usecs, {0, 1e6, "us"}, "Default moderation time of its queues (NA-50, NA-51).",
           "by driver");
  v.number("rx_frames", p.rx_frames, {0, 65535, "packets"}, "Default moderation count of its queues (NA-50, NA-51).",
           "by driver");
  v.flag("adaptive_rx", p.adaptive_rx, "Default of its queues: moderation tuned by DIM (NA-52).", "by driver");
  v.number("stats_block_usecs", p.stats_block_usecs, {0, 1e8, "us"},
           "How often the driver renews its hardware counters (`ethtool -C`); 0 at every reading (DR-50).",
           "by driver");
  v.flag("gro", p.gro, "Generic receive offload (SK-10).");
  v.flag("napi_threaded", p.napi_threaded, "Default of its queues: threaded NAPI (NA-40).");
  v.number("gro_flush_timeout_ns", p.gro_flush_timeout_ns, {0, 1e10, "ns"}, "Deferral timer (NA-24).");
  v.number("irq_suspend_timeout_ns", p.irq_suspend_timeout_ns, {0, 1e10, "ns"},
           "How long a reader that prefers busy polling keeps the interrupt off after it found packets (NA-48).");
  v.number("napi_defer_hard_irqs", p.napi_defer_hard_irqs, {0, 1e6, "polls"},
           "Empty polls before the interrupt is unmasked (NA-24).");
  v.object("rss", p.rss, "Receive-side scaling.");
  v.children("ntuple", p.ntuple, "Steering rules before RSS, tried in the order of their names.");
  v.object("netfilter", p.netfilter, "Rules that its packets meet in the stack.");
  v.children<QueueParams>("rx_queues", p.rx_queues, "RX queues; the order of their names is their index.",
                          [&p] { return queue_of(p); });
}

}  // namespace rxpool::scenario
