"""The command's application object and the options that several commands share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxpool.console import OutputFormat, message
from rxpool.errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Executor

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
FormatOption = Annotated[OutputFormat, typer.Option("--format", "-f", help="What is printed on stdout.")]
PrecisionOption = Annotated[
    str | None,
    typer.Option(metavar="SHARE", help="Add replications until the 95 % interval is this narrow, e.g. 5%."),
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


def precision_measure(metrics: Sequence[str] | None, headline: dict[str, object]) -> str:
    """The metric that ``--precision`` looks at: the first ``--metric``, else the scenario's headline."""
    if metrics:
        return metrics[0]
    if not headline.get("metric"):
        raise InputError("--precision needs a metric: the scenario names no headline; give --metric NAME")
    component = headline.get("component")
    return f"{component}.{headline['metric']}" if component else str(headline["metric"])


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
