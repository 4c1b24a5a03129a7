#include "kernel/lab/plan.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "models/scenario/field_reader.hpp"

namespace rxpool::lab {
namespace {

std::vector<Pause> read_pauses(const nlohmann::json& json) {
  std::vector<Pause> pauses;
  for (const auto& pause : json) {
    pauses.push_back({pause.at("at_ms"), pause.at("for_ms"), pause.at("every_ms")});
  }
  return pauses;
}

XskPlan read_xsk(const nlohmann::json& json) {
  XskPlan xsk;
  json.at("name").get_to(xsk.name);
  json.at("cpu").get_to(xsk.cpu);
  json.at("frames").get_to(xsk.frames);
  json.at("fill_ring").get_to(xsk.fill_ring);
  json.at("rx_ring").get_to(xsk.rx_ring);
  json.at("batch").get_to(xsk.batch);
  json.at("service_ns").get_to(xsk.service_ns);
  json.at("paused").get_to(xsk.paused);
  xsk.pauses = read_pauses(json.at("pauses"));
  return xsk;
}

}  // namespace

Plan read_plan(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    throw std::runtime_error(path + ": cannot be read");
  }
  const auto json = nlohmann::json::parse(file);
  Plan plan;
  json.at("duration_ms").get_to(plan.duration_ms);
  json.at("warmup_ms").get_to(plan.warmup_ms);
  json.at("sample_us").get_to(plan.sample_us);
  json.at("batch").get_to(plan.batch);
  json.at("frame_bytes").get_to(plan.frame_bytes);
  json.at("generator_cpu").get_to(plan.generator_cpu);
  json.at("threaded").get_to(plan.threaded);
  json.at("napi_cpu").get_to(plan.napi_cpu);
  json.at("policy").get_to(plan.policy);
  json.at("params").get_to(plan.params);
  if (const auto& remote = json.at("remote"); !remote.is_null()) {
    remote.at("map").get_to(plan.remote.map);
    remote.at("cpu").get_to(plan.remote.cpu);
    remote.at("qsize").get_to(plan.remote.qsize);
    remote.at("program").get_to(plan.remote.program);
  }
  json.at("ports").get_to(plan.ports);
  for (const auto& item : json.at("sockets")) {
    SocketPlan socket;
    item.at("name").get_to(socket.name);
    item.at("port").get_to(socket.port);
    item.at("tcp").get_to(socket.tcp);
    item.at("cpu").get_to(socket.cpu);
    item.at("rcvbuf").get_to(socket.rcvbuf);
    item.at("batch").get_to(socket.batch);
    item.at("service_ns").get_to(socket.service_ns);
    item.at("rate_pps").get_to(socket.rate_pps);
    item.at("paused").get_to(socket.paused);
    socket.pauses = read_pauses(item.at("pauses"));
    plan.sockets.push_back(socket);
  }
  if (!json.at("xsk").is_null()) {
    plan.xsk = read_xsk(json["xsk"]);
  }
  if (const auto& tcp = json.at("tcp"); !tcp.is_null()) {
    tcp.at("port").get_to(plan.tcp.port);
    tcp.at("congestion_control").get_to(plan.tcp.congestion_control);
    tcp.at("start_ms").get_to(plan.tcp.start_ms);
  }
  json.at("hz").get_to(plan.hz);
  const scenario::Origin origin(path, {});
  scenario::FieldReader reader(origin, json.at("control"), "control");
  fields(reader, plan.control);
  reader.refuse_unknown();
  return plan;
}

}  // namespace rxpool::lab
