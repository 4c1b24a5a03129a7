"""What comparisons and sweeps answer in one sentence, on results whose difference is known."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from conftest import ROOT, Command
from rxpool import answers, load
from rxpool.comparing import compare_results
from rxpool.errors import InputError
from rxpool.record import Ledger
from rxpool.result import Result
from rxpool.sweeping import Sweep
from test_comparing import HELD, result


def study(*results: Result) -> Sweep:
    return Sweep(("ring",), tuple({"ring": 64 << i} for i in range(len(results))), results)


def test_a_comparison_says_how_much_and_whether_it_is_significant() -> None:
    comparison = compare_results([result("a", 0), result("b", -3, noise=0.1), result("c", 0.01, noise=0.1)], [HELD])
    fewer, level = answers.of_comparison(comparison, HELD)
    assert fewer.startswith(f"b: {HELD} is 3.")
    assert (
        "pages fewer than with a (95 % interval -3." in fewer or "pages fewer than with a (95 % interval -2." in fewer
    )
    assert fewer.endswith("10 replications, significant).")
    assert level.endswith("not significant).")
    with pytest.raises(InputError, match=f"was not compared; there are: {HELD}"):
        answers.of_comparison(comparison, "busy")


def test_one_replication_is_neither_significant_nor_not() -> None:
    comparison = compare_results([result("a", 0, count=1), result("b", 3, count=1)], [HELD])
    (sentence,) = answers.of_comparison(comparison, HELD)
    assert "significant" not in sentence


def test_points_that_share_their_traffic_are_told_apart_by_paired_differences() -> None:
    # Between replications a point varies by tens of pages, so the intervals of all three overlap.
    sweep = study(result("a", 1, noise=0.1), result("a", 0), result("a", 0.01, noise=0.1))
    low, high = (sweep.interval(sweep.results[i], HELD) for i in (1, 0))
    assert high.low < low.high
    sentence = answers.of_sweep(sweep, HELD)
    assert f"{HELD} is smallest at ring = 128" in sentence
    assert sentence.endswith("; not told apart from ring = 256.")


def test_one_replication_tells_no_points_apart() -> None:
    sentence = answers.of_sweep(study(result("a", 1, count=1), result("a", 0, count=1)), HELD)
    assert "one replication: no interval" in sentence
    assert "not told apart from ring = 64" in sentence
    with pytest.raises(InputError, match="no point of the sweep"):
        answers.of_sweep(study(result("a", 0)), "busy")


def test_zero_drops_in_every_replication_are_a_bound_and_not_a_proof() -> None:
    made = result("a", 0, count=20)
    none = Ledger(10_000, {"delivered": 10_000})
    clean = replace(made, replications=tuple(replace(r, packets=none) for r in made.replications))
    assert answers.of_result(clean) == (
        "0 % of 200,000 offered packets were dropped (0 in all 20 replications: the chance that a replication has any "
        "is below 14 % (95 % bound))."
    )
    assert "bound" not in answers.of_result(made)


def test_sums_of_times_are_told_in_times_that_people_read(rxpool_command: Command) -> None:
    from rxpool import run

    short = load(ROOT / "scenarios/bad-queue-socket-limit.json", set={"duration_ms": 600})
    assert answers.of_result(run(short)).endswith(" ms (one replication: no interval).")
    done = rxpool_command("run", ROOT / "scenarios/bad-queue-socket-limit.json", "--set", "duration_ms=600")
    assert re.match(r"headline: \S+situation_bad_queue_time = \S+ [mu]?s\n", done.stdout), done.stdout
