"""The judgement of tests against the clock."""

from __future__ import annotations

import unittest

import pytest

import steal


class Host:
    """A test on a host that steals these shares of the CPUs' time, one per run, and that fails as often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, percents: list[int], failures: int) -> None:
        self.percents, self.failures, self.runs = percents, failures, 0
        self.read, self.stolen = 0, 0
        monkeypatch.setattr(steal, "cpu_ticks", self.ticks)

    def ticks(self) -> tuple[int, int]:
        return 100 * self.read, self.stolen

    def test(self) -> None:
        self.read += 1
        self.stolen += self.percents[self.runs]
        self.runs += 1
        assert self.runs > self.failures, "late"


def test_a_failure_without_steal_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, [0, 0], failures=1)
    with pytest.raises(AssertionError, match="late"):
        steal.undisturbed()(host.test)()
    assert host.runs == 1


def test_a_failure_under_steal_is_judged_again_and_fails_once_nothing_is_stolen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = Host(monkeypatch, [4, 1, 0], failures=3)
    with pytest.raises(AssertionError, match="late"):
        steal.undisturbed()(host.test)()
    assert host.runs == 3
    host = Host(monkeypatch, [4, 0], failures=1)
    steal.undisturbed()(host.test)()
    assert host.runs == 2


def test_a_test_that_never_ran_undisturbed_is_skipped_with_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, [4, 7], failures=2)
    with pytest.raises(unittest.SkipTest, match=r"took 4\.0, 7\.0 % of the CPUs in 2 runs: late"):
        steal.undisturbed(attempts=2)(host.test)()


def test_what_may_be_stolen_excuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, [3], failures=1)
    with pytest.raises(AssertionError, match="late"):
        steal.undisturbed(percent=3)(host.test)()


def test_the_ticks_of_this_machine_are_read() -> None:
    total, stolen = steal.cpu_ticks()
    assert total > stolen >= 0
