"""The host of a scenario as a graph, with the stage that mean rates expect to lose first, and whether a run agreed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxpool.errors import ExitCode, InputError
from rxpool.files import ELSEWHERE, write_atomic
from rxpool.result import Result
from rxpool.scenario import Scenario, ScenarioSource, load
from rxpool.shipped import shipped_folder

if TYPE_CHECKING:
    import pandas as pd

FORMATS = ("svg", "png", "pdf", "dot")


@dataclass(frozen=True)
class Stage:
    """One vertex: a traffic source, a link, PCIe, an RX queue, a CPU, or a socket with its reader.

    ``offered_pps`` reach it, it can serve ``capacity_pps`` (infinite where it sets no limit of its own); its server is
    busy ``demand_ns`` with each packet, a share ``utilisation`` of the time it has (above 1 it loses packets).
    """

    component: str
    kind: str
    offered_pps: float
    capacity_pps: float
    demand_ns: float
    utilisation: float


@dataclass(frozen=True)
class Topology:
    """The stages from the sources onwards, the predicted bottleneck (component, sentence), and the graph as DOT."""

    stages: tuple[Stage, ...]
    predicted: tuple[str, str]
    dot: str

    @property
    def frame(self) -> pd.DataFrame:
        """One row per stage."""
        import pandas as pd

        return pd.DataFrame([asdict(stage) for stage in self.stages])

    def agrees(self, result: Result) -> bool:
        """Whether the run's own bottleneck is the predicted one (or neither has one)."""
        return self.predicted[0] == result.replications[0].bottleneck[0]

    def verdict(self, result: Result) -> str:
        """One sentence: whether the simulation agreed, and what it found."""
        start = "The simulation agrees: " if self.agrees(result) else "The simulation disagrees: "
        return start + result.bottleneck

    def to_dict(self, result: Result | None = None) -> dict[str, Any]:
        """The graph as plain values; with a run, what it found."""
        value: dict[str, Any] = {
            "schema": 1,
            "stages": [asdict(stage) for stage in self.stages],
            "predicted": {"component": self.predicted[0], "sentence": self.predicted[1]},
            "dot": self.dot,
        }
        if result is not None:
            component, sentence = result.replications[0].bottleneck
            value["simulated"] = {"run": result.name, "component": component, "sentence": sentence}
            value["agrees"] = self.agrees(result)
            value["warnings"] = result.warnings
            value["uncalibrated"] = result.uncalibrated
        return value

    def write(self, path: Path | str) -> None:
        """Writes the graph; the file's ending says how: svg, png, pdf (drawn by graphviz), or dot.

        Raises :class:`InputError` for another ending, or (exit 3) where graphviz is missing.
        """
        path = Path(path)
        kind = path.suffix.removeprefix(".")
        if kind not in FORMATS:
            raise InputError(f"{path}: a graph is written as {', '.join(FORMATS)}")
        write_atomic(path, self.dot.encode() if kind == "dot" else _drawn(self.dot, kind), ELSEWHERE)


def topology(
    source: ScenarioSource,
    *,
    set: Mapping[str, Any] | None = None,
    policy: str | None = None,
    allow_path: bool = False,
) -> Topology:
    """The graph of a scenario, from its own arrivals and the calibration's prices; runs nothing.

    Arguments as for :func:`rxpool.load`. Raises :class:`InputError`.
    """
    from rxpool import _core

    scenario: Scenario = load(source, set=set, policy=policy, allow_path=allow_path)
    raw = _core.topology(scenario.text, scenario.folder, shipped_folder(), scenario.brought_contents())
    return Topology(tuple(Stage(**stage) for stage in raw["stages"]), raw["predicted"], raw["dot"])


def _drawn(dot: str, kind: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise InputError("drawing needs graphviz: apt-get install graphviz, or write a .dot", ExitCode.NOT_AVAILABLE)
    done = subprocess.run([program, f"-T{kind}"], input=dot.encode(), capture_output=True, check=False)
    if done.returncode != 0:
        raise InputError(f"graphviz: {done.stderr.decode(errors='replace').strip()}", ExitCode.NOT_AVAILABLE)
    return done.stdout
