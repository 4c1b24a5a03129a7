"""The command that makes calibrations and compares them: calibrate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rxpool.cli.options import FormatOption, JobsOption, app
from rxpool.console import OutputFormat, guarded, message, write_study
from rxpool.errors import ExitCode

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from rxpool.calibrating.fitting import Fit

_FOLDER = Path("scenarios/calibration")


@app.command()
@guarded
def calibrate(
    figures: Annotated[Path | None, typer.Argument(help="A figures file (default: the shipped one).")] = None,
    *,
    machine: Annotated[str, typer.Option(help="Whose entries are fitted.")] = "M1",
    priors: Annotated[
        list[Path] | None, typer.Option(help="A priors file; the NIC that lists its driver is run with it.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder that receives the fitted files.")] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Instead: what got slower from calibration A to B.")
    ] = None,
    this_host: Annotated[
        bool, typer.Option("--this-host", help="Instead: price this host's steps by short runs on its kernel.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="With --this-host: the file (default: this-host.json in scenarios/calibration, or here)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="With --this-host: runs of each measurement.")] = 5,
    jobs: JobsOption = 1,
    format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Fit a machine's prices to published figures; with --diff exit code 1 if a number got slower."""
    if diff is not None:
        _diff(*diff, format)
        return
    if this_host:
        _this_host(to or (_FOLDER if _FOLDER.is_dir() else Path()) / "this-host.json", repeats, format)
        return
    from rxpool.calibrating import calibrate as fit_machine
    from rxpool.calibrating.fitting import shipped_priors
    from rxpool.figures.entries import read_figures, shipped_figures

    entries = read_figures(figures or shipped_figures())
    fit = fit_machine(entries, priors or shipped_priors(machine), machine=machine, jobs=jobs, tell=message)
    if out is not None:
        for path in fit.write(out):
            message(f"wrote {path}")
    write_study(
        format,
        table=lambda console: _print_fit(console, fit),
        plain=fit.to_dict,
        frame=lambda: _frame(fit.rows()),
    )


def _diff(before: str, after: str, format: OutputFormat) -> None:
    import pandas as pd

    from rxpool.calibrating import differences
    from rxpool.table import new_table

    changes = differences(before, after)
    rows = [asdict(c) | {"slower": c.slower} for c in changes]

    def show_table(console: Console) -> None:
        table = new_table("number", ["per", "before", "after", "change"])
        for c in changes:
            table.add_row(c.place, c.per, f"{c.before:g}", f"{c.after:g}", f"{c.by:+.1%}")
        console.print(table)

    write_study(
        format,
        table=show_table,
        plain=lambda: rows,
        frame=lambda: pd.DataFrame(rows, columns=["place", "per", "before", "after", "slower"]),
    )
    slower = [c for c in changes if c.slower]
    if slower:
        message(f"{slower[0].place} got slower most: {slower[0].before:g} to {slower[0].after:g} ns")
        raise typer.Exit(ExitCode.DIFFERENCE)


def _print_fit(console: Console, fit: Fit) -> None:
    from rxpool.figures.page import four_digits
    from rxpool.table import new_table

    table = new_table("parameter", ["file", "bounds", "factor on prior", "standard error", "numbers"])
    for r in fit.rows():
        bounds = f"{r['low']:g} … {r['high']:g}"
        error = f"{r['standard_error']:.3f}" if r["standard_error"] else "at its bound"
        table.add_row(r["parameter"], r["file"], bounds, f"{r['factor']:.3f}", error, r["numbers"])
    console.print(table)
    entries = new_table("figure", ["measured", "fitted", "error"])
    for figure, value in zip(fit.figures, fit.predicted, strict=True):
        error = f"{value - figure.value:+.2f} points" if figure.unit == "%" else f"{value / figure.value - 1:+.1%}"
        entries.add_row(figure.id, f"{four_digits(figure.value)} {figure.unit}", four_digits(float(value)), error)
    for figure, why in fit.left_out:
        entries.add_row(figure.id, f"{four_digits(figure.value)} {figure.unit}", why, "not run")
    console.print(entries)


def _this_host(path: Path, repeats: int, format: OutputFormat) -> None:
    from rxpool.kernel.calibrating import calibrate_this_host

    found = calibrate_this_host(path.stem, repeats)
    found.write(path)
    message(f"wrote {path}")
    rows = [asdict(price) for price in found.prices]

    def show_table(console: Console) -> None:
        from rxpool.table import amount, new_table

        table = new_table("step", ["ns", "quartiles", "ns per byte", "how"])
        for row in rows:
            per_byte = "–" if row["ns_per_byte"] is None else f"{row['ns_per_byte']:.3f}"
            spread = f"{amount(row['low'])} to {amount(row['high'])}"
            table.add_row(row["step"], amount(row["ns"]), spread, per_byte, row["how"])
        console.print(table)

    write_study(format, table=show_table, plain=lambda: {"file": str(path), "steps": rows}, frame=lambda: _frame(rows))


def _frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows)
