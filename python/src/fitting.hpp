#pragma once
// The least-squares fit of calibrations as a function of the compiled module.

#include <pybind11/pybind11.h>

namespace rxpool::python {

void bind_fitting(pybind11::module_& m);

}  // namespace rxpool::python
