"""The claims about the state signal: another wanted flow for every seed, and the claims themselves in small."""

from __future__ import annotations

from rxpool import overload_study

FLOOD_PPS = 7e6


def test_every_seed_wants_another_flow_and_floods_with_others() -> None:
    seen = set()
    for seed in range(1, 6):
        traffic = overload_study.scenario(seed, FLOOD_PPS).resolved["traffic"]
        wanted = int(traffic["wanted"]["flows"]["source_ports"])
        first, last = map(int, traffic["flood"]["flows"]["source_ports"].split("-"))
        assert not first <= wanted <= last
        seen.add(wanted)
    assert len(seen) == 5


def test_the_signal_keeps_the_wanted_flow_and_without_it_the_same_object_does_no_better_than_tail_drop() -> None:
    seeds = (1, 2)
    informed = overload_study.measure(seeds, FLOOD_PPS, duration_ms=50)
    blind = overload_study.measure(seeds, FLOOD_PPS, duration_ms=50, informed=False)
    tail = overload_study.measure(seeds, FLOOD_PPS, duration_ms=50, policy="pass")
    calm = overload_study.measure(seeds, 3e5, duration_ms=50)
    assert informed.kept.estimate >= 0.95
    assert blind.kept.estimate <= tail.kept.estimate + 0.05
    assert tail.kept.estimate < 0.7
    assert calm.shed.estimate <= 0.001
