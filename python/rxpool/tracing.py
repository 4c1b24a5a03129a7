"""A run as a Perfetto trace (ui.perfetto.dev opens it): what every CPU did when, polls, levels, and sampled packets.

One track per CPU with a slice per context, one per RX queue with a slice per poll, counter tracks for ring, page
places, free pages and socket queues. One of 64 packets is followed by flow arrows: arrival on the wire, completion in
memory, the driver, the application, the return of its page. Tracing changes nothing that is simulated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rxpool.errors import InputError
from rxpool.files import ELSEWHERE, check_writable, write_atomic
from rxpool.record import CONTEXTS, Replication
from rxpool.scenario import Scenario, ScenarioSource, load
from rxpool.shipped import shipped_folder

if TYPE_CHECKING:
    from rxpool._core import TraceDict

LEVELS = ("rx_fill", "posted", "held", "pool_cache", "pool_ring", "nr_free_pages", "pcp_pages", "socket_queue")
"""Series that become counter tracks."""

STAGES = ("arrival", "completion", "driver", "application", "page returned")
IDLE = 255
SAMPLES = 1000
"""Samples of the levels in one window; fewer where the whole run would have more than twenty times as many."""


@dataclass(frozen=True)
class Window:
    """Simulated time that a trace covers, in ms from the start of the run (warm-up included)."""

    begin_ms: float
    end_ms: float


@dataclass(frozen=True)
class TracedRun:
    """One replication with its trace."""

    scenario: Scenario
    window: Window
    replication: Replication
    columns: TraceDict

    def to_bytes(self) -> bytes:
        """The trace in Perfetto's protobuf format."""
        return _Writer(self).whole()

    def write(self, path: Path | str) -> None:
        """Writes the trace. Raises :class:`InputError`."""
        write_atomic(Path(path), self.to_bytes(), ELSEWHERE)


def parse_target(text: str) -> tuple[Path, Window | None]:
    """Reads ``FILE`` or ``FILE:from-to`` (ms). Raises :class:`InputError`."""
    match = re.fullmatch(r"(.+?)(?::([0-9.]+)-([0-9.]+))?", text)
    try:
        if match is None:
            raise ValueError
        if match[2] is None:
            if re.fullmatch(r".*:[-+.0-9eE]*", text):  # a window that was mistyped, not a file of that name
                raise ValueError
            return Path(match[1]), None
        window = Window(float(match[2]), float(match[3]))
    except ValueError:
        raise InputError(f"--trace {text}: write it as FILE or FILE:from-to, in milliseconds") from None
    if not window.begin_ms < window.end_ms:
        raise InputError(f"--trace {text}: the window is empty")
    return Path(match[1]), window


def checked_target(text: str, scenario: Scenario) -> tuple[Path, Window | None]:
    """:func:`parse_target`, and everything else that would stop the trace after a long run. Raises InputError."""
    path, window = parse_target(text)
    check_writable(path)
    _protobuf()
    if window is not None:
        _check_begins(window, scenario)
    return path, window


def _check_begins(window: Window, scenario: Scenario) -> None:
    """Raises :class:`InputError` for a window behind the end of the run."""
    total_ms = float(scenario.resolved["warmup_ms"] + scenario.resolved["duration_ms"])
    if window.begin_ms >= total_ms:
        raise InputError(f"the trace begins at {window.begin_ms:g} ms, the run ends at {total_ms:g} ms")


def _protobuf() -> Any:
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2
    except ImportError:
        raise InputError("--trace needs the package perfetto: pip install 'rxpool[trace]'") from None
    return perfetto_trace_pb2


def trace(source: ScenarioSource, window: Window | None = None, *, replication: int = 0) -> TracedRun:
    """Runs one replication with a trace of ``window`` (default: the whole run); writes nothing.

    Levels are sampled a thousand times in the window, or as often as the scenario records if that is more.
    Raises :class:`InputError`.
    """
    from rxpool import _core

    scenario = load(source)
    resolved = scenario.resolved
    total_ms = resolved["warmup_ms"] + resolved["duration_ms"]
    window = window or Window(0.0, total_ms)
    _check_begins(window, scenario)
    window = Window(window.begin_ms, min(window.end_ms, total_ms))
    every_us = max(1.0, 1000 / SAMPLES * max(window.end_ms - window.begin_ms, total_ms / 20))
    recorded_us = resolved["record"]["every_us"]
    traced = scenario.with_set({"record.every_us": min(every_us, recorded_us) if recorded_us else every_us})
    given = traced.brought_contents()
    span = (window.begin_ms, window.end_ms)
    raw = _core.run(traced.text, traced.folder, shipped_folder(), replication, None, given, span)
    return TracedRun(scenario, window, Replication.from_core(raw), raw["trace"])


