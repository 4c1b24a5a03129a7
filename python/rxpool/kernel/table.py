"""The table of a validation for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rxpool.plain import printable
from rxpool.table import amount, new_table

if TYPE_CHECKING:
    from rich.console import Console

    from rxpool.kernel.validating import Validation


def print_validation(console: Console, validation: Validation) -> None:
    """One line per quantity, then what the comparison is not, and what neither backend was asked."""
    console.print(f"{printable(validation.scenario.name)}: {len(validation.twins)} runs on each backend, medians")
    columns = ["kernel", "quartiles", "simulated", "error", "allowed", "", "error of zero", "error of bound"]
    table = new_table("quantity", columns)
    for row in validation.table.to_dict("records"):
        table.add_row(
            printable(f"{row['quantity']} ({row['unit']})"),
            amount(row["kernel"]),
            f"{amount(row['low'])} to {amount(row['high'])}",
            amount(row["simulated"]),
            amount(row["error"]),
            amount(row["allowed"]),
            "inside" if row["inside"] else "OUTSIDE",
            amount(row["zero"]),
            amount(row["bound"]),
        )
    console.print(table)
    console.print(
        "the simulator beats both guesses (nothing is held; every buffer is full)"
        if validation.beats_guesses
        else "the simulator does NOT beat both guesses (nothing is held; every buffer is full)"
    )
    console.print(f"prices of the simulated side: {printable(validation.scenario.resolved['calibration'])}")
    cost = validation.kernel.probe_cost
    if not cost.empty:
        most = printable(str(cost.idxmax()))
        console.print(f"the probes took {cost.sum():.2g} % of one CPU, most of it {most} ({cost.max():.2g} %)")
    for limit in validation.kernel.limits:
        console.print(f"limit: {printable(limit)}")
    for text in validation.kernel.not_honoured:
        console.print(f"not honoured: {printable(text)}")
    for text in validation.not_compared:
        console.print(f"not compared: {printable(text)}")
    for name, reason in validation.kernel.missing.items():
        console.print(f"missing: {printable(f'{name}: {reason}')}")
