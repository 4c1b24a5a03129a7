"""One number of a replication, by name: what is compared, swept over and tuned.

``component.metric`` names one metric; a bare ``metric`` is enough where one component has it, ``sum:metric`` and
``max:metric`` join several components. ``packets.PLACE`` and ``pages.PLACE`` are the ledger's places,
``packets.dropped`` all drops, ``packets.offered`` and ``pages.total`` the totals; packets are counted, like every
counter, from the end of warm-up on.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rxpool.errors import InputError
from rxpool.plain import nearest
from rxpool.record import Ledger, Replication

_JOIN: dict[str, Callable[[Iterable[float]], float]] = {"sum": sum, "max": max}


class UnknownMetricError(InputError):
    """A replication has no metric of that name; another run of the same study may have it."""


def full_name(component: str, metric: str) -> str:
    """``component.metric``; the metric alone where it belongs to the whole host."""
    return f"{component}.{metric}" if component else metric


def headline_name(resolved: Mapping[str, Any]) -> str:
    """The full name of the scenario's headline metric; empty where it names none."""
    headline = resolved.get("headline") or {}
    return full_name(headline.get("component") or "", headline["metric"]) if headline.get("metric") else ""


@dataclass(frozen=True)
class Measure:
    """A named number; ``name`` is what the user wrote."""

    name: str

    def of(self, replication: Replication) -> float:
        """The number in one replication. Raises :class:`InputError` for a name that means nothing or several things."""
        join, colon, metric = self.name.partition(":")
        if colon and join in _JOIN:
            values = [v for (_, m), v in replication.named.items() if m == metric]
            if not values:
                raise UnknownMetricError(self._unknown(replication))
            return float(_JOIN[join](values))
        component, _, metric = self.name.rpartition(".")
        if (component, metric) in replication.named:
            return replication.named[component, metric]
        place = _place(replication, self.name)
        if place is not None:
            return place
        matches = [c for c, m in replication.named if m == self.name]
        if len(matches) == 1:
            return replication.named[matches[0], self.name]
        if matches:
            listed = ", ".join(full_name(c, self.name) for c in matches[:4])
            raise InputError(f"metric '{self.name}': several components have it ({listed}…); name one, or sum: or max:")
        raise UnknownMetricError(self._unknown(replication))

    def unit(self, replication: Replication) -> str:
        """The unit of the number; empty where it is not a metric."""
        metric = self.name.rpartition(":")[2].rpartition(".")[2]
        if _place(replication, self.name) is not None:
            return self.name.partition(".")[0]
        return next((u for m, u in zip(replication.metric, replication.unit, strict=True) if m == metric), "")

    def values(self, replications: Sequence[Replication]) -> list[float]:
        """The number in every replication."""
        return [self.of(r) for r in replications]

    def _unknown(self, replication: Replication) -> str:
        known = [*measure_names(replication), *replication.metric]
        return f"metric '{self.name}': this run has none of that name{nearest(self.name, known)}"


def is_pattern(name: str) -> bool:
    """Whether a name is a shell pattern, which several metrics may match."""
    return any(c in name for c in "*?[")


def measure_names(replication: Replication) -> Iterator[str]:
    """Every full name that :class:`Measure` takes for this replication."""
    for component, metric in replication.named:
        yield full_name(component, metric)
    yield "packets.offered"
    yield "packets.dropped"
    yield from (f"packets.{place}" for place in replication.counted.places)
    yield "pages.total"
    yield from (f"pages.{place}" for place in replication.pages.places)


def expand(patterns: Sequence[str], replication: Replication) -> list[Measure]:
    """Names and shell patterns (``nics.*.held_max``) as measures, each once, in the order given."""
    names: dict[str, None] = {}
    for pattern in patterns:
        if not is_pattern(pattern):
            names[pattern] = None
            continue
        found = [name for name in measure_names(replication) if fnmatch.fnmatchcase(name, pattern)]
        if not found:
            raise UnknownMetricError(f"metric '{pattern}': no metric of this run matches")
        names |= dict.fromkeys(found)
    return [Measure(name) for name in names]


def expand_over(patterns: Sequence[str], replications: Sequence[Replication]) -> list[Measure]:
    """Like :func:`expand`, over one replication of each run of a study: a metric need not be in all of them."""
    found: dict[Measure, None] = {}
    for pattern in patterns:
        of_pattern: dict[Measure, None] = {}
        missing: InputError | None = None
        for replication in replications:
            try:
                measures = expand([pattern], replication)
                for measure in measures:
                    measure.of(replication)
                of_pattern |= dict.fromkeys(measures)
            except InputError as error:
                missing = missing or error
        if not of_pattern and missing is not None:
            raise missing
        found |= of_pattern
    return list(found)


def check_names(patterns: Sequence[str], replication: Replication) -> None:
    """Raises :class:`InputError` for a name that no run of this study can have, as one of its replications shows.

    A metric that the core declares may be one of another point or policy (a driver's own counter, for one), of a
    component that is here; anything else that is not here is mistyped.
    """
    for pattern in patterns:
        try:
            for measure in expand([pattern], replication):
                measure.of(replication)
        except UnknownMetricError:
            component, _, metric = pattern.rpartition(":")[2].rpartition(".")
            known = not component or is_pattern(component) or component in replication.component
            if metric not in _declared() or not known:
                raise


def _declared() -> set[str]:
    from rxpool import _core

    return {entry["name"] for entry in _core.metric_table()}


def _place(replication: Replication, name: str) -> float | None:
    kind, _, place = name.partition(".")
    ledger = {"packets": replication.counted, "pages": replication.pages}.get(kind)
    if ledger is None or not place:
        return None
    if place == ("offered" if kind == "packets" else "total"):
        return float(ledger.total)
    if kind == "packets" and place == "dropped":
        return float(dropped(ledger))
    if place in ledger.places:
        return float(ledger.places[place])
    # A place that nothing reached in this replication is not listed.
    return 0.0 if place.startswith(("dropped.", "in_flight.")) or place in ("delivered", "transmitted") else None


def drop_reasons(packets: Ledger, replications: int) -> list[tuple[str, float]]:
    """Reasons of dropped packets with their mean counts over ``replications``, the largest first."""
    lost = [(p, n) for p, n in packets.places.items() if p.startswith("dropped.") and n]
    return sorted([(p.removeprefix("dropped."), n / replications) for p, n in lost], key=lambda entry: -entry[1])


def dropped(ledger: Ledger) -> int:
    """All dropped packets of a ledger."""
    return sum(count for place, count in ledger.places.items() if place.startswith("dropped."))
