"""What the plots have in common: picking rows from long frames, axes, colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.plain import nearest

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Okabe and Ito's palette, which colour-blind readers tell apart."""


def axes(ax: Axes | None, width: float = 7.0, height: float = 4.0) -> Axes:
    """The axes given, or those of a new figure (inches)."""
    return ax if ax is not None else panels(1, width, height)[0]


def panels(count: int, width: float, height: float) -> list[Axes]:
    """The axes of a new figure, under each other, each of this size (inches)."""
    try:
        from matplotlib import pyplot
    except ImportError:
        raise InputError("plots need the package matplotlib: pip install 'rxpool[pictures]'") from None
    _, made = pyplot.subplots(count, 1, figsize=(width, height * count), layout="constrained", squeeze=False)
    return list(made[:, 0])


def tidy(ax: Axes) -> Axes:
    """Light grid behind the data, no box."""
    ax.set_axisbelow(True)
    ax.grid(True, color="#dddddd", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def need(frame: pd.DataFrame, columns: Sequence[str], what: str) -> None:
    """Raises :class:`InputError` unless the frame has these columns and a row."""
    missing = [c for c in columns if c not in frame.columns]
    if missing:
        raise InputError(f"plot {what}: the frame has no column {', '.join(missing)}; it needs {', '.join(columns)}")
    if frame.empty:
        raise InputError(f"plot {what}: the frame has no rows")


def full_names(frame: pd.DataFrame) -> pd.Series[str]:
    """``component.metric`` of every row; the metric alone where there is no component."""
    metric = frame["metric"].astype(str)
    if "component" not in frame.columns:
        return metric
    component = frame["component"].astype(str)
    return metric.where(component == "", component + "." + metric)


def pick(frame: pd.DataFrame, metric: str, what: str) -> pd.DataFrame:
    """The rows of one metric, by its full name, or by its bare name where one component has it.

    Raises :class:`InputError` where no row has it, or several components do.
    """
    need(frame, ["metric", "value"], what)
    names = full_names(frame)
    rows = frame[names == metric]
    if rows.empty:
        rows = frame[frame["metric"] == metric]
        components = [str(c) for c in rows["component"].unique()] if "component" in rows else []
        if len(components) > 1:
            raise InputError(
                f"plot {what}: several components have '{metric}' ({', '.join(components[:3])}…); name one: "
                f"{components[0]}.{metric}"
            )
    if rows.empty:
        hint = nearest(metric, [*names, *frame["metric"]])
        raise InputError(f"plot {what}: the frame has no metric '{metric}'{hint}")
    return rows


def unit_of(rows: pd.DataFrame) -> str:
    """The unit of the first row, or nothing."""
    return str(rows["unit"].iloc[0]) if "unit" in rows and len(rows) else ""


def label(metric: str, unit: str) -> str:
    """An axis label with its unit."""
    return f"{metric} ({unit})" if unit else metric


def groups(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows by policy where there are several, else by run, else all together; in the frame's order."""
    for column in ("policy", "run"):
        if column in rows and rows[column].nunique() > 1:
            return [(str(key), part) for key, part in rows.groupby(column, sort=False)]
    name = str(rows["policy"].iloc[0]) if "policy" in rows else ""
    return [(name, rows)]


def one_replication(rows: pd.DataFrame, replication: int | None) -> pd.DataFrame:
    """The rows of one replication (the first by default). Raises :class:`InputError` where it has none."""
    if "replication" not in rows:
        return rows
    chosen: Any = rows["replication"].min() if replication is None else replication
    found: pd.DataFrame = rows[rows["replication"] == chosen]
    if found.empty:
        raise InputError(f"no replication {replication} in this frame")
    return found


def plain_text(text: str) -> str:
    """A name as matplotlib shall draw it: a dollar sign starts no formula."""
    return text.replace("$", r"\$")
