#pragma once
// Policies that Python brings along: bytes of an object, or a function that is called for every packet. A function is
// called with the interpreter's lock; the first exception it raises is kept, ends the replication, and goes on to the
// caller.

#include <pybind11/pybind11.h>

#include <exception>
#include <map>
#include <memory>
#include <string>

#include "models/xdp/given_policy.hpp"

namespace rxpool::python {

/// Exceptions of the functions of one run.
struct FunctionFailure {
  std::exception_ptr first;
};

using GivenPolicies = std::map<std::string, std::shared_ptr<const GivenPolicy>>;

/// From a dictionary of bytes and callables; needs the interpreter's lock. The result may be copied and dropped
/// without.
GivenPolicies given_policies(const pybind11::dict& given, const std::shared_ptr<FunctionFailure>& failure);

/// rxpool._core.Signal: what a function is shown of the host's state.
void bind_signal(pybind11::module_& module);

}  // namespace rxpool::python
