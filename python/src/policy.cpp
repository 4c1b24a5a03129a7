#include "policy.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <optional>

#include "frames.hpp"
#include "kernel/policy/kernel_policy.hpp"
#include "models/bpf/abort.hpp"
#include "models/bpf/compile.hpp"
#include "models/bpf/control_flow.hpp"
#include "models/bpf/maps/make_map.hpp"
#include "models/bpf/needs.hpp"
#include "models/bpf/policy.hpp"
#include "sim/error.hpp"
#include "sim/random.hpp"

namespace py = pybind11;

namespace rxpool::python {
namespace {

using bpf::Bytes;

Bytes to_bytes(const py::bytes& bytes) {
  const auto view = static_cast<std::string_view>(bytes);
  return {view.begin(), view.end()};
}

py::bytes to_python(std::span<const std::byte> bytes) {
  return py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

py::bytes to_python(const Bytes& bytes) {
  return to_python(std::as_bytes(std::span(bytes)));
}

py::list fields(const std::vector<bpf::Variable>& layout) {
  py::list list;
  for (const bpf::Variable& field : layout) {
    py::dict d;
    d["name"] = field.name;
    d["type"] = field.type;
    d["offset"] = field.offset;
    d["size"] = field.size;
    d["element_size"] = field.element_size;
    d["integer"] = field.integer;
    d["signed"] = field.is_signed;
    list.append(std::move(d));
  }
  return list;
}

class Random final : public bpf::RandomSource {
 public:
  Random() : stream_(1, 0, "policy.prandom") {}
  std::uint32_t next_u32() override { return stream_.next_u32(); }

 private:
  RandomStream stream_;
};

bpf::Engine engine_of(const std::string& name) {
  if (name == "interpreter") return bpf::Engine::interpreter;
  if (name == "checked") return bpf::Engine::checked;
  if (name == "jit") return bpf::Engine::jit;
  throw InputError("engine \"" + name + "\": there are jit, interpreter, checked");
}

class LoadedPolicy {
 public:
  LoadedPolicy(const py::bytes& object, const std::string& label, const bpf::Params& params, std::uint32_t cpus,
               const std::string& engine, const std::string& program)
      : bytes_(to_bytes(object)) {
    bpf::PolicyOptions options;
    options.params = params;
    options.cpus = cpus;
    options.engine = engine_of(engine);
    options.program = program;
    options.packet_slots = 1;
    policy_ = bpf::Policy::load(bytes_, label, options);
    policy_->set_random(&random_);
  }

  const bpf::Policy& policy() const { return *policy_; }
  const Bytes& bytes() const { return bytes_; }

  py::list programs() const {
    py::list list;
    const bpf::Object& object = policy_->object();
    for (std::size_t i = 0; i < object.programs.size(); ++i) {
      const bpf::Program& program = object.programs[i];
      const bpf::Needs needs = needs_of(object, program);
      py::dict d;
      d["name"] = program.name;
      d["hook"] = bpf::hook_name(program.hook);
      d["entry"] = policy_->entry(program.hook) == static_cast<int>(i);
      d["only_simulated"] = bpf::only_simulated(program.hook);
      d["instructions"] = program.insns.size();
      d["functions"] = program.subprograms.size();
      d["helpers"] = needs.helpers;
      d["kfuncs"] = needs.kfuncs;
      d["maps"] = needs.maps;
      d["callx"] = needs.calls_register;
      list.append(std::move(d));
    }
    return list;
  }

  py::list maps() const {
    py::list list;
    for (const bpf::MapDefinition& map : policy_->object().maps) {
      py::dict d;
      d["name"] = map.name;
      d["type"] = bpf::map_type_name(map.type);
      d["key_size"] = map.key_size;
      d["value_size"] = map.value_size;
      d["max_entries"] = map.max_entries;
      d["flags"] = map.flags;
      d["data_section"] = map.section != bpf::DataSection::none;
      d["read_only"] = map.section == bpf::DataSection::rodata;
      d["key_fields"] = fields(map.key_fields);
      d["value_fields"] = fields(map.section == bpf::DataSection::none ? map.value_fields : map.variables);
      d["per_element"] = values_per_element(map.name);
      list.append(std::move(d));
    }
    return list;
  }

  py::list knobs() const {
    py::list list;
    for (const bpf::Knob& knob : list_knobs(policy_->object())) {
      list.append(py::make_tuple(knob.name, knob.type, knob.value));
    }
    return list;
  }

  std::string dot(const std::string& program) const {
    const int index = policy_->program_index(program);
    if (index < 0) throw InputError(policy_->object().label + " has no program \"" + program + "\"");
    const bpf::Object& object = policy_->object();
    return control_flow_dot(object, object.programs[static_cast<std::size_t>(index)]);
  }

  /// One packet, `repeat` times from the same bytes: r0, abort, instructions of the last run, bytes, metadata,
  /// redirect, nanoseconds of host time for all runs.
  py::tuple run(const std::string& hook, const py::bytes& packet, std::int64_t now_ns, std::uint32_t cpu,
                std::uint32_t rx_queue, std::optional<std::uint32_t> rx_hash, std::uint32_t repeat) {
    const int entry = entry_of(hook);
    const Bytes bytes = to_bytes(packet);
    if (bytes.size() > bpf::Policy::max_packet_bytes) {
      throw InputError("a packet of " + std::to_string(bytes.size()) +
                       " bytes needs multi-buffer XDP, which is not modelled; at most " +
                       std::to_string(bpf::Policy::max_packet_bytes));
    }
    if (cpu >= policy_->options().cpus) {
      throw InputError("cpu " + std::to_string(cpu) + ": the policy was loaded for " +
                       std::to_string(policy_->options().cpus));
    }
    bpf::PacketMeta meta;
    meta.ingress_ifindex = 1;
    meta.rx_queue_index = rx_queue;
    meta.has_hash = rx_hash.has_value();
    meta.rx_hash = rx_hash.value_or(0);
    meta.rx_timestamp_ns = now_ns;
    meta.has_timestamp = true;
    policy_->set_cpu(cpu);
    bpf::install_fault_handler();  // somebody may have put another on top since the policy was loaded (faulthandler)
    bpf::Outcome outcome;
    std::int64_t host_ns = 0;
    for (std::uint32_t i = 0; i < repeat; ++i) {
      policy_->set_packet(0, bytes, meta);
      policy_->set_now(nanoseconds(now_ns));
      const auto begin = std::chrono::steady_clock::now();
      policy_->run_batch(entry, {&outcome, 1});
      host_ns += std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
    }
    const std::string abort = outcome.abort == 0 ? "" : bpf::abort_name(static_cast<bpf::Abort>(outcome.abort));
    const py::object redirect =
        outcome.redirect.pending
            ? py::object(py::make_tuple(
                  outcome.redirect.map == 0 ? std::string() : policy_->object().maps[outcome.redirect.map - 1].name,
                  outcome.redirect.ifindex_or_key))
            : py::object(py::none());
    return py::make_tuple(outcome.r0, abort, outcome.insns, to_python(policy_->packet_bytes(0)),
                          to_python(policy_->packet_metadata(0)), redirect, host_ns);
  }

  std::uint64_t run_return(std::uint64_t held_ns, std::uint64_t cookie, std::uint32_t rx_hash, std::uint32_t rx_queue,
                           std::uint32_t bytes, std::uint32_t consumer, std::uint32_t cpu, std::int64_t now_ns) {
    entry_of("rxpool/return");
    policy_->set_now(nanoseconds(now_ns));
    bpf::install_fault_handler();
    return policy_->run_return({held_ns, cookie, rx_hash, rx_queue, bytes, consumer, cpu, 0}).insns;
  }

  std::string last_abort() { return policy_->vm().last_abort(); }

  py::object read(const std::string& map, const py::bytes& key) {
    const auto value = policy_->map(map).read(to_bytes(key));
    return value ? py::object(to_python(*value)) : py::object(py::none());
  }
  int write(const std::string& map, const py::bytes& key, const py::bytes& value, std::uint64_t flags) {
    return policy_->map(map).write(to_bytes(key), to_bytes(value), flags);
  }
  int erase(const std::string& map, const py::bytes& key) { return policy_->map(map).erase(to_bytes(key)); }
  py::list dump(const std::string& map) {
    py::list list;
    for (const auto& [key, value] : policy_->map(map).dump()) {
      list.append(py::make_tuple(to_python(key), to_python(value)));
    }
    return list;
  }
  py::list drain(const std::string& map) {
    py::list list;
    for (const Bytes& record : policy_->map(map).drain_ring()) list.append(to_python(record));
    return list;
  }

  /// The memory of an array map as it is: bytes of shape (CPUs, entries, stride). `owner` keeps the policy alive.
  py::array array(const std::string& map, const py::object& owner) {
    const bpf::MapAccess access = policy_->map(map);
    const bpf::ArrayLayout* layout = access.map().array_layout();
    if (layout == nullptr) throw InputError("map " + map + " is no array, it has no memory to look at");
    const std::uint32_t cpus = access.values_per_element();
    auto* data = reinterpret_cast<std::uint8_t*>(policy_->runtime().box->at(layout->base));
    py::array_t<std::uint8_t> view({cpus, layout->max_entries, layout->value_stride},
                                   {std::size_t{layout->cpu_stride}, std::size_t{layout->value_stride}, std::size_t{1}},
                                   data, owner);
    return view;
  }

 private:
  int entry_of(const std::string& hook) const {
    for (const bpf::Hook known : {bpf::Hook::xdp, bpf::Hook::xdp_devmap, bpf::Hook::xdp_cpumap,
                                  bpf::Hook::rxpool_return, bpf::Hook::rxpool_egress}) {
      if (hook == bpf::hook_name(known)) {
        if (policy_->has(known)) return policy_->entry(known);
        throw InputError(policy_->object().label + " has no program for the hook " + hook);
      }
    }
    throw InputError("hook \"" + hook + "\": there are xdp, xdp/devmap, xdp/cpumap, rxpool/return, rxpool/egress");
  }

  std::uint32_t values_per_element(const std::string& map) const { return policy_->map(map).values_per_element(); }

  Bytes bytes_;
  Random random_;
  std::unique_ptr<bpf::Policy> policy_;
};

/// The policy in this machine's kernel: its entry for the xdp hook, or the program named.
class KernelRun {
 public:
  KernelRun(const LoadedPolicy& policy, std::string program)
      : program_(std::move(program)), kernel_(policy.bytes(), policy.policy().object(), {program_}) {}

  py::tuple run(const py::bytes& packet, std::uint32_t repeat) {
    const Bytes bytes = to_bytes(packet);
    const kernel::KernelPolicy::Run answer = kernel_.run(program_, bytes, repeat);
    return py::make_tuple(answer.verdict, to_python(answer.bytes), answer.duration_ns);
  }
  int write(const std::string& map, const py::bytes& key, const py::bytes& value) {
    return kernel_.write(map, to_bytes(key), to_bytes(value));
  }
  py::list dump(const std::string& map) const {
    py::list list;
    for (const auto& [key, value] : kernel_.dump(map)) list.append(py::make_tuple(to_python(key), to_python(value)));
    return list;
  }

 private:
  std::string program_;
  kernel::KernelPolicy kernel_;
};

py::list ask_kernel(const LoadedPolicy& policy) {
  static constexpr const char* words[] = {"accepts", "refuses", "not asked"};
  py::list list;
  const bpf::Object& object = policy.policy().object();
  for (const bpf::Program& program : object.programs) {
    const kernel::Answer answer = kernel::ask(policy.bytes(), object, program);
    list.append(py::make_tuple(program.name, words[static_cast<std::size_t>(answer.kind)], answer.reason));
  }
  return list;
}

py::list frames(const std::string& path) {
  py::list list;
  for (const Frame& frame : read_frames(path)) {
    list.append(py::make_tuple(frame.time_ns, frame.wire_bytes, to_python(frame.bytes)));
  }
  return list;
}

}  // namespace

void bind_policy(py::module_& m) {
  py::class_<LoadedPolicy>(m, "LoadedPolicy")
      .def(py::init<const py::bytes&, const std::string&, const bpf::Params&, std::uint32_t, const std::string&,
                    const std::string&>(),
           py::arg("object"), py::arg("label"), py::arg("params"), py::arg("cpus"), py::arg("engine"),
           py::arg("program"))
      .def("programs", &LoadedPolicy::programs)
      .def("maps", &LoadedPolicy::maps)
      .def("knobs", &LoadedPolicy::knobs)
      .def("license", [](const LoadedPolicy& self) { return self.policy().object().license; })
      .def("findings", [](const LoadedPolicy& self) { return self.policy().findings(); })
      .def("dot", &LoadedPolicy::dot, py::arg("program"))
      .def("run", &LoadedPolicy::run, py::arg("hook"), py::arg("packet"), py::arg("now_ns"), py::arg("cpu"),
           py::arg("rx_queue"), py::arg("rx_hash"), py::arg("repeat"))
      .def("run_return", &LoadedPolicy::run_return, py::arg("held_ns"), py::arg("cookie"), py::arg("rx_hash"),
           py::arg("rx_queue"), py::arg("bytes"), py::arg("consumer"), py::arg("cpu"), py::arg("now_ns"))
      .def("last_abort", &LoadedPolicy::last_abort)
      .def("read", &LoadedPolicy::read, py::arg("map"), py::arg("key"))
      .def("write", &LoadedPolicy::write, py::arg("map"), py::arg("key"), py::arg("value"), py::arg("flags"))
      .def("erase", &LoadedPolicy::erase, py::arg("map"), py::arg("key"))
      .def("dump", &LoadedPolicy::dump, py::arg("map"))
      .def("drain", &LoadedPolicy::drain, py::arg("map"))
      .def("array",
           [](const py::object& self, const std::string& map) { return self.cast<LoadedPolicy&>().array(map, self); });
  py::class_<KernelRun>(m, "KernelRun")
      .def(py::init<const LoadedPolicy&, std::string>(), py::arg("policy"), py::arg("program"))
      .def("run", &KernelRun::run, py::arg("packet"), py::arg("repeat"))
      .def("write", &KernelRun::write, py::arg("map"), py::arg("key"), py::arg("value"))
      .def("dump", &KernelRun::dump, py::arg("map"));
  m.def("ask_kernel", &ask_kernel, py::arg("policy"));
  m.def("read_frames", &frames, py::arg("path"));
  m.def(
      "compile_policy",
      [](const std::string& source, const std::string& name, const std::string& include_folder) {
        Bytes object;
        {
          py::gil_scoped_release unlocked;
          bpf::CompileOptions options;
          options.include_folder = include_folder;
          object = bpf::compile_policy(source, name, options);
        }
        return to_python(object);
      },
      py::arg("source"), py::arg("name"), py::arg("include_folder"));
}

}  // namespace rxpool::python
