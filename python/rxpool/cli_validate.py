"""The command that sets the simulator against something real: validate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli_options import AllowPathOption, FormatOption, JobsOption, PolicyOption, SeedOption, SetOption, app
from rxpool.console import OutputFormat, guarded, print_json, stdout_console, write_frame
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
        from rxpool.cli_figures import against_figures

        inside = against_figures(source, page, jobs, format)
    elif source is None:
        raise InputError("validate needs to know against what: a scenario for this machine's kernel, or --figures")
    else:
        from rxpool.scenario import load, parse_set

        loaded = load(source, set=parse_set(set or []), seed=seed, policy=policy, allow_path=allow_path)
        inside = _against_kernel(loaded, repeats, to or Path(f"{loaded.name}-validation.svg"), format)
    if not inside:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _against_kernel(scenario: Scenario, repeats: int, to: Path, format: OutputFormat) -> bool:
    from rxpool.kernel import validate as compare_backends
    from rxpool.plots.backends import picture_path

    picture = picture_path(to)
    validation = compare_backends(scenario, repeats=repeats)
    validation.write_picture(picture)
    if format is OutputFormat.TABLE:
        from rxpool.kernel.table import print_validation

        print_validation(stdout_console(), validation)
    elif format is OutputFormat.JSON:
        print_json(validation.to_dict())
    else:
        write_frame(validation.table, format)
    return validation.inside
