"""The study of leaks: what is drawn, and what its curves say of made scores."""

from __future__ import annotations

import pandas as pd
import pytest

import rxpool
from rxpool import leak_study


def made(leaking: list[float], others: list[float]) -> pd.DataFrame:
    rows = [(True, value) for value in leaking] + [(False, value) for value in others]
    return pd.DataFrame(
        [{"seed": index, "leaks": leaks, "leak_floor": value} for index, (leaks, value) in enumerate(rows)]
    )


def test_a_seed_is_always_the_same_draw_and_loads() -> None:
    for seed in range(10):
        assert leak_study.draw(seed) == leak_study.draw(seed)
        resolved = rxpool.load(leak_study.scenario(seed)).resolved
        leaks = {
            name for (name, _), c in zip(leak_study.DEVICES.values(), leak_study.draw(seed), strict=True) if c.leak
        }
        assert set(resolved["faults"]["leaks"]) == leaks


def test_restarted_queues_run_as_long_as_asked_but_not_shorter_than_their_pools_need() -> None:
    assert leak_study.scenario(1)["duration_ms"] == 1000
    assert leak_study.scenario(1, restarted=True)["duration_ms"] == 1600
    assert leak_study.scenario(1, 2500, restarted=True)["duration_ms"] == 2500
    with pytest.raises(rxpool.InputError, match="1000 ends before the pools look again; use at least 1600"):
        leak_study.samples([1], duration_ms=1000, restarted=True)


def test_the_area_is_the_chance_that_a_leak_scores_above_another() -> None:
    assert leak_study.area(made([3, 4], [1, 2]), "leak_floor").estimate == 1
    assert leak_study.area(made([1, 4], [2, 3]), "leak_floor").estimate == 0.5
    assert leak_study.area(made([2, 2], [2, 2]), "leak_floor").estimate == 0.5


def test_the_curve_rises_from_nothing_to_all() -> None:
    suspected, found = leak_study.roc(made([5, 3], [4, 1]), "leak_floor")
    assert list(suspected) == [0, 0, 0.5, 0.5, 1]
    assert list(found) == [0, 0.5, 0.5, 1, 1]
    assert leak_study.found_at(made([5, 3], [4, 1]), "leak_floor") == 0.5


def test_a_leak_has_the_higher_floor_although_the_slow_consumer_holds_more() -> None:
    result = rxpool.run("scenarios/leak-or-slow-consumer.json", set={"duration_ms": 400})
    leaking, slow = (f"nics.{nic}.rx_queues.rx0" for nic in ("nic0", "nic1"))
    assert result.values(slow, "held_max")[0] > 10 * result.values(leaking, "held_max")[0]
    assert result.values(leaking, "leak_trend")[0] > 0.4 > result.values(slow, "leak_trend")[0]
    leaked = result.values("sockets.leaking", "leaked")[0]
    assert leaked == pytest.approx(45, abs=20)
    # Two packets may share a page.
    assert 0.8 * leaked < result.ledger["pages"].places["leaked"] <= leaked


def test_a_destroyed_pool_waits_for_what_is_lost_and_not_for_a_slow_consumer() -> None:
    seed = next(
        seed
        for seed in range(1, 50)
        if {c.leak > 0.002 for c in leak_study.draw(seed)} == {True, False}
        and {c.kind for c in leak_study.draw(seed) if not c.leak} == {"overloaded"}
    )
    rows = leak_study.samples([seed], restarted=True)
    (leaking,), (slow,) = (rows[rows.leaks == leaks].detached_inflight for leaks in (True, False))
    assert leaking > 100
    assert slow == 0
    assert leak_study.sentences(rows)[0].startswith("detached_inflight (pages that a pool destroyed more than")
