"""A trace says what the run did, parsed back; and tracing changes nothing."""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import rxpool
from conftest import Command
from rxpool.tracing import STAGES, TracedRun, Window, checked_target, parse_target, trace

proto = pytest.importorskip("perfetto.protos.perfetto.trace.perfetto_trace_pb2")
Event = proto.TrackEvent
QUEUE = "nics.nic0.rx_queues.rx0"


@pytest.fixture(scope="module")
def scenario(small: dict[str, Any]) -> rxpool.Scenario:
    # Room for what moderation at its longest brings at once: every packet goes all the way.
    return rxpool.load(small, set={"warmup_ms": 0, "duration_ms": 2, "sockets.service.rcvbuf": 1_048_576})


@pytest.fixture(scope="module")
def traced(scenario: rxpool.Scenario) -> TracedRun:
    return trace(scenario)


class Parsed:
    """Slices, counters and flows by track name."""

    def __init__(self, data: bytes) -> None:
        whole = proto.Trace.FromString(data)
        self.names: dict[int, str] = {}
        self.parents: dict[str, str] = {}
        self.units: dict[str, str] = {}
        self.slices: dict[str, list[tuple[str, int, int]]] = defaultdict(list)
        self.counters: dict[str, list[tuple[int, float]]] = defaultdict(list)
        self.flows: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
        self.ended: set[int] = set()
        began: dict[int, list[tuple[str, int]]] = defaultdict(list)
        for packet in whole.packet:
            if packet.HasField("track_descriptor"):
                descriptor = packet.track_descriptor
                self.names[descriptor.uuid] = descriptor.name
                self.parents[descriptor.name] = self.names.get(descriptor.parent_uuid, "")
                if descriptor.HasField("counter"):
                    self.units[descriptor.name] = descriptor.counter.unit_name
            if not packet.HasField("track_event"):
                continue
            event, at = packet.track_event, packet.timestamp
            track = self.names[event.track_uuid]
            if event.type == Event.TYPE_SLICE_BEGIN:
                began[event.track_uuid].append((event.name, at))
            elif event.type == Event.TYPE_SLICE_END:
                name, begin = began[event.track_uuid].pop()
                self.slices[track].append((name, begin, at))
            elif event.type == Event.TYPE_COUNTER:
                self.counters[track].append((at, event.double_counter_value))
            else:
                for flow in [*event.flow_ids, *event.terminating_flow_ids]:
                    self.flows[flow].append((at, event.name, track))
                self.ended |= set(event.terminating_flow_ids)
        assert not any(began.values()), "a slice without its end"


@pytest.fixture(scope="module")
def parsed(traced: TracedRun) -> Parsed:
    return Parsed(traced.to_bytes())


def test_tracing_changes_nothing(scenario: rxpool.Scenario, traced: TracedRun) -> None:
    assert traced.replication.fingerprint == rxpool.run(scenario).replications[0].fingerprint


def test_contexts_take_as_long_as_the_cpu_was_busy(traced: TracedRun, parsed: Parsed) -> None:
    for cpu in ("cpu0", "cpu1"):
        assert parsed.parents[cpu] == "CPUs"
        # The run may end in the middle of an interrupt, which is charged whole.
        interrupt_ns = max(end - begin for name, begin, end in parsed.slices[cpu] if name == "hardirq")
        for context in ("hardirq", "softirq", "application"):
            spans = [end - begin for name, begin, end in parsed.slices[cpu] if name == context]
            busy_ns = traced.replication[f"cpus.{cpu}", f"busy_{context}"] / 100 * 2e6
            # Spans are rounded to nanoseconds.
            assert sum(spans) == pytest.approx(busy_ns, abs=len(spans) + interrupt_ns)
        ordered = sorted(parsed.slices[cpu], key=lambda s: s[1])
        assert all(a[2] <= b[1] for a, b in pairwise(ordered)), "contexts of one CPU overlap"


def test_there_is_a_slice_per_poll(traced: TracedRun, parsed: Parsed) -> None:
    # The last poll may still be going on.
    assert 0 <= traced.replication[QUEUE, "polls"] - len(parsed.slices[QUEUE]) <= 1
    assert {name for name, _, _ in parsed.slices[QUEUE]} == {"poll"}


