"""``rxpool validate --figures``: the simulator against published figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rxpool.console import OutputFormat, message, write_study

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from rxpool.figures.validating import Outcome

_PAGE = Path("docs/validation.md")


def against_figures(source: Path | None, page: Path | None, jobs: int, format: OutputFormat) -> bool:
    """Compares with every entry of a figures file (the shipped one by default), prints it; whether all are inside."""
    from rxpool.figures.entries import read_figures, shipped_figures
    from rxpool.figures.page import page as page_text
    from rxpool.figures.validating import frame, validate_figures

    if page is None and source is None and _PAGE.parent.is_dir():
        page = _PAGE
    outcomes = validate_figures(read_figures(source or shipped_figures()), jobs=jobs)
    if page is not None:
        page.write_text(page_text(outcomes), encoding="utf-8")
        message(f"wrote {page}")
    write_study(
        format,
        table=lambda console: _print(console, outcomes),
        plain=lambda: frame(outcomes).to_dict("records"),
        frame=lambda: frame(outcomes),
    )
    return all(o.inside for o in outcomes)


def _print(console: Console, outcomes: Sequence[Outcome]) -> None:
    from rxpool.figures.page import error_text, four_digits
    from rxpool.figures.validating import groups
    from rxpool.table import new_table

    table = new_table("figure", ["machine", "role", "measured", "simulated", "error", "hit"])
    for o in outcomes:
        simulated = o.why if o.simulated is None else four_digits(o.simulated)
        measured = f"{four_digits(o.figure.value)} {o.figure.unit}"
        hit = "yes" if o.inside else "no"
        table.add_row(o.figure.id, o.figure.group, o.figure.role, measured, simulated, error_text(o), hit)
    console.print(table)
    summary = new_table("machine", ["role", "figures", "run", "hits", "median error", "worst"])
    for g in groups(outcomes):
        middle = "–" if g.median is None else f"{g.median:.1%}"
        worst = "–" if g.worst is None else f"{g.worst.figure.id} {error_text(g.worst)}"
        summary.add_row(g.name, g.role, str(g.count), str(g.run), str(g.inside), middle, worst)
    console.print(summary)
