"""The command that sets the simulator against something real: validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli.options import AllowPathOption, FormatOption, JobsOption, PolicyOption, SeedOption, SetOption, app
from rxpool.console import OutputFormat, agree, guarded, write_study
from rxpool.errors import ExitCode, InputError
from rxpool.scenario import Scenario


@app.command()
@guarded
def validate(
    source: Annotated[
        Path | None,
        typer.Argument(
            help="Scenario for both backends; with --figures a figures file (default: the shipped one).",
            show_default=False,
        ),
    ] = None,
    *,
    figures: Annotated[
        bool, typer.Option("--figures", help="Against published figures: every entry of the file.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(help="With --figures: where the page goes (default: docs/validation.md for the shipped ones)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs on each backend; medians are compared.")] = 5,
    nic: Annotated[
        str | None, typer.Option(metavar="IF", help="Against a NIC of this host that is taken over for the run.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="With --nic: it may be reset, and gets other rings, queues and program.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --nic: do not ask.")] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="The picture of both backends: .svg, .png or .pdf (default: NAME-validation.svg here)."),
    ] = None,
    policy: PolicyOption = None,
    set: SetOption = None,
    seed: SeedOption = None,
    allow_path: AllowPathOption = False,
    jobs: JobsOption = 1,
    format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Compare the simulator with this machine's kernel, or with published figures; exit code 1 if one is a miss."""
    if figures:
        from rxpool.cli.figures import against_figures

        inside = against_figures(source, page, jobs, format)
    elif source is None:
        raise InputError("validate needs to know against what: a scenario for this machine's kernel, or --figures")
    else:
        from rxpool.scenario import load, parse_set

        loaded = load(source, set=parse_set(set or []), seed=seed, policy=policy, allow_path=allow_path)
        picture = to or Path(f"{loaded.name}-validation.svg")
        if nic is not None:
            if not take_over:
                raise InputError(f"validate --nic {nic} changes its settings and its program: say --take-over")
            agree(f"{nic} gets the scenario's ring, queues and XDP program, and its settings back", yes)
        inside = _against_kernel(loaded, nic, repeats, picture, format)
    if not inside:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _against_kernel(scenario: Scenario, nic: str | None, repeats: int, to: Path, format: OutputFormat) -> bool:
    from rxpool.kernel import validate as compare_backends
    from rxpool.kernel.nic_validating import validate_nic
    from rxpool.kernel.table import print_validation
    from rxpool.plots.backends import picture_path

    picture = picture_path(to)
    validation = validate_nic(scenario, nic, repeats=repeats) if nic else compare_backends(scenario, repeats=repeats)
    validation.write_picture(picture)
    write_study(
        format,
        table=lambda console: print_validation(console, validation),
        plain=validation.to_dict,
        frame=lambda: validation.table,
    )
    return validation.inside
