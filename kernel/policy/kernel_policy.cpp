#include "kernel/policy/kernel_policy.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernel/policy/libbpf_words.hpp"
#include "models/bpf/maps/base.hpp"
#include "models/bpf/needs.hpp"
#include "sim/error.hpp"

namespace rxpool::kernel {
namespace {

using bpf::Bytes;

constexpr std::size_t log_bytes = std::size_t{1} << 20;
constexpr std::size_t largest_answer = 8192;
constexpr std::uint32_t device_bound_only = 1U << 6;  // BPF_F_XDP_DEV_BOUND_ONLY, Linux 6.3
constexpr std::uint32_t native_mode = 1U << 2;        // XDP_FLAGS_DRV_MODE

[[noreturn]] void fail(const std::string& label, const std::string& why, ExitCode code = ExitCode::not_available) {
  throw InputError(label + ": " + why, code);
}

bool is_per_cpu(const bpf_map_info& info) {
  return info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH ||
         info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

bpf_object* open_object(std::span<const std::uint8_t> bytes, const std::string& label) {
  bpf_object_open_opts options{};
  options.sz = sizeof options;
  options.object_name = "policy";
  bpf_object* object = bpf_object__open_mem(bytes.data(), bytes.size(), &options);
  if (object == nullptr) {
    fail(label, std::string("libbpf does not open it: ") + std::strerror(errno), ExitCode::policy_rejected);
  }
  return object;
}

// Chooses what is loaded and sets the knobs; `log`, if any, receives the verifier's words on the chosen programs.
void prepare(bpf_object* object, const bpf::Object& ours, const std::vector<std::string>& programs,
             std::vector<char>* log, std::uint32_t device) {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object) {
    const bool chosen = std::find(programs.begin(), programs.end(), bpf_program__name(program)) != programs.end();
    bpf_program__set_autoload(program, chosen);
    if (chosen && log != nullptr) {
      bpf_program__set_log_buf(program, log->data(), log->size());
      bpf_program__set_log_level(program, 1);
    }
    if (chosen && device != 0) {
      bpf_program__set_ifindex(program, device);
      bpf_program__set_flags(program, device_bound_only);
    }
    const std::string section = bpf_program__section_name(program);
    if (section == "rxpool/return" || section == "rxpool/egress") {
      bpf_program__set_type(program, BPF_PROG_TYPE_SYSCALL);
      bpf_program__set_flags(program, BPF_F_SLEEPABLE);
    }
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);  // "policy.rodata", cut to 15 letters
    const auto dot = name.find('.');
    const int index = dot == std::string::npos ? -1 : ours.map_index(name.substr(dot));
    if (bpf_map__is_internal(map) && index >= 0 &&
        ours.maps[static_cast<std::size_t>(index)].section == bpf::DataSection::rodata) {
      const auto& content = ours.maps[static_cast<std::size_t>(index)].content;
      ensure(bpf_map__set_initial_value(map, content.data(), content.size()) == 0,
             "kernel policy: libbpf and the loader see data sections of different sizes");
    }
  }
}

}  // namespace

std::string refusal() {
  const LibbpfWords words;
  const bpf_insn drop[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 1}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "probe", "GPL", drop, 2, nullptr);
  if (fd < 0) {
    return std::string("the kernel loads no XDP program here: ") + std::strerror(errno);
  }
  close(fd);
  return "";
}

Answer ask(std::span<const std::uint8_t> bytes, const bpf::Object& object, const bpf::Program& program) {
  if (bpf::only_simulated(program.hook)) {
    return {Answer::Kind::not_asked, "no such hook in this kernel"};
  }
  if (const std::string reason = refusal(); !reason.empty()) {
    return {Answer::Kind::not_asked, reason};
  }
  std::vector<char> log(log_bytes);
  const LibbpfWords words;
  const std::unique_ptr<bpf_object, decltype(&bpf_object__close)> theirs(open_object(bytes, object.label),
                                                                         bpf_object__close);
  prepare(theirs.get(), object, {program.name}, &log, 0);
  const int error = bpf_object__load(theirs.get());
  if (error == 0) {
    return {Answer::Kind::accepts, ""};
  }
  log.back() = '\0';
  std::string last = last_line(log.data());
  last = last.empty() ? last_line(words.text()) : last;
  return {Answer::Kind::refuses, last.empty() ? std::strerror(-error) : last};
}

void KernelPolicy::Close::operator()(bpf_object* object) const {
  bpf_object__close(object);
}

KernelPolicy::~KernelPolicy() {
  if (attached_to_ != 0) {
    bpf_xdp_detach(static_cast<int>(attached_to_), native_mode, nullptr);
  }
}

