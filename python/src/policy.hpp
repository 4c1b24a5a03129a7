#pragma once
// Policies for Python: one object loaded into a box of its own, run on bytes, its maps read and written. Everything
// that a person reads (names of verdicts, values by BTF) is made in Python.

#include <pybind11/pybind11.h>

namespace rxpool::python {

void bind_policy(pybind11::module_& module);

}  // namespace rxpool::python
