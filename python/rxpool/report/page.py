"""Writing the page: HTML with every name escaped, scripts inlined and named by their hashes in the policy."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from rxpool import answers
from rxpool.comparing import Comparison, compare_results, labels
from rxpool.errors import InputError
from rxpool.files import ELSEWHERE, write_atomic
from rxpool.measures import drop_reasons
from rxpool.plain import finite, listed
from rxpool.report import figures
from rxpool.result import Result
from rxpool.statistics import Interval, mean_interval
from rxpool.table import NO_DESCRIPTOR, QUEUE, amount, bounds, number

QUEUE_COLUMNS = (
    ("held_mean", "held mean", "pages"),
    ("held_max", "held max", "pages"),
    ("inflight_max", "inflight max", "pages"),
    ("rx_pps", "received", "packets/s"),
    ("xdp_drop", "XDP dropped", "packets"),
    ("rx_latency_p50", "latency p50", "ns"),
    ("rx_latency_p99", "latency p99", "ns"),
)


def write(results: Sequence[Result], path: Path | str) -> None:
    """Writes the page about ``results[0]``, compared with the others, to ``path``. Raises :class:`InputError`."""
    write_atomic(Path(path), page(results).encode(), ELSEWHERE)


def page(results: Sequence[Result]) -> str:
    """The whole page as text. The first result is the subject and the baseline of the comparison."""
    result = results[0]
    comparison = compare_results(results) if len(results) > 1 else None
    first = result.replications[0]
    drawn = [
        figures.timeline(first),
        figures.places(first),
        figures.drops(result.counted, len(result.replications)),
        figures.cpus(result),
        figures.differences(comparison) if comparison else None,
    ]
    shown = {figure["id"]: figure for figure in drawn if figure}
    body = "\n".join(_body(result, results, comparison, set(shown)))
    data = _json_block({"figures": list(shown.values())})
    scripts = [_plotly(), _text("page.js")]
    policy = "; ".join(
        [
            "default-src 'none'",
            "script-src " + " ".join(f"'sha256-{_sha256(script)}'" for script in scripts),
            "style-src 'unsafe-inline'",  # plotly.js sets styles of what it draws
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    inlined = "\n".join(f"<script>{script}</script>" for script in scripts)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(policy)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(result.scenario.name)} – rxpool</title>
<link rel="icon" href="data:,">
<style>
{_text("page.css")}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
{inlined}
</body>
</html>
"""


def _body(result: Result, results: Sequence[Result], comparison: Comparison | None, shown: set[str]) -> Iterator[str]:
    escape = html.escape
    resolved = result.scenario.resolved
    yield f"<h1>{escape(resolved.get('question') or result.scenario.name)}</h1>"
    yield f'<p class="answer" id="answer">{escape(answers.of_result(result))}</p>'
    if result.bottleneck:
        yield f"<p>{escape(result.bottleneck)}</p>"
    yield from (f'<p class="warning">{escape(warning)}</p>' for warning in result.warnings)
    if comparison is not None:
        yield "<h2>Comparison</h2>"
        yield from _comparison(comparison, results, shown)
    yield "<h2>Queues</h2>"
    yield _queues(result)
    note = "first replication; every sample stands for the interval that it ends"
    for name, title in (("timeline", "Pool and ring over time"), ("places", "Where the pages are")):
        if name in shown:
            yield f'<h2>{title}</h2><p class="note">{note}</p><div class="figure" id="{name}"></div>'
    if "timeline" not in shown:
        yield '<p class="note">No series was recorded: set record.every_us in the scenario.</p>'
    yield "<h2>Drops by reason</h2>"
    yield _drops(result)
    if "drops" in shown:
        yield '<div class="figure" id="drops"></div>'
    if "cpus" in shown:
        yield '<h2>CPU use</h2><div class="figure" id="cpus"></div>'
    yield "<h2>Configuration</h2>"
    yield from _configuration(result)


def _comparison(comparison: Comparison, results: Sequence[Result], shown: set[str]) -> Iterator[str]:
    names = labels(results)
    how = "paired differences under common random numbers" if comparison.paired else "independent runs (Welch)"
    yield f'<p class="note">Baseline {html.escape(names[0])}; {how}; p-values after Holm.</p>'
    yield f'<p class="note" id="verdict">{html.escape(comparison.verdict)}</p>'
    own = set(results[0].warnings)
    yield from (f'<p class="warning">{html.escape(w)}</p>' for w in comparison.warnings if w not in own)
    head = ["metric", "policy", names[0], "mean", "difference", "95 % interval", "p", "variance ratio"]
    rows = []
    for row in comparison.rows:
        d = row.difference
        cells = [_cell(d.baseline), _cell(d.other), _cell(d.interval.estimate, "*" if row.significant else "")]
        rows.append(
            [
                _plain(f"{row.metric} ({row.unit})" if row.unit else row.metric),
                _plain(row.policy),
                *cells,
                _plain(bounds(d.interval)),
                _p_value(row.p_holm),
                _cell(d.variance_ratio),
            ]
        )
    yield _table("comparison", head, rows)
    if "differences" in shown:
        yield '<div class="figure" id="differences"></div>'
        if without := [f"{row.metric}, {row.policy}" for row in comparison.rows if not row.difference.baseline]:
            yield f'<p class="note">Not drawn, for want of a percentage of 0: {html.escape(listed(without))}.</p>'
    yield from (f'<p class="note">{html.escape(note)}</p>' for note in comparison.notes)


