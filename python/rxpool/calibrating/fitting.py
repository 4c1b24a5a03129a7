"""``rxpool calibrate``: the prices of one machine, fitted to the entries of a figures file whose role is ``fit``."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rxpool.calibrating import files
from rxpool.calibrating.files import Document, Parameter
from rxpool.errors import InputError
from rxpool.figures.entries import Figure
from rxpool.figures.validating import Plan, plan, run_plans, simulated_value
from rxpool.record import Replication
from rxpool.shipped import shipped_folder

Vector = npt.NDArray[np.float64]

DEVIATION = 0.02  # of a rate: half of what measurements of one thing on one machine differ by
DEVIATION_POINTS = 1.5  # of a miss rate, percentage points
DIFFERENCE = 0.08  # of a parameter, for its derivatives
FAR = 0.6  # of a parameter: beyond this its derivatives are taken anew
NAMED = 0.02  # elasticity from which a figure is named behind a number
MOST_NAMED = 6

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Fit:
    """What a fit found, for one machine: fitted files by name, and the tables that say how good it is."""

    documents: tuple[Document, ...]
    parameters: tuple[Parameter, ...]
    factors: Vector
    errors: Vector
    """Standard errors of the factors; 0 for a factor at its bound."""
    figures: tuple[Figure, ...]
    predicted: Vector
    left_out: tuple[tuple[Figure, str], ...]
    """Entries of role ``fit`` that cannot be run, and why."""

    def rows(self) -> list[dict[str, Any]]:
        """One row per parameter: prior, bounds, value and standard error as factors, and the numbers it stands for."""
        return [
            {
                "file": p.file,
                "parameter": p.name,
                "low": p.low,
                "high": p.high,
                "factor": float(factor),
                "standard_error": float(error),
                "numbers": " ".join(p.numbers),
            }
            for p, factor, error in zip(self.parameters, self.factors, self.errors, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Parameters and entries as plain values."""
        return {
            "parameters": self.rows(),
            "entries": [
                {"figure": f.id, "measured": f.value, "fitted": float(v), "unit": f.unit}
                for f, v in zip(self.figures, self.predicted, strict=True)
            ],
            "left_out": [{"figure": f.id, "why": why} for f, why in self.left_out],
        }

    def write(self, folder: Path) -> list[Path]:
        """The fitted files; returns their paths."""
        paths = [folder / f"{document['name']}.json" for document in self.documents]
        for document, path in zip(self.documents, paths, strict=True):
            files.write(document, path)
        return paths


def shipped_priors(machine: str) -> list[Path]:
    """The priors files of a machine. Raises :class:`InputError` when it has none."""
    folder = Path(shipped_folder()) / "calibration" / "priors"
    found = sorted(folder.glob(f"{machine.lower()}-*.json"))
    if not found:
        raise InputError(f"--machine {machine}: no priors for it in {folder}; give --priors FILE")
    return found


def calibrate(
    figures: Iterable[Figure],
    priors: Sequence[Path],
    *,
    machine: str,
    jobs: int = 1,
    executor: Executor | None = None,
    tell: Tell = lambda _: None,
) -> Fit:
    """Fits the parameters of the priors files together to the machine's ``fit`` entries.

    A NIC's entries are run with the file that lists its driver. Raises :class:`InputError` when there are not more
    entries than parameters.
    """
    from rxpool import _core

    documents = [files.read(path) for path in priors]
    wanted = [f for f in figures if f.role == "fit" and f.machine == machine]
    simulator = _Simulator(documents, wanted, jobs, executor, tell)
    parameters = simulator.parameters
    if len(simulator.figures) <= len(parameters):
        raise InputError(
            f"{machine}: {len(parameters)} parameters need more than {len(simulator.figures)} entries to fit"
        )
    found = _core.fit_least_squares(
        np.array([f.value for f in simulator.figures]),
        np.array([_deviation(f) for f in simulator.figures]),
        np.ones(len(parameters)),
        np.array([p.prior_deviation for p in parameters]),
        np.array([p.low for p in parameters]),
        np.array([p.high for p in parameters]),
        simulator.value,
        simulator.derivatives,
    )
    factors, covariance = found["parameters"], found["covariance"]
    elasticity = found["derivatives"] * factors / np.maximum(np.abs(found["predicted"]), 1e-9)[:, None]
    fitted = [
        _fitted(document, parameters, factors, covariance, elasticity, simulator.figures) for document in documents
    ]
    errors = np.sqrt(np.diag(covariance))
    return Fit(
        tuple(fitted), tuple(parameters), factors, errors, simulator.figures, found["predicted"], simulator.left_out
    )


