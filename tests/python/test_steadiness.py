"""A claimed steady state is checked."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rxpool
from conftest import Command
from made_records import made_replication
from rxpool.errors import InputError
from rxpool.record import Series
from rxpool.steadiness import mser5_warmup_ms, steadiness_warnings
from rxpool.store import Store, load_run
from rxpool.sweeping import Axis
from rxpool.warm_up import WarmUpRule

CLOSED_PORT = Path(__file__).resolve().parents[2] / "scenarios/closed-port.json"
STEADY = {"analysis": "steady", "warmup_ms": 1}


def warnings(values: np.ndarray, resolved: dict[str, object] = STEADY, metric: str = "held") -> list[str]:
    time_ns = np.arange(1, len(values) + 1, dtype=np.int64) * 10_000  # 10 us: the warm-up is 100 samples
    series = Series("nics.nic0.rx_queues.rx0", metric, "pages", time_ns, values)
    return list(steadiness_warnings(resolved, (replace(made_replication(0), series=(series,)),)))


def test_noise_around_a_level_is_steady() -> None:
    assert warnings(np.random.default_rng(1).normal(100, 5, 1000)) == []


def test_growth_is_not_steady_and_is_said() -> None:
    found = warnings(np.arange(1000.0))
    assert len(found) == 1
    assert found[0].startswith("not steady: nics.nic0.rx_queues.rx0.held has not settled")


def test_a_start_inside_the_warm_up_is_cut_off() -> None:
    values = np.random.default_rng(1).normal(100, 5, 1000)
    values[:100] = 0
    assert warnings(values) == []


def test_a_late_start_names_the_warm_up_that_is_needed() -> None:
    values = np.random.default_rng(1).normal(100, 5, 1000)
    values[:400] += np.linspace(2000, 0, 400)
    found = warnings(values)
    assert len(found) == 1
    assert "warm-up too short" in found[0]
    needed = float(found[0].split("settles at ")[1].split(" ms")[0])
    assert 3.5 <= needed <= 4.5


def test_only_a_claim_is_checked() -> None:
    assert warnings(np.arange(1000.0), {"analysis": "transient"}) == []
    assert warnings(np.arange(1000.0), metric="interrupts") == []


def test_a_claim_without_series_is_said() -> None:
    without = replace(made_replication(0), series=())
    assert list(steadiness_warnings(STEADY, (without,))) == [
        "steady state is claimed but not checked: record.every_us is 0"
    ]


def test_every_replication_is_looked_at() -> None:
    time_ns = np.arange(1, 1001, dtype=np.int64) * 10_000
    flat = np.random.default_rng(1).normal(100, 5, 1000)
    made = [
        replace(made_replication(i), series=(Series("q", "held", "pages", time_ns, values),))
        for i, values in enumerate([flat, np.arange(1000.0), flat])
    ]
    assert list(steadiness_warnings(STEADY, tuple(made))) == [
        "not steady: q.held has not settled by the end in 1 of 3 replications; run longer, or call the analysis "
        "transient"
    ]


def test_the_warm_up_that_is_needed_is_that_of_the_latest_series() -> None:
    time_ns = np.arange(1, 1001, dtype=np.int64) * 10_000
    flat = np.random.default_rng(1).normal(100, 5, 1000)
    late = flat.copy()
    late[:300] += 500
    made = [
        replace(made_replication(i), series=(Series("q", "held", "pages", time_ns, values),))
        for i, values in enumerate([flat, late])
    ]
    assert mser5_warmup_ms(made) == pytest.approx(3, abs=0.1)
    made.append(replace(made_replication(2), series=(Series("q", "held", "pages", time_ns, np.arange(1000.0)),)))
    with pytest.raises(InputError, match="held has not settled by the end of replication 2"):
        mser5_warmup_ms(made)
    with pytest.raises(InputError, match=r"set record\.every_us"):
        mser5_warmup_ms([replace(made_replication(0), series=())])


def test_the_command_cuts_where_it_settles(rxpool_command: Command) -> None:
    done = rxpool_command("run", CLOSED_PORT, "--warmup", "mser5", "--set", "warmup_ms=0", "--format", "json")
    assert done.returncode == 0, done.stderr
    first = rxpool.run(CLOSED_PORT, set={"warmup_ms": 0})
    cut_ms = mser5_warmup_ms(first.replications)
    assert 0 < cut_ms < 25
    assert json.loads(done.stdout)["scenario"]["warmup_ms"] == pytest.approx(cut_ms)


def settled_cuts(policies: tuple[str, ...]) -> list[float]:
    return [mser5_warmup_ms(rxpool.run(CLOSED_PORT, set={"warmup_ms": 0}, policy=p).replications) for p in policies]


def test_a_comparison_cuts_all_policies_where_the_last_one_settles(rxpool_command: Command) -> None:
    compared = rxpool.compare(CLOSED_PORT, ["none", "drop"], set={"warmup_ms": 0}, warmup=WarmUpRule.MSER5)
    cuts = [result.scenario.resolved["warmup_ms"] for result in compared.results]
    assert cuts == pytest.approx([max(settled_cuts(("none", "drop")))] * 2)
    again = rxpool_command(
        *("compare", CLOSED_PORT, "--policy", "none", "--policy", "drop"),
        *("--warmup", "mser5", "--set", "warmup_ms=0", "--format", "json"),
    )
    runs = json.loads(again.stdout)["runs"]
    assert [run["run"] for run in runs] == [result.name for result in compared.results]


def test_a_sweep_cuts_all_points_where_the_last_one_settles(tmp_path: Path) -> None:
    options = {"set": {"warmup_ms": 0}, "warmup": WarmUpRule.MSER5}
    pure = rxpool.sweep(CLOSED_PORT, {"nics.nic0.rx_ring": [512, 1024]}, **options)
    cuts = {result.scenario.resolved["warmup_ms"] for result in pure.results}
    assert len(cuts) == 1
    assert cuts != {0}
    stored = rxpool.sweep(CLOSED_PORT, {"nics.nic0.rx_ring": [512, 1024]}, store=Store(tmp_path), **options)
    assert [r.fingerprint for r in stored.results] == [r.fingerprint for r in pure.results]
    with pytest.raises(InputError, match="--vary warmup_ms does not go with --warmup"):
        rxpool.sweep(CLOSED_PORT, {"warmup_ms": [0, 1]}, **options)
    with pytest.raises(InputError, match=r"closed-port-\w+: --warmup mser5 needs 50 samples"):
        rxpool.sweep(CLOSED_PORT, {"nics.nic0.rx_ring": [512]}, set={"record.every_us": 0}, warmup=WarmUpRule.MSER5)


def test_every_point_of_a_tuning_gets_its_own_warm_up_and_what_never_settles_is_no_candidate(
    tmp_path: Path,
) -> None:
    axes = [Axis.parse("nics.nic0.rx_ring=256,512"), Axis.parse("record.every_us=0,10")]
    options = {"set": {"warmup_ms": 0}, "warmup": WarmUpRule.MSER5, "store": Store(tmp_path)}
    found = rxpool.tune(CLOSED_PORT, axes, minimise=["sum:held_mean"], trials=8, **options)
    assert found.trials
    for trial in found.trials:
        alone = rxpool.run(CLOSED_PORT, set={"warmup_ms": 0, **trial.point})
        scenario = load_run(tmp_path / trial.run).scenario
        assert scenario.resolved["warmup_ms"] == mser5_warmup_ms(alone.replications)
    assert {trial.point["record.every_us"] for trial in found.trials} == {10}
    assert len(found.notes) == 8 - len(found.trials) > 0
    assert all("mser5 needs 50 samples" in note for note in found.notes)
    with pytest.raises(InputError, match="--vary warmup_ms does not go with --warmup"):
        rxpool.tune(CLOSED_PORT, [Axis.parse("warmup_ms=0,1")], minimise=["sum:held_mean"], **options)
