"""rxpool: the receive path of a Linux host, simulated.

``load`` reads a scenario, ``run`` simulates it and returns a ``Result`` with pandas frames; ``compare``, ``sweep`` and
``tune`` do so for several. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rxpool.comparing import Comparison, compare
    from rxpool.errors import ExitCode, InputError, InternalError
    from rxpool.policy import Policy
    from rxpool.record import Ledger, Replication, Series
    from rxpool.result import Result
    from rxpool.running import run
    from rxpool.scenario import Scenario, load
    from rxpool.store import Store, load_run
    from rxpool.sweeping import Axis, Sweep, sweep
    from rxpool.tuning import Tuning, tune

__version__ = "0.1.0"

__all__ = [
    "Axis",
    "Comparison",
    "ExitCode",
    "InputError",
    "InternalError",
    "Ledger",
    "Policy",
    "Replication",
    "Result",
    "Scenario",
    "Series",
    "Store",
    "Sweep",
    "Tuning",
    "__version__",
    "compare",
    "load",
    "load_run",
    "run",
    "schema",
    "sweep",
    "tune",
]

_HOME = {
    "Comparison": "comparing",
    "compare": "comparing",
    "ExitCode": "errors",
    "InputError": "errors",
    "InternalError": "errors",
    "Policy": "policy",
    "Ledger": "record",
    "Replication": "record",
    "Series": "record",
    "Result": "result",
    "run": "running",
    "Scenario": "scenario",
    "load": "scenario",
    "Store": "store",
    "load_run": "store",
    "Axis": "sweeping",
    "Sweep": "sweeping",
    "sweep": "sweeping",
    "Tuning": "tuning",
    "tune": "tuning",
}


def schema() -> dict[str, Any]:
    """The JSON schema of a scenario, made from the C++ parameter structs."""
    import json

    from rxpool import _core

    value: dict[str, Any] = json.loads(_core.schema())
    return value


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'rxpool' has no attribute '{name}'")
    value = getattr(import_module(f"rxpool.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
