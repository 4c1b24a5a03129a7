"""What README and docs say is true: their commands run, their tables are current."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import output_fields
from conftest import ROOT
from rxpool import ExitCode
from rxpool.kernel import needs

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(m[1], m[2]) for m in BLOCK.finditer(page.read_text())]


def test_the_table_of_metrics_is_current() -> None:
    assert output_fields.PAGE.read_text() == output_fields.page(output_fields.PAGE.read_text()), (
        "run tools/output-fields"
    )


def test_every_fence_names_its_language() -> None:
    """A fence without one would be neither run nor counted."""
    bare = []
    for page in PAGES:
        fences = re.findall(r"^[ \t]*(```+|~~~+)[ \t]*(\S*)", page.read_text(), re.MULTILINE)
        bare += [f"{page.relative_to(ROOT)}, block {i // 2 + 1}" for i in range(0, len(fences), 2) if not fences[i][1]]
    assert bare == []


def test_blocks_that_are_not_run_say_why() -> None:
    skipped = [text.splitlines()[0] for page in PAGES for _, text in blocks(page) if text.startswith("# not run")]
    assert all(re.fullmatch(r"# not run: \S.*", line) for line in skipped)
    assert len(skipped) <= 5, skipped


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_every_block_runs(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run in order in one folder, as a reader would type them."""
    for name in ("rxpool", "scenarios"):
        (tmp_path / name).symlink_to(ROOT / name)
    for language, text in blocks(page):
        if text.startswith("# not run"):
            continue
        for command in [text] if language == "python" else shell_commands(text):
            program = [sys.executable, "-c"] if language == "python" else ["bash", "-c"]
            out = subprocess.run(
                [*program, command], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
            )
            # `compare` and `validate` that find a difference say so by exit code 1.
            allowed = {0, 1} if " compare " in command or " validate " in command else {0}
            if page.name == "kernel.md" and needs.missing() and out.returncode == ExitCode.NOT_AVAILABLE:
                pytest.skip(out.stderr.strip())
            if "run it again when the host is quieter" in out.stderr:
                pytest.skip(out.stderr.strip())
            assert out.returncode in allowed, f"{command}\n{out.stdout}\n{out.stderr}"


def shell_commands(text: str) -> list[str]:
    """One command a line; a backslash goes on."""
    lines = text.replace("\\\n", " ").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]
