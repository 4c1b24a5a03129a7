// AF_XDP sockets: rings, copy and zero-copy, need_wakeup, what a stalled application keeps.
#include <catch2/catch.hpp>

#include "models/calibration/calibration.hpp"
#include "models/host/host.hpp"
#include "models/result.hpp"
#include "tests/host/agreement.hpp"
#include "tests/host/invariants.hpp"
#include "tests/host/outcome.hpp"
#include "tests/host/random_scenario.hpp"
#include "tests/host/same_as_reference.hpp"

using namespace rxpool;

namespace {

struct Form {
  std::string xsk = "";                     ///< members of the socket
  std::string application = "";             ///< of its application
  std::string nic = R"("driver": "mlx5")";  ///< of the NIC
  std::string app_cpu = "cpu1";
  std::string more = "";  ///< of the scenario
  int frame_bytes = 64;
};

std::string text(double rate_pps, const Form& form) {
  return R"({"duration_ms": 2, "cpus": {"cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"}},
    "nics": {"nic0": {)" +
         form.nic + R"(, "rx_queues": {"rx0": {"cpu": "cpu0"}}}}, "policies": {"nic0": "xsk_def_prog"}, )" + form.more +
         R"("xsks": {"app": {"nic": "nic0", "queue": "rx0", "cpu": ")" + form.app_cpu + '"' +
         (form.xsk.empty() ? "" : ", " + form.xsk) + R"(, "application": {)" + form.application + R"(}}},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
         std::to_string(rate_pps) + R"(, "sizes": )" + std::to_string(form.frame_bytes) +
         R"(, "flows": {"count": 100}}}})";
}

Scenario with_xsk(double rate_pps, const Form& form = {}) {
  return load_random(text(rate_pps, form));
}

std::string refused(const Form& form) {
  return refusal([&] { with_xsk(1e5, form); });
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string app = "xsks.app";
const std::string zero_copy = R"("mode": "zerocopy")";

}  // namespace

TEST_CASE("an application that keeps up gets every packet, copied or not", "[XD-40][XD-60][XD-61]") {
  for (const std::string& mode : {std::string(R"("mode": "copy")"), zero_copy}) {
    INFO(mode);
    const ReplicationResult result = run_replication(with_xsk(1e6, {.xsk = mode}), {});
    CHECK(place(result.packets, "delivered") > 1900);
    CHECK(metric(result, rx0, "xdp_redirect") == metric(result, rx0, "rx_packets"));
    CHECK(metric(result, app, "rx_dropped") + metric(result, app, "rx_ring_full") == 0);
    CHECK(place(result.pages, "xsk_fill") + place(result.pages, "xsk_rx") + place(result.pages, "xsk_application") +
              (mode == zero_copy ? place(result.pages, "posted") : 0) ==
          4096);
  }
}

TEST_CASE("a stalled application keeps its own frames in copy mode and the page_pool loses none", "[XD-61]") {
  const Form stalled{.xsk = R"("fill_ring": 512, "rx_ring": 512, "frames": 512)", .application = R"("paused": true)"};
  const ReplicationResult result = run_replication(with_xsk(2e6, stalled), {});
  CHECK(place(result.pages, "xsk_rx") == 512);
  CHECK(place(result.pages, "xsk_fill") == 0);
  CHECK(metric(result, app, "rx_dropped") == static_cast<double>(place(result.packets, "dropped.xdp_redirect_err")));
  CHECK(metric(result, app, "rx_fill_ring_empty_descs") == metric(result, app, "rx_dropped"));
  CHECK(metric(result, rx0, "rx_out_of_buffer") == 0);
  CHECK(metric(result, rx0, "held_max") == 0);
}

TEST_CASE("with zero-copy the NIC runs out of descriptors instead", "[XD-42][XD-62]") {
  const Form stalled{.xsk = zero_copy + R"(, "frames": 2048)", .application = R"("paused": true)"};
  const ReplicationResult result = run_replication(with_xsk(2e6, stalled), {});
  CHECK(place(result.pages, "xsk_rx") == 2048);
  CHECK(place(result.pages, "posted") == 0);
  CHECK(metric(result, app, "rx_dropped") + metric(result, app, "rx_ring_full") == 0);
  CHECK(metric(result, rx0, "rx_out_of_buffer") > 1000);
}

TEST_CASE("a full RX ring drops and the frame is used again", "[XD-41][XD-62]") {
  for (const std::string& mode : {std::string(R"("mode": "copy")"), zero_copy}) {
    INFO(mode);
    const Form stalled{.xsk = mode + R"(, "rx_ring": 64)", .application = R"("paused": true)"};
    const ReplicationResult result = run_replication(with_xsk(2e6, stalled), {});
    CHECK(place(result.pages, "xsk_rx") == 64);
    CHECK(metric(result, app, "rx_ring_full") ==
          static_cast<double>(place(result.packets, "dropped.xdp_redirect_err")));
    CHECK(metric(result, app, "rx_ring_full") > 2000);
    CHECK(metric(result, rx0, "rx_out_of_buffer") == 0);
  }
}

TEST_CASE("an application that sleeps wakes the driver that waits for frames", "[XD-44][XD-63]") {
  const Form few{.xsk = zero_copy + R"(, "frames": 256)", .nic = R"("driver": "mlx5", "rx_ring": 512)"};
  const ReplicationResult woken = run_replication(with_xsk(2e5, few), {});
  CHECK(metric(woken, app, "xsk_wakeups") > 0);
  CHECK(place(woken.packets, "delivered") > 300);
  Form polls = few;
  polls.xsk += R"(, "need_wakeup": false)";
  const ReplicationResult polling = run_replication(with_xsk(2e5, polls), {});
  CHECK(metric(polling, app, "xsk_wakeups") == 0);
  CHECK(metric(polling, rx0, "polls") > 10 * metric(woken, rx0, "polls"));
}

TEST_CASE("a packet longer than a frame is dropped", "[XD-61]") {
  const Form jumbo{.nic = R"("driver": "mlx5", "mtu": 9000)", .frame_bytes = 4000};
  const ReplicationResult result = run_replication(with_xsk(1e5, jumbo), {});
  CHECK(metric(result, app, "rx_dropped") > 100);
  CHECK(metric(result, app, "rx_dropped") == metric(result, rx0, "xdp_redirect_err"));
}

TEST_CASE("packets of a queue without a socket pass", "[XD-64]") {
  const Scenario scenario = load_random(R"({"duration_ms": 1, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}}, "policies": {"nic0": "xsk_def_prog"},
    "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000, "flows": {"count": 100}}}})");
  const ReplicationResult result = run_replication(scenario, {});
  CHECK(metric(result, rx0, "xdp_pass") == metric(result, rx0, "rx_packets"));
  CHECK(place(result.packets, "dropped.no_socket") > 500);
}

TEST_CASE("an XSKMAP of a policy leads to the socket of the packet's queue, and to no other", "[XD-41]") {
  const auto by_map = [](const std::string& bound) {
    return load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"}},
      "nics": {"nic0": {"driver": "mlx5", "rss": {"indirection": {"rx0": 1, "rx1": 0}},
                        "rx_queues": {"rx0": {"cpu": "cpu0"}, "rx1": {"cpu": "cpu0"}}}},
      "policies": {"nic0": {"program": ")" +
                       std::string(RXPOOL_HOST_TEST_OBJECTS) + R"(/redirect.bpf.o", "params": {"way": 5},
        "maps": {"sockets": {"entries": {"0": "app"}}}}},
      "xsks": {"app": {"nic": "nic0", "queue": ")" +
                       bound + R"(", "mode": "zerocopy", "cpu": "cpu1"}},
      "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 1000000, "flows": {"count": 100}}}})");
  };
  const Scenario scenario = by_map("rx0");
  Host host(scenario, 0);
  const ReplicationResult own = host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
  CHECK(place(own.packets, "delivered") > 1900);
  CHECK(metric(own, rx0, "xdp_redirect") == metric(own, app, "xsk_received"));
  const ReplicationResult other = run_replication(by_map("rx1"), {});
  CHECK(metric(other, app, "xsk_received") == 0);
  CHECK(metric(other, rx0, "xdp_redirect_err") == metric(other, rx0, "rx_packets"));
}

