"""Times to an event that did not come in every replication are neither averaged nor dropped without a word."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rxpool
from made_records import made_replication
from rxpool.censored import censored_times
from rxpool.comparing import compare_results
from rxpool.result import Result
from rxpool.statistics import log_rank

SCENARIO = Path(__file__).resolve().parents[2] / "scenarios/udp-flood-breaker.json"
QUEUE = "nics.nic0.rx_queues.rx0"
TIME = f"{QUEUE}.breaker_time_to_trip"


def made_result(times: list[float], starts: list[float], policy: str = "none") -> Result:
    """One replication per pair of the breaker's metrics, 100 ms long."""
    scenario = rxpool.load(SCENARIO, set={"warmup_ms": 0}, policy=policy)
    replications = tuple(
        replace(
            made_replication(i),
            simulated_ms=100.0,
            component=(QUEUE, QUEUE),
            metric=("breaker_time_to_trip", "breaker_first_over"),
            unit=("ms", "ms"),
            value=np.array([time, start]),
        )
        for i, (time, start) in enumerate(zip(times, starts, strict=True))
    )
    return Result(scenario, replications)


def test_what_had_not_ended_is_watched_from_its_start_to_the_end_of_the_run() -> None:
    found = censored_times(TIME, made_result([20.0, math.nan, math.nan], [10.0, 70.0, math.nan]))
    assert found is not None
    assert found.times_ms == (20.0, 30.0)
    assert found.happened == (True, False)
    assert found.sentence() == "happened in 1 of 2 replications, half of them after 20 ms (Kaplan-Meier)"
    assert censored_times("packets.delivered", made_result([20.0], [10.0])) is None


def test_a_comparison_says_the_median_and_the_log_rank_test() -> None:
    often = made_result([20.0, 22.0, 25.0, 21.0], [10.0] * 4)
    seldom = made_result([80.0, math.nan, math.nan, math.nan], [10.0] * 4, policy="drop")
    (note,) = [note for note in compare_results([often, seldom], [TIME]).notes if TIME in note]
    assert "drop: not compared: happened in 1 of 4 replications, fewer than half of them in the run" in note
    assert "with the baseline, happened in 4 of 4 replications, half of them after 21 ms (Kaplan-Meier)" in note
    p_value = log_rank(([20, 22, 25, 21], [True] * 4), ([80, 90, 90, 90], [True, False, False, False]))
    assert note.endswith(f"log-rank p = {p_value:.3g}")
    assert p_value < 0.05


def test_log_rank_is_blind_without_events_and_finds_no_difference_in_equals() -> None:
    assert math.isnan(log_rank(([5.0], [False]), ([7.0], [False])))
    assert math.isnan(log_rank(([], []), ([7.0], [True])))
    assert log_rank(([5.0, 6.0, 9.0], [True] * 3), ([5.0, 6.0, 9.0], [True] * 3)) == pytest.approx(1)


def test_a_sweep_over_the_length_of_the_run_tells_the_censored_from_the_tripped() -> None:
    study = rxpool.sweep(SCENARIO, {"duration_ms": [380, 450]}, replications=2)
    censored, tripped = study.results
    assert [math.isnan(value) for value in censored.values(QUEUE, "breaker_time_to_trip")] == [True, True]
    assert study.notes([TIME]) == [
        f"{censored.name}: {TIME}: happened in 0 of 2 replications, fewer than half of them in the run (Kaplan-Meier)"
    ]
    assert tripped.values(QUEUE, "breaker_time_to_trip") == pytest.approx([200, 200])