def _deviation(figure: Figure) -> float:
    return DEVIATION_POINTS if figure.unit == "%" else DEVIATION * abs(figure.value)


class _Simulator:
    """The model of the fit: what the simulator says to each figure, as a function of the factors."""

    def __init__(
        self,
        documents: Sequence[Document],
        wanted: Sequence[Figure],
        jobs: int,
        executor: Executor | None,
        tell: Tell,
    ) -> None:
        self._documents = documents
        self._jobs = jobs
        self._executor = executor
        self._tell = tell
        self.parameters = files.all_parameters(documents)
        by_driver = {driver: str(d["name"]) for d in documents for driver in d["drivers"]}
        self._file_of = {nic: by_driver[nic] for nic in {f.nic for f in wanted} if nic in by_driver}
        with tempfile.TemporaryDirectory(prefix="rxpool-fit-") as folder:
            candidate = self._write(np.ones(len(self.parameters)), Path(folder))
            plans = [(f, self._plan(f, candidate)) for f in wanted]
        self.figures = tuple(f for f, p in plans if not p.why)
        self.left_out = tuple((f, p.why) for f, p in plans if p.why)
        self._uses: list[frozenset[str]] = []
        self._at: Vector | None = None
        self._derivatives: Vector | None = None
        self._value: dict[bytes, Vector] = {}

    def value(self, factors: Vector) -> Vector:
        """Every figure's number."""
        key = factors.tobytes()
        if key not in self._value:
            self._value[key] = self._run(factors, range(len(self.figures)))
            error = np.abs(self._value[key] / np.array([f.value for f in self.figures]) - 1)
            self._tell(f"{len(self._value)}. point: median error {np.median(error):.1%}")
        return self._value[key]

    def derivatives(self, factors: Vector) -> Vector:
        """By one-sided differences; kept while no factor has moved far from where they were taken."""
        if self._at is not None and self._derivatives is not None:
            moved = np.max(np.abs(factors / self._at - 1))
            if moved < FAR:
                return self._derivatives
        base = self.value(factors)
        made = np.zeros((len(self.figures), len(self.parameters)))
        for column, parameter in enumerate(self.parameters):
            step = DIFFERENCE * factors[column]
            if factors[column] + step > parameter.high:
                step = -step
            there = factors.copy()
            there[column] += step
            rows = [i for i in range(len(self.figures)) if self._depends(i, parameter)]
            made[rows, column] = (self._run(there, rows) - base[rows]) / step
        self._tell("derivatives taken")
        self._at, self._derivatives = factors.copy(), made
        return made

    def _depends(self, row: int, parameter: Parameter) -> bool:
        """Did the figure's runs spend time on any of the parameter's steps? Of other numbers it may depend."""
        if not self._uses[row]:
            return True
        own = {str(d["name"]): d for d in self._documents}
        file = own[self._file_of[self.figures[row].nic]]
        if parameter.file not in (file["name"], file.get("base")):
            return False
        overlaid = file["steps"] if parameter.file != file["name"] else {}
        steps = {n.partition(".")[2] for n in parameter.numbers if n.startswith("steps.")} - set(overlaid)
        others = any(not n.startswith("steps.") for n in parameter.numbers)
        return others or bool(steps & self._uses[row])

    def _plan(self, figure: Figure, candidate: Mapping[str, Path]) -> Plan:
        if figure.nic not in self._file_of:
            return Plan(figure, why=f"no priors for {figure.nic}")
        return plan(figure, str(candidate[self._file_of[figure.nic]]))

    def _write(self, factors: Vector, folder: Path) -> dict[str, Path]:
        paths = {}
        for document in self._documents:
            name = str(document["name"])
            own = {p.name: f for p, f in zip(self.parameters, factors, strict=True) if p.file == name}
            paths[name] = folder / f"{name}.json"
            files.write(files.scaled(document, own), paths[name])
        return paths

    def _run(self, factors: Vector, rows: Iterable[int]) -> Vector:
        with tempfile.TemporaryDirectory(prefix="rxpool-fit-") as folder:
            candidate = self._write(factors, Path(folder))
            plans = [self._plan(self.figures[i], candidate) for i in rows]
            results = run_plans(plans, jobs=self._jobs, executor=self._executor)
            if not self._uses:
                self._uses = [frozenset().union(*(_steps(results[s.text]) for s in p.scenarios)) for p in plans]
            values = [simulated_value(p, results, candidate[self._file_of[p.figure.nic]]) for p in plans]
        return np.array([np.nan if v is None else v for v in values])