TEST_CASE("a packet that a policy lengthens is copied with its new length", "[XD-61]") {
  const auto copy_ps_per_packet = [](int longer) {
    const ReplicationResult result =
        run_replication(load_random(R"({"duration_ms": 2, "cpus": {"cpu0": {}, "cpu1": {"idle_states": "c1"}},
          "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
          "policies": {"nic0": {"program": ")" +
                                    std::string(RXPOOL_HOST_TEST_OBJECTS) +
                                    R"(/redirect.bpf.o", "params": {"way": 5, "longer": )" + std::to_string(longer) +
                                    R"(}, "maps": {"sockets": {"entries": {"0": "app"}}}}},
          "xsks": {"app": {"nic": "nic0", "queue": "rx0", "cpu": "cpu1"}}, "record": {"per_step": true},
          "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": 500000, "flows": {"count": 100}}}})"),
                        {});
    return metric(result, "cpus.cpu0.steps.softirq.copy_to_user", "step_time") / metric(result, app, "xsk_received");
  };
  const double before = copy_ps_per_packet(0);
  const Calibration prices = load_calibration_file(with_xsk(1e5).calibration_file);
  const auto ps_per_byte = static_cast<double>(prices.ps_per_byte(Step::copy_to_user));
  REQUIRE(ps_per_byte > 0);
  CHECK(copy_ps_per_packet(1) - before == Approx(20 * ps_per_byte).epsilon(0.01));
}