def _queues(result: Result) -> str:
    """Means over replications, with half the 95 % interval."""
    first = result.replications[0]
    components = list(dict.fromkeys(c for c in first.component if (m := QUEUE.match(c)) and not m[3]))
    missing = next((m for m in NO_DESCRIPTOR if components and (components[0], m) in first.named), "")
    columns = [*QUEUE_COLUMNS, *([(missing, missing, "packets")] if missing else [])]
    rows = []
    for component in components:
        cells = [_plain(component)]
        for metric, _, _ in columns:
            known = (component, metric) in first.named
            cells.append(_metric(_interval(result, component, metric), component, metric) if known else "–")
        rows.append(cells)
    return _table("queues", ["queue", *(f"{title} ({unit})" for _, title, unit in columns)], rows)


def _interval(result: Result, component: str, metric: str) -> Interval | None:
    """The interval over replications; None where a value does not exist."""
    try:
        return mean_interval(result.values(component, metric))
    except (ValueError, KeyError):
        return None


def _drops(result: Result) -> str:
    packets = result.counted
    count = len(result.replications)
    reasons = drop_reasons(packets, count)
    if not reasons:
        return f"<p>None of {packets.total // count:,} packets was dropped.</p>"
    rows = [[_plain(reason), _cell(lost), _cell(100 * lost * count / packets.total, " %")] for reason, lost in reasons]
    return _table("drop-reasons", ["reason", "packets (mean)", "of offered"], rows)


def _configuration(result: Result) -> Iterator[str]:
    scenario = result.scenario
    resolved = scenario.resolved
    facts: list[tuple[str, Any]] = [
        ("scenario", scenario.name),
        ("policy", result.policy),
        ("kernel", resolved.get("kernel", {}).get("release")),
        ("calibration", resolved.get("calibration")),
        ("measured", f"{result.duration_ms:g} ms after {resolved.get('warmup_ms', 0):g} ms warm-up"),
        ("replications", len(result.replications)),
        ("seed", scenario.seed),
        ("fingerprint", result.fingerprint),
        ("run", result.name),
    ]
    yield _table("configuration", [], [[_plain(name), _plain(str(value))] for name, value in facts])
    text = json.dumps(resolved, indent=1, ensure_ascii=False)
    summary = "<summary>The whole scenario, every default written out</summary>"
    yield f"<details>{summary}<pre>{html.escape(text)}</pre></details>"
    yield f"<footer><p>rxpool, {html.escape(str(result.context.get('date', 'date unknown')))}</p></footer>"


def _table(name: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are HTML already, the head is plain text."""
    top = "<tr>" + "".join(f"<th>{html.escape(title)}</th>" for title in head) + "</tr>" if head else ""
    body = "\n".join(
        "<tr>" + "".join(c if c.startswith("<td") else f"<td>{c}</td>" for c in row) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table id="{name}">{top}\n{body}</table></div>'


def _plain(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"


def _cell(value: float, mark: str = "") -> str:
    """A number: rounded for people, exact in ``data-value``."""
    text = "–" if value != value else "∞" if value in (float("inf"), float("-inf")) else amount(value)
    return f'<td data-value="{value!r}">{text}{html.escape(mark)}</td>'


def _p_value(p: float) -> str:
    return _cell(p) if p != p else f'<td data-value="{p!r}">{p:.2g}</td>'


def _metric(interval: Interval | None, component: str, metric: str) -> str:
    if interval is None:
        return _plain("–")
    spread = "" if interval.n == 1 else f" ± {amount(interval.half_width)}"
    return (
        f'<td data-component="{html.escape(component)}" data-metric="{html.escape(metric)}" '
        f'data-value="{interval.estimate!r}">{number(interval.estimate) if not spread else amount(interval.estimate)}'
        f"{spread}</td>"
    )


def _json_block(value: Any) -> str:
    """JSON that ends no script element."""
    text = json.dumps(finite(value), ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise InputError("report needs the package plotly: pip install 'rxpool[pictures]'") from None
    script: str = get_plotlyjs()
    return script.replace("\r", "")


def _text(name: str) -> str:
    return resources.files("rxpool.report").joinpath(name).read_text(encoding="utf-8")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
