"""The command that makes calibrations: calibrate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rxpool.cli_options import FormatOption, app
from rxpool.console import OutputFormat, guarded, message, print_json, stdout_console, write_frame
from rxpool.errors import ExitCode, InputError

if TYPE_CHECKING:
    from rxpool.kernel.steps import Price

_FOLDER = Path("scenarios/calibration")


@app.command()
@guarded
def calibrate(
    this_host: Annotated[
        bool, typer.Option("--this-host", help="Price this host's steps by short runs on its kernel.")
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option(help="The file to write (default: scenarios/calibration/this-host.json, or here without it)."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs of each measurement; medians are taken.")] = 5,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="A B", help="Instead: what got slower from calibration A to B.")
    ] = None,
    format: FormatOption = OutputFormat.TABLE,
) -> None:
    """Write a calibration: what the steps of the receive path cost; --diff ends with 1 if a number got slower."""
    if diff is not None:
        _diff(*diff, format)
        return
    from rxpool.kernel.calibrating import calibrate_this_host

    if not this_host:
        raise InputError("calibrate needs to know from what: --this-host measures on this machine's kernel")
    path = to or (_FOLDER if _FOLDER.is_dir() else Path()) / "this-host.json"
    found = calibrate_this_host(path.stem, repeats)
    found.write(path)
    message(f"wrote {path}")
    rows = [_row(price) for price in found.prices]
    if format is OutputFormat.TABLE:
        from rxpool.table import amount, new_table

        table = new_table("step", ["ns", "quartiles", "ns per byte", "how"])
        for row in rows:
            per_byte = "–" if row["ns_per_byte"] is None else f"{row['ns_per_byte']:.3f}"
            spread = f"{amount(row['low'])} to {amount(row['high'])}"
            table.add_row(row["step"], amount(row["ns"]), spread, per_byte, row["how"])
        stdout_console().print(table)
    elif format is OutputFormat.JSON:
        print_json({"file": str(path), "steps": rows})
    else:
        import pandas as pd

        write_frame(pd.DataFrame(rows), format)


def _row(price: Price) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(price)


def _diff(before: str, after: str, format: OutputFormat) -> None:
    from dataclasses import asdict

    import pandas as pd

    from rxpool.calibrating import differences
    from rxpool.table import new_table

    changes = differences(before, after)
    if format is OutputFormat.TABLE:
        table = new_table("number", ["per", "before", "after", "change"])
        for c in changes:
            table.add_row(c.place, c.per, f"{c.before:g}", f"{c.after:g}", f"{c.by:+.1%}")
        stdout_console().print(table)
    else:
        rows = [asdict(c) | {"slower": c.slower} for c in changes]
        if format is OutputFormat.JSON:
            print_json(rows)
        else:
            write_frame(pd.DataFrame(rows, columns=["place", "per", "before", "after", "slower"]), format)
    slower = [c for c in changes if c.slower]
    if slower:
        message(f"{slower[0].place} got slower most: {slower[0].before:g} to {slower[0].after:g} ns")
        raise typer.Exit(ExitCode.DIFFERENCE)
