"""What docs/answers.md quotes: reads docs/answers.toml, runs it and prints every measure with its 95 % interval."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rxpool
from rxpool.measures import Measure
from rxpool.statistics import mean_interval

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Quoted:
    """One run behind a row of the page."""

    row: str
    name: str
    scenario: rxpool.Scenario
    measures: tuple[str, ...]


def quoted() -> Iterator[Quoted]:
    """Every run of docs/answers.toml. Raises :class:`rxpool.InputError` where a scenario refuses what is set."""
    table: dict[str, Any] = tomllib.loads((ROOT / "docs/answers.toml").read_text())
    for row, entry in table.items():
        for name, given in entry["runs"].items():
            scenario = rxpool.load(
                ROOT / "scenarios" / f"{row}.json",
                set=given.get("set", {}),
                replications=given.get("replications", entry["replications"]),
            )
            yield Quoted(row, name, scenario, tuple(given.get("measures", entry["measures"])))


def main(rows: list[str]) -> None:
    for one in quoted():
        if rows and one.row not in rows:
            continue
        result = rxpool.run(one.scenario, jobs=2)
        for measure in one.measures:
            values = Measure(measure).values(result.replications)
            interval = mean_interval(values)
            mean = f"{interval.estimate:,.6g} ± {(interval.high - interval.low) / 2:,.3g}"
            print(f"{one.row:22} {one.name:18} {measure:55} {mean} (N = {len(values)})")


if __name__ == "__main__":
    main(sys.argv[1:])
