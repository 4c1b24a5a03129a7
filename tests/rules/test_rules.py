"""Rules: every id that code or tests cite is described in docs/rules/, and docs/rules.md says which file covers which.

``python tests/rules/test_rules.py`` writes the table of docs/rules.md anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INDEX = ROOT / "docs" / "rules.md"
RULE = re.compile(r"\b(PP|PA|PM|NA|DR|XD|RS|SK|SC|CT|TC)-(\d+)\b")
DESCRIBED = re.compile(r"^- ((?:(?:PP|PA|PM|NA|DR|XD|RS|SK|SC|CT|TC)-\d+(?:, | and |\.\.)?)+)")
SUFFIXES = {".cpp", ".hpp", ".c", ".h", ".py", ".md", ".json"}
BEGIN, END = "<!-- table begins -->", "<!-- table ends -->"


def sources(*folders: str) -> list[Path]:
    files = (path for folder in folders for path in (ROOT / folder).rglob("*"))
    return sorted(path for path in files if path.suffix in SUFFIXES and path.is_file())


def order(rule: str) -> tuple[str, int]:
    family, number = rule.split("-")
    return family, int(number)


def described() -> dict[str, str]:
    """Rule id -> page of docs/rules/ that describes it."""
    found: dict[str, str] = {}
    for page in sorted((ROOT / "docs" / "rules").glob("*.md")):
        for line in page.read_text().splitlines():
            if match := DESCRIBED.match(line):
                for family, number in RULE.findall(match[1]):
                    found[f"{family}-{number}"] = page.name
    return found


def cited(*folders: str) -> dict[str, set[str]]:
    """Rule id -> files that cite it."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sources(*folders):
        if path == Path(__file__).resolve():
            continue
        for family, number in RULE.findall(path.read_text(errors="replace")):
            found[f"{family}-{number}"].add(str(path.relative_to(ROOT)))
    return found


def dangling(known: dict[str, str], uses: dict[str, set[str]]) -> list[str]:
    return sorted((rule for rule in uses if rule not in known), key=order)


def table() -> str:
    known = described()
    tests = cited("tests")
    lines = ["| rule | described in | tests |", "|---|---|---|"]
    for rule in sorted(known, key=order):
        files = ", ".join(f"`{name}`" for name in sorted(tests.get(rule, ())))
        lines.append(f"| {rule} | [{known[rule]}](rules/{known[rule]}) | {files} |")
    return "\n".join(lines)


def page_with_table() -> str:
    text = INDEX.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def test_no_cited_rule_dangles() -> None:
    known = described()
    uses = cited("sim", "models", "kernel", "scenarios", "python", "benchmarks", "tests", "docs")
    assert {rule: sorted(uses[rule]) for rule in dangling(known, uses)} == {}


def test_a_dangling_rule_is_found() -> None:
    assert dangling({"PP-1": "page_pool.md"}, {"PP-1": {"a"}, "NA-99": {"b"}}) == ["NA-99"]


def test_each_rule_names_its_place_in_the_kernel() -> None:
    for page in ("napi.md", "drivers.md", "stack.md", "tcp.md", "xdp.md"):
        text = (ROOT / "docs" / "rules" / page).read_text()
        for rule in re.split(r"^- ", text, flags=re.MULTILINE)[1:]:
            assert "(" in rule, f"{page}: {rule[:40]}"


def test_the_table_is_up_to_date() -> None:
    assert INDEX.read_text() == page_with_table(), "run python tests/rules/test_rules.py"


if __name__ == "__main__":
    INDEX.write_text(page_with_table())
