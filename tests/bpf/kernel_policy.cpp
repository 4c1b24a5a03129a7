#include "tests/bpf/kernel_policy.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/loader.hpp"

namespace rxpool::bpf {
namespace {

bool is_per_cpu(const bpf_map_info& info) {
  return info.type == BPF_MAP_TYPE_PERCPU_ARRAY || info.type == BPF_MAP_TYPE_PERCPU_HASH ||
         info.type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

// .rodata of the object with the knobs set, as our loader lays it out.
std::optional<Bytes> rodata_of(const std::string& path, const Params& params) {
  Object object = load_object_file(path, {[](std::string_view name) { return kfunc_id(name) != 0; }, false});
  apply_params(object, params);
  const int index = object.map_index(".rodata");
  return index < 0 ? std::nullopt : std::optional(object.maps[static_cast<std::size_t>(index)].content);
}

}  // namespace

KernelPolicy::KernelPolicy(const std::string& path, const Params& params, const std::vector<std::string>& programs)
    : object_(bpf_object__open_file(path.c_str(), nullptr)) {
  if (object_ == nullptr) {
    throw std::runtime_error("libbpf does not open " + path);
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    const std::string name = bpf_program__name(program);
    bpf_program__set_autoload(program, std::find(programs.begin(), programs.end(), name) != programs.end());
    if (std::string(bpf_program__section_name(program)) == "rxpool/return") {
      bpf_program__set_type(program, BPF_PROG_TYPE_SYSCALL);
      bpf_program__set_flags(program, BPF_F_SLEEPABLE);
    }
  }
  const auto rodata = rodata_of(path, params);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    const std::string name = bpf_map__name(map);
    if (rodata && bpf_map__is_internal(map) && name.size() > 7 && name.compare(name.size() - 7, 7, ".rodata") == 0 &&
        bpf_map__set_initial_value(map, rodata->data(), rodata->size()) != 0) {
      throw std::runtime_error("the knobs do not fit " + path);
    }
  }
  if (bpf_object__load(object_.get()) != 0) {
    throw std::runtime_error("the kernel does not load " + path);
  }
}

int KernelPolicy::map_fd(const std::string& name) const {
  return bpf_object__find_map_fd_by_name(object_.get(), name.c_str());
}

int KernelPolicy::program_fd(const std::string& name) const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), name.c_str()));
}

void KernelPolicy::give(std::uint64_t now_ns, std::uint32_t random) {
  const std::uint32_t key = 0;
  const std::uint64_t given[2] = {now_ns, random};
  if (bpf_map_update_elem(map_fd("given_inputs"), &key, given, BPF_ANY) != 0) {
    throw std::runtime_error("the inputs cannot be given");
  }
}

KernelPolicy::Answer KernelPolicy::run(const std::string& program, std::span<const std::uint8_t> packet) {
  Answer answer;
  answer.bytes.resize(8192);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = packet.data();
  options.data_size_in = static_cast<std::uint32_t>(packet.size());
  options.data_out = answer.bytes.data();
  options.data_size_out = static_cast<std::uint32_t>(answer.bytes.size());
  options.repeat = 1;
  if (bpf_prog_test_run_opts(program_fd(program), &options) != 0) {
    throw std::runtime_error("BPF_PROG_TEST_RUN: " + std::string(std::strerror(errno)));
  }
  answer.verdict = options.retval;
  answer.bytes.resize(options.data_size_out);
  return answer;
}

void KernelPolicy::run_return(const std::string& program, const ReturnContext& context) {
  ReturnContext given = context;
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.ctx_in = &given;
  options.ctx_size_in = sizeof given;
  if (bpf_prog_test_run_opts(program_fd(program), &options) != 0) {
    throw std::runtime_error("BPF_PROG_TEST_RUN of a return hook: " + std::string(std::strerror(errno)));
  }
}

int KernelPolicy::write(const std::string& map, const Bytes& key, const Bytes& value) {
  return bpf_map_update_elem(map_fd(map), key.data(), value.data(), BPF_ANY) == 0 ? 0 : -errno;
}

std::map<Bytes, Bytes> KernelPolicy::dump(const std::string& name) const {
  const int fd = map_fd(name);
  bpf_map_info info{};
  std::uint32_t length = sizeof info;
  if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &length) != 0) {
    throw std::runtime_error("no map " + name);
  }
  const std::size_t values = is_per_cpu(info) ? static_cast<std::size_t>(libbpf_num_possible_cpus()) : 1;
  const std::size_t stride = values == 1 ? info.value_size : round_up_8(info.value_size);
  std::map<Bytes, Bytes> all;
  Bytes key(info.key_size);
  Bytes raw(stride * values);
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

}  // namespace rxpool::bpf
