"""Statistics against closed forms, against scipy's own tests, and by simulation of their coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rxpool.statistics import (
    Precision,
    holm,
    kaplan_meier,
    look_ahead,
    mean_interval,
    mser5,
    paired_difference,
    proportion_interval,
    quantile_interval,
    rule_of_three,
    zero_bound,
)

finite = st.floats(-1e6, 1e6)


@given(st.lists(finite, min_size=2, max_size=50))
def test_interval_is_scipys_t_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    if np.std(values) == 0:
        assert interval.half_width == pytest.approx(0, abs=1e-9)
        return
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
    assert interval.low == pytest.approx(low, rel=1e-9, abs=1e-9)
    assert interval.high == pytest.approx(high, rel=1e-9, abs=1e-9)


def test_one_replication_says_nothing_about_the_spread() -> None:
    interval = mean_interval([3.0])
    assert (interval.low, interval.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_values_that_are_no_numbers_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no values|not a finite"):
        mean_interval(values)


@given(st.lists(st.tuples(finite, finite), min_size=3, max_size=40))
def test_paired_difference_is_scipys_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    a, b = (np.array(side) for side in zip(*pairs, strict=True))
    if np.std(b - a) < 1e-6:
        return
    difference = paired_difference(a, b)
    expected = stats.ttest_rel(b, a)
    assert difference.p_value == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-12)
    assert difference.interval.estimate == pytest.approx(float(np.mean(b - a)), rel=1e-9, abs=1e-9)


def test_pairing_pays_where_the_noise_is_common() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(100, 10, 50)
    a, b = common + rng.normal(0, 1, 50), common + 2 + rng.normal(0, 1, 50)
    difference = paired_difference(a, b)
    # Var(a) + Var(b) is about 2 * 101, Var(b - a) about 2.
    assert 50 < difference.variance_ratio < 200
    assert difference.interval.contains(2)
    assert difference.p_value < 1e-6


def test_pairs_that_are_equal_differ_by_nothing() -> None:
    same = paired_difference([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    assert (same.p_value, same.interval.low, same.interval.high) == (1.0, 0.0, 0.0)
    apart = paired_difference([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    assert (apart.p_value, apart.interval.estimate) == (0.0, 1.0)


def test_pairs_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="2 with 3"):
        paired_difference([1, 2], [1, 2, 3])


def test_holm_on_the_textbook_example() -> None:
    # Holm (1979): 0.01, 0.04, 0.03, 0.005 with 4 hypotheses.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_keeps_order_and_is_at_most_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p)
    for i, p in enumerate(p_values):
        for j, other in enumerate(p_values):
            if p < other:
                assert adjusted[i] <= adjusted[j]


def test_holm_leaves_missing_values_alone() -> None:
    adjusted = holm([0.01, math.nan, 0.5])
    assert adjusted[0] == pytest.approx(0.02)
    assert math.isnan(adjusted[1])


def test_zero_of_n_is_an_upper_bound_over_replications() -> None:
    assert rule_of_three(100) == pytest.approx(0.0295, abs=1e-4)
    zero = proportion_interval(0, 100)
    assert (zero.low, zero.high) == (0.0, rule_of_three(100))
    assert proportion_interval(100, 100).low == pytest.approx(1 - rule_of_three(100))


@given(st.integers(1, 60), st.data())
def test_share_interval_is_clopper_pearson(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    interval = proportion_interval(hits, n)
    assert 0 <= interval.low <= hits / n <= interval.high <= 1
    if 0 < hits < n:
        expected = stats.binomtest(hits, n).proportion_ci(0.95, method="exact")
        assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_quantiles_are_taken_in_each_replication_first() -> None:
    # One replication with a long tail must not drown in the packets of the others.
    samples = [np.arange(100.0), np.arange(100.0), np.arange(100.0) + 1000]
    interval = quantile_interval(samples, 0.5)
    assert interval.estimate == pytest.approx((49.5 + 49.5 + 1049.5) / 3)
    assert interval.n == 3


def test_mser5_cuts_the_start_up_and_not_more() -> None:
    rng = np.random.default_rng(2)
    start = 100 * np.exp(-np.arange(2000) / 50)
    warm_up = mser5(start + rng.normal(0, 1, 2000))
    assert warm_up.steady
    # After 100·exp(-t/50) fell below the noise (t = 230) there is nothing to cut; before t = 100 it would be 13.
    assert 100 <= warm_up.cut <= 400


def test_mser5_says_when_a_series_never_settles() -> None:
    rng = np.random.default_rng(3)
    assert not mser5(np.arange(2000.0) + rng.normal(0, 1, 2000)).steady
    assert not mser5(np.ones(12)).steady  # too short to tell


def test_mser5_equals_its_definition() -> None:
    rng = np.random.default_rng(4)
    series = rng.exponential(1, 500).cumsum() % 7
    means = series.reshape(-1, 5).mean(axis=1)
    scores = [np.var(means[d:]) / (len(means) - d) for d in range(len(means) - 5)]
    assert mser5(series).cut == 5 * int(np.argmin(scores))


def test_kaplan_meier_on_the_textbook_example() -> None:
    # Times 1, 2+, 3, 4+, 5 ('+' censored): S = 4/5, then 4/5·2/3, then 0.
    survival = kaplan_meier([1, 2, 3, 4, 5], [True, False, True, False, True])
    by_time = dict(zip(survival.time, survival.survival, strict=True))
    assert by_time[1] == pytest.approx(0.8)
    assert by_time[3] == pytest.approx(0.8 * 2 / 3)
    assert by_time[5] == pytest.approx(0)
    assert survival.quantile(0.4) == 3


def test_kaplan_meier_without_an_event_is_a_bound() -> None:
    survival = kaplan_meier([10.0] * 20, [False] * 20)
    assert survival.survival[-1] == 1
    assert survival.low[-1] == pytest.approx(1 - rule_of_three(20))
    assert survival.quantile(0.5) == math.inf


@given(st.lists(st.floats(0.1, 100), min_size=2, max_size=30, unique=True))
def test_kaplan_meier_without_censoring_is_the_empirical_share(times: list[float]) -> None:
    survival = kaplan_meier(times, [True] * len(times))
    for t, s in zip(survival.time, survival.survival, strict=True):
        assert s == pytest.approx(np.mean(np.array(times) > t))
    assert (survival.low <= survival.survival + 1e-12).all()
    assert (survival.survival <= survival.high + 1e-12).all()


@given(st.lists(st.floats(1, 2), min_size=1, max_size=60))
def test_precision_never_stops_before_the_minimum(values: list[float]) -> None:
    rule = Precision(0.05, minimum=12)
    if len(values) < 12:
        assert rule.next_count(values) == 12 - len(values)


def test_precision_asks_for_look_ahead_after_the_first_hit() -> None:
    rng = np.random.default_rng(5)
    values = list(rng.normal(100, 1, 10))  # 0.7 % after ten replications
    rule = Precision(0.05, minimum=10)
    assert rule.next_count(values) == look_ahead(10)
    values += list(rng.normal(100, 1, look_ahead(10)))
    assert rule.next_count(values) == 0


def test_precision_stops_at_the_maximum_and_not_met_is_visible() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0, 1, 50)  # relative width of a zero mean cannot be met
    rule = Precision(0.01, maximum=50)
    assert rule.next_count(values) == 0
    assert mean_interval(values).relative > 0.01


def _sequential(rng: np.random.Generator, draw: object, rule: Precision) -> np.ndarray:
    values: list[float] = []
    while more := rule.next_count(values) if values else rule.minimum:
        values += [draw(rng) for _ in range(more)]  # type: ignore[operator]
    return np.array(values)


@settings(deadline=None)
@given(st.floats(0.02, 0.2))
def test_sequential_rule_reaches_what_it_promises(target: float) -> None:
    values = _sequential(np.random.default_rng(7), lambda r: float(r.normal(10, 3)), Precision(target))
    assert mean_interval(values).relative <= target


def test_coverage_with_the_sequential_rule_on_an_analytic_queue() -> None:
    """Mean wait in queue of M/M/1 (load 0.5, service 1): exactly 1. One value is a run of 2,000 customers."""
    rng = np.random.default_rng(8)
    customers, load = 2_000, 0.5

    def mean_wait(r: np.random.Generator) -> float:
        # Lindley's recursion: the wait is the walk of (service - gap) above its minimum so far; the first 500 are
        # warm-up.
        steps = r.exponential(1, customers) - r.exponential(1 / load, customers)
        walk = np.concatenate([[0.0], np.cumsum(steps)])
        wait = walk - np.minimum.accumulate(walk)
        return float(wait[500:].mean())

    trials, covered, counts = 300, 0, []
    for _ in range(trials):
        values = _sequential(rng, mean_wait, Precision(0.05))
        counts.append(len(values))
        covered += mean_interval(values).contains(1.0)
    # 95 % nominal; the binomial spread over 300 trials is 1.3 %, so 91 % is three of them below.
    assert covered / trials >= 0.91, (covered / trials, np.mean(counts))
    assert np.mean(counts) > 10


def test_zeros_in_every_replication_are_a_bound() -> None:
    assert zero_bound([0.0] * 100) == (
        "0 in all 100 replications: the chance that a replication has any is below 3 % (95 % bound)"
    )
    assert zero_bound([0.0]) == zero_bound([0.0, 1.0]) == ""
