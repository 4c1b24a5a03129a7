"""The commands about one scenario: run, show, schema."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxpool.cli.options import (
    FormatOption,
    FreshOption,
    MetricOption,
    PolicyOption,
    PrecisionOption,
    ScenarioArgument,
    StudyOptions,
    app,
    parse_precision,
    precision_measure,
    with_study_options,
)
from rxpool.console import OutputFormat, guarded, print_json, stdout_console, write_frame, write_out
from rxpool.errors import InputError

if TYPE_CHECKING:
    from rxpool.result import Result


@app.command()
@guarded
@with_study_options
def run(
    scenario: ScenarioArgument,
    *,
    policy: PolicyOption = None,
    precision: PrecisionOption = None,
    metric: MetricOption = None,
    fresh: FreshOption = False,
    trace: Annotated[
        str | None,
        typer.Option(metavar="FILE[:FROM-TO]", help="Also write a Perfetto trace of replication 0 (window in ms)."),
    ] = None,
    steps: Annotated[
        bool, typer.Option("--steps", help="Print what each step cost per packet instead (sets record.per_step).")
    ] = False,
    options: StudyOptions,
) -> None:
    """Run a scenario, keep the result in ./runs and print it."""
    from rxpool.progress import watching
    from rxpool.sequential import run_to_precision
    from rxpool.statistics import Precision
    from rxpool.study import run_stored

    if metric and not precision:
        raise InputError("--metric goes with --precision: it names the metric whose interval is watched")
    loaded = options.load(scenario, policy)
    if steps:
        loaded = loaded.with_set({"record.per_step": True})
    store, jobs = options.store, options.jobs
    with watching(loaded.name) as watcher, options.executor() as executor:
        if precision is None:
            result = run_stored([loaded], store, jobs=jobs, executor=executor, fresh=fresh, watcher=watcher)[0]
        else:
            measure = precision_measure(metric, loaded.resolved.get("headline") or {})
            rule = Precision(parse_precision(precision), minimum=max(10, options.replications or 0))
            result = run_to_precision(
                [loaded],
                measure,
                rule,
                lambda scenarios: run_stored(scenarios, store, jobs=jobs, executor=executor, watcher=watcher),
            )[0]
    if trace is not None:
        from rxpool import tracing

        path, window = tracing.parse_target(trace)
        tracing.trace(loaded, window).write(path)
    if steps:
        _write_steps(result, options.format)
    else:
        write_out(result, options.format)


def _write_steps(result: Result, format: OutputFormat) -> None:
    from rxpool.profile import profile
    from rxpool.table import new_table

    found = profile(result)
    if format is OutputFormat.TABLE:
        table = new_table("step", ["context", "ns per packet", "share"])
        for row in found.itertuples():
            table.add_row(str(row.step), str(row.context), f"{row.ns_per_packet:.2f}", f"{row.share:.1%}")
        stdout_console().print(table)
    elif format is OutputFormat.JSON:
        print_json(found.to_dict("records"))
    else:
        write_frame(found, format)


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
