"""Statistics over independent replications; scipy underneath, formulas and sources in docs/statistics.md.

Every function takes one number per replication (or one array per replication) and never mixes packets of different
replications: packets of one run are not independent.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Values = Sequence[float] | FloatArray

CONFIDENCE = 0.95
"""Coverage that intervals aim at unless told otherwise."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval, in the unit of the values; infinite where one replication tells no more."""

    estimate: float
    low: float
    high: float
    confidence: float
    n: int

    @property
    def half_width(self) -> float:
        """Half the interval's width."""
        return (self.high - self.low) / 2

    @property
    def relative(self) -> float:
        """Half-width over the size of the estimate; infinite for an estimate of zero with any spread."""
        if self.half_width == 0:
            return 0.0
        return self.half_width / abs(self.estimate) if self.estimate else math.inf

    def columns(self, name: str) -> dict[str, float]:
        """The estimate with its bounds as columns of a table; bounds that one replication cannot give are no number."""
        known = self.n > 1
        return {
            name: self.estimate,
            f"{name} low": self.low if known else math.nan,
            f"{name} high": self.high if known else math.nan,
        }

    def contains(self, value: float) -> bool:
        """Whether the interval covers a value."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Difference:
    """A paired comparison: other minus baseline, replication by replication, under common random numbers."""

    interval: Interval
    baseline: float
    other: float
    p_value: float
    variance_ratio: float
    """Variance of the difference had the runs been independent, over the variance it has: what pairing gained."""

    @property
    def relative(self) -> float:
        """The difference over the baseline's mean; not a number where that is zero."""
        return self.interval.estimate / abs(self.baseline) if self.baseline else math.nan


def mean_interval(values: Values, confidence: float = CONFIDENCE) -> Interval:
    """Student's t interval for the mean. Raises ``ValueError`` for no values or values that are not finite."""
    from scipy import stats

    x = _checked(values)
    mean = float(np.mean(x))
    if len(x) == 1:
        return Interval(mean, -math.inf, math.inf, confidence, 1)
    half = float(stats.t.ppf((1 + confidence) / 2, len(x) - 1)) * float(np.std(x, ddof=1)) / math.sqrt(len(x))
    return Interval(mean, mean - half, mean + half, confidence, len(x))


def paired_difference(baseline: Values, other: Values, confidence: float = CONFIDENCE) -> Difference:
    """The paired t comparison. Both sides have one value per replication, the same replications in the same order."""
    from scipy import stats

    a, b = _checked(baseline), _checked(other)
    if len(a) != len(b):
        raise ValueError(f"paired comparison of {len(a)} with {len(b)} replications")
    difference = b - a
    interval = mean_interval(difference, confidence)
    if len(a) == 1:
        return Difference(interval, float(a[0]), float(b[0]), math.nan, math.nan)
    spread = float(np.var(difference, ddof=1))
    apart = float(np.var(a, ddof=1) + np.var(b, ddof=1))
    if spread == 0:
        # Identical in every replication, or apart by a constant: no chance is involved.
        p_value = 1.0 if interval.estimate == 0 else 0.0
        return Difference(interval, float(a.mean()), float(b.mean()), p_value, math.inf if apart else math.nan)
    t = interval.estimate / math.sqrt(spread / len(a))
    p_value = 2 * float(stats.t.sf(abs(t), len(a) - 1))
    return Difference(interval, float(a.mean()), float(b.mean()), p_value, apart / spread)