TEST_CASE("what bind(2) refuses is refused with the kernel's name and a remedy", "[XD-40][XD-51]") {
  CHECK(refused({.xsk = R"("rx_ring": 1000)"})
            .find("xsks.app.rx_ring: EINVAL: 1000 is no power of two; use 512 or 1024") != std::string::npos);
  CHECK(refused({.xsk = zero_copy, .nic = R"("driver": "mlx4")"}).find("EOPNOTSUPP: mlx4 has no zero-copy") !=
        std::string::npos);
  CHECK(refused({.xsk = zero_copy, .nic = R"("driver": "ice")"}).find("zero-copy of ice is not modelled") !=
        std::string::npos);
  const std::string twice = R"({"duration_ms": 1, "cpus": {"cpu0": {}},
    "nics": {"nic0": {"driver": "mlx5", "rx_queues": {"rx0": {"cpu": "cpu0"}}}},
    "xsks": {"a": {"nic": "nic0", "queue": "rx0", "cpu": "cpu0"}, "b": {"nic": "nic0", "queue": "rx0", "cpu": "cpu0"}}})";
  CHECK(refusal([&] { load_random(twice); }).find("xsks.b.queue: EBUSY: xsks.a is bound to rx0 of nic0") !=
        std::string::npos);
}

TEST_CASE("AF_XDP sockets agree with the reference engine", "[couplings][XD-40][XD-42][XD-60][XD-61][XD-62][XD-63]") {
  const std::string pauses =
      R"("service_ns": 400, "batch": 16, "pauses": {"gc": {"at_ms": 0.4, "for_ms": 0.3, "every_ms": 0.9}})";
  const std::string small = R"("frames": 300, "fill_ring": 256, "rx_ring": 128)";
  const std::string changes = R"("events": {"stop": {"at_ms": 0.5, "set": {"xsks.app.application.paused": true}},
    "go": {"at_ms": 0.9, "set": {"xsks.app.application.paused": false}},
    "pass": {"at_ms": 1.3, "set": {"policies.nic0": "pass"}}}, )";
  const std::vector<Form> forms = {
      {},
      {.application = pauses},
      {.xsk = small, .application = pauses},
      {.xsk = small, .application = R"("service_law": "exponential", "service_ns": 900)", .app_cpu = "cpu0"},
      {.xsk = small, .nic = R"("driver": "ice")", .more = changes},
      {.xsk = small, .nic = R"("driver": "ixgbe")"},
      {.xsk = small, .nic = R"("driver": "virtio_net")"},
      {.xsk = small, .nic = R"("driver": "veth")"},
      {.xsk = zero_copy, .application = pauses},
      {.xsk = zero_copy + ", " + small, .application = pauses, .more = changes},
      {.xsk = zero_copy + ", " + small + R"(, "need_wakeup": false)", .application = pauses},
      {.xsk = zero_copy + R"(, "frames": 200)", .app_cpu = "cpu0", .frame_bytes = 1518},
  };
  for (std::size_t i = 0; i < forms.size(); ++i) {
    for (const double rate : {2e5, 3e6, 1.2e7}) {
      INFO("form " << i << " at " << rate);
      same_as_reference(with_xsk(rate, forms[i]));
    }
  }
}

TEST_CASE("how far the CPUs of an AF_XDP socket run ahead never changes a result", "[engine]") {
  const Form form{.xsk = zero_copy + R"(, "frames": 700, "rx_ring": 256)", .application = R"("service_ns": 250)"};
  const Scenario scenario = with_xsk(5e6, form);
  CHECK(independent_of_window(scenario));
  Host host(scenario, 0);
  host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
}
