"""The commands about one scenario: run, show, schema."""

from __future__ import annotations

import sys
from functools import partial
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
    WarmUpOption,
    app,
    precision_measure,
    precision_rule,
    say_precision,
    with_study_options,
)
from rxpool.console import OutputFormat, guarded, print_json, write_out, write_study
from rxpool.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

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
    warmup: WarmUpOption = None,
    options: StudyOptions,
) -> None:
    """Run a scenario, keep the result in ./runs and print it."""
    from rxpool import tracing
    from rxpool.measures import check_names
    from rxpool.progress import watching
    from rxpool.sequential import run_to_precision
    from rxpool.study import run_stored
    from rxpool.warm_up import warmed_up

    if metric and not precision:
        raise InputError("--metric goes with --precision: it names the metric whose interval is watched")
    rule = precision_rule(precision, fresh, options.replications)
    loaded = options.load(scenario, policy)
    if steps:
        loaded = loaded.with_set({"record.per_step": True})
    target = tracing.checked_target(trace, loaded) if trace is not None else None
    with watching(loaded.name) as watcher, options.executor() as executor:
        run = partial(run_stored, store=options.store, jobs=options.jobs, executor=executor, watcher=watcher)
        loaded = warmed_up([loaded], warmup, run)[0]
        if rule is None:
            result = run([loaded], fresh=fresh)[0]
        else:
            measure = precision_measure(metric, loaded.resolved)
            result = run_to_precision([loaded], measure, rule, partial(run, check=partial(check_names, [measure])))[0]
            say_precision(measure, rule, result)
    if target is not None:
        path, window = target
        tracing.trace(loaded, window).write(path)
    if steps:
        _write_steps(result, options.format)
    else:
        write_out(result, options.format)


def _write_steps(result: Result, format: OutputFormat) -> None:
    from rxpool.profile import profile
    from rxpool.table import new_table

    found = profile(result)

    def show_table(console: Console) -> None:
        table = new_table("step", ["context", "ns per packet", "share"])
        for row in found.itertuples():
            table.add_row(str(row.step), str(row.context), f"{row.ns_per_packet:.2f}", f"{row.share:.1%}")
        console.print(table)

    write_study(format, table=show_table, plain=lambda: found.to_dict("records"), frame=lambda: found)


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
