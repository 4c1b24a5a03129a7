"""What the page of answers quotes can be run: every scenario with what is set in it loads and is on the page."""

from __future__ import annotations

from pathlib import Path

from quoted_answers import ROOT, quoted


def test_every_quoted_run_loads_and_its_scenario_is_named_on_the_page() -> None:
    page = Path(ROOT / "docs/answers.md").read_text()
    runs = list(quoted())
    assert len({(r.row, r.name) for r in runs}) == len(runs)
    for one in runs:
        assert one.row in page, f"docs/answers.md does not speak of {one.row}"
        assert one.measures, one.row
