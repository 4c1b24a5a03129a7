"""One replication through Parquet and back."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made_records import made_replication
from rxpool.record import Ledger, PackedSeries, Replication, Series
from rxpool.store import parquet_bytes

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
numbers = st.floats(allow_nan=False)


@st.composite
def replications(draw: st.DrawFn) -> Replication:
    rows = draw(st.lists(st.tuples(names, names, names, numbers), max_size=6))
    series = []
    for component, metric, unit in draw(st.lists(st.tuples(names, names, names), max_size=4, unique=True)):
        length = draw(st.integers(1, 5))
        time_ns = np.cumsum(draw(st.lists(st.integers(1, 10**12), min_size=length, max_size=length)), dtype=np.int64)
        value = np.array(draw(st.lists(numbers, min_size=length, max_size=length)))
        series.append(Series(component, metric, unit, time_ns, value))
    places = draw(st.dictionaries(names, st.integers(0, 2**40), max_size=4))
    return Replication(
        replication=draw(st.integers(0, 99_999)),
        fingerprint=draw(st.integers(0, 2**64 - 1)),
        simulated_ms=draw(st.floats(0, 1e9)),
        offered_packets=sum(places.values()),
        program_packets=0,
        component=tuple(r[0] for r in rows),
        metric=tuple(r[1] for r in rows),
        unit=tuple(r[2] for r in rows),
        value=np.array([r[3] for r in rows], np.float64),
        series=tuple(series),
        packets=Ledger(sum(places.values()), places),
        pages=Ledger(0, {}),
        bottleneck=(draw(names), draw(names)),
        warnings=tuple(draw(st.lists(names, max_size=2))),
    )


def assert_equal(a: Replication, b: Replication) -> None:
    assert a.facts() == b.facts()
    assert (a.component, a.metric, a.unit) == (b.component, b.metric, b.unit)
    np.testing.assert_array_equal(a.value, b.value)
    assert len(a.series) == len(b.series)
    for x, y in zip(a.series, b.series, strict=True):
        assert (x.component, x.metric, x.unit) == (y.component, y.metric, y.unit)
        np.testing.assert_array_equal(x.time_ns, y.time_ns)
        np.testing.assert_array_equal(x.value, y.value)


@given(replications())
def test_arrow_keeps_everything(replication: Replication) -> None:
    assert_equal(Replication.from_arrow(replication.to_arrow()), replication)


@given(replications())
def test_a_worker_sends_everything(replication: Replication) -> None:
    sent = pickle.loads(pickle.dumps(replication))
    assert_equal(sent, replication)
    assert_equal(pickle.loads(pickle.dumps(sent)), replication)


def test_a_series_is_told_from_the_next_of_the_same_name() -> None:
    time_ns = np.array([0, 10], np.int64)
    twice = Series("a", "m", "u", time_ns, np.array([1.0, 2.0]))
    made = made_replication(1)
    both = Replication(**{**made.__dict__, "series": (twice, twice)})
    assert_equal(Replication.from_arrow(both.to_arrow()), both)


@given(replications())
def test_equal_replications_give_equal_bytes(replication: Replication) -> None:
    again = Replication.from_arrow(replication.to_arrow())
    assert parquet_bytes(replication.to_arrow()) == parquet_bytes(again.to_arrow())


def test_cpu_seconds_are_not_among_the_bytes() -> None:
    made = made_replication(1)
    slower = Replication(**{**made.__dict__, "loop_cpu_seconds": 9.0})
    assert parquet_bytes(made.to_arrow()) == parquet_bytes(slower.to_arrow())


def test_a_foreign_table_is_refused() -> None:
    table = made_replication(1).to_arrow()
    with pytest.raises(KeyError):
        Replication.from_arrow(table.replace_schema_metadata(None))


def test_packed_series_are_the_series_that_went_in() -> None:
    series = made_replication(3).series
    packed = PackedSeries.of(series)
    assert [(s.component, s.metric, s.unit) for s in packed] == [(s.component, s.metric, s.unit) for s in series]
    for at in (0, 1, -1):
        assert np.array_equal(packed[at].time_ns, series[at].time_ns)
        assert np.array_equal(packed[at].value, series[at].value)
    assert [s.metric for s in packed[1:]] == [s.metric for s in series[1:]]
    with pytest.raises(IndexError):
        packed[len(series)]
    assert len(PackedSeries.of(())) == 0
