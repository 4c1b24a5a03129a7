"""The command that sets the simulator against published figures: validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rxpool.cli_options import FormatOption, JobsOption, app
from rxpool.console import OutputFormat, guarded, message, print_json, stdout_console, write_frame
from rxpool.errors import ExitCode, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rxpool.figures.validating import Outcome

_PAGE = Path("docs/validation.md")


@app.command()
@guarded
def validate(
    source: Annotated[Path | None, typer.Argument(help="A figures file (default: the shipped one).")] = None,
    *,
    figures: Annotated[
        bool, typer.Option("--figures", help="Against published figures: every entry of the file.")
    ] = False,
    page: Annotated[
        Path | None, typer.Option(help="Where the page goes (default: docs/validation.md for the shipped figures).")
    ] = None,
    jobs: JobsOption = 1,
    format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Compare the simulator with published figures; exit code 1 if any entry is a miss."""
    from rxpool.figures.entries import read_figures, shipped_figures
    from rxpool.figures.page import page as page_text
    from rxpool.figures.validating import frame, validate_figures

    if not figures:
        raise InputError("validate needs to know against what: --figures compares with published figures")
    if page is None and source is None and _PAGE.parent.is_dir():
        page = _PAGE
    outcomes = validate_figures(read_figures(source or shipped_figures()), jobs=jobs)
    if page is not None:
        page.write_text(page_text(outcomes), encoding="utf-8")
        message(f"wrote {page}")
    if format is OutputFormat.TABLE:
        _print(outcomes)
    elif format is OutputFormat.JSON:
        print_json(frame(outcomes).to_dict("records"))
    else:
        write_frame(frame(outcomes), format)
    if not all(o.inside for o in outcomes):
        raise typer.Exit(ExitCode.DIFFERENCE)


def _print(outcomes: Sequence[Outcome]) -> None:
    from rxpool.figures.page import amount, error_text
    from rxpool.figures.validating import groups
    from rxpool.table import new_table

    console = stdout_console()
    table = new_table("figure", ["machine", "role", "measured", "simulated", "error", "hit"])
    for o in outcomes:
        simulated = o.why if o.simulated is None else amount(o.simulated)
        measured = f"{amount(o.figure.value)} {o.figure.unit}"
        hit = "yes" if o.inside else "no"
        table.add_row(o.figure.id, o.figure.group, o.figure.role, measured, simulated, error_text(o), hit)
    console.print(table)
    summary = new_table("machine", ["role", "figures", "run", "hits", "median error", "worst"])
    for g in groups(outcomes):
        middle = "–" if g.median is None else f"{g.median:.1%}"
        worst = "–" if g.worst is None else f"{g.worst.figure.id} {error_text(g.worst)}"
        summary.add_row(g.name, g.role, str(g.count), str(g.run), str(g.inside), middle, worst)
    console.print(summary)
