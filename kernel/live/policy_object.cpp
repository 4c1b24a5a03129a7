#include "kernel/live/policy_object.hpp"

#include <bpf/btf.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "kernel/live/system.hpp"

namespace rxpool {
namespace {

// Gives the object's `const volatile` variables their values; where they lie is in its type information.
void set_parameters(bpf_object* object, const std::map<std::string, double>& parameters) {
  std::map<std::string, double> left = parameters;
  const btf* types = bpf_object__btf(object);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const std::string name = bpf_map__name(map);
    const std::size_t dot = name.find(".rodata");
    std::size_t size = 0;
    auto* data = static_cast<char*>(const_cast<void*>(bpf_map__initial_value(map, &size)));
    const int id = dot == std::string::npos ? -1 : btf__find_by_name_kind(types, name.c_str() + dot, BTF_KIND_DATASEC);
    if (data == nullptr || id < 0) {
      continue;
    }
    const btf_type* section = btf__type_by_id(types, static_cast<std::uint32_t>(id));
    const btf_var_secinfo* variables = btf_var_secinfos(section);
    for (int i = 0; i < btf_vlen(section); ++i) {
      const btf_type* variable = btf__type_by_id(types, variables[i].type);
      const auto found = left.find(btf__name_by_offset(types, variable->name_off));
      if (found == left.end() || variables[i].size > sizeof(std::int64_t) ||
          variables[i].offset + variables[i].size > size) {
        continue;
      }
      const auto value = static_cast<std::int64_t>(found->second);  // little endian, as every host of the lab
      std::memcpy(data + variables[i].offset, &value, variables[i].size);
      left.erase(found);
    }
  }
  if (!left.empty()) {
    throw std::runtime_error("the policy has no variable '" + left.begin()->first + "'");
  }
}

}  // namespace

PolicyObject::PolicyObject(const std::string& path, const std::map<std::string, double>& parameters)
    : path_(path), object_(bpf_object__open_file(path.c_str(), nullptr)) {
  if (object_ == nullptr) {
    throw std::runtime_error("the policy " + path + " cannot be opened");
  }
  set_parameters(object_, parameters);
  if (bpf_object__load(object_) != 0) {
    fail("the policy " + path + " is not accepted");
  }
}

PolicyObject::~PolicyObject() {
  bpf_object__close(object_);
}

int PolicyObject::xdp_program() const {
  bpf_program* candidate = nullptr;
  bpf_object__for_each_program(candidate, object_) {
    if (bpf_program__type(candidate) == BPF_PROG_TYPE_XDP && bpf_program__expected_attach_type(candidate) == BPF_XDP) {
      return bpf_program__fd(candidate);
    }
  }
  throw std::runtime_error(path_ + " has no XDP program");
}

int PolicyObject::program(const std::string& name) const {
  const bpf_program* program = bpf_object__find_program_by_name(object_, name.c_str());
  if (program == nullptr) {
    throw std::runtime_error(path_ + " has no program '" + name + "'");
  }
  return bpf_program__fd(program);
}

const bpf_map* PolicyObject::map(const std::string& name) const {
  return bpf_object__find_map_by_name(object_, name.c_str());
}

}  // namespace rxpool
