#include <catch2/catch.hpp>
#include <cmath>
#include <functional>
#include <string>

#include "models/traffic/params.hpp"
#include "sim/error.hpp"

using namespace rxpool;
using Catch::Matchers::Contains;

namespace {

std::string error_of(const std::function<void(SourceParams&)>& change) {
  SourceParams params;
  change(params);
  try {
    params.validate("traffic.flood");
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("the defaults are valid", "[params]") {
  CHECK(error_of([](SourceParams&) {}) == "no error");
  CHECK(error_of([](SourceParams& p) {
          p.flows.ip_version = 6;
          p.sizes.frame_bytes = 66;
        }) == "no error");
}

TEST_CASE("an error names the field, its value and what is allowed", "[params]") {
  CHECK(error_of([](SourceParams& p) { p.arrivals.rate_pps = -1; }) ==
        "traffic.flood.rate_pps: -1 is outside 0.001 to 1e+09 packets/s");
  CHECK(error_of([](SourceParams& p) { p.sizes.frame_bytes = 63; }) ==
        "traffic.flood.frame_bytes: 63 is outside 64 to 9234 bytes (headers and FCS included)");
  CHECK_THAT(error_of([](SourceParams& p) {
               p.flows.ip_version = 6;
               p.flows.protocol = 6;
             }),
             Contains("frame_bytes: 64 is outside 78 to 9234"));
  CHECK_THAT(error_of([](SourceParams& p) { p.flows.sources = "198.18.0.1/16"; }), Contains("'198.18.0.1/16'"));
  CHECK_THAT(error_of([](SourceParams& p) { p.flows.sources = "198.18.0.0/33"; }), Contains("not an IPv4 prefix"));
  CHECK_THAT(error_of([](SourceParams& p) { p.flows.source_ports = {9, 8}; }),
             Contains("source_ports: 9-8 ends before"));
  CHECK_THAT(error_of([](SourceParams& p) {
               p.flows.sources = "198.18.0.0/32";
               p.flows.source_ports = {1, 10};
             }),
             Contains("count: 10000 flows are more than the 10"));
  CHECK_THAT(error_of([](SourceParams& p) { p.flows.protocol = 1; }), Contains("protocol: 1 is neither"));
  CHECK_THAT(error_of([](SourceParams& p) { p.arrivals.kind = ArrivalKind::mmpp; }),
             Contains("states: 0 is outside 2"));
  CHECK_THAT(error_of([](SourceParams& p) {
               p.sizes.kind = SizeKind::empirical;
               p.sizes.table = {{64, 0}};
             }),
             Contains("table: a weight of 0"));
  CHECK_THAT(error_of([](SourceParams& p) { p.stop_ms = 0; }), Contains("stop_ms: 0 is not after start_ms 0"));
  CHECK_THAT(error_of([](SourceParams& p) { p.schedule = {{2, 1}, {1, 1}}; }), Contains("schedule[1].at_ms: 1"));
  CHECK_THAT(error_of([](SourceParams& p) { p.schedule = {{2, -1}}; }), Contains("schedule[0].factor: -1"));
  CHECK_THAT(error_of([](SourceParams& p) { p.arrivals.rate_pps = std::nan(""); }),
             Contains("rate_pps: nan is outside"));
}
