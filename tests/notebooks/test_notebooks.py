"""Every notebook runs, is short, and carries its outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from executing import executed

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def texts(notebook: Any) -> list[str]:
    """What the code cells printed."""
    return [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output["output_type"] == "stream" and output["name"] == "stdout"
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_asks_answers_and_is_committed_with_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert len(notebook.cells) <= 15
    assert path.stat().st_size < 300_000
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for part in ("**Question", "**Answer", "**What would change it"):
        assert part in prose
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code), "run tools/notebooks"
    kinds = {output["output_type"] for cell in code for output in cell.outputs}
    assert "error" not in kinds
    assert any("image/png" in json.dumps(output) for cell in code for output in cell.outputs)
    assert texts(notebook), "no answer was printed"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs(path: Path) -> None:
    fresh = executed(path)
    errors = [o for cell in fresh.cells for o in cell.get("outputs", []) if o.get("name") == "stderr"]
    assert errors == []


@pytest.mark.full
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_the_committed_answers_are_today_s(path: Path) -> None:
    assert texts(executed(path)) == texts(nbformat.read(path, as_version=4)), f"run tools/notebooks {path}"
