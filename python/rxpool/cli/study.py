"""The commands that run several scenarios: compare, sweep, tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxpool.cli.options import (
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
from rxpool.console import OutputFormat, guarded, print_json, stdout_console, write_frame
from rxpool.errors import ExitCode, InputError
from rxpool.sampling import Sampling

if TYPE_CHECKING:
    from rxpool.comparing import Comparison

VaryOption = Annotated[
    list[str], typer.Option("--vary", metavar="PATH=VALUES", help="Key to vary: PATH=a,b,c or PATH=low:high[:log].")
]


@app.command()
@guarded
@with_study_options
def compare(
    runs: Annotated[
        list[str], typer.Argument(help="One scenario file, or two and more stored runs.", show_default=False)
    ],
    *,
    policy: Annotated[
        list[str] | None, typer.Option("--policy", metavar="POLICY", help="A policy; the first is the baseline.")
    ] = None,
    metric: MetricOption = None,
    precision: PrecisionOption = None,
    fresh: FreshOption = False,
    options: StudyOptions,
) -> None:
    """Compare policies on one scenario, or stored runs; exit code 1 if any difference is significant."""
    from rxpool.comparing import compare_results
    from rxpool.progress import watching
    from rxpool.sequential import run_to_precision
    from rxpool.statistics import Precision
    from rxpool.store import RunFolder, find_run
    from rxpool.study import run_stored

    if not policy:
        comparison = compare_results([RunFolder(find_run(name, options.out)).load() for name in runs], metric or ())
    else:
        if len(runs) != 1 or len(policy) < 2:
            raise InputError("compare takes one scenario with two and more --policy, or two and more stored runs")
        scenarios = [options.load(runs[0], p) for p in policy]
        store, jobs = options.store, options.jobs
        with watching(scenarios[0].name) as watcher, options.executor() as executor:
            if precision is None:
                results = run_stored(scenarios, store, jobs=jobs, executor=executor, fresh=fresh, watcher=watcher)
            else:
                results = run_to_precision(
                    scenarios,
                    precision_measure(metric, scenarios[0].resolved.get("headline") or {}),
                    Precision(parse_precision(precision), minimum=max(10, options.replications or 0)),
                    lambda some: run_stored(some, store, jobs=jobs, executor=executor, watcher=watcher),
                )
        comparison = compare_results(results, metric or ())
    _write_comparison(comparison, options.format)
    if comparison.different:
        raise typer.Exit(ExitCode.DIFFERENCE)


@app.command()
@guarded
@with_study_options
def sweep(
    scenario: ScenarioArgument,
    *,
    vary: VaryOption,
    sampling: Annotated[Sampling, typer.Option(help="How points are chosen.")] = Sampling.GRID,
    points: Annotated[int | None, typer.Option(min=1, help="Number of points, unless --sampling grid.")] = None,
    policy: PolicyOption = None,
    metric: MetricOption = None,
    fresh: FreshOption = False,
    options: StudyOptions,
) -> None:
    """Run a scenario at many points; every point is a run folder of its own."""
    from rxpool import sweeping
    from rxpool.measures import expand
    from rxpool.progress import watching

    axes = [sweeping.Axis.parse(text) for text in vary]
    with watching(Path(scenario).stem) as watcher, options.executor() as executor:
        study = sweeping.sweep(
            scenario,
            axes,
            sampling=sampling,
            count=points,
            store=options.store,
            executor=executor,
            jobs=options.jobs,
            fresh=fresh,
            watcher=watcher,
            policy=policy,
            **options.loading,
        )
    names = [m.name for m in expand(metric or ["packets.delivered", "packets.dropped"], study.first)]
    if options.format is OutputFormat.TABLE:
        from rxpool.table_study import print_sweep

        print_sweep(stdout_console(), study, names)
    elif options.format is OutputFormat.JSON:
        print_json(study.to_dict(names))
    else:
        write_frame(study.frame(names), options.format, study.uncalibrated)


@app.command()
@guarded
@with_study_options
def tune(
    scenario: ScenarioArgument,
    *,
    vary: VaryOption,
    minimise: Annotated[
        list[str], typer.Option("--minimise", metavar="NAME", help="Metric to minimise; -NAME to maximise.")
    ],
    subject_to: Annotated[
        list[str] | None, typer.Option("--subject-to", metavar="NAME<=NUMBER", help="Condition on a metric's mean.")
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="Trials in all, finished ones included.")] = 50,
    policy: PolicyOption = None,
    options: StudyOptions,
) -> None:
    """Search for the best values of some keys; interrupted, it goes on where it stopped."""
    from rxpool import tuning
    from rxpool.progress import watching
    from rxpool.sweeping import Axis

    axes = [Axis.parse(text) for text in vary]
    with watching(Path(scenario).stem) as watcher, options.executor() as executor:
        study = tuning.tune(
            scenario,
            axes,
            minimise=minimise,
            subject_to=subject_to or [],
            trials=trials,
            store=options.store,
            executor=executor,
            jobs=options.jobs,
            watcher=watcher,
            policy=policy,
            **options.loading,
        )
    if options.format is OutputFormat.TABLE:
        from rxpool.table_study import print_tuning

        print_tuning(stdout_console(), study)
    elif options.format is OutputFormat.JSON:
        print_json(study.to_dict())
    else:
        write_frame(study.frame, options.format, study.uncalibrated)


def _write_comparison(comparison: Comparison, format: OutputFormat) -> None:
    if format is OutputFormat.TABLE:
        from rxpool.table_study import print_comparison

        print_comparison(stdout_console(), comparison)
    elif format is OutputFormat.JSON:
        print_json(comparison.to_dict())
    else:
        write_frame(comparison.frame, format, comparison.uncalibrated)
