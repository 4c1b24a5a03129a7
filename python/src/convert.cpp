#include "convert.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <memory>
#include <utility>
#include <vector>

namespace rxpool::python {
namespace py = pybind11;

namespace {

template <class T>
py::array_t<T> own(std::vector<T>&& values) {
  auto kept = std::make_unique<std::vector<T>>(std::move(values));
  const T* data = kept->data();
  const auto size = static_cast<py::ssize_t>(kept->size());
  py::capsule owner(kept.get(), [](void* p) { delete static_cast<std::vector<T>*>(p); });
  kept.release();
  return py::array_t<T>(size, data, owner);
}

/// A name that every replication of a study repeats: Python holds one object for all of them.
py::str interned(const std::string& name) {
  PyObject* text = PyUnicode_DecodeUTF8(name.data(), static_cast<Py_ssize_t>(name.size()), "strict");
  if (text == nullptr) throw py::error_already_set();
  PyUnicode_InternInPlace(&text);
  return py::reinterpret_steal<py::str>(text);
}

py::dict ledger(const Ledger& ledger) {
  py::dict places;
  for (const auto& [place, count] : ledger.places) places[interned(place)] = count;
  py::dict d;
  d["total"] = ledger.total;
  d["places"] = std::move(places);
  return d;
}

/// All series in two arrays, each head with where its samples end: an array object per series costs more than its
/// samples.
py::dict series(const std::vector<SeriesRow>& rows) {
  std::size_t samples = 0;
  for (const SeriesRow& row : rows) samples += row.value.size();
  std::vector<std::int64_t> time_ns;
  std::vector<double> value;
  time_ns.reserve(samples);
  value.reserve(samples);
  py::list heads;
  for (const SeriesRow& row : rows) {
    if (row.value.empty()) continue;  // the run ended before the first sample
    time_ns.insert(time_ns.end(), row.time_ns.begin(), row.time_ns.end());
    value.insert(value.end(), row.value.begin(), row.value.end());
    heads.append(py::make_tuple(interned(row.component), interned(row.metric), interned(row.unit), value.size()));
  }
  py::dict d;
  d["heads"] = py::tuple(heads);
  d["time_ns"] = own(std::move(time_ns));
  d["value"] = own(std::move(value));
  return d;
}

py::dict trace(TraceColumns&& columns) {
  py::dict d;
  d["queues"] = columns.queues;
  const std::pair<const char*, std::vector<std::int64_t>*> arrays[] = {
      {"context_ps", &columns.context_ps},
      {"context_cpu", &columns.context_cpu},
      {"context", &columns.context},
      {"poll_begin_ps", &columns.poll_begin_ps},
      {"poll_end_ps", &columns.poll_end_ps},
      {"poll_queue", &columns.poll_queue},
      {"poll_cpu", &columns.poll_cpu},
      {"poll_packets", &columns.poll_packets},
      {"moment_ps", &columns.moment_ps},
      {"moment_queue", &columns.moment_queue},
      {"moment_packet", &columns.moment_packet},
      {"moment_cpu", &columns.moment_cpu},
      {"moment_stage", &columns.moment_stage},
  };
  for (const auto& [name, values] : arrays) d[name] = own(std::move(*values));
  return d;
}

}  // namespace

py::dict to_python(ReplicationResult&& result) {
  py::list component;
  py::list metric;
  py::list unit;
  std::vector<double> value;
  value.reserve(result.metrics.size());
  for (const MetricRow& row : result.metrics) {
    component.append(interned(row.component));
    metric.append(interned(row.metric));
    unit.append(interned(row.unit));
    value.push_back(row.value);
  }
  py::dict d;
  d["replication"] = result.replication;
  d["fingerprint"] = result.fingerprint;
  d["simulated_ms"] = result.simulated_ms;
  d["loop_cpu_seconds"] = result.loop_cpu_seconds;
  d["offered_packets"] = result.offered_packets;
  d["program_packets"] = result.program_packets;
  d["cancelled"] = result.cancelled;
  d["component"] = std::move(component);
  d["metric"] = std::move(metric);
  d["unit"] = std::move(unit);
  d["value"] = own(std::move(value));
  d["series"] = series(result.series);
  d["packets"] = ledger(result.packets);
  d["packets_at_cut"] = ledger(result.packets_at_cut);
  d["pages"] = ledger(result.pages);
  d["bottleneck"] = py::make_tuple(result.bottleneck.component, result.bottleneck.sentence);
  d["warnings"] = result.warnings;
  if (result.trace) d["trace"] = trace(std::move(*result.trace));
  return d;
}

}  // namespace rxpool::python