def test_counters_are_the_recorded_levels(traced: TracedRun, parsed: Parsed) -> None:
    held = next(s for s in traced.replication.series if (s.component, s.metric) == (QUEUE, "held"))
    assert parsed.counters[f"{QUEUE}.held"] == list(zip(held.time_ns.tolist(), held.value.tolist(), strict=True))
    assert parsed.units[f"{QUEUE}.held"] == "pages"
    for name in (f"{QUEUE}.rx_fill", f"{QUEUE}.page_pool.pool_ring", "memory.nr_free_pages"):
        assert parsed.counters[name]


def test_flows_lead_from_arrival_to_return(traced: TracedRun, parsed: Parsed) -> None:
    offered = traced.replication.packets.total
    assert len(parsed.flows) == pytest.approx(offered / 64, abs=2)
    finished = [f for f in parsed.flows.values() if f[-1][1] == STAGES[-1]]
    assert len(finished) >= 0.8 * len(parsed.flows)
    for flow in finished:
        times = [at for at, _, _ in sorted(flow)]
        assert [stage for _, stage, _ in flow] == list(STAGES)
        assert times == [at for at, _, _ in flow], "time runs backwards"
        assert flow[2][2] == "cpu0"
        assert flow[3][2] == "cpu1"
    assert parsed.ended == set(parsed.flows)


def test_dropped_packets_are_followed_too(small: dict[str, Any]) -> None:
    run = trace(rxpool.load(small, policy="drop", set={"warmup_ms": 0}))
    flows = Parsed(run.to_bytes()).flows
    assert flows
    for flow in flows.values():
        assert [stage for _, stage, _ in flow] == ["arrival", "completion", "driver", "page returned"]


def test_a_window_holds_what_is_in_it(scenario: rxpool.Scenario) -> None:
    run = trace(scenario, Window(0.5, 1.0))
    part = Parsed(run.to_bytes())
    times = [t for track in part.slices.values() for _, begin, end in track for t in (begin, end)]
    assert times
    assert min(times) >= 500_000
    assert max(times) <= 1_000_000
    assert len(part.counters[f"{QUEUE}.held"]) >= 490


def test_targets_are_read() -> None:
    assert parse_target("a/b.pftrace") == (Path("a/b.pftrace"), None)
    assert parse_target("t.pftrace:1.5-2") == (Path("t.pftrace"), Window(1.5, 2))
    for text in ("t:2-1", "t:1.1.1-2", ""):
        with pytest.raises(rxpool.InputError, match="--trace"):
            parse_target(text)


def test_a_window_behind_the_end_is_refused(scenario: rxpool.Scenario) -> None:
    with pytest.raises(rxpool.InputError, match="the run ends at 2 ms"):
        trace(scenario, Window(3, 4))


def test_the_command_writes_a_trace(rxpool_command: Command, small_file: Path) -> None:
    out = rxpool_command("run", small_file, "--trace", "t.pftrace:0.2-0.6", "--format", "json")
    assert out.returncode == 0, out.stderr
    assert Parsed((small_file.parent / "t.pftrace").read_bytes()).slices["cpu0"]


@pytest.mark.parametrize(
    "target",
    ["x.pftrace:2-1", "x.pftrace:2-", "x.pftrace:-1-2", "x:1e0-3", "nowhere/x.pftrace", ".", "x.pftrace:99999-100000"],
)
def test_a_target_that_cannot_work_is_refused_before_the_run(
    rxpool_command: Command, small_file: Path, target: str
) -> None:
    out = rxpool_command("run", small_file, "--trace", target)
    assert out.returncode == 2, out.stderr
    assert out.stderr.count("\n") == 1
    assert not (small_file.parent / "runs").exists()


def test_a_missing_package_is_said_before_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, scenario: rxpool.Scenario
) -> None:
    monkeypatch.setitem(sys.modules, "perfetto.protos.perfetto.trace", None)
    with pytest.raises(rxpool.InputError, match="needs the package perfetto"):
        checked_target(str(tmp_path / "x.pftrace"), scenario)
