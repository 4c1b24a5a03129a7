"""The report is one page that needs nothing else, shows the stored numbers, and runs nothing it was not given."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import rxpool
from made_records import made_replication, made_scenario
from rxpool.comparing import compare_results
from rxpool.record import Ledger, Replication, Series
from rxpool.report import figures, page, write
from rxpool.report.figures import encoded
from rxpool.result import Result

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

QUEUE = "nics.nic0.rx_queues.rx0"
EVIL = '<img src=x onerror=alert(1)></script><script>alert(2)</script> & "it\'s" <b>bold</b>'
CHROMIUM = next(
    (path for name in ("chromium-headless-shell", "chromium") if (path := shutil.which(name)) is not None), None
)


@pytest.fixture(scope="module")
def results(small: dict[str, Any]) -> list[Result]:
    busy = {"traffic.load.rate_pps": 4_000_000, "duration_ms": 3}
    return [rxpool.run(small, policy=policy, replications=4, set=busy) for policy in ("none", "drop")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium here; tools/setup check installs it")
    with sync_api.sync_playwright() as playwright:
        # Chromium's own sandbox needs user namespaces, which not every container has.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@dataclass
class Seen:
    page: Page
    trouble: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def opened(browser: Browser, path: Path, **options: Any) -> Seen:
    """The page drawn in a browser that hears every message, error and request."""
    tab = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options)).new_page()
    tab.set_default_timeout(120_000)
    seen = Seen(tab)
    tab.on("console", lambda message: seen.trouble.append(f"{message.type}: {message.text}"))
    tab.on("pageerror", lambda error: seen.trouble.append(str(error)))
    tab.on("dialog", lambda dialog: seen.trouble.append(f"dialog: {dialog.message}"))
    tab.on("request", lambda request: seen.requests.append(request.url))
    tab.goto(path.as_uri())
    tab.wait_for_selector("html[data-drawn]")
    return seen


@pytest.fixture(scope="module")
def report(results: list[Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write(results, path)
    return path


def cells(text: str, table: str) -> list[list[str]]:
    body = re.search(rf'<table id="{table}">(.*?)</table>', text, re.DOTALL)
    assert body, table
    return [re.findall(r"<td.*?</td>", row, re.DOTALL) for row in re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)]


def exact(cell: str) -> float:
    found = re.search(r'data-value="([^"]+)"', cell)
    assert found, cell
    return float(found[1])


def test_tables_hold_the_stored_numbers(results: list[Result]) -> None:
    text = page(results)
    shown = re.findall(r'data-component="([^"]+)" data-metric="([^"]+)" data-value="([^"]+)">([^<]+)<', text)
    assert len(shown) >= 7
    for component, metric, value, rounded in shown:
        mean = results[0].mean(component, metric)
        assert float(value) == pytest.approx(mean, rel=1e-12)
        assert float(rounded.split()[0].replace(",", "")) == pytest.approx(mean, rel=5e-3, abs=0.05)
    ledger = results[0].counted
    for row in cells(text, "drop-reasons")[1:]:
        reason = re.sub("<.*?>", "", row[0])
        assert exact(row[1]) == ledger.places[f"dropped.{reason}"] / 4
    comparison = compare_results(results)
    for row, expected in zip(cells(text, "comparison")[1:], comparison.rows, strict=True):
        assert exact(row[4]) == expected.difference.interval.estimate


def test_the_answer_is_the_headline_with_its_interval(results: list[Result]) -> None:
    headline = results[0].headline
    found = re.search(r'id="answer">([^<]+)<', page(results[:1]))
    assert found
    assert f"{QUEUE}.held_max is {headline['value']:,.1f}".rstrip("0").rstrip(".") in found[1]
    assert "4 replications" in found[1]


def test_the_timeline_shades_the_time_in_which_the_breaker_was_open(browser: Browser, tmp_path: Path) -> None:
    """The first tenth of a second over the limit it holds; then it trips and stays open for a while."""
    flood = Path(__file__).parents[2] / "scenarios" / "udp-flood-breaker.json"
    result = rxpool.run(flood, set={"duration_ms": 600})
    series = next(s for s in result.replications[0].series if (s.component, s.metric) == (QUEUE, "breaker_open_time"))
    path = tmp_path / "breaker.html"
    write([result], path)
    seen = opened(browser, path)
    assert seen.trouble == []
    drawn = seen.page.evaluate("document.getElementById('timeline').layout.shapes")
    open_ms = sum(s["x1"] - s["x0"] for s in drawn if s["name"] == "rx0 breaker open")
    step_ms = (series.time_ns[1] - series.time_ns[0]) / 1e6
    assert open_ms == pytest.approx(step_ms * np.count_nonzero(series.value))
    assert abs(open_ms - series.value.sum() / 1e9) <= 2 * step_ms * len(drawn)
    assert "rx0 breaker open" in (seen.page.locator("#timeline .legend").text_content() or "")


def evil_result() -> Result:
    series = [Series(QUEUE, "held", EVIL, np.arange(5) * 1000, np.arange(5.0))]
    replication = Replication(
        0, 1, 1.0, 10, 10, (QUEUE,), ("held_max",), ("pages",), np.array([4.0]), tuple(series),
        Ledger(10, {"delivered": 9, f"dropped.{EVIL}": 1}), Ledger(1, {"zone_free": 1}), ("x", EVIL), (EVIL,),
    )  # fmt: skip
    scenario = made_scenario(1)
    resolved = {**json.loads(scenario.text), "question": EVIL, "policies": {"nic0": EVIL}}
    return Result(replace(scenario, text=json.dumps(resolved), name=EVIL), (replication,), {"date": EVIL})


def test_every_name_is_escaped() -> None:
    ours = re.compile(r"<script>.*?</script>", re.DOTALL)
    text = ours.sub("", page([evil_result(), evil_result()]), count=2)
    assert "<img" not in text
    assert "<b>" not in text
    assert text.count("<script") == text.count("</script>") == 1  # the data block


def test_a_hostile_name_runs_nothing_in_the_browser(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "evil.html"
    write([evil_result()], path)
    seen = opened(browser, path)
    assert seen.trouble == []
    assert seen.page.locator("h1").inner_text() == EVIL
    assert seen.page.locator("img").count() == 0
    assert seen.requests == [path.as_uri()]


def test_the_policy_refuses_what_is_not_ours(browser: Browser, report: Path) -> None:
    seen = opened(browser, report)
    assert seen.trouble == []
    assert seen.requests == [report.as_uri()]
    seen.page.evaluate(
        """() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1';
                   document.body.append(s); fetch('https://example.org/').catch(() => 0); }"""
    )
    assert seen.page.evaluate("window.ran") is None
    assert any("Content Security Policy" in message for message in seen.trouble)


def test_hovering_shows_a_stored_value(browser: Browser, report: Path, results: list[Result]) -> None:
    tab = opened(browser, report).page
    box = tab.locator("#timeline .nsewdrag").bounding_box()
    assert box
    stored = {f"{v:,.12g}" for s in results[0].replications[0].series for v in s.value}
    values = set()
    for part in (0.2, 0.4, 0.6, 0.8):
        tab.locator("#timeline").scroll_into_view_if_needed()
        box = tab.locator("#timeline .nsewdrag").bounding_box()
        assert box
        for height in (0.15, 0.5, 0.9):
            tab.mouse.move(box["x"] + part * box["width"], box["y"] + height * box["height"])
            tab.wait_for_timeout(120)
            values |= set(re.findall(r"ms: ([\d,.]+)", tab.locator("#timeline .hoverlayer").text_content() or ""))
    assert values
    assert values <= stored


@pytest.mark.parametrize(
    "options",
    [
        {"viewport": {"width": 1280, "height": 900}},
        {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 3},
    ],
    ids=["desktop", "phone"],
)
def test_it_reads_well_at_both_widths(browser: Browser, report: Path, options: dict[str, Any]) -> None:
    seen = opened(browser, report, **options)
    tab = seen.page
    width = options["viewport"]["width"]
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    for element in tab.locator("h1, h2, p, .figure").all():
        box = element.bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width + 1
    sizes = tab.evaluate(
        """[...document.querySelectorAll('p, td, th, .xtick text, .legendtext')]
             .map((element) => parseFloat(getComputedStyle(element).fontSize))"""
    )
    assert min(sizes) >= 11
    # Nothing lies over anything: headings and figures follow one another.
    boxes = [element.bounding_box() for element in tab.locator("h2, .figure, table").all()]
    for above, below in pairwise(boxes):
        assert above
        assert below
        assert below["y"] >= above["y"] + above["height"] - 1
    assert seen.trouble == []


def pan(tab: Page) -> float:
    """Drags the timeline to the left and back; the longest task of the main thread meanwhile, in ms."""
    tab.evaluate(
        """() => { window.longest = 0;
          const look = (list) => { for (const e of list.getEntries()) longest = Math.max(longest, e.duration); };
          new PerformanceObserver(look).observe({ type: 'longtask' }); }"""
    )
    box = tab.locator("#timeline .nsewdrag").bounding_box()
    assert box
    y = box["y"] + box["height"] / 2
    for begin, end in ((0.8, 0.2), (0.9, 0.4)):
        tab.mouse.move(box["x"] + begin * box["width"], y)
        tab.mouse.down()
        for step in range(12):
            tab.mouse.move(box["x"] + (begin + (end - begin) * step / 11) * box["width"], y)
        tab.mouse.up()
        tab.wait_for_timeout(300)
    longest: float = tab.evaluate("window.longest")
    return longest


@pytest.mark.parametrize("spans", [0, 200, 2000])
def test_panning_a_hundred_thousand_points_blocks_nothing(browser: Browser, tmp_path: Path, spans: int) -> None:
    points = 100_000
    rng = np.random.default_rng(1)
    time_ns = np.arange(1, points + 1) * 10_000
    series = tuple(Series(QUEUE, metric, "pages", time_ns, rng.random(points)) for metric in ("held", "pool_ring"))
    if spans:
        is_open = (np.arange(points) * 2 * spans // points % 2).astype(np.float64)
        series += (Series(QUEUE, "breaker_open_time", "ps", time_ns, is_open),)
    result = evil_result()
    path = tmp_path / "long.html"
    write([replace(result, replications=(replace(result.replications[0], series=series),))], path)
    tab = opened(browser, path).page
    tab.locator("#timeline").scroll_into_view_if_needed()
    tab.evaluate("Plotly.relayout('timeline', {'xaxis.range': [400, 600]})")
    tab.wait_for_timeout(500)
    before = tab.evaluate("document.getElementById('timeline').data[0].x.length")
    # What else this machine does only adds to a task's time: the best of three counts.
    longest = min(pan(tab) for _ in range(3))
    assert tab.evaluate("document.getElementById('timeline').layout.xaxis.range[0]") > 401, "it did not pan"
    shown = tab.evaluate("[...document.getElementById('timeline').data[0].y]")
    assert before <= len(shown) + 2 <= 4000
    assert {f"{v:.15g}" for v in shown} <= {f"{v:.15g}" for v in series[0].value}, "a value that was not sampled"
    assert longest <= 200
    if spans:
        tab.evaluate("Plotly.relayout('timeline', {'xaxis.range': [400, 600]})")
        begins = tab.evaluate("document.getElementById('timeline').data[2].x")[::5]
        # All of 200; the gaps of 2,000 are closer together than the screen can show.
        assert sum(400 < x < 600 for x in begins) == (pytest.approx(40, abs=1) if spans == 200 else 0)
        assert min(begins) < 400


def test_series_are_exact() -> None:
    import base64

    values = np.array([0.1, 1e-300, 3.0])
    assert np.frombuffer(base64.b64decode(encoded(values)), "<f8").tolist() == values.tolist()


def test_the_command_writes_the_page(rxpool_command: Any, small_file: Path) -> None:
    for policy in ("none", "drop"):
        done = rxpool_command("run", small_file, "--policy", policy, "--replications", 2, "--format", "json")
        assert done.returncode == 0, done.stderr
    runs = sorted(p.name for p in (small_file.parent / "runs").iterdir())
    out = rxpool_command("report", *runs, "--to", "page.html")
    assert out.returncode == 0, out.stderr
    assert out.stdout == "page.html\n"
    text = (small_file.parent / "page.html").read_text()
    assert text.startswith("<!DOCTYPE html>")
    assert 'id="comparison"' in text
    assert rxpool_command("report", "nothing").returncode == 2


def test_queues_of_two_nics_have_names_of_their_own() -> None:
    made = made_replication(0)
    held, state = made.series[0], "breaker_open_time"
    both = [f"nics.{nic}.rx_queues.rx0" for nic in ("nic0", "nic1")]
    series = [replace(held, component=f"{queue}.page_pool", metric="held") for queue in both]
    series += [
        replace(held, component=f"{queue}.control", metric=state, value=np.ones(len(held.value))) for queue in both
    ]
    figure = figures.timeline(replace(made, series=tuple(series)))
    assert figure is not None
    assert [t["name"] for t in figure["traces"]] == ["nic0.rx0 held", "nic1.rx0 held"]
    assert {s["name"] for s in figure["shapes"]} == {"nic0.rx0 breaker open", "nic1.rx0 breaker open"}
