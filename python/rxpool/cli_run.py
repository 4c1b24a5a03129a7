"""The commands about one scenario: run, show, schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli_options import (
    AllowPathOption,
    DaskOption,
    FormatOption,
    FreshOption,
    JobsOption,
    MetricOption,
    OutOption,
    PolicyOption,
    PrecisionOption,
    ReplicationsOption,
    ScenarioArgument,
    SeedOption,
    SetOption,
    app,
    chosen_executor,
    parse_precision,
    precision_measure,
)
from rxpool.console import OutputFormat, guarded, print_json, write_out
from rxpool.errors import InputError


@app.command()
@guarded
def run(
    scenario: ScenarioArgument,
    set: SetOption = None,
    policy: PolicyOption = None,
    replications: ReplicationsOption = None,
    precision: PrecisionOption = None,
    metric: MetricOption = None,
    seed: SeedOption = None,
    format: FormatOption = OutputFormat.TABLE,
    out: OutOption = Path("runs"),
    fresh: FreshOption = False,
    allow_path: AllowPathOption = False,
    jobs: JobsOption = 1,
    dask: DaskOption = None,
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE[:FROM-TO]", help="Also write a Perfetto trace of replication 0 (window in ms)."),
    ] = None,
) -> None:
    """Run a scenario, keep the result in ./runs and print it."""
    from rxpool.progress import watching
    from rxpool.scenario import load, parse_set
    from rxpool.sequential import run_to_precision
    from rxpool.statistics import Precision
    from rxpool.store import Store
    from rxpool.study import run_stored

    if metric and not precision:
        raise InputError("--metric goes with --precision: it names the metric whose interval is watched")
    loaded = load(
        scenario, set=parse_set(set or []), seed=seed, replications=replications, policy=policy, allow_path=allow_path
    )
    with watching(loaded.name) as watcher, chosen_executor(dask) as executor:
        if precision is None:
            result = run_stored([loaded], Store(out), jobs=jobs, executor=executor, fresh=fresh, watcher=watcher)[0]
        else:
            measure = precision_measure(metric, loaded.resolved.get("headline") or {})
            rule = Precision(parse_precision(precision), minimum=max(10, replications or 0))
            result = run_to_precision(
                [loaded],
                measure,
                rule,
                lambda scenarios: run_stored(scenarios, Store(out), jobs=jobs, executor=executor, watcher=watcher),
            )[0]
    if trace is not None:
        from rxpool import tracing

        path, window = tracing.parse_target(trace)
        tracing.trace(loaded, window).write(path)
    write_out(result, format)


@app.command()
@guarded
def show(
    run: Annotated[str, typer.Argument(help="A run folder, or the beginning of a run's name.", show_default=False)],
    format: FormatOption = OutputFormat.TABLE,
    out: Annotated[Path, typer.Option(help="Folder that holds the run folders.")] = Path("runs"),
) -> None:
    """Print a stored run again."""
    from rxpool.store import RunFolder, find_run

    write_out(RunFolder(find_run(run, out)).load(), format)


@app.command()
@guarded
def schema(
    metrics: Annotated[bool, typer.Option("--metrics", help="The table of metrics instead.")] = False,
) -> None:
    """Print the JSON schema of a scenario."""
    from rxpool import _core

    if metrics:
        print_json(_core.metric_table())
    else:
        sys.stdout.write(_core.schema().rstrip("\n") + "\n")
