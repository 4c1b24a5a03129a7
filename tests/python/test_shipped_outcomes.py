"""The shipped scenarios show what their questions ask: one claim each, on the run that a user sees first."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import rxpool

SCENARIOS = Path(__file__).resolve().parents[2] / "scenarios"
RX0 = "nics.nic0.rx_queues.rx0"


def value(result: rxpool.Result, component: str, metric: str) -> float:
    return result.replications[0][component, metric]


def _udp_flood(result: rxpool.Result) -> None:
    assert "cpu0 is the bottleneck" in result.bottleneck
    assert value(result, RX0, "rx_out_of_buffer") > 0
    assert all(value(result, f"nics.nic0.rx_queues.rx{i}", "rx_out_of_buffer") == 0 for i in (1, 2, 3))


def _replay_capture(result: rxpool.Result) -> None:
    assert all(value(result, f"nics.nic0.rx_queues.{q}", "rx_packets") > 0 for q in ("rx0", "rx1"))
    assert "No stage overflowed: no_socket" in result.bottleneck, "the capture's TCP has no socket here"


def _memory_pressure(result: rxpool.Result) -> None:
    assert value(result, "memory", "bulk_calls") > value(result, "memory", "bulk_single") > 0
    assert value(result, RX0, "rx_out_of_buffer") > 0
    assert result.bottleneck.startswith("Memory is the bottleneck")
    series = result.series
    levels = series[(series.component == RX0) & (series.metric == "rx_fill")].value
    assert levels.min() == 0 and levels.iloc[0] > 0


def _closed_port(result: rxpool.Result) -> None:
    assert result.headline["error"] == pytest.approx(0, abs=0.1)
    assert not any("not checked" in warning for warning in result.warnings)


def _slow_reader(result: rxpool.Result) -> None:
    assert value(result, RX0, "held_max") > 1000
    assert result.bottleneck.startswith("Nothing was lost")


def _rss_imbalance(result: rxpool.Result) -> None:
    lost = [value(result, f"nics.nic0.rx_queues.rx{i}", "rx_out_of_buffer") for i in range(8)]
    assert max(lost) > 0 == min(lost)
    busy = [value(result, f"cpus.cpu{i}", "busy") for i in range(8)]
    assert max(busy) > 99 and min(busy) < 50


def _irq_migration(result: rxpool.Result) -> None:
    assert result.bottleneck.startswith("Nothing was lost")
    assert value(result, "cpus.cpu0", "busy_softirq") > value(result, "cpus.cpu1", "busy_softirq") > 0


def _poll_mode(result: rxpool.Result) -> None:
    assert result.bottleneck.startswith("cpus.cpu0 is the bottleneck")
    assert value(result, "pmds.l2fwd.tx", "tx_pps") > 20e6
    places = result.replications[0].pages.places
    assert sum(places[p] for p in ("mempool", "posted", "tx_ring", "pmd_application")) == 8192


@pytest.mark.parametrize(
    "check",
    [
        _udp_flood,
        _replay_capture,
        _memory_pressure,
        _closed_port,
        _slow_reader,
        _rss_imbalance,
        _irq_migration,
        _poll_mode,
    ],
    ids=lambda check: re.sub("_", "-", check.__name__[1:]),
)
def test_a_shipped_scenario_shows_what_it_asks(check: Callable[[rxpool.Result], None]) -> None:
    name = check.__name__[1:].replace("_", "-")
    check(rxpool.run(SCENARIOS / f"{name}.json"))