_UNPRICED = {
    "xdp_program": ("bpf_instruction", "bpf_helper", "bpf_map_lookup", "bpf_map_update", "bpf_ktime"),
    "page_memory": (
        "page_pool_cache_get",
        "page_pool_cache_put",
        "page_pool_ring_get",
        "page_pool_ring_put",
        "page_pool_release",
        "ptr_ring_lock",
        "pcp_alloc",
        "pcp_free",
        "zone_lock",
        "buddy_page",
        "page_alloc_single",
        "dma_map",
        "dma_unmap",
    ),
}
"""Steps that a run's profile reports together."""


def _steps(replication: Replication) -> frozenset[str]:
    used: set[str] = set()
    for (component, metric), value in replication.named.items():
        if metric == "step_time" and value > 0:
            name = component.rpartition(".")[2]
            used |= set(_UNPRICED.get(name, (name,)))
    return frozenset(used)


def _behind(elasticity: Vector, figures: Sequence[Figure]) -> list[str]:
    """The figures that a parameter matters to, those that it matters most to first."""
    rows = [row for row in np.argsort(-np.abs(elasticity), kind="stable") if abs(elasticity[row]) > NAMED]
    return [figures[row].id for row in rows]


def _fitted(
    document: Document,
    parameters: Sequence[Parameter],
    factors: Vector,
    covariance: Vector,
    elasticity: Vector,
    figures: Sequence[Figure],
) -> Document:
    """The fitted file: numbers with the figures behind them, and the fit itself."""
    own = [i for i, p in enumerate(parameters) if p.file == document["name"]]
    made = files.scaled(document, {parameters[i].name: float(factors[i]) for i in own})
    for i in own:
        named = _behind(elasticity[:, i], figures)[:MOST_NAMED]
        if not named:
            continue  # nothing to fit: what was known before stays as it is labelled
        for place in parameters[i].numbers:
            entry, _ = files.number(made, place)
            source = "" if entry["figure"] == "uncalibrated" else f"prior {entry['figure']}"
            entry["figure"] = "fit:" + ",".join(sorted(named))
            entry.pop("era", None)
            if source or "note" in entry:
                entry["note"] = "; ".join(text for text in (source, entry.get("note", "")) if text)
    made["provisional"] = False
    made["fit"] = {
        "figures": [f.id for f in figures],
        "parameters": {
            parameters[i].name: {
                "numbers": list(parameters[i].numbers),
                "low": parameters[i].low,
                "high": parameters[i].high,
                "factor": round(float(factors[i]), 5),
                "standard_error": round(float(np.sqrt(covariance[i, i])), 5),
                "figures": _behind(elasticity[:, i], figures),
                "reason": parameters[i].reason,
            }
            for i in own
        },
        "covariance": [[round(float(covariance[i, j]), 9) for j in own] for i in own],
    }
    return made
