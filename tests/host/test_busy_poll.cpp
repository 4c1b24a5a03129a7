// Readers that poll the NIC themselves: SO_BUSY_POLL, SO_PREFER_BUSY_POLL, irq_suspend_timeout.
#include <catch2/catch.hpp>

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
  std::string busy_poll = R"("us": 50)";
  std::string reader = R"("service_ns": 500)";
  std::string nic = R"("adaptive_rx": false)";
  std::string app_cpu = "cpu0";
  std::string queue = "";  ///< further members of the queue
  std::string more = "";   ///< of the scenario
};

Scenario polling(double rate_pps, const Form& form = {}) {
  return load_random(R"({"duration_ms": 3, "cpus": {"cpu0": {"idle_states": "c1"}, "cpu1": {"idle_states": "c1"}}, )" +
                     form.more + R"("nics": {"nic0": {"driver": "mlx5", )" + form.nic +
                     R"(, "rx_queues": {"rx0": {"cpu": "cpu0")" + form.queue +
                     R"(}}}}, "sockets": {"app": {"port": 4000, "cpu": ")" + form.app_cpu + R"(", "reader": {)" +
                     form.reader + (form.busy_poll.empty() ? "" : R"(, "busy_poll": {)" + form.busy_poll + "}") +
                     R"(}}}, "traffic": {"load": {"nic": "nic0", "kind": "poisson", "rate_pps": )" +
                     std::to_string(rate_pps) + R"(, "flows": {"count": 100, "destination_ports": "4000"}}}})");
}

std::string refused(const Form& form) {
  return refusal([&] { polling(1e5, form); });
}

const std::string rx0 = "nics.nic0.rx_queues.rx0";
const std::string app = "sockets.app";
const std::string at_once = R"("adaptive_rx": false, "rx_usecs": 0, "rx_frames": 1)";
const std::string deferred = R"("adaptive_rx": false, "napi_defer_hard_irqs": 100, "gro_flush_timeout_ns": 20000)";
const std::string suspended = deferred + R"(, "irq_suspend_timeout_ns": 2000000)";
const std::string prefer = R"("us": 50, "prefer": true)";

}  // namespace

TEST_CASE("a reader that polls finds its packets without waiting for the interrupt", "[NA-45]") {
  const ReplicationResult sleeps = run_replication(polling(1e5, {.busy_poll = ""}), {});
  const ReplicationResult polls = run_replication(polling(1e5), {});
  CHECK(metric(polls, app, "BusyPollRxPackets") > 200);
  CHECK(place(polls.packets, "delivered") + 5 > polls.packets.total);
  CHECK(metric(polls, app, "socket_latency_mean") < 0.5 * metric(sleeps, app, "socket_latency_mean"));
  CHECK(metric(polls, "cpus.cpu0", "busy_application") > 80);
}

TEST_CASE("preferred, with deferral, the interrupt stays off", "[NA-46]") {
  const ReplicationResult polls = run_replication(polling(2e5, {.nic = at_once}), {});
  const ReplicationResult preferred = run_replication(polling(2e5, {.busy_poll = prefer, .nic = deferred}), {});
  CHECK(metric(polls, rx0, "interrupts") > 100);
  CHECK(metric(preferred, rx0, "interrupts") < 10);
  CHECK(place(preferred.packets, "delivered") + 10 > preferred.packets.total);
}

TEST_CASE("a reader that is kept busy is not disturbed by the timer while interrupts are suspended", "[NA-48]") {
  const std::string slow = R"("service_ns": 5000)";
  const ReplicationResult timer = run_replication(polling(1.5e5, {prefer, slow, deferred}), {});
  const ReplicationResult quiet = run_replication(polling(1.5e5, {prefer, slow, suspended}), {});
  CHECK(metric(quiet, "cpus.cpu0", "net_rx_action") < 0.7 * metric(timer, "cpus.cpu0", "net_rx_action"));
  CHECK(metric(quiet, rx0, "interrupts") < 10);
  CHECK(place(quiet.packets, "delivered") > 400);
}

TEST_CASE("what would do nothing, or the device would refuse, is refused", "[NA-46][NA-48]") {
  CHECK(refused({.busy_poll = R"("prefer": true)"}).find("busy_poll.prefer: it would never poll") != std::string::npos);
  CHECK(refused({.nic = suspended, .more = R"("kernel": {"release": "6.12"}, )"}).find("no kernel before 6.13") !=
        std::string::npos);
}

TEST_CASE("busy polling agrees with the reference engine", "[couplings][NA-45][NA-46][NA-48]") {
  const std::vector<Form> forms = {
      {},
      {.app_cpu = "cpu1"},
      {.busy_poll = R"("us": 5, "budget": 2)", .reader = R"("service_ns": 1500, "batch": 4)"},
      {.busy_poll = prefer, .nic = deferred},
      {.busy_poll = prefer, .nic = suspended},
      {.busy_poll = prefer, .reader = R"("service_ns": 4000)", .nic = suspended, .app_cpu = "cpu1"},
      {.busy_poll = prefer, .nic = deferred, .queue = R"(, "napi_threaded": true, "thread_cpu": "cpu1")"},
      {.app_cpu = "cpu1", .queue = R"(, "napi_threaded": true, "napi_busy_poll": true)"},
      {.nic = R"("gro": false, "rx_ring": 64)", .more = R"("policies": {"nic0": "pass"}, )"},
  };
  for (std::size_t i = 0; i < forms.size(); ++i) {
    for (const double rate : {2e4, 4e5, 3e6}) {
      INFO("form " << i << " at " << rate);
      same_as_reference(polling(rate, forms[i]));
    }
  }
}

TEST_CASE("how far CPUs run ahead does not change what busy polling finds", "[engine]") {
  const Scenario scenario = polling(4e5, {.busy_poll = prefer, .nic = suspended, .app_cpu = "cpu1"});
  CHECK(independent_of_window(scenario));
  Host host(scenario, 0);
  host.run({});
  CHECK(violations(numbers_of(host)) == std::vector<std::string>{});
}
