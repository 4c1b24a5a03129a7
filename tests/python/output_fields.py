"""The table of metrics in docs/output-fields.md: made from the core's, and written there by tools/output-fields."""

from __future__ import annotations

from pathlib import Path

from rxpool import _core

PAGE = Path(__file__).parents[2] / "docs" / "output-fields.md"
BEGIN, END = "<!-- metrics: written by tools/output-fields -->", "<!-- end of metrics -->"


def table() -> str:
    """The core's table of metrics as Markdown."""
    lines = ["| metric | unit | kind | meaning | source |", "|---|---|---|---|---|"]
    for metric in _core.metric_table():
        cells = [f"`{metric['name']}`", metric["unit"], metric["kind"], metric["meaning"], metric["source"]]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The page with the present table in it."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
