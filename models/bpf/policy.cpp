#include "models/bpf/policy.hpp"

#include <algorithm>
#include <cstring>

#include "models/bpf/checks/check.hpp"
#include "models/bpf/loader.hpp"
#include "models/bpf/maps/array.hpp"
#include "models/bpf/maps/make_map.hpp"
#include "sim/error.hpp"

namespace rxpool::bpf {
namespace {

constexpr std::size_t hook_count = 5;
constexpr std::uint32_t context_stride = 64;
constexpr std::uint32_t extra_context_bytes = 64;

LoadOptions load_options(const PolicyOptions& options) {
  return {[](std::string_view name) { return kfunc_id(name) != 0; }, options.ask_libbpf};
}

std::uint32_t data_base(const Map& map) {
  return map.array_layout()->base;
}

}  // namespace

std::unique_ptr<Policy> Policy::load(const std::string& path, const PolicyOptions& options) {
  return std::unique_ptr<Policy>(new Policy(load_object_file(path, load_options(options)), options));
}

std::unique_ptr<Policy> Policy::load(std::span<const std::uint8_t> bytes, const std::string& label,
                                     const PolicyOptions& options) {
  return std::unique_ptr<Policy>(new Policy(load_object(bytes, label, load_options(options)), options));
}

Policy::~Policy() = default;

Policy::Policy(Object object, PolicyOptions options)
    : object_(std::move(object)),
      options_(std::move(options)),
      findings_(object_.notes),
      helpers_(make_helper_table(options_.helper_costs)) {
  if (options_.cpus == 0 || options_.cpus > 8192 || options_.packet_slots == 0 || options_.packet_slots > 65536) {
    throw InputError("policy: cpus must be 1 to 8192 and packet_slots 1 to 65536");
  }
  apply_params(object_, options_.params);
  const auto remarks = check_object(object_, helpers_);
  findings_.insert(findings_.end(), remarks.begin(), remarks.end());
  choose_entries();
  build_maps();
  std::vector<Program> programs = object_.programs;
  place_programs(programs);
  std::vector<Map*> maps;
  for (const auto& map : maps_) {
    maps.push_back(map.get());
  }
  vm_ = std::make_unique<Vm>(box_, std::move(programs), std::move(maps), helpers_,
                             VmOptions{options_.engine, options_.cost, options_.fuel});
  fill_initial_values();
  build_slots();
}

// The program that bears the object's name serves its hook, else the first in the object (the compiler's order, which
// need not be the source's).
void Policy::choose_entries() {
  entries_.assign(hook_count, -1);
  const std::string stem = object_.label.substr(0, object_.label.find('.'));
  for (std::size_t i = 0; i < object_.programs.size(); ++i) {
    int& entry = entries_[static_cast<std::size_t>(object_.programs[i].hook)];
    entry = entry < 0 || object_.programs[i].name == stem ? static_cast<int>(i) : entry;
  }
  if (!options_.program.empty()) {
    const int index = program_index(options_.program);
    if (index < 0) {
      throw InputError(object_.label + " has no program \"" + options_.program + "\"");
    }
    entries_[static_cast<std::size_t>(object_.programs[static_cast<std::size_t>(index)].hook)] = index;
  }
}

void Policy::build_maps() {
  const MapPlacement place{box_, options_.cpus};
  for (MapDefinition& definition : object_.maps) {
    if (static_cast<MapType>(definition.type) == MapType::perf_event_array && definition.max_entries == 0) {
      definition.max_entries = options_.cpus;  // as libbpf does
    }
    maps_.push_back(make_map(definition, place));
  }
  const int signal = object_.map_index("rxpool_signal");
  if (signal >= 0) {
    const MapDefinition& definition = object_.maps[static_cast<std::size_t>(signal)];
    if (static_cast<MapType>(definition.type) != MapType::array || definition.value_size != sizeof(Signal)) {
      throw InputError(object_.label + ": map rxpool_signal must be an ARRAY of 64-byte values (policy.bpf.h has it)",
                       ExitCode::policy_rejected);
    }
    signal_base_ = data_base(*maps_[static_cast<std::size_t>(signal)]);
    signal_queues_ = definition.max_entries;
  }
}

// Addresses of data sections become constants, kfuncs ids of the helper table.
void Policy::place_programs(std::vector<Program>& programs) const {
  for (Program& program : programs) {
    for (std::size_t at = 0; at < program.insns.size(); ++at) {
      Insn& insn = program.insns[at];
      if (insn.opcode == op::lddw && at + 1 < program.insns.size()) {
        if (insn.src == lddw_kind::map_value) {
          const auto index = static_cast<std::size_t>(insn.imm);
          if (index >= maps_.size() || maps_[index]->array_layout() == nullptr) {
            throw InputError(object_.label + ": program " + program.name + ", instruction " + std::to_string(at) +
                                 ": address of a value of a map that has no fixed place",
                             ExitCode::policy_rejected);
          }
          insn.src = lddw_kind::constant;
          insn.imm = static_cast<std::int32_t>(data_base(*maps_[index]) +
                                               static_cast<std::uint32_t>(program.insns[at + 1].imm));
          program.insns[at + 1].imm = 0;
        }
        ++at;
      } else if (insn.opcode == op::call_insn && insn.src == call_kind::kfunc) {
        const auto index = static_cast<std::size_t>(insn.imm);
        const std::uint32_t id = index < object_.kfuncs.size() ? kfunc_id(object_.kfuncs[index].name) : 0;
        if (id == 0) {
          throw InputError(object_.label + ": program " + program.name + ", instruction " + std::to_string(at) +
                               ": unknown kernel function",
                           ExitCode::policy_rejected);
        }
        insn.imm = static_cast<std::int32_t>(id);
      }
    }
  }
}

void Policy::fill_initial_values() {
  for (std::size_t i = 0; i < object_.maps.size(); ++i) {
    for (const MapInitialEntry& entry : object_.maps[i].initial) {
      const bool programs = maps_[i]->type() == MapType::prog_array;
      const std::uint32_t value =
          programs
              ? static_cast<std::uint32_t>(program_index(entry.target) + 1)
              : static_cast<std::uint32_t>(map_handle(static_cast<std::uint32_t>(object_.map_index(entry.target))));
      maps_[i]->update(runtime(), std::as_bytes(std::span(&entry.index, 1)), std::as_bytes(std::span(&value, 1)),
                       update_any);
    }
  }
}

void Policy::build_slots() {
  const std::uint32_t count = options_.packet_slots;
  const BoxOffset packets = box_.map_packet_slots(count);
  const BoxOffset contexts = box_.map_region(ObjectClass::context, std::uint64_t{count} * context_stride, "contexts");
  extra_context_ = box_.map_region(ObjectClass::context, extra_context_bytes, "hook context");
  views_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    views_[i].slot = packets + i * Box::packet_slot_bytes;
    views_[i].context = contexts + i * context_stride;
    set_packet_size(i, 0, {});
  }
}

