"""The same scenario on this machine's kernel, instead of in the simulator.

``run`` takes a scenario, honours what a veth pair of this kernel can honour, and returns a :class:`KernelRun` whose
frame has the simulator's component and metric names. It is kernel path validation, not NIC validation: ``LIMITS`` says
what differs, ``KernelRun.not_honoured`` what of the scenario this host left out. ``validate`` runs a scenario on both
backends and compares.
"""

from __future__ import annotations

from rxpool.kernel.lab import KernelRun, run
from rxpool.kernel.plan import LIMITS, Plan, plan
from rxpool.kernel.validating import Validation, validate

__all__ = ["LIMITS", "KernelRun", "Plan", "Validation", "plan", "run", "validate"]
