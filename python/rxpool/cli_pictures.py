"""The commands that show: report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from rxpool.cli_options import app
from rxpool.console import guarded


@app.command()
@guarded
def report(
    runs: Annotated[
        list[str],
        typer.Argument(help="A stored run; further runs are compared with it (the baseline).", show_default=False),
    ],
    to: Annotated[Path | None, typer.Option(help="The file to write (default: NAME.html here).")] = None,
    out: Annotated[Path, typer.Option(help="Folder that holds the run folders.")] = Path("runs"),
) -> None:
    """Write one self-contained HTML page about a stored run."""
    from rxpool.report import write
    from rxpool.store import RunFolder, find_run

    results = [RunFolder(find_run(name, out)).load() for name in runs]
    path = to or Path(f"{results[0].name}.html")
    write(results, path)
    sys.stdout.write(f"{path}\n")
