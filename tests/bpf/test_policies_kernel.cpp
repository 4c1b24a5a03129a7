// Every shipped policy is accepted by the verifier of this machine's kernel, through plain libbpf.

#include <catch2/catch.hpp>
#include <cstdarg>
#include <cstdio>

#include "kernel/policy/kernel_policy.hpp"
#include "tests/bpf/kernel_access.hpp"

using namespace rxpool::bpf;

namespace {

std::string log_text;

int keep_log(enum libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_WARN) {
    char line[65536];
    std::vsnprintf(line, sizeof line, format, arguments);
    log_text += line;
  }
  return 0;
}

}  // namespace

TEST_CASE("the kernel's verifier accepts every shipped policy", "[policies][kernel]") {
  const std::string reason = rxpool::kernel::refusal();
  if (!reason.empty()) {
    WARN("skipped: " << reason);
    return;
  }
  const char* name = GENERATE("breaker_approve", "codel_return", "drop_udp_port", "egress_classes", "egress_meter",
                              "flow_fair_share", "heavy_hitter_shed", "load_balancer", "redirect_cpu",
                              "rx_overload_shed", "rxq_count", "rxq_read", "syn_guard", "token_bucket");
  CAPTURE(name);
  log_text.clear();
  libbpf_set_print(keep_log);
  const std::string path = std::string(RXPOOL_POLICY_OBJECTS "/") + name + ".bpf.o";
  KernelObject object(bpf_object__open_file(path.c_str(), nullptr));
  REQUIRE(object != nullptr);
  const int error = bpf_object__load(object.get());
  INFO(log_text);
  CHECK(error == 0);
  bool any = false;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object.get()) {
    any = any || bpf_program__fd(program) >= 0;
  }
  CHECK(any);
}
