"""The commands that show: report, graph."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli.options import (
    AllowPathOption,
    FormatOption,
    OutOption,
    PolicyOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    app,
)
from rxpool.console import OutputFormat, guarded, write_study


@app.command()
@guarded
def report(
    runs: Annotated[
        list[str],
        typer.Argument(help="A stored run; further runs are compared with it (the baseline).", show_default=False),
    ],
    to: Annotated[Path | None, typer.Option(help="The file to write (default: NAME.html here).")] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds the run folders.")] = Path("runs"),
) -> None:
    """Write one self-contained HTML page about a stored run."""
    from rxpool.report import write
    from rxpool.store import RunFolder, find_run

    results = [RunFolder(find_run(name, out)).load() for name in runs]
    path = to or Path(f"{results[0].name}.html")
    write(results, path)
    sys.stdout.write(f"{path}\n")


@app.command()
@guarded
def graph(
    scenario: ScenarioArgument,
    to: Annotated[
        Path | None, typer.Option(help="The file to write: .svg, .png, .pdf or .dot (default: NAME-graph.svg here).")
    ] = None,
    policy: PolicyOption = None,
    set: SetOption = None,
    seed: SeedOption = None,
    allow_path: AllowPathOption = False,
    format: FormatOption = OutputFormat.TABLE,
    out: OutOption = Path("runs"),
) -> None:
    """Draw a scenario's stages with their capacities, predict the bottleneck, and run once to see if it is."""
    from rxpool.progress import watching
    from rxpool.scenario import load, parse_set
    from rxpool.store import Store
    from rxpool.study import run_stored
    from rxpool.table_study import print_topology
    from rxpool.topology import topology

    loaded = load(scenario, set=parse_set(set or []), seed=seed, replications=1, policy=policy, allow_path=allow_path)
    found = topology(loaded)
    found.write(to or Path(f"{loaded.name}-graph.svg"))
    with watching(loaded.name) as watcher:
        result = run_stored([loaded], Store(out), watcher=watcher)[0]
    write_study(
        format,
        table=lambda console: print_topology(console, found, result),
        plain=lambda: found.to_dict(result),
        frame=lambda: found.frame,
        warnings=result.warnings,
    )
