#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <set>

#include "models/calibration.hpp"
#include "models/scenario/json_text.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using nlohmann::json;

namespace {

std::string path() {
  return std::string(RXPOOL_SOURCE_DIR) + "/scenarios/calibration/m1-mlx5.json";
}
json document() {
  return json::parse(scenario::read_text_file(path()));
}

std::string refusal(const json& changed) {
  try {
    load_calibration(changed.dump(), "c.json");
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

/// Sum of steps in ns; every pass of 64 packets pays for softirq, poll, refill call and doorbell.
class Sums {
 public:
  explicit Sums(const Calibration& c) : c_(c) {}
  double ns(std::initializer_list<Step> steps) const {
    double sum = 0;
    for (const Step step : steps) sum += static_cast<double>(c_.cost(step).ps) / 1000;
    return sum;
  }
  double receive() const {
    return ns({Step::softirq_entry, Step::napi_poll, Step::refill_bulk, Step::doorbell}) / 64 +
           ns({Step::rx_descriptor, Step::dma_sync, Step::refill_descriptor, Step::page_pool_cache_get,
               Step::page_pool_cache_put});
  }
  double stack() const {
    return receive() +
           ns({Step::packet_touch, Step::skb_alloc, Step::skb_build, Step::gro_receive, Step::netif_receive});
  }

 private:
  const Calibration& c_;
};

/// Every object of the file that holds a number with its figure.
void collect_numbers(const json& at, std::vector<const json*>& found) {
  if (!at.is_object()) return;
  if (at.contains("figure")) found.push_back(&at);
  for (const auto& entry : at.items()) collect_numbers(entry.value(), found);
}

}  // namespace

TEST_CASE("the step table is indexed by the step and its names differ") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < step_count; ++i) {
    CHECK(static_cast<std::size_t>(calibration_steps[i].step) == i);
    names.insert(calibration_steps[i].name);
  }
  CHECK(names.size() == step_count);
}

TEST_CASE("m1-mlx5 is provisional and in whole picoseconds") {
  const Calibration c = load_calibration_file(path());
  CHECK(c.name == "m1-mlx5");
  CHECK(c.provisional);
  CHECK(c.era == "4.17, retpoline off");
  CHECK(c.cost(Step::rx_descriptor) == picoseconds(13700));
  CHECK(c.ps_per_byte(Step::copy_to_user) == 100);
  CHECK(c.llc.bytes == 15U << 20);
  CHECK(c.pcie.ps_per_byte == 63);
}

TEST_CASE("the hand-set steps add up to the paths they were chosen for") {
  const Calibration c = load_calibration_file(path());
  const Sums sums(c);
  // XP-1/no_touch/1024/1: 24,379,188 pps
  CHECK(sums.receive() + sums.ns({Step::xdp_call, Step::xdp_program_drop}) == Approx(1e9 / 24379188).epsilon(0.01));
  // XP-20/raw/1: 5,051,787 pps
  CHECK(sums.stack() + sums.ns({Step::netfilter_raw, Step::skb_free}) == Approx(1e9 / 5051787).epsilon(0.01));
  // CM-1 mlx5 UdpNoPorts: 3,548,400 pps
  CHECK(sums.stack() + sums.ns({Step::fib_input, Step::udp_receive, Step::udp_no_port, Step::skb_free}) ==
        Approx(1e9 / 3548400).epsilon(0.01));
  // CM-10/remote: 2,311,585 pps, the reader is the slower side
  const double reader = sums.ns({Step::syscall_entry, Step::socket_dequeue, Step::copy_to_user, Step::skb_free,
                                 Step::page_pool_ring_put, Step::ptr_ring_lock}) +
                        18 * static_cast<double>(c.ps_per_byte(Step::copy_to_user)) / 1000;
  CHECK(reader == Approx(1e9 / 2311585).epsilon(0.01));
  CHECK(sums.stack() + sums.ns({Step::fib_input, Step::udp_receive, Step::socket_enqueue}) < reader);
  // PB-1: pairs through the cache and through the ring
  CHECK(sums.ns({Step::page_pool_cache_get, Step::page_pool_cache_put}) == Approx(5.399).epsilon(0.01));
  CHECK(sums.ns({Step::page_pool_ring_put, Step::ptr_ring_lock, Step::page_pool_ring_get, Step::page_pool_cache_get}) ==
        Approx(15.09).epsilon(0.01));
  // PB-4: one page alone and per page of a bulk of 64
  const double page = sums.ns({Step::pcp_alloc, Step::pcp_free});
  CHECK(sums.ns({Step::page_alloc_single}) + page == Approx(54.225).epsilon(0.01));
  CHECK(sums.ns({Step::page_alloc_single}) / 64 + page == Approx(27.252).epsilon(0.01));
  // XP-9: bus limits with 64-byte frames
  CHECK(static_cast<double>(c.pcie.packet.ps + 64 * c.pcie.ps_per_byte) == Approx(1e12 / 86.5e6).epsilon(0.001));
  CHECK(static_cast<double>(c.pcie.packet_cqe_compress.ps + 64 * c.pcie.ps_per_byte) ==
        Approx(1e12 / 108.6e6).epsilon(0.001));
}

