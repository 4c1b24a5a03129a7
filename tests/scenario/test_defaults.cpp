#include <catch2/catch.hpp>

#include "tests/scenario/scenario_fixture.hpp"

using namespace rxpool;
using scenario::Driver;

TEST_CASE("a queue's value wins over its siblings' default, that over the NIC's, that over the driver's") {
  const Scenario s = load_text(R"({
    "cpus": {"cpu0": {}},
    "nics": {"rx_ring": 256,
      "a": {"rx_queues": {"rx0": {"cpu": "cpu0"}}},
      "b": {"rx_ring": 512, "rx_queues": {"cpu": "cpu0", "rx0": {}, "rx1": {"rx_ring": 2048}}},
      "c": {"rx_queues": {"cpu": "cpu0", "rx_ring": 128, "rx0": {}, "rx1": {"rx_ring": 64}}}}})");
  CHECK(s.nics.at("a").rx_ring == 256);
  CHECK(s.nics.at("a").rx_queues.at("rx0").rx_ring == 256);
  CHECK(s.nics.at("b").rx_queues.at("rx0").rx_ring == 512);
  CHECK(s.nics.at("b").rx_queues.at("rx1").rx_ring == 2048);
  CHECK(s.nics.at("c").rx_ring == 256);
  CHECK(s.nics.at("c").rx_queues.at("rx0").rx_ring == 128);
  CHECK(s.nics.at("c").rx_queues.at("rx1").rx_ring == 64);
  CHECK(s.nics.at("c").rx_queues.at("rx1").cpu == "cpu0");
}

TEST_CASE("ring, moderation, table and pool follow the driver", "[NA-51][RS-10][DR-12][DR-15][DR-31]") {
  const auto nic = [](const std::string& driver) {
    return load_text(small_scenario, {{"nics.nic0.driver", driver}}).nics.at("nic0");
  };
  CHECK(nic("mlx5").rx_ring == 1024);
  CHECK(nic("mlx5").rx_usecs == 16);
  CHECK(nic("mlx5").rx_frames == 32);
  CHECK(nic("mlx5").adaptive_rx);
  CHECK(nic("mlx5").rx_queues.at("rx0").pool_size == 1024);
  CHECK(nic("mlx5_striding").rx_queues.at("rx0").pool_size == 512);
  CHECK(nic("ixgbe").rx_ring == 512);
  CHECK(nic("ixgbe").link_gbps == 10);
  CHECK(nic("i40e").rss.indirection_size == 512);
  CHECK(nic("ice").rx_queues.at("rx0").rx_ring == 2048);
  CHECK(nic("ice").rx_queues.at("rx0").pool_size == 2048);
  CHECK(nic("veth").rx_queues.at("rx0").pool_size == 256);
  CHECK_FALSE(nic("virtio_net").rx_queues.at("rx0").adaptive_rx);
}

TEST_CASE("the driver table is indexed by the driver") {
  for (std::size_t i = 0; i < scenario::driver_table.size(); ++i) {
    CHECK(static_cast<std::size_t>(scenario::driver_table[i].driver) == i);
  }
}

TEST_CASE("CQE mode shortens the moderation time of mlx5, an explicit time stays", "[NA-51]") {
  CHECK(load_text(small_scenario, {{"nics.nic0.rx_cqe_mode", "true"}}).nics.at("nic0").rx_usecs == 3);
  CHECK(load_text(small_scenario, {{"nics.nic0.rx_cqe_mode", "true"}, {"nics.nic0.rx_usecs", "8"}})
            .nics.at("nic0")
            .rx_usecs == 8);
}

TEST_CASE("a queue's pool follows its own ring unless it is set") {
  const Scenario s = load_text(small_scenario, {{"nics.nic0.rx_queues.rx0.rx_ring", "4096"}});
  CHECK(s.nics.at("nic0").rx_queues.at("rx0").pool_size == 4096);
  CHECK(load_text(small_scenario, {{"nics.nic0.rx_queues.pool_size", "64"}})
            .nics.at("nic0")
            .rx_queues.at("rx0")
            .pool_size == 64);
}

TEST_CASE("the kernel release selects the defaults that changed with it", "[SK-41][SK-30]") {
  const auto kernel = [](const std::string& release) {
    return load_text(small_scenario, {{"kernel.release", "\"" + release + "\""}}).kernel;
  };
  CHECK(kernel("6.18").skb_defer_max == 128);
  CHECK(kernel("6.12").skb_defer_max == 64);
  CHECK(kernel("6.18").rmem_max == 4194304);
  CHECK(kernel("6.12").rmem_max == 212992);
  CHECK(kernel("6.6").scheduler == scenario::Scheduler::eevdf);
  CHECK(kernel("6.1").scheduler == scenario::Scheduler::cfs);
  CHECK(kernel("5.10").release > kernel("5.8").release);
}

TEST_CASE("netdev_budget_usecs follows HZ", "[NA-11]") {
  CHECK(load_text(small_scenario).kernel.netdev_budget_usecs == 2000);
  CHECK(load_text(small_scenario, {{"kernel.hz", "250"}}).kernel.netdev_budget_usecs == 8000);
  CHECK(load_text(small_scenario, {{"kernel.hz", "250"}, {"kernel.netdev_budget_usecs", "99"}})
            .kernel.netdev_budget_usecs == 99);
}

TEST_CASE("every NIC has a policy after loading") {
  CHECK(load_text(small_scenario).policies.at("nic0").program == "none");
}

TEST_CASE("a rate in Gbit/s counts preamble and gap: 10G of 64-byte frames are 14,880,952 packets/s") {
  const Scenario s = load_text(
      small_scenario, {{"traffic.load", R"({"nic": "nic0", "kind": "constant", "rate_gbps": 10, "sizes": 64})"}});
  CHECK(s.traffic.at("load").source.arrivals.rate_pps == Approx(14880952.38).epsilon(1e-9));
  CHECK(s.traffic.at("load").rate_gbps == 0);
}

TEST_CASE("traffic ends up in the traffic library's structs") {
  const Scenario s = load_text(rich_scenario);
  const SourceParams& constant = s.traffic.at("a_constant").source;
  CHECK(constant.arrivals.kind == ArrivalKind::constant);
  REQUIRE(constant.schedule.size() == 1);
  CHECK(constant.schedule[0].factor == 2);
  CHECK(constant.stop_ms == std::numeric_limits<double>::infinity());
  const SizeParams& sizes = s.traffic.at("b_poisson").source.sizes;
  REQUIRE(sizes.table.size() == 2);
  CHECK(sizes.table[0].frame_bytes == 64);
  CHECK(sizes.table[1].weight == 3);
  CHECK(s.traffic.at("c_mmpp").source.arrivals.states.size() == 2);
  CHECK(s.traffic.at("d_on_off").source.flows.protocol == 6);
  CHECK(s.traffic.at("e_incast").source.flows.sources == "2001:2:0:1::/64");
  CHECK(s.traffic.at("f_flood").source.flows.addresses == AddressKind::per_packet);
  CHECK(s.traffic.at("f_flood").source.flows.source_ports.first == 1024);
}

TEST_CASE("changes of a rate are sorted by their time, whatever their names") {
  const Scenario s =
      load_text(small_scenario, {{"traffic.load.schedule", R"({"a": {"at_ms": 9, "factor": 3}, "b": {"at_ms": 2}})"}});
  CHECK(s.traffic.at("load").source.schedule[0].at_ms == 2);
  CHECK(s.traffic.at("load").source.schedule[1].factor == 3);
}