def independent_difference(baseline: Values, other: Values, confidence: float = CONFIDENCE) -> Difference:
    """Welch's comparison, for runs that do not share their random numbers; the variance ratio is 1."""
    from scipy import stats

    a, b = _checked(baseline), _checked(other)
    estimate = float(b.mean() - a.mean())
    n = min(len(a), len(b))
    if n == 1:
        interval = Interval(estimate, -math.inf, math.inf, confidence, n)
        return Difference(interval, float(a.mean()), float(b.mean()), math.nan, math.nan)
    if np.var(a) == 0 and np.var(b) == 0:
        interval = Interval(estimate, estimate, estimate, confidence, n)
        return Difference(interval, float(a.mean()), float(b.mean()), float(estimate == 0), 1.0)
    test = stats.ttest_ind(b, a, equal_var=False)
    bounds = test.confidence_interval(confidence)
    interval = Interval(estimate, float(bounds.low), float(bounds.high), confidence, n)
    return Difference(interval, float(a.mean()), float(b.mean()), float(test.pvalue), 1.0)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment, in the order given; values that are not a number stay so and are not counted."""
    known = [(p, i) for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = [math.nan] * len(p_values)
    largest = 0.0
    for rank, (p, i) in enumerate(sorted(known)):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[i] = largest
    return adjusted


def proportion_interval(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """Clopper-Pearson interval of a share over replications; one-sided (the rule of three) for 0 or ``n`` hits."""
    from scipy import stats

    if not 0 <= hits <= n or n == 0:
        raise ValueError(f"{hits} of {n} replications is no share")
    if hits == 0:
        return Interval(0.0, 0.0, rule_of_three(n, confidence), confidence, n)
    if hits == n:
        return Interval(1.0, 1 - rule_of_three(n, confidence), 1.0, confidence, n)
    tail = (1 - confidence) / 2
    low = float(stats.beta.ppf(tail, hits, n - hits + 1))
    high = float(stats.beta.ppf(1 - tail, hits + 1, n - hits))
    return Interval(hits / n, low, high, confidence, n)


def rule_of_three(n: int, confidence: float = CONFIDENCE) -> float:
    """Upper bound of a probability after ``n`` replications without a hit: about 3/n at 95 %."""
    return 1 - float((1 - confidence) ** (1 / n))


def zero_bound(values: Sequence[float], confidence: float = CONFIDENCE) -> str:
    """What zeros in every replication are worth (rule of three); empty where some value is not zero."""
    if len(values) < 2 or any(values):
        return ""
    bound = 100 * rule_of_three(len(values), confidence)
    return (
        f"0 in all {len(values)} replications: the chance that a replication has any is below {bound:.2g} % "
        f"({100 * confidence:g} % bound)"
    )


def quantile_interval(samples: Sequence[Values], q: float, confidence: float = CONFIDENCE) -> Interval:
    """The quantile of each replication's samples first, then the interval of its mean over replications."""
    return mean_interval([float(np.quantile(_checked(sample), q)) for sample in samples], confidence)


@dataclass(frozen=True)
class WarmUp:
    """Where the warm-up of a series ends: drop the first ``cut`` samples. Not ``steady``: it had no end."""

    cut: int
    steady: bool


