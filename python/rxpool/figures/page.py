"""docs/validation.md: every figure with its error, and the groups in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rxpool.figures.validating import (
    FIT,
    MISS_RATE_POINTS,
    OTHER_MACHINE,
    OWN_MACHINE,
    Group,
    Outcome,
    groups,
    row,
)


def page(outcomes: Sequence[Outcome]) -> str:
    """The page as Markdown; the same for the same outcomes."""
    return "\n".join(_lines(outcomes)) + "\n"


def _lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    run = sum(o.simulated is not None for o in outcomes)
    yield "# Validation: published figures and what the simulator says"
    yield ""
    yield "Written by `rxpool validate --figures`; a test fails when it is stale. The figures are in"
    yield "`scenarios/calibration/figures.json`: `fit` entries were used by `rxpool calibrate`, `check` entries were"
    yield "not, `input` entries are steps measured on their own and predict nothing. A figure that cannot be run is a"
    yield "miss and stays in."
    yield ""
    yield f"A hit is within {FIT:.0%} for `fit`, {OWN_MACHINE:.0%} for `check` on M1, {OTHER_MACHINE:.0%} on other"
    yield f"machines; miss rates within {MISS_RATE_POINTS:g} percentage points, counters below 0.1 % of the offered"
    yield "packets within a factor of ten. Published measurements of one thing on one machine differ by about 4 %."
    yield ""
    yield f"{len(outcomes)} figures, {run} run, {sum(o.inside for o in outcomes)} hits."
    yield ""
    yield "| machine | role | figures | run | hits | median error | worst |"
    yield "|---|---|--:|--:|--:|--:|---|"
    for group in groups(outcomes):
        yield _group(group)
    for name in dict.fromkeys(o.figure.group for o in outcomes):
        yield ""
        yield f"## {name}"
        yield ""
        yield "| figure | quantity | conditions | measured | simulated | error | role | hit |"
        yield "|---|---|---|--:|--:|--:|---|---|"
        for outcome in outcomes:
            if outcome.figure.group == name:
                yield _row(outcome)


def _group(group: Group) -> str:
    middle = "" if group.median is None else f"{group.median:.1%}"
    worst = "" if group.worst is None else f"{group.worst.figure.id}: {error_text(group.worst)}"
    return f"| {group.name} | {group.role} | {group.count} | {group.run} | {group.inside} | {middle} | {worst} |"


def _row(outcome: Outcome) -> str:
    values = row(outcome)
    figure = outcome.figure
    simulated = outcome.why if outcome.simulated is None else four_digits(outcome.simulated)
    return (
        f"| {figure.id} | {values['quantity']} | {values['conditions']} | {four_digits(figure.value)} {figure.unit} "
        f"| {simulated} | {error_text(outcome)} | {figure.role} | {'yes' if outcome.inside else 'no'} |"
    )


def error_text(outcome: Outcome) -> str:
    """The error for people: percent, or points where the figure is a percentage."""
    if outcome.error is None:
        return ""
    return f"{100 * outcome.error:+.2f} points" if outcome.figure.unit == "%" else f"{outcome.error:+.1%}"


def four_digits(value: float) -> str:
    """Four significant digits, with thousands separators where the number is large."""
    size = abs(value)
    if size >= 1000:
        return f"{float(f'{value:.4g}'):,.0f}"
    return f"{value:.4g}"