class _Writer:
    """Turns a traced run into packets of one sequence."""

    def __init__(self, run: TracedRun) -> None:
        proto = _protobuf()
        self._run = run
        self._columns: Any = run.columns
        self._proto: Any = proto
        self._trace: Any = proto.Trace()
        self._tracks: dict[tuple[str, str], int] = {}

    def whole(self) -> bytes:
        first = self._packet(0)
        first.sequence_flags = self._proto.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        self._contexts()
        self._polls()
        self._levels()
        self._journeys()
        data: bytes = self._trace.SerializeToString()
        return data

    def _packet(self, time_ns: int) -> Any:
        packet = self._trace.packet.add()
        packet.trusted_packet_sequence_id = 1
        packet.timestamp = time_ns
        return packet

    def _event(self, kind: str, track: int, time_ns: int, name: str = "") -> Any:
        event = self._packet(time_ns).track_event
        event.type = getattr(self._proto.TrackEvent, f"TYPE_{kind}")
        event.track_uuid = track
        if name:
            event.name = name
        return event

    def _track(self, group: str, name: str, unit: str | None = None) -> int:
        """The track of that name under its group; a counter where it has a unit."""
        known = self._tracks.get((group, name))
        if known is not None:
            return known
        parent = self._track("", group) if group else 0
        uuid = self._tracks[group, name] = len(self._tracks) + 1
        descriptor = self._packet(0).track_descriptor
        descriptor.uuid = uuid
        descriptor.name = name
        if parent:
            descriptor.parent_uuid = parent
        if unit is not None:
            descriptor.counter.unit_name = unit
        return uuid

    def _cpu(self, number: int) -> int:
        return self._track("CPUs", list(self._run.scenario.resolved["cpus"])[number])

    def _slice(self, track: int, name: str, begin_ns: int, end_ns: int) -> Any:
        event = self._event("SLICE_BEGIN", track, begin_ns, name)
        self._event("SLICE_END", track, end_ns)
        return event

    def _contexts(self) -> None:
        end_ps = round(self._run.window.end_ms * 1e9)
        columns = self._columns
        for number in range(len(self._run.scenario.resolved["cpus"])):
            track = self._cpu(number)
            mine = columns["context_cpu"] == number
            times = [*columns["context_ps"][mine].tolist(), end_ps]
            contexts = columns["context"][mine].tolist()
            for (begin, end), context in zip(pairwise(times), contexts, strict=True):
                if context != IDLE and end > begin:
                    self._slice(track, CONTEXTS[context], _ns(begin), _ns(end))

    def _polls(self) -> None:
        columns = self._columns
        for begin, end, queue, packets in zip(
            *(columns[f"poll_{name}"].tolist() for name in ("begin_ps", "end_ps", "queue", "packets")), strict=True
        ):
            event = self._slice(self._track("queues", columns["queues"][queue]), "poll", _ns(begin), _ns(end))
            note = event.debug_annotations.add()
            note.name, note.int_value = "packets", packets

    def _levels(self) -> None:
        begin, end = self._run.window.begin_ms * 1e6, self._run.window.end_ms * 1e6
        for series in self._run.replication.series:
            if series.metric not in LEVELS:
                continue
            track = self._track("levels", f"{series.component}.{series.metric}", series.unit)
            inside = (series.time_ns >= begin) & (series.time_ns <= end)
            for time_ns, value in zip(series.time_ns[inside].tolist(), series.value[inside].tolist(), strict=True):
                self._event("COUNTER", track, time_ns).double_counter_value = value

    def _journeys(self) -> None:
        columns = self._columns
        for flow, (queue, packet, moments) in enumerate(self._followed(), 1):
            for position, (time_ps, stage, cpu) in enumerate(moments):
                track = (
                    self._track("packets", columns["queues"][queue])
                    if STAGES[stage] in ("arrival", "completion")
                    else self._cpu(cpu)
                )
                event = self._event("INSTANT", track, _ns(time_ps), STAGES[stage])
                last = position == len(moments) - 1
                (event.terminating_flow_ids if last else event.flow_ids).append(flow)
                note = event.debug_annotations.add()
                note.name, note.uint_value = "packet", packet

    def _followed(self) -> Iterator[tuple[int, int, list[tuple[int, int, int]]]]:
        """Queue, packet and moments (time, stage, cpu) of every packet that was seen more than once."""
        columns = self._columns
        names = ("queue", "packet", "ps", "stage", "cpu")
        queue, packet, time, stage, cpu = (columns[f"moment_{name}"] for name in names)
        order = np.lexsort((stage, time, packet, queue))
        rows = list(zip(*(c[order].tolist() for c in (queue, packet, time, stage, cpu)), strict=True))
        start = 0
        for index in range(1, len(rows) + 1):
            if index == len(rows) or rows[index][:2] != rows[start][:2]:
                if index - start > 1:
                    yield rows[start][0], rows[start][1], [row[2:] for row in rows[start:index]]
                start = index


def _ns(ps: int) -> int:
    return (ps + 500) // 1000
