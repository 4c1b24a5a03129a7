"""The points of a sweep, without running any."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxpool.errors import InputError
from rxpool.measures import expand_over
from rxpool.sampling import Sampling
from rxpool.scenario import load
from rxpool.sweeping import Axis, _column, points, sweep
from rxpool.tuning import Bound


def test_a_grid_is_every_combination_in_order() -> None:
    axes = [Axis.parse("a.b=1,2"), Axis.parse('c="x",y,true')]
    assert points(axes) == [{"a.b": a, "c": c} for a in (1, 2) for c in ("x", "y", True)]


@pytest.mark.parametrize(
    "text",
    ["", "a", "a=", "=1", "a=1:", "a=2:1", "a=1:1", "a=0:5:log", "a=1:5:lin", "a=x:y", "a=1:2:log:3", "a=true:2"],
)
def test_an_axis_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--vary"):
        Axis.parse(text)


@given(st.integers(-1000, 1000), st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
def test_whole_ranges_stay_whole_and_inside(low: int, width: int, u: float) -> None:
    value = Axis.parse(f"a={low}:{low + width}").at(u)
    assert isinstance(value, int)
    assert low <= value <= low + width


@given(st.floats(1e-3, 1e3), st.floats(1.1, 1e3), st.floats(0, 1, exclude_max=True))
def test_log_ranges_are_even_in_the_logarithm(low: float, factor: float, u: float) -> None:
    axis = Axis("a", (), low, low * factor, log=True)
    assert math.log(axis.at(u) / low) / math.log(factor) == pytest.approx(u, abs=1e-9)


def test_every_whole_number_of_a_range_is_as_likely() -> None:
    axis = Axis.parse("a=1:4")
    drawn = [axis.at(i / 4000) for i in range(4000)]
    assert [drawn.count(v) for v in (1, 2, 3, 4)] == [1000] * 4


@pytest.mark.parametrize("sampling", [Sampling.RANDOM, Sampling.LHS, Sampling.SOBOL])
def test_drawn_points_are_a_function_of_the_seed(sampling: Sampling) -> None:
    axes = [Axis.parse("a=0.5:1.5"), Axis.parse("b=0.5:1.5")]
    first = points(axes, sampling, 20, seed=1)
    assert first == points(axes, sampling, 20, seed=1)
    assert first != points(axes, sampling, 20, seed=2)
    assert len(first) == 20
    assert json.loads(json.dumps(first)) == first


def test_a_latin_hypercube_hits_every_row_once() -> None:
    drawn = points([Axis.parse("a=0.0:1.0"), Axis.parse("b=0.0:1.0")], Sampling.LHS, 16)
    for key in ("a", "b"):
        assert sorted(int(point[key] * 16) for point in drawn) == list(range(16))


def test_sobol_points_are_balanced() -> None:
    drawn = points([Axis.parse("a=0.0:1.0")], Sampling.SOBOL, 8)
    assert sorted(int(point["a"] * 8) for point in drawn) == list(range(8))


def test_points_that_coincide_are_run_once() -> None:
    drawn = points([Axis.parse("a=1:2")], Sampling.RANDOM, 50)
    assert sorted(point["a"] for point in drawn) == [1, 2]


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(InputError, match="a grid needs a list"):
        points([Axis.parse("a=1:5")])
    with pytest.raises(InputError, match="--points goes with"):
        points([Axis.parse("a=1,5")], Sampling.GRID, 3)
    with pytest.raises(InputError, match="needs --points"):
        points([Axis.parse("a=1:5")], Sampling.LHS)
    with pytest.raises(InputError, match="at least one key"):
        points([])


def test_bounds_are_read_and_measured() -> None:
    bound = Bound.parse("sum:held_max <= 10")
    assert (bound.metric, bound.limit, bound.at_most) == ("sum:held_max", 10, True)
    assert (bound.excess(12), bound.excess(9)) == (2, -1)
    assert Bound.parse("packets.delivered>=5").excess(3) == 2
    for text in ("a<1", "a<=", "<=3", "a<=x", "a"):
        with pytest.raises(InputError, match="--subject-to"):
            Bound.parse(text)


def test_a_key_that_others_take_their_default_from_carries_them_along(small: dict[str, Any]) -> None:
    study = sweep(small, {"nics.nic0.rx_ring": [64, 256]}, set={"duration_ms": 0.5})
    queues = [result.scenario.resolved["nics"]["nic0"]["rx_queues"]["rx0"] for result in study.results]
    assert [queue["rx_ring"] for queue in queues] == [64, 256]
    filled = [result.mean("nics.nic0.rx_queues.rx0", "rx_fill") for result in study.results]
    assert filled[0] <= 64 < filled[1] <= 256
    assert study.results[0].fingerprint != study.results[1].fingerprint


def test_changes_add_up_and_the_last_one_counts(small: dict[str, Any]) -> None:
    scenario = load(small, set={"nics.nic0.rx_ring": 64}, policy="drop", seed=5)
    scenario = scenario.with_set({"nics.nic0.rx_usecs": 3}).with_set({"nics.nic0.rx_ring": 128})
    nic = scenario.resolved["nics"]["nic0"]
    assert (nic["rx_ring"], nic["rx_queues"]["rx0"]["rx_ring"]) == (128, 128)
    assert (nic["rx_queues"]["rx0"]["rx_usecs"], scenario.seed, scenario.policy) == (3, 5, "drop")
    assert scenario == load(small, set={"nics.nic0.rx_ring": 128, "nics.nic0.rx_usecs": 3}, policy="drop", seed=5)


def test_numbers_without_an_end_are_refused() -> None:
    for text in ("a=1:Infinity", "a=-Infinity:1", "a=NaN:1", "a=1,NaN", "a=1:1" + "0" * 400, "a=Infinity"):
        with pytest.raises(InputError, match="finite"):
            Axis.parse(text)


def test_the_same_key_twice_is_refused_and_a_value_twice_is_run_once() -> None:
    with pytest.raises(InputError, match="--vary a: the same key twice"):
        points([Axis.parse("a=1"), Axis.parse("a=2")])
    assert points([Axis.parse("a=1,2,1"), Axis.parse("b=x,x")]) == [{"a": 1, "b": "x"}, {"a": 2, "b": "x"}]


@pytest.mark.parametrize("values", [[{}], [{}, {"a": 1}], [2**64 - 1], [-1, 2**64 - 1], [1, "x"], [True, 1], [1, 0.5]])
def test_any_json_value_can_be_a_column_of_points(tmp_path: Path, values: list[Any]) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(pyarrow.table({"a": _column(values)}), tmp_path / "points.parquet")
    read = pq.read_table(tmp_path / "points.parquet").column("a").to_pylist()
    assert [json.loads(v) if isinstance(v, str) else v for v in read] == values


def test_a_point_that_lacks_a_metric_has_a_dash_and_a_note(small: dict[str, Any]) -> None:
    study = sweep(small, {"nics.nic0.driver": ["mlx5", "ixgbe"]}, set={"duration_ms": 0.5})
    own = "rx_out_of_buffer"
    frame = study.frame([own, "packets.delivered"])
    assert math.isnan(frame[own][1])
    assert not math.isnan(frame[own][0])
    assert not frame["packets.delivered"].isna().any()
    assert frame["packets.delivered low"].isna().all()  # one replication has no interval
    assert study.notes([own]) == [f"{own}: no number in {study.results[1].name}"]
    assert [m.name for m in expand_over([own], study.firsts)] == [own]


def test_a_sampling_is_named_by_its_text_and_a_mistyped_one_is_refused() -> None:
    axes = [Axis.parse("a=0.0:1.0")]
    for sampling in (Sampling.RANDOM, Sampling.LHS, Sampling.SOBOL):
        assert points(axes, sampling.value, 4) == points(axes, sampling, 4)
    with pytest.raises(InputError, match="sampling lsh: use grid, random, lhs, sobol; the nearest is 'lhs'"):
        points(axes, "lsh", 4)


def test_values_may_be_a_json_list_or_arrays(small: dict[str, Any]) -> None:
    assert Axis.parse('a=[{"x": 1, "y": 2}, [3, 4], 5]').values == ({"x": 1, "y": 2}, [3, 4], 5)
    study = sweep({**small, "duration_ms": np.float64(0.3)}, {"nics.nic0.rx_ring": np.array([64, 128])})
    assert study.frame(["sum:posted"])["nics.nic0.rx_ring"].tolist() == [64, 128]
    with pytest.raises(InputError, match="a scenario holds JSON values, not a set"):
        load(small, set={"duration_ms": {1}})


def test_replications_are_no_key_of_a_point(small: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="--vary replications: the number of replications is no part of a run"):
        sweep(small, {"replications": [1, 2]})


def test_a_mistyped_metric_is_told_without_a_store_too(small: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="metric 'hold_max': this run has none of that name"):
        sweep({**small, "duration_ms": 0.3}, {"nics.nic0.rx_ring": [64]}, metrics=["hold_max"])
