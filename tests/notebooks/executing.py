"""Executes notebooks in their own folder; as a program, writes the outputs into them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient



def executed(path: Path, timeout: int = 600) -> Any:
    """The notebook with the outputs of a fresh run. Raises ``CellExecutionError`` where a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    client = NotebookClient(
        notebook, timeout=timeout, resources={"metadata": {"path": str(path.parent)}}, record_timing=False
    )
    client.execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    return notebook


def main(paths: list[str]) -> None:
    """Runs each notebook and writes it back."""
    for name in paths:
        path = Path(name)
        notebook = executed(path)
        nbformat.write(notebook, path)
        print(f"{path}: {len(notebook.cells)} cells, {path.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
