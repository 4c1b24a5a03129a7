#include "models/xdp/policy_program.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "models/bpf/compile.hpp"
#include "models/bpf/map_text.hpp"
#include "sim/error.hpp"

namespace rxpool {
namespace {

/// A program that never loads both data and data_end of its context cannot look at packet bytes.
bool loads_packet_pointers(const bpf::Object& object) {
  constexpr std::uint8_t load_word = 0x61;  // LDX | W | MEM
  constexpr std::int16_t data = 0;          // offsets in struct xdp_md
  constexpr std::int16_t data_end = 4;
  bool start = false;
  bool end = false;
  for (const bpf::Program& program : object.programs) {
    for (const bpf::Insn& insn : program.insns) {
      start |= insn.opcode == load_word && insn.offset == data;
      end |= insn.opcode == load_word && insn.offset == data_end;
    }
  }
  return start && end;
}

bool per_cpu(std::uint32_t type) {
  constexpr std::uint32_t percpu_hash = 5;  // BPF_MAP_TYPE_*
  constexpr std::uint32_t percpu_array = 6;
  constexpr std::uint32_t lru_percpu_hash = 10;
  return type == percpu_hash || type == percpu_array || type == lru_percpu_hash;
}

/// The object of a policy. Compiling takes clang some tenths of a second, so a source is compiled once per process; the
/// result depends on nothing but the source and its header.
std::unique_ptr<bpf::Policy> load_policy(const PolicyProgramParams& params, const bpf::PolicyOptions& options) {
  if (!params.object.empty()) return bpf::Policy::load(params.object, params.file, options);
  if (!params.file.ends_with(".bpf.c")) return bpf::Policy::load(params.file, options);
  static std::mutex mutex;
  static std::map<std::string, std::vector<std::uint8_t>> compiled;  // by path
  const std::lock_guard lock(mutex);
  std::vector<std::uint8_t>& object = compiled[params.file];
  if (object.empty()) {
    bpf::CompileOptions compile;
    compile.include_folder = params.include_folder;
    object = bpf::compile_policy_file(params.file, compile);
  }
  return bpf::Policy::load(object, params.file, options);
}

}  // namespace

class PolicyProgram::CpuRandom final : public bpf::RandomSource {
 public:
  CpuRandom(std::uint64_t seed, std::uint32_t replication, const std::string& name)
      : stream_(seed, replication, name) {}
  std::uint32_t next_u32() override { return stream_.next_u32(); }

