"""The study of the breaker's defaults: what is drawn, who is harmed, what is counted."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rxpool
from rxpool import breaker_study


def case(**changes: bool) -> breaker_study.Case:
    values = {"harmed": False, "harmed_with": False, "tripped": False, "early": False} | changes
    return breaker_study.Case(draw=breaker_study.draw(1), peak_share=0.0, **values)


def test_a_seed_is_always_the_same_draw_and_inside_the_distribution() -> None:
    draws = [breaker_study.draw(seed) for seed in range(200)]
    assert draws == [breaker_study.draw(seed) for seed in range(200)]
    assert all(0.5 <= d.flood <= 10 and 0.1 <= d.burst_ms <= 1000 and 20 <= d.rtt_us <= 200_000 for d in draws)
    assert {d.total_gib for d in draws} == {2, 4, 8, 16, 32, 64}
    assert 60 < sum(d.tcp for d in draws) < 140


def test_every_draw_is_a_scenario_with_and_without_a_breaker() -> None:
    for seed in range(20):
        drawn = breaker_study.draw(seed)
        assert rxpool.load(breaker_study.scenario(drawn)).resolved["control"]["breaker"]["threshold"] == "none"
        given = rxpool.load(breaker_study.scenario(drawn, breaker_study.BREAKER)).resolved
        assert given["control"]["breaker"]["threshold"] == "share_or_oom"
        assert given["control"]["breaker"]["share"] == 0.2


def test_misses_and_false_trips_are_shares_of_their_own_scenarios() -> None:
    cases = [case(harmed=True, harmed_with=True), case(harmed=True, tripped=True), case(tripped=True)]
    cases += [case() for _ in range(99)]
    found = breaker_study.verdict(cases)
    assert found.harmed == 2
    assert found.missed is not None and found.missed.n == 2 and found.missed.estimate == 0.5
    assert found.false_trips is not None and found.false_trips.n == 100
    assert found.false_trips.estimate == pytest.approx(0.01)
    assert "1 of 100" in found.sentence()
    assert breaker_study.verdict([case()]).missed is None
    assert any(text.startswith("false trips: 1") for text in breaker_study.limits(cases))


def test_an_unlimited_consumer_is_harmed_and_the_breaker_prevents_it() -> None:
    drawn = replace(
        breaker_study.draw(1),
        flood=8.0,
        burst_ms=60.0,
        total_gib=2,
        free_share=0.08,
        rcvbuf=1 << 30,
        tcp=False,
        frame_bytes=64,
    )
    share_alone = {"threshold": "zone_share", "share": 0.1}
    given = (breaker_study.BREAKER, share_alone, None)
    defaults, share, twin = breaker_study.outcomes([rxpool.load(breaker_study.scenario(drawn, one)) for one in given])
    assert breaker_study.harm(twin)
    assert not breaker_study.harm(defaults)
    assert not breaker_study.harm(share)
    # Both shares are more than was free: the forecast trips in time, without it only the hard level stops the flood.
    assert defaults[f"{breaker_study.FLOODED}.breaker_early_trips"] > 0
    assert defaults[f"{breaker_study.FLOODED}.breaker_hard"] == 0
    assert share[f"{breaker_study.FLOODED}.breaker_hard"] > 0


def test_a_breaker_that_refuses_nobody_leaves_its_twin_s_run_as_it_is() -> None:
    drawn = replace(breaker_study.draw(3), flood=2.0, burst_ms=5.0, total_gib=4, free_share=0.2, tcp=False)
    pairs = [breaker_study.scenario(drawn, given) for given in (breaker_study.BREAKER, None)]
    with_breaker, twin = breaker_study.outcomes([rxpool.load(pair) for pair in pairs])
    assert not breaker_study.acts(with_breaker)
    common = {name: value for name, value in twin.items() if "breaker" not in name}
    assert {name: with_breaker[name] for name in common} == pytest.approx(common, nan_ok=True)
