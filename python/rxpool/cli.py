"""The ``rxpool`` command. Data goes to stdout; progress and messages go to stderr.

Commands import what they need when they run, so that the short ones answer at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rxpool.console import OutputFormat, guarded, print_json, write_out

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
ReplicationsOption = Annotated[int | None, typer.Option(help="Independent replications (default: the scenario's).")]
SeedOption = Annotated[int | None, typer.Option(help="Seed of all random streams (default: the scenario's).")]
OutOption = Annotated[Path, typer.Option(help="Folder that receives the run folders.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Run again what is finished already.")]
AllowPathOption = Annotated[
    bool, typer.Option("--allow-path", help="The scenario may name files outside its own folder.")
]
JobsOption = Annotated[int, typer.Option("--jobs", "-j", min=1, help="Worker processes.")]
FormatOption = Annotated[OutputFormat, typer.Option("--format", "-f", help="What is printed on stdout.")]


@app.command()
@guarded
def run(
    scenario: ScenarioArgument,
    set: SetOption = None,
    policy: Annotated[
        str | None, typer.Option(help="Policy for every NIC, or NIC=POLICY for one.", metavar="POLICY")
    ] = None,
    replications: ReplicationsOption = None,
    seed: SeedOption = None,
    format: FormatOption = OutputFormat.TABLE,
    out: OutOption = Path("runs"),
    fresh: FreshOption = False,
    allow_path: AllowPathOption = False,
    jobs: JobsOption = 1,
) -> None:
    """Run a scenario, keep the result in ./runs and print it."""
    from rxpool.progress import watching
    from rxpool.scenario import load, parse_set
    from rxpool.store import Store
    from rxpool.study import run_stored

    loaded = load(
        scenario,
        set=parse_set(set or []),
        seed=seed,
        replications=replications,
        policy=policy,
        allow_path=allow_path,
    )
    with watching(loaded.name) as watcher:
        result = run_stored([loaded], Store(out), jobs=jobs, fresh=fresh, watcher=watcher)[0]
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


def main() -> int:
    """Runs the command and returns its exit code."""
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0