 private:
  RandomStream stream_;
};

PolicyProgram::PolicyProgram(const PolicyProgramParams& params, const Calibration& calibration,
                             std::vector<const Source*> sources)
    : sources_(std::move(sources)), ifindex_(params.ifindex) {
  bpf::PolicyOptions options;
  options.params = params.knobs;
  options.cpus = params.cpus;
  options.packet_slots = 1;
  const auto price = [&](Step step) { return static_cast<std::uint32_t>(calibration.cost(step).ps); };
  options.cost.insn_ps = price(Step::bpf_instruction);
  options.helper_costs.by_name_ps = {{"bpf_map_lookup_elem", price(Step::bpf_map_lookup)},
                                     {"bpf_map_update_elem", price(Step::bpf_map_update)},
                                     {"bpf_map_delete_elem", price(Step::bpf_map_update)},
                                     {"bpf_ktime_get_ns", price(Step::bpf_ktime)}};
  options.helper_costs.other_ps = price(Step::bpf_helper);
  policy_ = load_policy(params, options);
  entry_ = policy_->entry(bpf::Hook::xdp);
  if (entry_ < 0) {
    throw InputError(params.name + ": " + params.file + " has no program for the xdp hook; give one SEC(\"xdp\")",
                     ExitCode::policy_rejected);
  }
  room_ = policy_->packet_room(0);
  fill_maps(params);
  reads_packet_ = loads_packet_pointers(policy_->object());
  shares_state_ =
      std::any_of(policy_->object().maps.begin(), policy_->object().maps.end(), [](const bpf::MapDefinition& map) {
        return !per_cpu(map.type) && map.section != bpf::DataSection::rodata && map.name != "rxpool_signal";
      });
  for (std::uint32_t cpu = 0; cpu < params.cpus; ++cpu) {
    random_.push_back(
        std::make_unique<CpuRandom>(params.seed, params.replication, params.name + ".cpu" + std::to_string(cpu)));
  }
}

PolicyProgram::~PolicyProgram() = default;

void PolicyProgram::fill_maps(const PolicyProgramParams& params) {
  for (const auto& [name, entries] : params.maps) {
    const std::string place = params.name + ".maps." + name;
    const int index = policy_->object().map_index(name);
    if (index < 0) {
      std::string known;
      for (const bpf::MapDefinition& map : policy_->object().maps) {
        if (map.section == bpf::DataSection::none) known += (known.empty() ? "" : ", ") + map.name;
      }
      throw InputError(place + ": the program has no such map; it has " + (known.empty() ? "none" : known));
    }
    const bpf::MapDefinition& map = policy_->object().maps[static_cast<std::size_t>(index)];
    const bpf::MapAccess access = policy_->map(name);
    for (const auto& [key, value] : entries) {
      const std::string entry = place + ".entries." + key;
      const bpf::Bytes key_bytes = bpf::parse_element(key, map.key_fields, map.key_size, entry + ": key");
      const bpf::Bytes value_bytes = bpf::parse_element(value, map.value_fields, map.value_size, entry + ": value");
      if (const int error = access.write(key_bytes, value_bytes); error != 0) {
        throw InputError(entry + ": the map does not take it: " + std::strerror(-error));
      }
    }
  }
}

/// The packet's bytes, context and metadata, into the one slot.
void PolicyProgram::load(const Packet& packet, Time at) {
  const std::size_t bytes = std::min<std::size_t>(room_.size(), packet.frame_bytes - 4u);  // without FCS
  const std::size_t known = sources_[packet.source]->headers(packet, room_.first(bytes));
  clear_payload(known, bytes);
  // Field by field in their places: a copy of a structure made on the stack would wait for the stores that made it.
  bpf::PacketView& view = policy_->view(0);
  const std::uint32_t data = view.slot + bpf::Box::packet_headroom;
  bpf::XdpMd& context = policy_->context(0);
  context.data = data;
  context.data_end = data + static_cast<std::uint32_t>(bytes);
  context.data_meta = data;
  context.ingress_ifindex = ifindex_;
  context.rx_queue_index = packet.queue;
  context.egress_ifindex = 0;
  bpf::PacketFacts& facts = view.facts;
  facts.rx_hash = packet.rss_hash;
  facts.has_hash = packet.ip_protocol != 0;
  facts.rx_hash_type = packet.ip_protocol == protocol_tcp   ? 1u << 3 | 1u << 4
                       : packet.ip_protocol == protocol_udp ? 1u << 3 | 1u << 5
                                                            : 0;  // XDP_RSS_TYPE_L4_TCP, L4_UDP
  facts.rx_timestamp_ns = packet.arrival.ps / 1000;
  facts.has_timestamp = true;
  policy_->set_now(at);
}

/// A length known beforehand saves small frames a call; what lies behind the frame's end in its slot is nobody's.
inline void PolicyProgram::clear_payload(std::size_t from, std::size_t to) {
  constexpr std::size_t least = 64;
  static_assert(bpf::Policy::max_packet_bytes + least <= bpf::Box::packet_slot_bytes - bpf::Box::packet_headroom);
  std::memset(room_.data() + from, 0, least);
  if (to > from + least) std::memset(room_.data() + from + least, 0, to - from - least);
}

/// Between engine and driver: one packet after the other goes through the same slot, which stays in the host's cache.
class PolicyProgram::Feed final : public bpf::PacketFeed {
 public:
  Feed(PolicyProgram& program, std::span<const Packet> packets, XdpLoop& loop)
      : program_(program), loop_(loop), packet_(packets.data()), end_(packet_ + packets.size()) {
    for (const Packet* ahead = packet_; ahead != end_ && ahead != packet_ + prefetched; ++ahead) prefetch(*ahead);
  }
  bool ran(const bpf::Outcome& outcome) override {
    const XdpVerdict verdict{outcome.r0 <= 4 ? static_cast<XdpAction>(outcome.r0) : XdpAction::aborted,
                             Time{outcome.cost_ps}};
    Time start;
    if (!loop_.answered(verdict, start)) return false;
    ++packet_;
    if (end_ - packet_ >= prefetched) prefetch(packet_[prefetched - 1]);
    program_.load(*packet_, start);
    return true;
  }

 private:
  static constexpr std::ptrdiff_t prefetched = 4;
  void prefetch(const Packet& packet) const { program_.sources_[packet.source]->prefetch(packet); }

  PolicyProgram& program_;
  XdpLoop& loop_;
  const Packet* packet_;
  const Packet* end_;
};

void PolicyProgram::run(std::span<const Packet> packets, std::uint16_t cpu, Time start, XdpLoop& loop) {
  policy_->set_cpu(cpu);
  policy_->set_random(random_[cpu].get());
  Feed feed(*this, packets, loop);
  load(packets.front(), start);
  policy_->run_while(entry_, 0, feed);
}

}  // namespace rxpool