int Policy::program_index(const std::string& name) const {
  for (std::size_t i = 0; i < object_.programs.size(); ++i) {
    if (object_.programs[i].name == name) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

void Policy::set_packet(std::uint32_t slot, std::span<const std::uint8_t> bytes, const PacketMeta& meta) {
  ensure(bytes.size() <= max_packet_bytes, "Policy::set_packet: the packet does not fit its slot");
  if (!bytes.empty()) {
    std::memcpy(packet_room(slot).data(), bytes.data(), bytes.size());
  }
  set_packet_size(slot, static_cast<std::uint32_t>(bytes.size()), meta);
}

// A program that the checks did not see may have written into its context: what does not lie in order inside the slot
// reads as empty.
std::span<const std::byte> Policy::packet_bytes(std::uint32_t slot) const {
  const PacketView& view = views_[slot];
  const auto& md = *reinterpret_cast<const XdpMd*>(box_.at(view.context));
  const bool sane = md.data >= view.slot && md.data <= md.data_end && md.data_end <= view.slot + view.slot_bytes;
  return sane ? std::span<const std::byte>{box_.at(md.data), md.data_end - md.data} : std::span<const std::byte>{};
}

std::span<const std::byte> Policy::packet_metadata(std::uint32_t slot) const {
  const PacketView& view = views_[slot];
  const auto& md = *reinterpret_cast<const XdpMd*>(box_.at(view.context));
  const bool sane = md.data_meta >= view.slot && md.data_meta <= md.data && md.data <= view.slot + view.slot_bytes;
  return sane ? std::span<const std::byte>{box_.at(md.data_meta), md.data - md.data_meta}
              : std::span<const std::byte>{};
}

void Policy::run_batch(int program, std::span<Outcome> outcomes) {
  ensure(program >= 0 && outcomes.size() <= views_.size(), "Policy::run_batch: no such program, or too many packets");
  vm_->run_batch(static_cast<std::uint32_t>(program), std::span(views_).first(outcomes.size()), outcomes);
}

std::vector<PacketResult> Policy::run(Hook hook, std::span<const PacketInput> packets) {
  if (!has(hook)) {
    throw InputError(object_.label + " has no program for this hook");
  }
  std::vector<PacketResult> results(packets.size());
  std::vector<Outcome> outcomes;
  for (std::size_t done = 0; done < packets.size(); done += outcomes.size()) {
    outcomes.assign(std::min<std::size_t>(slots(), packets.size() - done), {});
    for (std::uint32_t i = 0; i < outcomes.size(); ++i) {
      const PacketInput& packet = packets[done + i];
      if (packet.bytes.size() > max_packet_bytes) {
        throw InputError("a packet of " + std::to_string(packet.bytes.size()) +
                         " bytes needs multi-buffer XDP, at most " + std::to_string(max_packet_bytes));
      }
      set_packet(i, packet.bytes, packet.meta);
    }
    run_batch(entry(hook), outcomes);
    for (std::uint32_t i = 0; i < outcomes.size(); ++i) {
      const auto copy = [](std::span<const std::byte> bytes) {
        const auto* first = reinterpret_cast<const std::uint8_t*>(bytes.data());
        return Bytes(first, first + bytes.size());
      };
      results[done + i] = {outcomes[i], copy(packet_bytes(i)), copy(packet_metadata(i))};
    }
  }
  return results;
}

Outcome Policy::run_return(const ReturnContext& context) {
  ensure(has(Hook::rxpool_return), "Policy::run_return: no such program");
  std::memcpy(box_.at(extra_context_), &context, sizeof context);
  return vm_->run(static_cast<std::uint32_t>(entry(Hook::rxpool_return)), extra_context_);
}

Outcome Policy::run_egress(std::uint32_t slot, EgressContext& context) {
  ensure(has(Hook::rxpool_egress), "Policy::run_egress: no such program");
  const XdpMd& md = this->context(slot);
  context.data = md.data;
  context.data_end = md.data_end;
  std::memcpy(box_.at(extra_context_), &context, sizeof context);
  const Outcome outcome = vm_->run(static_cast<std::uint32_t>(entry(Hook::rxpool_egress)), extra_context_);
  std::memcpy(&context, box_.at(extra_context_), sizeof context);
  return outcome;
}

MapAccess Policy::map(const std::string& name) {
  const int index = object_.map_index(name);
  if (index < 0) {
    std::string names;
    for (const std::string& known : map_names()) {
      names += (names.empty() ? "" : ", ") + known;
    }
    throw InputError(object_.label + " has no map \"" + name + "\"; it has " + (names.empty() ? "none" : names));
  }
  return {*maps_[static_cast<std::size_t>(index)], runtime()};
}

std::vector<std::string> Policy::map_names() const {
  std::vector<std::string> names;
  for (const MapDefinition& map : object_.maps) {
    names.push_back(map.name);
  }
  return names;
}

int Policy::write_inner(const std::string& outer, const Bytes& key, const std::string& inner) {
  const MapAccess target = map(outer);
  if (target.info().type != MapType::array_of_maps && target.info().type != MapType::hash_of_maps) {
    return -EINVAL;
  }
  map(inner);  // throws for an unknown name
  const auto handle = static_cast<std::uint32_t>(map_handle(static_cast<std::uint32_t>(object_.map_index(inner))));
  const MapDefinition& shape = object_.maps[static_cast<std::size_t>(object_.map_index(outer))].inner[0];
  const MapDefinition& given = object_.maps[static_cast<std::size_t>(object_.map_index(inner))];
  if (shape.type != given.type || shape.key_size != given.key_size || shape.value_size != given.value_size) {
    return -EINVAL;
  }
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&handle);
  return target.write(key, Bytes(bytes, bytes + sizeof handle));
}

Signal* Policy::signal(std::uint32_t queue) {
  if (signal_base_ == 0 || queue >= signal_queues_) {
    return nullptr;
  }
  return reinterpret_cast<Signal*>(box_.at(signal_base_ + queue * static_cast<std::uint32_t>(sizeof(Signal))));
}

std::uint64_t Policy::next_timer_ns() const {
  std::uint64_t earliest = ElementTimer::idle;
  for (const auto& map : maps_) {
    if (map->type() != MapType::array && map->type() != MapType::hash && map->type() != MapType::lru_hash) {
      continue;
    }
    for (const ElementTimer& timer : static_cast<ElementMap&>(*map).value_store()->timers()) {
      earliest = std::min(earliest, timer.due_ns);
    }
  }
  return earliest;
}

std::uint32_t Policy::run_timers(std::uint64_t now_ns) {
  std::uint32_t fired = 0;
  for (std::uint32_t index = 0; index < maps_.size(); ++index) {
    Map& map = *maps_[index];
    if (map.type() != MapType::array && map.type() != MapType::hash && map.type() != MapType::lru_hash) {
      continue;
    }
    auto& elements = static_cast<ElementMap&>(map);
    ValueStore& store = *elements.value_store();
    for (std::uint32_t slot = 0; slot < store.timers().size(); ++slot) {
      ElementTimer& timer = store.timer(slot);
      if (timer.due_ns > now_ns || timer.due_ns == ElementTimer::idle) {
        continue;
      }
      timer.due_ns = ElementTimer::idle;
      vm_->run_function(timer.callback, map_handle(index), elements.key_in_box(slot), elements.value_in_box(slot, 0));
      ++fired;
    }
  }
  return fired;
}

}  // namespace rxpool::bpf
