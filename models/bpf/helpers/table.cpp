#include "models/bpf/helpers/table.hpp"

#include <linux/bpf.h>

#include <array>

namespace rxpool::bpf {
namespace {

#define RXPOOL_HELPER_NAME(name) "bpf_" #name
constexpr const char* kernel_names[] = {__BPF_FUNC_MAPPER(RXPOOL_HELPER_NAME)};
#undef RXPOOL_HELPER_NAME

constexpr std::array<std::string_view, 3> kfuncs{"bpf_xdp_metadata_rx_timestamp", "bpf_xdp_metadata_rx_hash",
                                                 "bpf_xdp_metadata_rx_vlan_tag"};

}  // namespace

std::uint32_t kfunc_id(std::string_view name) {
  for (std::uint32_t i = 0; i < kfuncs.size(); ++i) {
    if (kfuncs[i] == name) {
      return kfunc_base + i;
    }
  }
  return 0;
}

std::string helper_name(std::uint32_t id) {
  if (id < std::size(kernel_names)) {
    return kernel_names[id];
  }
  if (id >= kfunc_base && id - kfunc_base < kfuncs.size()) {
    return std::string(kfuncs[id - kfunc_base]);
  }
  return "helper " + std::to_string(id);
}

HelperTable make_helper_table(const HelperCosts& costs) {
  HelperTable bare;
  add_map_helpers(bare);
  add_time_helpers(bare);
  add_packet_helpers(bare);
  add_redirect_helpers(bare);
  add_memory_helpers(bare);
  add_output_helpers(bare);
  add_control_helpers(bare);
  add_timer_helpers(bare);
  add_fib_helpers(bare);
  add_metadata_kfuncs(bare);
  HelperTable priced;
  for (Helper helper : bare.all()) {
    helper.name = helper_name(helper.id);
    const auto cost = costs.by_name_ps.find(helper.name);
    helper.cost_ps = cost == costs.by_name_ps.end() ? costs.other_ps : cost->second;
    priced.add(std::move(helper));
  }
  return priced;
}

}  // namespace rxpool::bpf