TEST_CASE("every number names a figure, a fit, or is a prior that says where it comes from") {
  const json file = document();
  std::vector<const json*> numbers;
  collect_numbers(file, numbers);
  CHECK(numbers.size() == step_count + 3 + 5 + 3);
  for (const json* number : numbers) {
    INFO(number->dump());
    if ((*number)["figure"] == "prior") CHECK((*number)["note"].get<std::string>().size() > 10);
  }
  for (const char* wrong : {"", "about 5", "fit:", "XP", "PRIOR", "XP-1,", "fit:XP-1;PB-2"}) {
    INFO(wrong);
    json changed = file;
    changed["steps"]["hardirq"]["figure"] = wrong;
    CHECK(refusal(changed) != "");
  }
  json without = file;
  without["steps"]["hardirq"].erase("figure");
  CHECK(refusal(without) == "c.json: steps.hardirq.figure: missing; add it");
  json prior = file;
  prior["steps"]["ipi"].erase("note");
  CHECK(refusal(prior) == "c.json: steps.ipi.note: missing; a prior number says in a note where it comes from");
  json measured = prior;
  measured["steps"]["ipi"]["figure"] = "measured";
  CHECK(refusal(measured) == "c.json: steps.ipi.note: missing; a measured number says in a note where it comes from");
  measured["steps"]["ipi"]["note"] = "a ping between two threads, median of five runs";
  CHECK_NOTHROW(load_calibration(measured.dump(), "c.json"));
}

TEST_CASE("a number of another era is refused unless the file says why") {
  json changed = document();
  changed.erase("mixes_eras");
  const std::string message = refusal(changed);
  CHECK(message.find("is not the file's era; say why in mixes_eras, or use another number") != std::string::npos);
}

TEST_CASE("a missing, unknown, mistyped or mispriced step is refused") {
  const json file = document();
  json changed = file;
  changed["steps"].erase("doorbell");
  CHECK(refusal(changed) == "c.json: steps.doorbell: missing; add it");
  changed = file;
  changed["steps"]["doorbel"] = changed["steps"]["doorbell"];
  CHECK(refusal(changed) == "c.json: steps.doorbel: unknown key; did you mean \"doorbell\"?");
  changed = file;
  changed["steps"]["doorbell"]["ns"] = -1;
  CHECK(refusal(changed) == "c.json: steps.doorbell.ns: -1 is out of range; use 0.0 … 1000000000.0");
  changed["steps"]["doorbell"]["ns"] = "fast";
  CHECK(refusal(changed) == "c.json: steps.doorbell.ns: must be a number");
  changed = file;
  changed["steps"]["doorbell"]["per"] = "packet";
  CHECK(refusal(changed) == "c.json: steps.doorbell.per: \"packet\" must be \"bulk\"");
  changed = file;
  changed["steps"]["doorbell"]["ns_per_byte"] = 1;
  CHECK(refusal(changed).find("unknown key") != std::string::npos);
  changed = file;
  changed["schema"] = 2;
  CHECK(refusal(changed).find("schema") != std::string::npos);
  CHECK(refusal(json::array()) == "c.json: must be an object");
}
