"""Runs what stands for each published figure, and sets the simulated number beside the measured one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.figures import hosts, readings, steps
from rxpool.figures.entries import Figure
from rxpool.figures.paths import PATHS
from rxpool.record import Replication
from rxpool.scenario import Scenario, load
from rxpool.shipped import shipped_folder

if TYPE_CHECKING:
    import pandas as pd

FIT = 0.05
OWN_MACHINE = 0.10
OTHER_MACHINE = 0.20
MISS_RATE_POINTS = 3.0
RARE_SHARE = 1e-3  # of the offered packets; below it only the order of magnitude counts
RARE_FACTOR = 10.0
CALIBRATED_MACHINE = "M1"


@dataclass(frozen=True)
class Outcome:
    """One figure and what the simulator says; ``simulated`` is None and ``why`` says why where it was not run."""

    figure: Figure
    simulated: float | None
    why: str = ""

    @property
    def error(self) -> float | None:
        """Relative error; percentage points where the figure is a percentage."""
        if self.simulated is None:
            return None
        if self.figure.unit == "%":
            return (self.simulated - self.figure.value) / 100
        return self.simulated / self.figure.value - 1

    @property
    def allowed(self) -> float:
        """The largest error that counts as a hit, in the unit of :attr:`error`."""
        if self.figure.unit == "%":
            return MISS_RATE_POINTS / 100
        if self.figure.role == "fit":
            return FIT
        return OWN_MACHINE if self.figure.machine == CALIBRATED_MACHINE else OTHER_MACHINE

    @property
    def inside(self) -> bool:
        """Whether it is a hit; what was not run is a miss."""
        if self.simulated is None or self.error is None:
            return False
        if self._rare:
            return self.simulated > 0 and abs(math.log10(self.simulated / self.figure.value)) <= math.log10(RARE_FACTOR)
        return abs(self.error) <= self.allowed

    @property
    def _rare(self) -> bool:
        offered_pps = 1e6 * float(self.figure.conditions.get("offered_mpps", 0.0))
        return "per second" in self.figure.unit and self.figure.value < RARE_SHARE * offered_pps


@dataclass(frozen=True)
class Plan:
    """How one figure is run: scenarios (one, or two for a difference), or nothing where a step is read directly."""

    figure: Figure
    scenarios: tuple[Scenario, ...] = ()
    why: str = ""


def plan(figure: Figure, calibration: str | None = None) -> Plan:
    """The scenarios for a figure, or why there are none. ``calibration`` replaces the NIC's own."""
    path = PATHS.get(figure.path)
    if path is None:
        return Plan(figure, why="not modelled: this path")
    if path.missing:
        return Plan(figure, why=f"not modelled: {path.missing}")
    if figure.path in steps.PATHS:
        return Plan(figure)
    if figure.metric not in readings.READINGS and not path.against:
        return Plan(figure, why=f"not measured by the simulator: {figure.metric}")
    wanted = [path, PATHS[path.against]] if path.against else [path]
    try:
        return Plan(figure, tuple(load(hosts.scenario(figure, one, calibration), allow_path=True) for one in wanted))
    except InputError as error:
        return Plan(figure, why=str(error).removeprefix("scenario: "))


def validate_figures(
    figures: Sequence[Figure],
    *,
    calibrations: Mapping[str, Path] | None = None,
    jobs: int = 1,
    executor: Executor | None = None,
) -> list[Outcome]:
    """Runs every figure once; figures that share a scenario share its run.

    ``calibrations`` gives files to use instead of the shipped ones, by NIC.
    """
    files = {nic: calibration_file(nic) for nic in {f.nic for f in figures}} | dict(calibrations or {})
    plans = [plan(figure, str(files[figure.nic]) if calibrations else None) for figure in figures]
    results = run_plans(plans, jobs=jobs, executor=executor)
    return [_outcome(one, results, files[one.figure.nic]) for one in plans]


def calibration_file(nic: str) -> Path:
    """The shipped calibration that a NIC's figures are run with."""
    return Path(shipped_folder()) / "calibration" / f"{hosts.calibration_name(nic)}.json"


def run_plans(plans: Sequence[Plan], *, jobs: int = 1, executor: Executor | None = None) -> dict[str, Replication]:
    """Runs each scenario of the plans once; the replication by the scenario's text."""
    from rxpool.running import run_scenarios

    needed = {s.text: s for one in plans for s in one.scenarios}
    results = run_scenarios(list(needed.values()), jobs=jobs, executor=executor) if needed else []
    return {text: result.replications[0] for text, result in zip(needed, results, strict=True)}


def _outcome(one: Plan, results: Mapping[str, Replication], calibration: Path) -> Outcome:
    if one.why:
        return Outcome(one.figure, None, one.why)
    simulated = simulated_value(one, results, calibration)
    return Outcome(one.figure, simulated, "" if simulated is not None else "the run has no such number")


def simulated_value(one: Plan, results: Mapping[str, Replication], calibration: Path) -> float | None:
    """The figure's number out of the runs of its plan."""
    if not one.scenarios:
        return steps.step_ns(one.figure, calibration)
    runs = [results[s.text] for s in one.scenarios]
    if len(runs) == 1:
        return readings.read(one.figure.metric, runs[0])
    with_it, without = (readings.ns_per_packet(r) for r in runs)
    return None if with_it is None or without is None else with_it - without


@dataclass(frozen=True)
class Group:
    """The outcomes of one machine and role in numbers."""

    name: str
    role: str
    count: int
    run: int
    inside: int
    median: float | None
    worst: Outcome | None


def groups(outcomes: Sequence[Outcome]) -> list[Group]:
    """Per machine with its NIC, and role, in the order of the file."""
    by_key: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        by_key.setdefault((outcome.figure.group, outcome.figure.role), []).append(outcome)
    made = []
    for (name, role), members in by_key.items():
        known = [o for o in members if o.error is not None]
        errors = [abs(o.error) for o in known if o.error is not None]
        made.append(
            Group(
                name,
                role,
                len(members),
                len(known),
                sum(o.inside for o in members),
                median(errors) if errors else None,
                max(known, key=lambda o: abs(o.error or 0.0) / o.allowed) if known else None,
            )
        )
    return made


def frame(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """One row per figure."""
    import pandas as pd

    return pd.DataFrame([row(o) for o in outcomes])


def row(outcome: Outcome) -> dict[str, Any]:
    """One figure as plain values."""
    figure = outcome.figure
    return {
        "figure": figure.id,
        "group": figure.group,
        "role": figure.role,
        "quantity": f"{figure.path or 'unknown path'}: {figure.metric}",
        "conditions": ", ".join(f"{k} {v}" for k, v in figure.conditions.items()),
        "unit": figure.unit,
        "measured": figure.value,
        "simulated": outcome.simulated,
        "error": outcome.error,
        "inside": outcome.inside,
        "why": outcome.why,
        "source": figure.source,
    }
