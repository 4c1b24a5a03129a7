"""Plots show the numbers of their frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot, use

import rxpool
from rxpool import plots
from rxpool.comparing import Comparison, compare
from rxpool.plots.timelines import spans
from rxpool.record import CONTEXTS
from rxpool.statistics import mean_interval

use("Agg")
QUEUE = "nics.nic0.rx_queues.rx0"


@pytest.fixture(autouse=True)
def closed() -> Any:
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def comparison(small: dict[str, Any]) -> Comparison:
    return compare(small, ["pass", "drop"], replications=4, set={"record.per_step": True})


@pytest.fixture(scope="module")
def result(comparison: Comparison) -> rxpool.Result:
    return comparison.results[0]


def test_policies_shows_the_mean_of_each_policy(comparison: Comparison) -> None:
    for frame, metric in [(comparison.metrics, f"{QUEUE}.held_max"), (comparison.values, "packets.delivered")]:
        ax = plots.policies(frame, metric)
        rows = frame[(frame["metric"] == metric.rpartition(".")[2]) | (frame["metric"] == metric)]
        expected = [mean_interval(part["value"].to_numpy()).estimate for _, part in rows.groupby("policy", sort=False)]
        drawn = [float(bar.lines[0].get_xdata()[0]) for bar in ax.containers]
        assert drawn == pytest.approx(expected)
        assert [t.get_text() for t in ax.get_yticklabels()] == ["pass", "drop"]


def test_differences_are_in_percent_and_filled_where_significant(comparison: Comparison) -> None:
    ax = plots.differences(comparison.frame, "packets.delivered")
    row = comparison.frame[comparison.frame.metric == "packets.delivered"].iloc[0]
    line = ax.containers[0].lines[0]
    assert line.get_xdata()[0] == pytest.approx(100 * row["difference"] / row["baseline_mean"])
    assert bool(row["significant"]) == (line.get_markerfacecolor() != "white")


def test_cdf_reaches_one_at_the_largest_value(result: rxpool.Result) -> None:
    ax = plots.cdf(result.series, f"{QUEUE}.held")
    held = result.series[result.series.metric == "held"]["value"]
    x, y = ax.lines[0].get_data()
    assert (x[-1], y[-1]) == (held.max(), 1.0)
    assert y[int(np.searchsorted(x, held.median(), side="right")) - 1] >= 0.5


def test_cdf_of_a_latency_shows_its_quantiles(result: rxpool.Result) -> None:
    ax = plots.cdf(result.metrics, "rx_latency")
    p99 = result.metrics[result.metrics.metric == "rx_latency_p99"]["value"].mean()
    assert p99 in [pytest.approx(x) for x in ax.containers[0].lines[0].get_xdata()]


def test_timeline_shows_the_samples_and_shades_the_states(result: rxpool.Result) -> None:
    series = result.series
    state = series[(series.metric == "held") & (series.replication == 0)].assign(metric="breaker")
    state["value"] = [1.0 if 2 <= i < 5 else 0.0 for i in range(len(state))]
    ax = plots.timeline(pd.concat([series, state]), ["held"], component=QUEUE, states=["breaker"])
    assert list(ax.lines[0].get_ydata()) == list(result.replications[0].series[_index(result, "held")].value)
    assert len([p for p in ax.patches if p.get_alpha() == 0.15]) == 1


def _index(result: rxpool.Result, metric: str) -> int:
    return [s.metric for s in result.replications[0].series].index(metric)


def test_a_span_begins_at_the_sample_before() -> None:
    assert spans(np.array([10.0, 20, 30, 40, 50]), np.array([1.0, 0, 1, 2, 0])) == [(0, 10), (20, 40)]


def test_the_places_add_up_to_inflight(result: rxpool.Result) -> None:
    ax = plots.pages(result.series, component=QUEUE)
    top = max(path.vertices[:, 1].max() for c in ax.collections for path in c.get_paths())
    inflight = result.series[(result.series.metric == "inflight") & (result.series.replication == 0)]
    assert top == inflight["value"].max()


def test_sweep_and_heat_map_show_every_point(small: dict[str, Any]) -> None:
    from rxpool.sweeping import sweep

    rings = [64, 256, 1024]
    study = sweep(small, {"nics.nic0.rx_ring": rings, "seed": [1, 2]}, replications=2)
    frame = study.frame(["sum:posted"])
    ax = plots.sweep(frame, "nics.nic0.rx_ring", "sum:posted", by="seed")
    assert [list(line.get_xdata()) for line in ax.lines] == [rings, rings]
    assert ax.get_xscale() == "log"
    ax = plots.heat_map(frame, "nics.nic0.rx_ring", "seed", "sum:posted")
    assert ax.images[0].get_array().shape == (2, 3)
    assert ax.texts[0].get_text() == f"{frame['sum:posted'].iloc[0]:.4g}"


def test_pareto_marks_the_best() -> None:
    frame = pd.DataFrame(
        {"a": [1.0, 2, 3], "b": [3.0, 1, 3], "feasible": [True, True, False], "best": [True, True, False]}
    )
    ax = plots.pareto(frame, "a", "b")
    best = next(line for line in ax.lines if line.get_label() == "best")
    assert list(best.get_xdata()) == [1, 2]


def test_cpu_boxes_are_as_wide_as_the_time(result: rxpool.Result) -> None:
    ax = plots.cpu(result.metrics)
    metrics = result.metrics.groupby(["component", "metric"])["value"].mean()
    widths = [round(p.get_width(), 9) for p in ax.patches]
    for name in ("busy", "busy_softirq", "busy_hardirq"):
        assert round(metrics["cpus.cpu0", name], 9) in widths


def test_steps_of_a_context_add_up_to_its_busy_time(result: rxpool.Result) -> None:
    first = result.replications[0]
    for cpu in ("cpus.cpu0", "cpus.cpu1"):
        for context in CONTEXTS:
            steps = sum(
                value
                for (component, metric), value in first.named.items()
                if metric == "step_time"
                and component.startswith(f"{cpu}.steps.{context}.")
                and not component.endswith(".idle_exit")
            )
            assert steps / (first.simulated_ms * 1e9) * 100 == pytest.approx(first[cpu, f"busy_{context}"])


def test_a_frame_without_the_metric_is_refused_with_the_nearest(result: rxpool.Result) -> None:
    with pytest.raises(rxpool.InputError, match="the nearest is 'held_max'"):
        plots.policies(result.metrics, "held_mx")
    with pytest.raises(rxpool.InputError, match="several components have 'busy'"):
        plots.policies(result.metrics, "busy")
    with pytest.raises(rxpool.InputError, match="no column"):
        plots.timeline(result.metrics)


def test_every_plot_is_found_by_name(result: rxpool.Result) -> None:
    ax = plots.draw("policies", result.metrics, "held_max")
    assert ax.get_xlabel().startswith("held_max (pages)")
    assert sorted(plots.names()) == sorted(set(plots.__all__) - {"draw", "names"})
    with pytest.raises(rxpool.InputError, match="no plot is called 'pie'"):
        plots.draw("pie", result.metrics)


def test_names_start_no_formula(result: rxpool.Result) -> None:
    strange = result.metrics.assign(policy="$x^$")
    ax = plots.policies(strange, "held_max")
    ax.figure.canvas.draw()
    assert ax.get_yticklabels()[0].get_text() == r"\$x^\$"


def test_a_single_replication_has_no_interval(result: rxpool.Result) -> None:
    one = replace(result, replications=result.replications[:1])
    ax = plots.policies(one.metrics, "held_max")
    ax.figure.canvas.draw()
    assert ax.containers[0].lines[0].get_xdata()[0] == one.replications[0][QUEUE, "held_max"]


def test_a_heat_map_does_not_average_over_a_third_key() -> None:
    frame = pd.DataFrame({"a": [1, 1], "b": [2, 2], "c": [3, 4], "m": [5.0, 6.0]})
    with pytest.raises(rxpool.InputError, match="several rows fall into one cell"):
        plots.heat_map(frame, "a", "b", "m")
    assert plots.heat_map(frame[frame["c"] == 3], "a", "b", "m").texts[0].get_text() == "5"


def test_a_curve_does_not_join_points_of_a_third_key() -> None:
    frame = pd.DataFrame({"a": [1, 1, 2], "b": [1, 2, 1], "m": [1.0, 2.0, 3.0], "m low": np.nan, "m high": np.nan})
    with pytest.raises(rxpool.InputError, match="several rows have one x; give by="):
        plots.sweep(frame, "a", "m")
    plots.sweep(frame, "a", "m", by="b")
    with pytest.raises(rxpool.InputError, match="no point has a value of m"):
        plots.heat_map(frame.assign(m=np.nan), "a", "b", "m")
