"""Comparisons of results whose difference is known."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rxpool
from made_records import QUEUE, made_replication, made_scenario
from rxpool.comparing import compare_results, labels
from rxpool.errors import InputError
from rxpool.measures import Measure, check_names, expand
from rxpool.record import Ledger, Replication
from rxpool.result import Result
from rxpool.store import Store, load_run
from rxpool.study import run_stored

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
HELD = f"{QUEUE}.page_pool.held_max"


def result(policy: str, shift: float, count: int = 10, seed: int = 7, noise: float = 0.0) -> Result:
    """Results that share their random numbers: ``shift`` pages more than the baseline, in every replication."""
    scenario = made_scenario(count, digest=policy.ljust(64, "0"))
    text = scenario.text.replace('"drop"', f'"{policy}"').replace('"seed": 7', f'"seed": {seed}')
    rng = np.random.default_rng(99)
    replications = []
    for index in range(count):
        made = made_replication(index, samples=0)
        replications.append(replace(made, value=made.value + np.array([0, shift + noise * rng.normal()])))
    return Result(replace(scenario, text=text), tuple(replications))


def test_the_difference_is_found_with_its_sign() -> None:
    comparison = compare_results([result("a", 0), result("b", 3, noise=0.1), result("c", -5, noise=0.1)], [HELD])
    by_policy = {row.policy: row for row in comparison.rows}
    assert by_policy["b"].difference.interval.contains(3)
    assert by_policy["c"].difference.interval.contains(-5)
    assert comparison.paired
    assert comparison.different
    # The spread between replications is far larger than that of the differences.
    assert by_policy["b"].difference.variance_ratio > 100
    assert by_policy["b"].unit == "pages"


def test_holm_counts_every_line() -> None:
    one = compare_results([result("a", 0), result("b", 0.1, noise=0.1)], [HELD]).rows[0]
    more = compare_results([result("a", 0), result("b", 0.1, noise=0.1), result("c", 0, noise=0.1)], [HELD]).rows
    assert more[0].difference.p_value == one.difference.p_value
    assert more[0].p_holm >= one.p_holm == one.difference.p_value


def test_equal_results_do_not_differ() -> None:
    comparison = compare_results([result("a", 0), result("b", 0)])
    assert not comparison.different
    assert [row.metric for row in comparison.rows] == ["packets.delivered", "packets.dropped", HELD]


def test_only_common_replications_are_paired() -> None:
    comparison = compare_results([result("a", 0, count=10), result("b", 3, count=4)], [HELD])
    assert comparison.rows[0].difference.interval.n == 4
    assert comparison.rows[0].difference.interval.estimate == pytest.approx(3)


def test_other_seeds_are_not_paired_and_it_says_so() -> None:
    comparison = compare_results([result("a", 0), result("b", 3, seed=8)], [HELD])
    assert not comparison.paired
    assert "Welch" in comparison.notes[0]
    assert comparison.rows[0].difference.variance_ratio == 1


def test_a_metric_that_is_no_number_is_noted_not_compared() -> None:
    broken = result("b", 0)
    first = replace(broken.replications[0], value=np.array([np.nan, 1.0]))
    broken = replace(broken, replications=(first, *broken.replications[1:]))
    comparison = compare_results([result("a", 0), broken], ["rx_packets", HELD])
    assert [row.metric for row in comparison.rows] == [HELD]
    assert "rx_packets" in comparison.notes[0]


def test_one_run_is_no_comparison() -> None:
    with pytest.raises(InputError, match="at least two"):
        compare_results([result("a", 0)])


def test_labels_tell_results_apart() -> None:
    assert labels([result("a", 0), result("b", 0)]) == ["a", "b"]
    assert labels([result("a", 0), result("a", 0)]) == ["1:made-a000000000000000", "2:made-a000000000000000"]


def made(places: dict[str, int], rows: list[tuple[str, str, float]]) -> Replication:
    return replace(
        made_replication(0, samples=0),
        packets=Ledger(sum(places.values()), places),
        component=tuple(r[0] for r in rows),
        metric=tuple(r[1] for r in rows),
        unit=tuple("pages" for _ in rows),
        value=np.array([r[2] for r in rows]),
    )


def test_measures_by_name() -> None:
    places = {"delivered": 5, "dropped.xdp_drop": 3, "dropped.no_socket": 2, "in_flight.stack": 1}
    replication = made(places, [("q.rx0", "held", 4), ("q.rx1", "held", 6), ("cpu0", "busy", 50)])
    values = {
        "q.rx0.held": 4,
        "sum:held": 10,
        "max:held": 6,
        "busy": 50,
        "packets.offered": 11,
        "packets.dropped": 5,
        "packets.dropped.xdp_drop": 3,
        "packets.dropped.socket_rcvbuff": 0,
        "packets.delivered": 5,
        "packets.in_flight.stack": 1,
        "pages.total": 1000,
        "pages.zone": 900,
    }
    for name, value in values.items():
        assert Measure(name).of(replication) == value, name
    assert Measure("packets.dropped").unit(replication) == "packets"
    assert Measure("sum:held").unit(replication) == "pages"
    with pytest.raises(InputError, match=r"several components have it \(q\.rx0\.held, q\.rx1\.held"):
        Measure("held").of(replication)
    for name in ("heldd", "sum:heldd", "pages.attic", "q.rx9.held"):
        with pytest.raises(InputError, match="none of that name"):
            Measure(name).of(replication)
    assert [m.name for m in expand(["q.*.held", "busy"], replication)] == ["q.rx0.held", "q.rx1.held", "busy"]
    with pytest.raises(InputError, match="no metric of this run matches"):
        expand(["z.*"], replication)


def test_one_replication_is_not_called_insignificant() -> None:
    comparison = compare_results([result("a", 0, count=1), result("b", 3, count=1)], [HELD])
    assert comparison.verdict == "one replication: nothing can be tested, give --replications"
    assert comparison.to_dict()["verdict"] == comparison.verdict
    assert comparison.to_dict()["differences"][0]["significant"] is None
    assert not comparison.different


def changed(made: Result, **content: object) -> Result:
    """The result of a scenario with other keys."""
    text = json.dumps({**made.scenario.resolved, **content})
    return replace(made, scenario=replace(made.scenario, text=text))


def test_scenarios_that_differ_in_more_than_the_policy_are_named() -> None:
    a, b = result("a", 0), changed(result("b", 3), nics={"nic0": {"rx_ring": 64}})
    comparison = compare_results([a, b], [HELD])
    assert comparison.paired  # seed and traffic are the same
    assert comparison.notes == ("not the policies alone: the scenarios differ in nics.nic0.rx_ring",)
    assert labels([a, b]) == [a.name, b.name]


def test_other_traffic_is_not_paired_and_it_says_so() -> None:
    a = changed(result("a", 0), traffic={"load": {"rate_pps": 1}})
    b = changed(result("b", 3), traffic={"load": {"rate_pps": 2}})
    comparison = compare_results([a, b], [HELD])
    assert not comparison.paired
    assert "different traffic" in comparison.notes[0]
    assert "traffic.load.rate_pps" in comparison.notes[1]


def test_a_capture_replaced_under_its_name_is_other_traffic(tmp_path: Path) -> None:
    for needed in ("calibration", "traces"):
        shutil.copytree(SCENARIOS / needed, tmp_path / needed)
    source = tmp_path / shutil.copy(SCENARIOS / "replay-capture.json", tmp_path)
    capture = tmp_path / "traces/netns-tcp-udp.pcap"
    store = Store(tmp_path / "runs")

    def stored(policy: str) -> Result:
        scenario = rxpool.load(source, set={"duration_ms": 2}, replications=2, policy=policy)
        path = run_stored([scenario], store)[0].path
        assert path is not None
        return load_run(path)

    before, same = stored("none"), stored("drop")
    assert compare_results([before, same]).paired
    data = bytearray(capture.read_bytes())
    data[24 + 16 + 40] ^= 1  # in the first frame
    capture.write_bytes(data)
    comparison = compare_results([before, stored("drop")])
    assert not comparison.paired
    assert "different traffic" in comparison.notes[0]
    assert "what is in traces/netns-tcp-udp.pcap" in comparison.notes[1]


def without(made: Result, metric: str) -> Result:
    """The result with one metric less."""
    keep = [i for i, m in enumerate(made.replications[0].metric) if m != metric]

    def less(r: Replication) -> Replication:
        columns = {name: tuple(getattr(r, name)[i] for i in keep) for name in ("component", "metric", "unit")}
        return replace(r, **columns, value=r.value[keep])

    return replace(made, replications=tuple(less(r) for r in made.replications))


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_metric_that_one_policy_lacks_is_noted_and_the_rest_compared(lacking: int) -> None:
    results = [result("a", 0), result("b", 3)]
    results[lacking] = without(results[lacking], "held_max")
    comparison = compare_results(results, ["packets.delivered", HELD])
    assert [row.metric for row in comparison.rows] == ["packets.delivered"]
    assert "held_max" in comparison.notes[0]
    assert set(comparison.values["metric"]) == {"packets.delivered"}
    with pytest.raises(InputError, match="none of that name"):
        compare_results(results, ["heldd"])


def test_a_name_that_no_run_can_have_is_refused_at_the_first_replication() -> None:
    replication = made_replication(0)
    check_names([HELD, "rx_packets", "packets.dropped", f"{QUEUE}.rx_no_dma_resources", "sum:posted"], replication)
    for mistyped in ("helld_max", "nics.nic7.rx_queues.rx0.rx_packets", "packets.deliverd", "*.helld"):
        with pytest.raises(InputError, match=re.escape(mistyped)):
            check_names([mistyped], replication)


def test_warnings_of_the_runs_are_told_once_with_the_runs_that_differ() -> None:
    a, b = result("a", 0), result("b", 3)
    b = replace(b, replications=tuple(replace(r, warnings=("a warning", "not steady: x")) for r in b.replications))
    comparison = compare_results([a, b], [HELD])
    assert comparison.warnings == ["a warning", f"not steady: x ({b.name})"]
    assert comparison.to_dict()["warnings"] == comparison.warnings