def mser5(series: Values) -> WarmUp:
    """MSER-5: the cut that makes the standard error of the rest smallest, over means of five samples.

    A cut in the second half of the series means that it never settled (``steady`` is false), and so does a series of
    fewer than ten batches. Source: White, Cobb, Spratt, "A comparison of five steady-state truncation heuristics"
    (2000).
    """
    x = _checked(series)
    batches = x[: len(x) // 5 * 5].reshape(-1, 5).mean(axis=1)
    n = len(batches)
    if n < 10:
        return WarmUp(0, False)
    # Sums over the tails batches[d:], for every d at once; the level is taken off so that squares keep their digits.
    y = batches - batches.mean()
    count = np.arange(n, 0, -1, dtype=np.float64)
    tail_sum = np.cumsum(y[::-1])[::-1]
    tail_square = np.cumsum((y * y)[::-1])[::-1]
    score = np.maximum(tail_square - tail_sum**2 / count, 0.0) / count**2
    # The last few tails are too short to tell anything.
    best = int(np.argmin(score[: n - 5]))
    return WarmUp(5 * best, best <= n // 2)


@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier estimate of the chance that the event has not happened by ``time``, with a pointwise interval.

    ``time``, ``survival``, ``low`` and ``high`` have one length: a step per distinct time, in the unit of what was
    observed. ``events`` of ``n`` replications had it. Source: Kaplan, Meier, "Nonparametric estimation from incomplete
    observations" (1958).
    """

    time: FloatArray
    survival: FloatArray
    low: FloatArray
    high: FloatArray
    events: int
    n: int

    def quantile(self, q: float) -> float:
        """The time by which a share ``q`` of the replications had the event; infinite where too few had it."""
        below = np.nonzero(self.survival <= 1 - q + 1e-12)[0]
        return float(self.time[below[0]]) if len(below) else math.inf


def kaplan_meier(times: Values, happened: Sequence[bool], confidence: float = CONFIDENCE) -> Survival:
    """Times to an event, one per replication; where it had not ``happened``, the time is how long was watched."""
    from scipy import stats

    t = _checked(times)
    seen = np.asarray(happened, bool)
    if len(t) != len(seen):
        raise ValueError(f"{len(t)} times with {len(seen)} marks")
    if not seen.any():
        ones = np.ones(1)
        low = np.array([1 - rule_of_three(len(t), confidence)])
        return Survival(np.array([float(t.max())]), ones, low, ones, 0, len(t))
    estimate = stats.ecdf(stats.CensoredData(uncensored=t[seen], right=t[~seen])).sf
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # no bound before the first event: filled in below
        band: Any = estimate.confidence_interval(confidence, method="log-log")
    survival = np.asarray(estimate.probabilities, np.float64)
    low = np.nan_to_num(np.asarray(band.low.probabilities, np.float64), nan=0.0)
    high = np.nan_to_num(np.asarray(band.high.probabilities, np.float64), nan=1.0)
    return Survival(np.asarray(estimate.quantiles, np.float64), survival, low, high, int(seen.sum()), len(t))


def log_rank(a: tuple[Values, Sequence[bool]], b: tuple[Values, Sequence[bool]]) -> float:
    """The p-value of the log-rank test that two sets of (times, happened) have one survival curve.

    Not a number where a set is empty or nothing happened in either. Source: Mantel (1966), as in scipy.
    """
    from scipy import stats

    sets = [(np.asarray(times, np.float64), np.asarray(happened, bool)) for times, happened in (a, b)]
    if any(len(times) == 0 for times, _ in sets) or not any(seen.any() for _, seen in sets):
        return math.nan
    first, second = (stats.CensoredData(uncensored=times[seen], right=times[~seen]) for times, seen in sets)
    return float(stats.logrank(first, second).pvalue)


@dataclass(frozen=True)
class Precision:
    """When to stop adding replications: the relative half-width is at most ``relative``, and stays there.

    At least ``minimum`` replications; after the target is met first, ``look_ahead`` more (5, from 100 replications on
    5 %) that must all keep it, which guards against stopping on a lucky streak. Source: Hoad, Robinson, Davies,
    "Automated selection of the number of replications for a discrete-event simulation" (2010).
    """

    relative: float
    minimum: int = 10
    maximum: int = 10_000
    confidence: float = CONFIDENCE

    def met(self, values: Values) -> bool:
        """Whether these replications, in order, are enough."""
        return self.next_count(values) == 0

    def next_count(self, values: Values) -> int:
        """How many more replications to run now; 0 to stop."""
        x = _checked(values)
        n = len(x)
        if n >= self.maximum:
            return 0
        if n < self.minimum:
            return self.minimum - n
        streak = self._streak(x)
        wanted = 1 + look_ahead(n)
        if streak >= wanted:
            return 0
        if streak:
            return min(wanted - streak, self.maximum - n)
        # Not there yet: the half-width falls with the root of n; go at most half the way that this predicts.
        ratio = mean_interval(x, self.confidence).relative / self.relative
        needed = n * ratio * ratio if math.isfinite(ratio) else 2.0 * n
        return max(1, min(math.ceil((needed - n) / 2), n, self.maximum - n))

    def _streak(self, x: FloatArray) -> int:
        """For how many of the latest counts (n, n-1, …) the target was met."""
        streak = 0
        for n in range(len(x), self.minimum - 1, -1):
            if mean_interval(x[:n], self.confidence).relative > self.relative or streak > look_ahead(len(x)):
                break
            streak += 1
        return streak


def look_ahead(n: int) -> int:
    """How many further replications must keep the target."""
    return max(5, n * 5 // 100)


def _checked(values: Values) -> FloatArray:
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or len(x) == 0:
        raise ValueError("no values")
    if not np.isfinite(x).all():
        raise ValueError(f"value {int(np.argmin(np.isfinite(x)))} is not a finite number")
    return x
