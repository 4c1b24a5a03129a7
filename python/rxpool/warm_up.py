"""Who decides where the warm-up ends; apart from ``steadiness`` so that the command line can list it at no cost."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

from rxpool.errors import InputError
from rxpool.plain import choice

if TYPE_CHECKING:
    from rxpool.scenario import Scenario
    from rxpool.sequential import Runner


class WarmUpRule(StrEnum):
    """Who decides where the warm-up ends, instead of the scenario."""

    MSER5 = "mser5"


def warmed_up(scenarios: Sequence[Scenario], rule: WarmUpRule | None, run: Runner) -> list[Scenario]:
    """The scenarios with the ``warmup_ms`` that the rule finds by running each once; as they are without a rule.

    One cut for all of them, the latest: what is compared is counted over the same time of the same traffic.
    Raises :class:`InputError` where a series never settles.
    """
    if rule is None:
        return list(scenarios)
    choice(WarmUpRule, rule, "warmup")
    cut_ms = 0.0
    for scenario, found in zip(scenarios, settling_ms(scenarios, run), strict=True):
        if isinstance(found, InputError):
            raise InputError(f"{scenario.run_name}: {found}")
        cut_ms = max(cut_ms, found)
    return [scenario.with_set({"warmup_ms": cut_ms}) for scenario in scenarios]


def settling_ms(scenarios: Sequence[Scenario], run: Runner) -> list[float | InputError]:
    """When the last of each scenario's watched series settles, by running it once; an error where one never does."""
    from rxpool.steadiness import mser5_warmup_ms

    found: list[float | InputError] = []
    for result in run(list(scenarios)):
        try:
            found.append(mser5_warmup_ms(result.replications))
        except InputError as error:
            found.append(error)
    return found
