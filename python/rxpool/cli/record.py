"""The command that records a live interface: record."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli.options import app
from rxpool.console import agree, guarded, message
from rxpool.plain import printable


@app.command()
@guarded
def record(
    interface: Annotated[str, typer.Argument(help="Name of the interface.", show_default=False)],
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long.")] = 30,
    listen: Annotated[
        bool, typer.Option("--listen", help="In the driver's XDP hook: what XDP would drop is seen too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --listen: do not ask.")] = False,
    to: Annotated[Path | None, typer.Option(help="The scenario to write (default: INTERFACE.json here).")] = None,
) -> None:
    """Record what arrives on an interface, read-only and without addresses, as a scenario."""
    from rxpool.files import write_atomic
    from rxpool.kernel.recording import listen as record_in_driver
    from rxpool.kernel.recording import record as record_in_stack

    if listen:
        agree(f"{interface} gets an XDP program, for which some drivers make their rings anew", yes)
    seen = record_in_driver(interface, seconds) if listen else record_in_stack(interface, seconds)
    path = to or Path(f"{interface}.json")
    write_atomic(path, (json.dumps(seen.scenario(), indent=1) + "\n").encode())
    for queue, times in sorted(seen.arrivals.items()):
        message(f"queue {queue}: {len(times)} packets in {len(seen.flows[queue])} flows by their hash")
    kept = ", ".join(f"{name} {value / 1000:.1f} us" for name, value in seen.held_quantiles().items())
    message(f"kept from arrival to free: {kept or 'nothing was freed'}")
    if seen.overrun:
        message(f"{seen.overrun} events were lost: the trace buffer was full, the rates are too low")
    sys.stdout.write(f"{printable(str(path))}\n")
