"""The commands that run several scenarios: compare, sweep, tune."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
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
    WarmUpOption,
    app,
    precision_measure,
    precision_rule,
    refuse,
    say_precision,
    with_study_options,
)
from rxpool.console import guarded, write_study
from rxpool.errors import ExitCode, InputError
from rxpool.sampling import Sampling

if TYPE_CHECKING:
    from rxpool.result import Result
    from rxpool.warm_up import WarmUpRule

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
    warmup: WarmUpOption = None,
    fresh: FreshOption = False,
    options: StudyOptions,
) -> None:
    """Compare policies on one scenario, or stored runs; exit code 1 if any difference is significant."""
    from rxpool.comparing import compare_results
    from rxpool.store import RunFolder, find_run
    from rxpool.table_study import print_comparison

    if policy:
        if len(runs) != 1 or len(policy) < 2:
            raise InputError("compare takes one scenario with two and more --policy, or two and more stored runs")
        results = _run_policies(runs[0], policy, metric or (), precision, warmup, fresh, options)
    else:
        for name in runs:
            if name.endswith(".json") and Path(name).is_file():
                raise InputError(f"{name} is a scenario: give two and more --policy, the first the baseline")
        given = {"--precision": precision is not None, "--warmup": warmup is not None, "--fresh": fresh}
        given |= dict.fromkeys(options.given, True)
        refuse(given, "goes with --policy: stored runs are compared as they are")
        results = [RunFolder(find_run(name, options.out)).load() for name in runs]
    comparison = compare_results(results, metric or ())
    write_study(
        options.format,
        table=lambda console: print_comparison(console, comparison),
        plain=comparison.to_dict,
        frame=lambda: comparison.frame,
        warnings=comparison.warnings,
    )
    if comparison.different:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _run_policies(
    source: str,
    policies: Sequence[str],
    metrics: Sequence[str],
    precision: str | None,
    warmup: WarmUpRule | None,
    fresh: bool,
    options: StudyOptions,
) -> list[Result]:
    from rxpool.measures import check_names
    from rxpool.progress import watching
    from rxpool.sequential import run_to_precision
    from rxpool.study import run_stored
    from rxpool.warm_up import warmed_up

    rule = precision_rule(precision, fresh, options.replications)
    scenarios = [options.load(source, policy) for policy in policies]
    check = partial(check_names, metrics)
    with watching(scenarios[0].name) as watcher, options.executor() as executor:
        run = partial(
            run_stored, store=options.store, jobs=options.jobs, executor=executor, watcher=watcher, check=check
        )
        scenarios = warmed_up(scenarios, warmup, run)
        if rule is None:
            return run(scenarios, fresh=fresh)
        measure = precision_measure(metrics, scenarios[0].resolved)
        results = run_to_precision(scenarios, measure, rule, run)
        for result in results:
            say_precision(measure, rule, result)
        return results


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
    warmup: WarmUpOption = None,
    fresh: FreshOption = False,
    options: StudyOptions,
) -> None:
    """Run a scenario at many points; every point is a run folder of its own."""
    from rxpool import sweeping
    from rxpool.measures import expand_over
    from rxpool.progress import watching
    from rxpool.table_study import print_sweep

    axes = [sweeping.Axis.parse(text) for text in vary]
    metrics = metric or ["packets.delivered", "packets.dropped"]
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
            metrics=metrics,
            warmup=warmup,
            policy=policy,
            **options.loading,
        )
    names = [m.name for m in expand_over(metrics, study.firsts)]
    write_study(
        options.format,
        table=lambda console: print_sweep(console, study, names),
        plain=lambda: study.to_dict(names),
        frame=lambda: study.frame(names),
        warnings=study.warnings,
    )


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
    warmup: WarmUpOption = None,
    options: StudyOptions,
) -> None:
    """Search for the best values of some keys; interrupted, it goes on where it stopped."""
    from rxpool import tuning
    from rxpool.progress import watching
    from rxpool.sweeping import Axis
    from rxpool.table_study import print_tuning

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
            warmup=warmup,
            policy=policy,
            **options.loading,
        )
    write_study(
        options.format,
        table=lambda console: print_tuning(console, study),
        plain=study.to_dict,
        frame=lambda: study.frame,
        warnings=study.warnings,
    )
