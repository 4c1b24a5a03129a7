#include "given.hpp"

namespace py = pybind11;

namespace rxpool::python {
namespace {

/// A reference that can be dropped by a thread that does not hold the interpreter's lock.
std::shared_ptr<py::object> keep(py::object object) {
  return {new py::object(std::move(object)), [](py::object* kept) {
            const py::gil_scoped_acquire lock;
            delete kept;
          }};
}

PolicyFunction function_of(const std::shared_ptr<py::object>& function,
                           const std::shared_ptr<FunctionFailure>& failure) {
  return [function, failure](std::span<const std::byte> packet, const bpf::Signal& signal) -> std::uint32_t {
    if (failure->first) return 0;
    const py::gil_scoped_acquire lock;
    try {
      const py::object answer =
          (*function)(py::bytes(reinterpret_cast<const char*>(packet.data()), packet.size()), signal);
      if (!PyLong_Check(answer.ptr())) throw py::type_error("a policy returns a verdict as an int (XDP_PASS is 2)");
      return answer.cast<std::uint32_t>();
    } catch (...) {
      failure->first = std::current_exception();
      return 0;
    }
  };
}

}  // namespace

GivenPolicies given_policies(const py::dict& given, const std::shared_ptr<FunctionFailure>& failure) {
  GivenPolicies policies;
  for (const auto& [name, content] : given) {
    auto policy = std::make_shared<GivenPolicy>();
    if (py::isinstance<py::bytes>(content)) {
      const auto bytes = content.cast<std::string_view>();
      policy->object.assign(bytes.begin(), bytes.end());
    } else {
      policy->function = function_of(keep(py::reinterpret_borrow<py::object>(content)), failure);
    }
    policies[name.cast<std::string>()] = std::move(policy);
  }
  return policies;
}

void bind_signal(py::module_& m) {
  using bpf::Signal;
  py::class_<Signal>(m, "Signal")
      .def_readonly("abi", &Signal::abi)
      .def_readonly("seq", &Signal::seq)
      .def_readonly("state", &Signal::state)
      .def_readonly("valid", &Signal::valid)
      .def_readonly("updated_ns", &Signal::updated_ns)
      .def_readonly("held", &Signal::held)
      .def_readonly("inflight", &Signal::inflight)
      .def_readonly("working_set", &Signal::working_set)
      .def_readonly("limit", &Signal::limit)
      .def_readonly("rx_fill", &Signal::rx_fill)
      .def_readonly("rx_size", &Signal::rx_size)
      .def_readonly("tx_fill", &Signal::tx_fill)
      .def_readonly("tx_size", &Signal::tx_size)
      .def_readonly("hw_drops_total", &Signal::hw_drops_total);
}

}  // namespace rxpool::python
