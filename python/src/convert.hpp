#pragma once
// From the core's plain tables to Python values: names become lists, numbers become numpy arrays that own the moved
// vectors, ledgers become dictionaries. Nothing is computed here.

#include <pybind11/pybind11.h>

#include "models/result.hpp"

namespace rxpool::python {

/// The dictionary described by ReplicationDict in _core.pyi; takes the vectors out of `result`.
pybind11::dict to_python(ReplicationResult&& result);

}  // namespace rxpool::python
