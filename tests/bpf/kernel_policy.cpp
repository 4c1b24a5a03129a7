#include "tests/bpf/kernel_policy.hpp"

#include <fstream>
#include <iterator>
#include <stdexcept>

#include "models/bpf/helpers/table.hpp"
#include "models/bpf/loader.hpp"

namespace rxpool::bpf {

KernelPolicy::Source KernelPolicy::read(const std::string& path, const Params& params) {
  std::ifstream file(path, std::ios::binary);
  Source source;
  source.bytes = Bytes{std::istreambuf_iterator<char>(file), {}};
  source.object = load_object(source.bytes, path, {[](std::string_view name) { return kfunc_id(name) != 0; }, false});
  apply_params(source.object, params);
  return source;
}

KernelPolicy::KernelPolicy(const Source& source, const std::vector<std::string>& programs, std::uint32_t device)
    : kernel::KernelPolicy(source.bytes, source.object, programs, device) {}

KernelPolicy::KernelPolicy(const std::string& path, const Params& params, const std::vector<std::string>& programs,
                           std::uint32_t device)
    : KernelPolicy(read(path, params), programs, device) {}

void KernelPolicy::give(std::uint64_t now_ns, std::uint32_t random) {
  const std::uint64_t given[2] = {now_ns, random};
  const auto* first = reinterpret_cast<const std::uint8_t*>(given);
  if (write("given_inputs", Bytes(4), Bytes(first, first + sizeof given)) != 0) {
    throw std::runtime_error("the inputs cannot be given");
  }
}

}  // namespace rxpool::bpf
