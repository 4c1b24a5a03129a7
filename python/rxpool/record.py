"""One replication as Python keeps it, and its Parquet form.

The Parquet bytes are a function of the simulated outcome alone: CPU seconds are left out (``context.json`` has them),
and no writer adds a time or a name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from itertools import accumulate
from sys import intern
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

    from rxpool._core import ReplicationDict


_NAMES = ("component", "metric", "unit")
"""What a million rows repeat: each text is held once (``intern``)."""

CONTEXTS = ("hardirq", "softirq", "ksoftirqd", "kthread", "application")
"""Contexts of a CPU, from the one that interrupts all others downwards."""


Names = TypeVar("Names", bound=tuple[Any, ...])


@lru_cache(maxsize=256)
def _shared(names: Names) -> Names:
    """One tuple for all replications that name the same in the same order: held once, and sent once with a batch."""
    return names


@dataclass(frozen=True)
class Ledger:
    """Where everything ended up: ``places`` sums to ``total``; packets, or pages of the host."""

    total: int
    places: Mapping[str, int]

    def since(self, cut: Ledger) -> Ledger:
        """What was offered and how packets ended since the cut, and what is on its way now.

        ``places`` then sums to ``total`` and what was on its way at the cut.
        """
        ended = {p: n if p.startswith("in_flight.") else n - cut.places.get(p, 0) for p, n in self.places.items()}
        return Ledger(self.total - cut.total, ended)


@dataclass(frozen=True)
class Series:
    """One metric over time: ``time_ns`` and ``value`` have one length."""

    component: str
    metric: str
    unit: str
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]


@dataclass(frozen=True)
class PackedSeries(Sequence[Series]):
    """Series as the core makes them and workers send them: two arrays in place of a pair each, which costs far more.

    ``heads`` are component, metric, unit and the end of its samples, one per series. One is made when it is asked for.
    """

    heads: tuple[tuple[str, str, str, int], ...]
    time_ns: npt.NDArray[np.int64]
    value: npt.NDArray[np.float64]

    @classmethod
    def of(cls, series: Sequence[Series]) -> PackedSeries:
        """Packs them, unless they are packed already."""
        if isinstance(series, PackedSeries):
            return series
        ends = accumulate(len(s.value) for s in series)
        return cls(
            tuple((s.component, s.metric, s.unit, end) for s, end in zip(series, ends, strict=True)),
            np.concatenate([np.empty(0, np.int64), *(s.time_ns for s in series)]),
            np.concatenate([np.empty(0), *(s.value for s in series)]),
        )

    def __len__(self) -> int:
        return len(self.heads)

    @overload
    def __getitem__(self, at: int) -> Series: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Series]: ...
    def __getitem__(self, at: int | slice) -> Series | Sequence[Series]:
        if isinstance(at, slice):
            return tuple(self)[at]
        at = range(len(self))[at]
        component, metric, unit, end = self.heads[at]
        samples = slice(self.heads[at - 1][3] if at else 0, end)
        return Series(intern(component), intern(metric), intern(unit), self.time_ns[samples], self.value[samples])


@dataclass(frozen=True)
class Replication:
    """What one replication gave back; ``component``, ``metric``, ``unit`` and ``value`` are columns of one length.

    ``packets`` is of the whole run, ``packets_at_cut`` of its warm-up (empty without one). ``offered_packets`` arrived
    on the wires, ``program_packets`` of them reached an XDP program or the driver's receive loop, warm-up included.
    """

    replication: int
    fingerprint: int
    simulated_ms: float
    offered_packets: int
    program_packets: int
    component: tuple[str, ...]
    metric: tuple[str, ...]
    unit: tuple[str, ...]
    value: npt.NDArray[np.float64]
    series: Sequence[Series]
    packets: Ledger
    pages: Ledger
    bottleneck: tuple[str, str] = ("", "")
    warnings: tuple[str, ...] = ()
    packets_at_cut: Ledger = field(default_factory=lambda: Ledger(0, {}))
    loop_cpu_seconds: float | None = field(default=None, compare=False)

    @classmethod
    def from_core(cls, raw: ReplicationDict) -> Replication:
        """Takes over the dictionary that the compiled module returns."""
        return cls(
            replication=raw["replication"],
            fingerprint=raw["fingerprint"],
            simulated_ms=raw["simulated_ms"],
            offered_packets=raw["offered_packets"],
            program_packets=raw["program_packets"],
            component=_shared(tuple(raw["component"])),
            metric=_shared(tuple(raw["metric"])),
            unit=_shared(tuple(raw["unit"])),
            value=raw["value"],
            series=PackedSeries(_shared(raw["series"]["heads"]), raw["series"]["time_ns"], raw["series"]["value"]),
            packets=Ledger(**raw["packets"]),
            packets_at_cut=Ledger(**raw["packets_at_cut"]),
            pages=Ledger(**raw["pages"]),
            bottleneck=raw["bottleneck"],
            warnings=tuple(raw["warnings"]),
            loop_cpu_seconds=raw["loop_cpu_seconds"],
        )

    def __getstate__(self) -> dict[str, Any]:
        """What a worker sends: fields alone, with all series in two arrays."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        return state | {"series": PackedSeries.of(self.series)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What comes from a worker holds its names once, as what the compiled module returns does."""
        self.__dict__.update(state | {name: _shared(state[name]) for name in _NAMES})

    def __getitem__(self, key: tuple[str, str]) -> float:
        """The value of one (component, metric)."""
        return self.named[key]

    @cached_property
    def named(self) -> dict[tuple[str, str], float]:
        """Every metric by component and name."""
        return {(c, m): float(v) for c, m, v in zip(self.component, self.metric, self.value, strict=True)}

    @cached_property
    def counted(self) -> Ledger:
        """Packets since the end of warm-up, as counters are."""
        return self.packets.since(self.packets_at_cut)

    def facts(self) -> dict[str, Any]:
        """Everything except metrics and series, as plain JSON values."""
        return {
            "replication": self.replication,
            "fingerprint": f"{self.fingerprint:016x}",
            "simulated_ms": self.simulated_ms,
            "offered_packets": self.offered_packets,
            "program_packets": self.program_packets,
            "packets": {"total": self.packets.total, "places": dict(self.packets.places)},
            "packets_at_cut": {"total": self.packets_at_cut.total, "places": dict(self.packets_at_cut.places)},
            "pages": {"total": self.pages.total, "places": dict(self.pages.places)},
            "bottleneck": list(self.bottleneck),
            "warnings": list(self.warnings),
        }

    def to_arrow(self) -> pa.Table:
        """Metrics (``time_ns`` is null) and series as one long table; the facts are schema metadata."""
        import pyarrow as pa

        lengths = [len(self.value)] + [len(s.value) for s in self.series]
        names = [_repeat(list(c), lengths[1:], head) for c, head in self._name_columns()]
        times = np.concatenate([np.zeros(lengths[0], np.int64), *(s.time_ns for s in self.series)])
        is_metric = np.arange(len(times)) < lengths[0]
        values = np.concatenate([self.value, *(s.value for s in self.series)])
        schema = pa.schema(
            [
                ("component", pa.dictionary(pa.int32(), pa.string())),
                ("metric", pa.dictionary(pa.int32(), pa.string())),
                ("unit", pa.dictionary(pa.int32(), pa.string())),
                ("time_ns", pa.int64()),
                ("value", pa.float64()),
            ],
            metadata={"rxpool": json.dumps({**self.facts(), "checksum": self.checksum}, sort_keys=True)},
        )
        columns = [*names, pa.array(times, mask=is_metric), pa.array(values)]
        return pa.Table.from_arrays(columns, schema=schema)

    @property
    def checksum(self) -> int:
        """CRC-32 of everything that is stored: pages have checksums of their own, the file's head and tail have not."""
        facts = json.dumps([self.facts(), *(list(getattr(self, name)) for name in _NAMES)], sort_keys=True)
        crc = zlib.crc32(facts.encode(), zlib.crc32(self.value.tobytes()))
        for s in self.series:
            crc = zlib.crc32("\0".join((s.component, s.metric, s.unit)).encode(), crc)
            crc = zlib.crc32(s.value.tobytes(), zlib.crc32(s.time_ns.tobytes(), crc))
        return crc

    def _name_columns(self) -> list[tuple[list[str], tuple[str, ...]]]:
        return [
            ([s.component for s in self.series], self.component),
            ([s.metric for s in self.series], self.metric),
            ([s.unit for s in self.series], self.unit),
        ]

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Replication:
        """The inverse of :meth:`to_arrow`; ``KeyError`` or ``ValueError`` for a table that is not one of ours."""
        facts = json.loads((table.schema.metadata or {})[b"rxpool"])
        component, metric, unit = (list(map(intern, table.column(c).to_pylist())) for c in _NAMES)
        value = table.column("value").to_numpy()
        time = table.column("time_ns").combine_chunks()
        count = time.null_count  # metrics come first
        time_ns = np.asarray(time.fill_null(0).to_numpy(zero_copy_only=False), np.int64)
        series = []
        for start, stop in _runs(component, metric, time_ns, count):
            series.append(Series(component[start], metric[start], unit[start], time_ns[start:stop], value[start:stop]))
        found = cls(
            replication=facts["replication"],
            fingerprint=int(facts["fingerprint"], 16),
            simulated_ms=facts["simulated_ms"],
            offered_packets=facts["offered_packets"],
            program_packets=facts["program_packets"],
            component=_shared(tuple(component[:count])),
            metric=_shared(tuple(metric[:count])),
            unit=_shared(tuple(unit[:count])),
            value=value[:count],
            series=tuple(series),
            packets=Ledger(**facts["packets"]),
            packets_at_cut=Ledger(**facts["packets_at_cut"]),
            pages=Ledger(**facts["pages"]),
            bottleneck=(facts["bottleneck"][0], facts["bottleneck"][1]),
            warnings=tuple(facts["warnings"]),
        )
        if facts.get("checksum", found.checksum) != found.checksum:
            raise ValueError("the checksum does not fit")
        return found


def _repeat(names: list[str], lengths: list[int], head: tuple[str, ...]) -> pa.DictionaryArray:
    """A dictionary column: ``head`` as it is, then each name as often as its series is long."""
    import pyarrow as pa

    words = list(dict.fromkeys([*head, *names]))
    index = {word: i for i, word in enumerate(words)}
    codes = np.concatenate(
        [
            np.array([index[word] for word in head], np.int32),
            np.repeat(np.array([index[word] for word in names], np.int32), lengths),
        ]
    )
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(words, pa.string()))


def _runs(component: list[str], metric: list[str], time_ns: npt.NDArray[np.int64], start: int) -> list[tuple[int, int]]:
    """Spans of one series each: the name changes, or time starts again."""
    spans: list[tuple[int, int]] = []
    for i in range(start, len(component)):
        same = (
            i > start
            and component[i] == component[i - 1]
            and metric[i] == metric[i - 1]
            and time_ns[i] > time_ns[i - 1]
        )
        if same:
            spans[-1] = (spans[-1][0], i + 1)
        else:
            spans.append((i, i + 1))
    return spans