KernelPolicy::KernelPolicy(std::span<const std::uint8_t> bytes, const bpf::Object& object,
                           const std::vector<std::string>& programs, std::uint32_t device)
    : label_(object.label) {
  if (const std::string reason = refusal(); !reason.empty()) {
    fail(label_, reason);
  }
  std::vector<char> log(log_bytes);
  const LibbpfWords words;
  object_.reset(open_object(bytes, label_));
  prepare(object_.get(), object, programs, &log, device);
  if (const int error = bpf_object__load(object_.get()); error != 0) {
    log.back() = '\0';
    std::string last = last_line(log.data());
    last = last.empty() ? last_line(words.text()) : last;
    fail(label_, "the kernel refuses it: " + (last.empty() ? std::strerror(-error) : last), ExitCode::policy_rejected);
  }
}

int KernelPolicy::map_fd(const std::string& name) const {
  const int fd = bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
  if (fd < 0) {
    fail(label_, "the kernel has no map " + name, ExitCode::bad_input);
  }
  return fd;
}

int KernelPolicy::program_fd(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
  const int fd = program == nullptr ? -1 : bpf_program__fd(program);
  ensure(fd >= 0, "kernel policy: a program that was not loaded");
  return fd;
}

KernelPolicy::Run KernelPolicy::run(const std::string& program, std::span<const std::uint8_t> packet,
                                    std::uint32_t repeat) {
  Run run;
  run.bytes.resize(largest_answer);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = static_cast<std::uint32_t>(packet.size());
  options.data_out = run.bytes.data();
  options.data_size_out = static_cast<std::uint32_t>(run.bytes.size());
  options.repeat = static_cast<int>(repeat);
  if (bpf_prog_test_run_opts(program_fd(program), &options) != 0) {
    fail(label_, "BPF_PROG_TEST_RUN of " + program + " on a packet of " + std::to_string(packet.size()) +
                     " bytes: " + std::strerror(errno));
  }
  run.verdict = options.retval;
  run.bytes.resize(options.data_size_out);
  run.duration_ns = options.duration;
  return run;
}

void KernelPolicy::attach(const std::string& program, std::uint32_t ifindex) {
  const int error = bpf_xdp_attach(static_cast<int>(ifindex), program_fd(program), native_mode, nullptr);
  if (error != 0) {
    fail(label_, "attaching " + program + " to interface " + std::to_string(ifindex) + ": " + std::strerror(-error));
  }
  attached_to_ = ifindex;
}

/// A `syscall` program works in place on the context that it is given.
std::uint32_t KernelPolicy::run_on_context(const std::string& program, void* context, std::uint32_t bytes) {
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.ctx_in = context;
  options.ctx_size_in = bytes;
  if (bpf_prog_test_run_opts(program_fd(program), &options) != 0) {
    fail(label_, "BPF_PROG_TEST_RUN of " + program + ": " + std::strerror(errno));
  }
  return options.retval;
}

void KernelPolicy::run_return(const std::string& program, const bpf::ReturnContext& context) {
  bpf::ReturnContext given = context;
  run_on_context(program, &given, sizeof given);
}

std::uint32_t KernelPolicy::run_egress(const std::string& program, bpf::EgressContext& context) {
  return run_on_context(program, &context, sizeof context);
}

int KernelPolicy::write(const std::string& map, const Bytes& key, const Bytes& value) {
  return bpf_map_update_elem(map_fd(map), key.data(), value.data(), BPF_ANY) == 0 ? 0 : -errno;
}

std::map<Bytes, Bytes> KernelPolicy::dump(const std::string& name) const {
  const int fd = map_fd(name);
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (bpf_obj_get_info_by_fd(fd, &info, &length) != 0) {
    fail(label_, "the kernel does not describe map " + name);
  }
  const std::size_t values = is_per_cpu(info) ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
  const std::size_t stride = values == 1 ? info.value_size : bpf::round_up_8(info.value_size);
  std::map<Bytes, Bytes> all;
  Bytes key(info.key_size);
  Bytes raw(stride * values);
  if (key.empty()) {
    return all;
  }
  for (int error = bpf_map_get_next_key(fd, nullptr, key.data()); error == 0;) {
    if (bpf_map_lookup_elem(fd, key.data(), raw.data()) == 0) {
      Bytes value;
      for (std::size_t i = 0; i < values; ++i) {
        const auto first = raw.begin() + static_cast<std::ptrdiff_t>(i * stride);
        value.insert(value.end(), first, first + info.value_size);
      }
      all[key] = value;
    }
    const Bytes previous = key;
    error = bpf_map_get_next_key(fd, previous.data(), key.data());
  }
  return all;
}

}  // namespace rxpool::kernel
