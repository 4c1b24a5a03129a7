"""The command's application object and the options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from rxpool.console import OutputFormat, message
from rxpool.errors import InputError
from rxpool.warm_up import WarmUpRule

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rxpool.result import Result
    from rxpool.scenario import Scenario
    from rxpool.statistics import Precision
    from rxpool.store import Store

app = typer.Typer(
    name="rxpool",
    help="Simulates the receive path of a Linux host: how many pages it needs, when it is in trouble, what helps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ScenarioArgument = Annotated[str, typer.Argument(help="Scenario file (JSON).", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Set one key of the scenario, e.g. nics.nic0.rx_ring=256."),
]
PolicyOption = Annotated[
    str | None, typer.Option(help="Policy for every NIC, or NIC=POLICY for one.", metavar="POLICY")
]
ReplicationsOption = Annotated[
    int | None, typer.Option(min=1, help="Independent replications (default: the scenario's).")
]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Seed of all random streams (default: the scenario's).")]
OutOption = Annotated[Path, typer.Option(help="Folder that receives the run folders.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Run again what is finished already.")]
AllowPathOption = Annotated[
    bool, typer.Option("--allow-path", help="The scenario may name files outside its own folder.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")]
DaskOption = Annotated[
    str | None, typer.Option("--dask", metavar="ADDRESS", help="Run on the Dask cluster at this address.")
]
UncertaintyOption = Annotated[
    bool,
    typer.Option("--calibration-uncertainty", help="Draw the fitted prices from their covariance, per replication."),
]
FormatOption = Annotated[OutputFormat, typer.Option("--format", "-f", help="What is printed on stdout.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Add replications until the 95 % interval is this narrow, e.g. 5%."),
]
WarmUpOption = Annotated[
    WarmUpRule | None,
    typer.Option(help="Run once to see when it settles, then again with that warm-up (needs record.every_us)."),
]
MetricOption = Annotated[
    list[str] | None,
    typer.Option("--metric", metavar="NAME", help="COMPONENT.METRIC, METRIC, sum:METRIC, packets.PLACE, or a pattern."),
]


def parse_precision(text: str) -> float:
    """Reads ``5%`` or ``0.05`` as a share. Raises :class:`InputError`."""
    try:
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise InputError(f"--precision {text}: write a share such as 5% or 0.05")
    return share


def precision_rule(precision: str | None, fresh: bool, replications: int | None) -> Precision | None:
    """The rule that ``--precision`` asks for, or None without it. Raises :class:`InputError`."""
    from rxpool.statistics import Precision

    if precision is None:
        return None
    refuse({"--fresh": fresh}, "does not go with --precision, which adds to the replications that are there")
    return Precision(parse_precision(precision), minimum=max(10, replications or 0))


def say_precision(measure: str, rule: Precision, result: Result) -> None:
    """Says where the precision was not reached, and what it is worth that the metric was zero in every replication."""
    from rxpool.measures import Measure
    from rxpool.statistics import mean_interval, zero_bound

    values = Measure(measure).values(result.replications)
    reached = mean_interval(values, rule.confidence).relative
    if bound := zero_bound(values):
        message(f"{result.name}: {measure}: {bound}")
    elif not reached <= rule.relative:
        n = len(values)
        message(f"{result.name}: {measure}: reached ± {reached:.2%} with {n} replications, not {rule.relative:.2%}")


def precision_measure(metrics: Sequence[str] | None, resolved: dict[str, Any]) -> str:
    """The metric that ``--precision`` looks at: the first ``--metric``, else the scenario's headline."""
    from rxpool.measures import headline_name, is_pattern

    if metrics:
        if is_pattern(metrics[0]):
            raise InputError(f"--metric {metrics[0]}: --precision watches one metric, not a pattern")
        return metrics[0]
    name = headline_name(resolved)
    if not name:
        raise InputError("--precision needs a metric: the scenario names no headline; give --metric NAME")
    return name


def refuse(options: dict[str, bool], why: str) -> None:
    """Raises :class:`InputError` for the first option that was given though it does nothing here."""
    for name, given in options.items():
        if given:
            raise InputError(f"{name} {why}")


@contextmanager
def chosen_executor(dask: str | None) -> Iterator[Executor | None]:
    """The cluster's executor where an address is given, else None (local processes)."""
    if dask is None:
        yield None
        return
    from rxpool.executors import dask_executor, is_private

    if not is_private(dask):
        message(
            f"--dask {dask}: not encrypted, and whoever reaches it can run code there; use tls:// (docs/recipes.md)"
        )
    with dask_executor(dask) as executor:
        yield executor


@dataclass(frozen=True)
class StudyOptions:
    """The options of every command that runs scenarios."""

    set: SetOption = None
    replications: ReplicationsOption = None
    seed: SeedOption = None
    format: FormatOption = OutputFormat.TABLE
    out: OutOption = Path("runs")
    allow_path: AllowPathOption = False
    jobs: JobsOption = 1
    dask: DaskOption = None
    calibration_uncertainty: UncertaintyOption = False

    @property
    def given(self) -> list[str]:
        """Names of the options that say what is run and how, where they are not the default."""
        elsewhere = ("format", "out")
        changed = [f.name for f in fields(self) if f.name not in elsewhere and getattr(self, f.name) != f.default]
        return [f"--{name.replace('_', '-')}" for name in changed]

    @property
    def loading(self) -> dict[str, Any]:
        """The arguments of :func:`rxpool.load` among them."""
        from rxpool.scenario import parse_set

        changes = parse_set(self.set or [])
        if self.calibration_uncertainty:
            changes["calibration_uncertainty"] = True
        return {
            "set": changes,
            "seed": self.seed,
            "replications": self.replications,
            "allow_path": self.allow_path,
        }

    def load(self, source: str, policy: str | None) -> Scenario:
        """The scenario with what was changed. Raises :class:`InputError`."""
        from rxpool.scenario import load

        return load(source, policy=policy, **self.loading)

    @property
    def store(self) -> Store:
        """Where runs are kept."""
        from rxpool.store import Store

        return Store(self.out)

    def executor(self) -> AbstractContextManager[Executor | None]:
        """Who runs replications."""
        return chosen_executor(self.dask)


def with_study_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of :class:`StudyOptions` to a command, which gets them as one argument, ``options``."""
    shared = get_type_hints(StudyOptions, include_extras=True)
    own = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(annotation=own[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
        if name != "options"
    ]
    parameters += [
        inspect.Parameter(f.name, inspect.Parameter.KEYWORD_ONLY, default=f.default, annotation=shared[f.name])
        for f in fields(StudyOptions)
    ]

    @functools.wraps(command)
    def inner(**arguments: Any) -> None:
        options = StudyOptions(**{f.name: arguments.pop(f.name) for f in fields(StudyOptions)})
        command(**arguments, options=options)

    inner.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    inner.__annotations__ = {p.name: p.annotation for p in parameters}
    return inner
