"""Plots by name: each takes a frame and returns matplotlib axes.

=============  =============================================================  ==================================
name           what it shows                                                  frame
=============  =============================================================  ==================================
policies       one metric per policy, mean with its 95 % interval             ``metrics``, ``Comparison.values``
differences    paired differences to the baseline with their intervals        ``Comparison.frame``
cdf            distribution per policy: of a series' samples, of values over  ``series`` or ``metrics``
               replications, or the quantiles of a latency
timeline       levels over time, states shaded                                ``series``
sweep          a metric over one varied key, intervals shaded                 ``Sweep.frame``
heat_map       a metric over two varied keys                                  ``Sweep.frame``
pareto         two objectives of a tuning and their front                     ``Tuning.frame``
pages          where the pages are, stacked over time                         ``series``
backends       one level on the kernel and in the simulator           ``Validation.series``
cpu            busy time of every CPU by context, and by step                 ``metrics``
=============  =============================================================  ==================================

Every function takes ``ax`` to draw on; without one it makes a figure. Nothing is shown or saved. Raises
:class:`rxpool.InputError` for a frame that lacks what the plot needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from rxpool.plots.backends import backends
    from rxpool.plots.distributions import cdf
    from rxpool.plots.flame import cpu
    from rxpool.plots.intervals import differences, policies
    from rxpool.plots.sweeps import heat_map, pareto, sweep
    from rxpool.plots.timelines import pages, timeline

__all__ = [
    "backends",
    "cdf",
    "cpu",
    "differences",
    "draw",
    "heat_map",
    "names",
    "pages",
    "pareto",
    "policies",
    "sweep",
    "timeline",
]

_HOME = {
    "policies": "intervals",
    "differences": "intervals",
    "cdf": "distributions",
    "timeline": "timelines",
    "pages": "timelines",
    "sweep": "sweeps",
    "heat_map": "sweeps",
    "pareto": "sweeps",
    "backends": "backends",
    "cpu": "flame",
}


def names() -> list[str]:
    """The names that :func:`draw` takes."""
    return list(_HOME)


def draw(name: str, frame: Any, *arguments: Any, **options: Any) -> Axes:
    """Draws the plot of that name. Raises :class:`InputError` for a name that is none."""
    if name not in _HOME:
        raise InputError(f"no plot is called '{name}'; there are: {', '.join(_HOME)}")
    axes: Axes = _function(name)(frame, *arguments, **options)
    return axes


def _function(name: str) -> Any:
    return getattr(import_module(f"rxpool.plots.{_HOME[name]}"), name)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'rxpool.plots' has no attribute '{name}'")
    value = _function(name)
    globals()[name] = value
    return value
