#include "models/xdp/policy_program.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

#include "models/bpf/compile.hpp"
#include "models/bpf/map_text.hpp"
#include "models/xdp/devmap_program.hpp"
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

constexpr std::uint32_t rx_slot = 0;      // of the box
constexpr std::uint32_t devmap_slot = 1;  // for programs of devmap entries
constexpr std::uint32_t slots = 2;

/// Maps that programs cannot change.
bool read_only(const bpf::MapDefinition& map) {
  const auto type = static_cast<bpf::MapType>(map.type);
  return map.section == bpf::DataSection::rodata || bpf::is_redirect_map(type) || type == bpf::MapType::prog_array;
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

/// The key of a cpumap: a number as it is, or the name of a CPU.
std::string cpu_number(const std::string& key, const std::vector<std::string>& cpus) {
  const auto named = std::find(cpus.begin(), cpus.end(), key);
  return named == cpus.end() ? key : std::to_string(named - cpus.begin());
}

/// The value of an entry of a scenario as it lies in the map. Those of redirect maps are what the host has, by name.
bpf::Bytes value_of(const std::string& text, const bpf::MapDefinition& map, const bpf::Policy& policy,
                    const PolicyProgramParams& params, const std::string& entry) {
  switch (static_cast<bpf::MapType>(map.type)) {
    case bpf::MapType::cpumap:
      return cpumap_value(text, policy, map.value_size, entry);
    case bpf::MapType::devmap:
    case bpf::MapType::devmap_hash:
      return devmap_value(text, policy, map.value_size, params.interfaces, entry);
    case bpf::MapType::xskmap:
      return xskmap_value(text, params.xsks, map.value_size, entry);
    default:
      return bpf::parse_element(text, map.value_fields, map.value_size, entry + ": value");
  }
}

void fill_maps(bpf::Policy& policy, const PolicyProgramParams& params) {
  for (const auto& [name, entries] : params.maps) {
    const std::string place = params.name + ".maps." + name;
    const int index = policy.object().map_index(name);
    if (index < 0) {
      std::string known;
      for (const bpf::MapDefinition& map : policy.object().maps) {
        if (map.section == bpf::DataSection::none) known += (known.empty() ? "" : ", ") + map.name;
      }
      throw InputError(place + ": the program has no such map; it has " + (known.empty() ? "none" : known));
    }
    const bpf::MapDefinition& map = policy.object().maps[static_cast<std::size_t>(index)];
    const bpf::MapAccess access = policy.map(name);
    for (const auto& [key, value] : entries) {
      const std::string entry = place + ".entries." + key;
      const bool by_cpu = static_cast<bpf::MapType>(map.type) == bpf::MapType::cpumap;
      const bpf::Bytes key_bytes = bpf::parse_element(by_cpu ? cpu_number(key, params.cpus) : key, map.key_fields,
                                                      map.key_size, entry + ": key");
      const bpf::Bytes value_bytes = value_of(value, map, policy, params, entry);
      if (const int error = access.write(key_bytes, value_bytes); error != 0) {
        throw InputError(entry + ": the map does not take it: " + std::strerror(-error));
      }
    }
  }
}

/// Length of a frame, with FCS, of which the program was shown at most `room` bytes and left `after`.
std::uint16_t length_after(std::uint16_t frame_bytes, std::size_t room, std::size_t after) {
  constexpr std::size_t shortest = 64;  // padded
  const std::size_t shown = std::min<std::size_t>(room, frame_bytes - 4u);
  return static_cast<std::uint16_t>(std::max(shortest, frame_bytes + after - shown));
}

/// The policy, loaded and with its maps filled.
std::unique_ptr<bpf::Policy> loaded(const PolicyProgramParams& params, const Calibration& calibration) {
  bpf::PolicyOptions options;
  options.params = params.knobs;
  options.cpus = static_cast<std::uint32_t>(params.cpus.size());
  options.packet_slots = slots;
  const auto price = [&](Step step) { return static_cast<std::uint32_t>(calibration.cost(step).ps); };
  options.cost.insn_ps = price(Step::bpf_instruction);
  options.helper_costs.by_name_ps = {{"bpf_map_lookup_elem", price(Step::bpf_map_lookup)},
                                     {"bpf_map_update_elem", price(Step::bpf_map_update)},
                                     {"bpf_map_delete_elem", price(Step::bpf_map_update)},
                                     {"bpf_ktime_get_ns", price(Step::bpf_ktime)}};
  options.helper_costs.other_ps = price(Step::bpf_helper);
  std::unique_ptr<bpf::Policy> policy = load_policy(params, options);
  if (!policy->has(bpf::Hook::xdp)) {
    throw InputError(params.name + ": " + params.file + " has no program for the xdp hook; give one SEC(\"xdp\")",
                     ExitCode::policy_rejected);
  }
  fill_maps(*policy, params);
  return policy;
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

/// One run of a program over one packet.
struct OneRun final : bpf::PacketFeed {
  bool ran(const bpf::Outcome& done) override {
    outcome = done;
    return false;
  }
  XdpVerdict verdict() const {
    return {.action = outcome.r0 <= 4 ? static_cast<XdpAction>(outcome.r0) : XdpAction::aborted,
            .cost = Time{outcome.cost_ps}};
  }
  bpf::Outcome outcome;
};

/// The program of a cpumap entry. It sees a packet as it was received: what the first program wrote is not kept.
class PolicyProgram::Cpumap final : public CpumapProgram {
 public:
  Cpumap(PolicyProgram& owner, int program) : owner_(owner), program_(program) {}

  XdpVerdict run(const Packet& packet, std::uint16_t cpu, Time start) override {
    bpf::Policy& policy = *owner_.policy_;
    owner_.load(packet, start);
    policy.context(rx_slot).rx_queue_index = 0;  // XD-37: not handed on, and no hints
    policy.view(rx_slot).facts.has_hash = false;
    policy.view(rx_slot).facts.has_timestamp = false;
    owner_.enter(cpu);
    OneRun one;
    policy.run_while(program_, rx_slot, one);
    return one.verdict();
  }

 private:
  PolicyProgram& owner_;
  int program_;
};

/// The program of a devmap entry, over frames that the policy has sent there.
class PolicyProgram::Devmap final : public DevmapProgram {
 public:
  Devmap(PolicyProgram& owner, int program) : owner_(owner), program_(program) {}

  std::uint32_t keep() override {
    bpf::Policy& policy = *owner_.policy_;
    return owner_.kept_->keep(policy.packet_metadata(rx_slot), policy.packet_bytes(rx_slot));
  }
  XdpVerdict run(XdpFrame& frame, const XdpDevice& to, std::uint16_t cpu, Time start) override {
    bpf::Policy& policy = *owner_.policy_;
    const std::span<const std::byte> metadata = owner_.kept_->metadata(frame.kept);
    const std::span<const std::byte> bytes = owner_.kept_->bytes(frame.kept);
    // A frame that has grown at its head begins nearer to its buffer's begin; the program sees 256 bytes again.
    const std::span<std::byte> room = policy.packet_room(devmap_slot);
    const std::size_t shown = std::min(bytes.size(), room.size());
    std::memcpy(room.data() - metadata.size(), metadata.data(), metadata.size());
    std::memcpy(room.data(), bytes.data(), shown);
    bpf::PacketMeta meta;  // no hints: the device is no longer at hand
    meta.ingress_ifindex = owner_.ifindex_;
    meta.egress_ifindex = to.ifindex;
    policy.set_packet_size(devmap_slot, static_cast<std::uint32_t>(shown), meta);
    policy.context(devmap_slot).data_meta -= static_cast<std::uint32_t>(metadata.size());
    owner_.kept_->release(frame.kept);
    owner_.enter(cpu);
    policy.set_now(start);
    OneRun one;
    policy.run_while(program_, devmap_slot, one);
    const std::size_t after = policy.packet_bytes(devmap_slot).size();
    frame.packet.frame_bytes = length_after(frame.packet.frame_bytes, room.size(), after);
    return one.verdict();
  }

 private:
  PolicyProgram& owner_;
  int program_;
};

PolicyProgram::PolicyProgram(const PolicyProgramParams& params, const Calibration& calibration,
                             std::vector<const Source*> sources)
    : policy_(loaded(params, calibration)),
      redirect_(*policy_),
      sources_(std::move(sources)),
      ifindex_(params.ifindex),
      queues_(params.queues),
      entry_(policy_->entry(bpf::Hook::xdp)),
      reads_packet_(loads_packet_pointers(policy_->object())) {
  room_ = policy_->packet_room(rx_slot);
  shares_state_ =
      std::any_of(policy_->object().maps.begin(), policy_->object().maps.end(), [](const bpf::MapDefinition& map) {
        return !bpf::is_per_cpu(static_cast<bpf::MapType>(map.type)) && !read_only(map) && map.name != "rxpool_signal";
      });
  for (std::size_t cpu = 0; cpu < params.cpus.size(); ++cpu) {
    random_.push_back(
        std::make_unique<CpuRandom>(params.seed, params.replication, params.name + ".cpu" + std::to_string(cpu)));
  }
}

PolicyProgram::~PolicyProgram() = default;

void PolicyProgram::enter(std::uint16_t cpu) {
  policy_->set_cpu(cpu);
  policy_->set_random(random_[cpu].get());
}

/// The packet's bytes, context and metadata, into the one slot.
void PolicyProgram::load(const Packet& packet, Time at) {
  const std::size_t bytes = std::min<std::size_t>(room_.size(), packet.frame_bytes - 4u);  // without FCS
  const std::size_t known = sources_[packet.source]->headers(packet, room_.first(bytes));
  clear_payload(known, bytes);
  // Field by field in their places: a copy of a structure made on the stack would wait for the stores that made it.
  bpf::PacketView& view = policy_->view(rx_slot);
  const std::uint32_t data = view.slot + bpf::Box::packet_headroom;
  bpf::XdpMd& context = policy_->context(rx_slot);
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

/// What a program's run over `bytes` of packet says to the driver.
inline XdpVerdict PolicyProgram::verdict_of(const Packet& packet, const bpf::Outcome& outcome) {
  XdpVerdict verdict{.action = outcome.r0 <= 4 ? static_cast<XdpAction>(outcome.r0) : XdpAction::aborted,
                     .cost = Time{outcome.cost_ps}};
  if (verdict.action == XdpAction::tx || verdict.action == XdpAction::redirect) [[unlikely]] {
    verdict.frame_bytes = length_after(packet.frame_bytes, room_.size(), policy_->packet_bytes(rx_slot).size());
  }
  if (verdict.action == XdpAction::redirect) [[unlikely]] {
    verdict.redirection = redirect_.resolve(outcome.redirect, verdict.frame_bytes, ifindex_);
  }
  return verdict;
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
    Time start;
    if (!loop_.answered(program_.verdict_of(*packet_, outcome), start)) return false;
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

std::uint64_t PolicyProgram::cookie() const {
  const std::span<const std::byte> metadata = policy_->packet_metadata(0);
  std::uint64_t cookie = 0;
  if (metadata.size() >= sizeof cookie) std::memcpy(&cookie, metadata.data(), sizeof cookie);
  return cookie;
}

Time PolicyProgram::returned(const Packet& packet, std::uint64_t cookie, std::uint16_t cpu, Time now) {
  constexpr std::uint32_t consumer_stack = 2;
  bpf::ReturnContext context;
  context.held_ns = static_cast<std::uint64_t>((now - packet.completed).ps / 1000);
  context.cookie = cookie;
  context.rx_hash = packet.rss_hash;
  context.rx_queue_index = packet.queue;
  context.bytes = packet.frame_bytes - 4u;  // without FCS
  context.consumer = consumer_stack;
  context.cpu = cpu;
  enter(cpu);
  policy_->set_now(now);
  return Time{policy_->run_return(context).cost_ps};
}

std::optional<bpf::MapAccess> PolicyProgram::map(const std::string& name) const {
  if (policy_->object().map_index(name) < 0) return std::nullopt;
  return policy_->map(name);
}

void PolicyProgram::run(std::span<const Packet> packets, std::uint16_t cpu, Time start, XdpLoop& loop) {
  enter(cpu);
  Feed feed(*this, packets, loop);
  load(packets.front(), start);
  policy_->run_while(entry_, rx_slot, feed);
}

void PolicyProgram::prepare_devmap_programs(std::uint32_t targets) {
  if (!redirect_.has_devmap_programs()) return;
  constexpr std::uint32_t most_in_bulk = 17;  // 16, and the one that finds them there
  kept_ = std::make_unique<KeptFrames>(most_in_bulk * targets * queues_);
  for (std::size_t i = 0; i < policy_->object().programs.size(); ++i) {
    if (policy_->object().programs[i].hook != bpf::Hook::xdp_devmap) continue;
    const auto index = static_cast<int>(i);
    redirect_.set_program(index, *devmap_programs_.emplace_back(std::make_unique<Devmap>(*this, index)));
  }
}

CpumapProgram& PolicyProgram::cpumap_program(std::int32_t index) {
  return *cpumap_programs_.emplace_back(std::make_unique<Cpumap>(*this, index));
}

}  // namespace rxpool
