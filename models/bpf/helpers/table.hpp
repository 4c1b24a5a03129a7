#pragma once
// All helpers and kfuncs that exist here (kernel-model 5.9): what an XDP program without sockets needs. A call of any
// other one is refused at load by name. Numbers are the kernel's helper ids; kfuncs, which the kernel finds by name,
// get ids from kfunc_base on.

#include <map>
#include <string>
#include <string_view>

#include "models/bpf/helper.hpp"

namespace rxpool::bpf {

/// Nanoseconds-as-picoseconds that a call costs the simulated CPU, by helper name; what is not named costs `other_ps`.
/// Defaults: ktime_get_ns 40 ns and the difference between the two parser programs of the policy reference (one hash
/// lookup and one update of its value against one array lookup) as 30 ns for a hash operation; array lookup 1 ns
/// (figure XP-32, percpu_array_map_lookup).
struct HelperCosts {
  std::map<std::string, std::uint32_t> by_name_ps{{"bpf_ktime_get_ns", 40'000},
                                                  {"bpf_map_lookup_elem", 1'000},
                                                  {"bpf_map_update_elem", 30'000},
                                                  {"bpf_map_delete_elem", 30'000}};
  std::uint32_t other_ps = 2'000;
};

HelperTable make_helper_table(const HelperCosts& costs = {});

/// Id of a kfunc (kfunc_base + n), or 0 if there is none of that name.
std::uint32_t kfunc_id(std::string_view name);
/// "bpf_sk_lookup_tcp" for an id that the kernel knows even if we do not; "helper 999" otherwise.
std::string helper_name(std::uint32_t id);

// The groups of helpers, each in its own file.
void add_map_helpers(HelperTable& table);
void add_time_helpers(HelperTable& table);
void add_packet_helpers(HelperTable& table);
void add_redirect_helpers(HelperTable& table);
void add_memory_helpers(HelperTable& table);
void add_output_helpers(HelperTable& table);
void add_control_helpers(HelperTable& table);
void add_timer_helpers(HelperTable& table);
void add_fib_helpers(HelperTable& table);
void add_metadata_kfuncs(HelperTable& table);

/// A negative errno as a helper returns it.
constexpr std::uint64_t failure(int error) {
  return static_cast<std::uint64_t>(static_cast<std::int64_t>(error));
}

}  // namespace rxpool::bpf
