// rxpool._core: scenario, run and result for Python, as text and plain tables. The interpreter's lock is released while
// a replication runs; its progress call takes the lock, hears Ctrl-C and the caller's wish to stop.

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "convert.hpp"
#include "core_source.hpp"
#include "fitting.hpp"
#include "given.hpp"
#include "models/calibration/calibration.hpp"
#include "models/host/memory_loops.hpp"
#include "models/host/metric_table.hpp"
#include "models/host/topology.hpp"
#include "models/result.hpp"
#include "models/scenario/scenario.hpp"
#include "policy.hpp"
#include "sim/error.hpp"

namespace py = pybind11;

namespace {

using Overrides = std::vector<std::pair<std::string, std::string>>;

rxpool::python::GivenPolicies given_policies(const py::dict& given) {
  return rxpool::python::given_policies(given, std::make_shared<rxpool::python::FunctionFailure>());
}

/// A scenario that was resolved and checked before: its files may lie wherever they were allowed to.
rxpool::Scenario load_resolved(const std::string& resolved, const std::string& folder,
                               const std::string& shipped_folder, const rxpool::python::GivenPolicies& given) {
  rxpool::LoadOptions options;
  options.folder = folder;
  options.allow_path = true;
  options.shipped_folder = shipped_folder;
  options.given_policies = given;
  return rxpool::load_scenario(resolved, options);
}

std::string resolve(const std::string& text, const std::string& source_name, const std::string& folder,
                    const Overrides& overrides, bool allow_path, const std::string& shipped_folder,
                    const py::dict& given) {
  rxpool::LoadOptions options;
  options.given_policies = given_policies(given);
  options.source_name = source_name;
  options.folder = folder;
  options.allow_path = allow_path;
  options.shipped_folder = shipped_folder;
  options.overrides = overrides;
  const py::gil_scoped_release unlocked;
  return rxpool::resolved_json(rxpool::load_scenario(text, options));
}

py::dict run(const std::string& resolved, const std::string& folder, const std::string& shipped_folder,
             std::uint32_t replication, const py::object& progress, const py::dict& given,
             const std::optional<std::pair<double, double>>& trace_ms) {
  bool python_failed = false;
  const auto failure = std::make_shared<rxpool::python::FunctionFailure>();
  const rxpool::python::GivenPolicies policies = rxpool::python::given_policies(given, failure);
  rxpool::RunOptions options;
  options.replication = replication;
  if (trace_ms) options.trace = {rxpool::time_from_ms(trace_ms->first), rxpool::time_from_ms(trace_ms->second)};
  options.progress = [&](double simulated_ms, double total_ms, std::uint64_t offered_packets) {
    if (failure->first || python_failed) return false;
    py::gil_scoped_acquire lock;
    if (PyErr_CheckSignals() != 0) {
      python_failed = true;
      return false;
    }
    if (progress.is_none()) return true;
    PyObject* answer = PyObject_CallFunction(progress.ptr(), "ddK", simulated_ms, total_ms,
                                             static_cast<unsigned long long>(offered_packets));
    const int go_on = answer == nullptr ? -1 : PyObject_IsTrue(answer);
    Py_XDECREF(answer);
    python_failed = go_on < 0;
    return go_on > 0;
  };
  rxpool::ReplicationResult result;
  {
    py::gil_scoped_release unlocked;
    result = rxpool::run_replication(load_resolved(resolved, folder, shipped_folder, policies), options);
  }
  if (failure->first) std::rethrow_exception(failure->first);
  if (python_failed) throw py::error_already_set();
  return rxpool::python::to_python(std::move(result));
}

py::dict topology(const std::string& resolved, const std::string& folder, const std::string& shipped_folder,
                  const py::dict& given) {
  const rxpool::python::GivenPolicies policies = given_policies(given);
  rxpool::Topology found;
  {
    py::gil_scoped_release unlocked;
    found = rxpool::topology(load_resolved(resolved, folder, shipped_folder, policies));
  }
  py::list stages;
  for (const rxpool::Stage& stage : found.stages) {
    py::dict d;
    d["component"] = stage.component;
    d["kind"] = stage.kind;
    d["offered_pps"] = stage.offered_pps;
    d["capacity_pps"] = stage.capacity_pps;
    d["demand_ns"] = stage.demand_ns;
    d["utilisation"] = stage.utilisation;
    stages.append(std::move(d));
  }
  py::dict d;
  d["stages"] = std::move(stages);
  d["predicted"] = py::make_tuple(found.predicted.component, found.predicted.sentence);
  d["dot"] = found.dot;
  return d;
}

/// What a loop of the page allocator ("page_bulk", over so many pages) or of page_pool ("fast_path", "ptr_ring",
/// "slow") costs per page under a calibration file.
double memory_loop_ns(const std::string& calibration_file, const std::string& loop, std::uint32_t bulk) {
  const rxpool::Calibration calibration = rxpool::load_calibration_file(calibration_file);
  if (loop == "page_bulk") return rxpool::page_bulk_loop_ns(calibration, bulk);
  if (loop == "fast_path") return rxpool::page_pool_loop_ns(calibration, rxpool::PoolLoop::fast_path);
  if (loop == "ptr_ring") return rxpool::page_pool_loop_ns(calibration, rxpool::PoolLoop::ptr_ring);
  if (loop == "slow") return rxpool::page_pool_loop_ns(calibration, rxpool::PoolLoop::slow);
  throw rxpool::InputError("\"" + loop + "\" is no memory loop; use page_bulk, fast_path, ptr_ring or slow");
}

py::list metric_table() {
  static constexpr std::string_view kinds[] = {"counter", "level", "derived"};
  py::list list;
  for (const rxpool::MetricDefinition& metric : rxpool::metric_table()) {
    py::dict d;
    d["name"] = metric.name;
    d["unit"] = metric.unit;
    d["kind"] = kinds[static_cast<std::size_t>(metric.kind)];
    d["meaning"] = metric.meaning;
    d["source"] = metric.source;
    list.append(std::move(d));
  }
  return list;
}

py::dict build_info() {
  py::dict d;
  d["core_source"] = rxpool_core_source;
#if defined(__clang__)
  d["compiler"] = "clang " __clang_version__;
#else
  d["compiler"] = "gcc " __VERSION__;
#endif
  d["build_type"] = RXPOOL_BUILD_TYPE;
  return d;
}

void raise_python(const char* type, const py::tuple& arguments) {
  const py::object error = py::module_::import("rxpool.errors").attr(type);
  PyErr_SetObject(error.ptr(), error(*arguments).ptr());
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "The compiled core of rxpool; use the package's own functions instead.";
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const rxpool::InputError& error) {
      raise_python("InputError", py::make_tuple(error.what(), static_cast<int>(error.code())));
    } catch (const rxpool::BugError& error) {
      raise_python("InternalError", py::make_tuple(error.what()));
    }
  });
  m.def("resolve", &resolve, py::arg("text"), py::arg("source_name"), py::arg("folder"), py::arg("overrides"),
        py::arg("allow_path"), py::arg("shipped_folder"), py::arg("given") = py::dict());
  m.def("schema", &rxpool::scenario_schema_json);
  m.def(
      "named_files",
      [](const std::string& resolved, const std::string& folder, const std::string& shipped_folder,
         const py::dict& given) {
        const rxpool::python::GivenPolicies policies = given_policies(given);
        const py::gil_scoped_release unlocked;
        return rxpool::named_files(load_resolved(resolved, folder, shipped_folder, policies));
      },
      py::arg("resolved"), py::arg("folder"), py::arg("shipped_folder"), py::arg("given") = py::dict());
  m.def(
      "memory_estimate",
      [](const std::string& resolved, const std::string& folder, const std::string& shipped_folder,
         const py::dict& given) {
        const rxpool::python::GivenPolicies policies = given_policies(given);
        const py::gil_scoped_release unlocked;
        return rxpool::memory_estimate_bytes(load_resolved(resolved, folder, shipped_folder, policies));
      },
      py::arg("resolved"), py::arg("folder"), py::arg("shipped_folder"), py::arg("given") = py::dict());
  m.def("run", &run, py::arg("resolved"), py::arg("folder"), py::arg("shipped_folder"), py::arg("replication"),
        py::arg("progress") = py::none(), py::arg("given") = py::dict(), py::arg("trace_ms") = py::none());
  m.def("topology", &topology, py::arg("resolved"), py::arg("folder"), py::arg("shipped_folder"),
        py::arg("given") = py::dict());
  m.def("memory_loop_ns", &memory_loop_ns, py::arg("calibration_file"), py::arg("loop"), py::arg("bulk") = 1);
  m.def("metric_table", &metric_table);
  m.def("build_info", &build_info);
  rxpool::python::bind_fitting(m);
  rxpool::python::bind_signal(m);
  rxpool::python::bind_policy(m);
}
