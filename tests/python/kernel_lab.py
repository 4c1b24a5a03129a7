"""Whether the kernel backend can run here."""

from __future__ import annotations

import os

import pytest

from rxpool import InputError
from rxpool.kernel import needs


def need_lab() -> None:
    """Skips, with the reason, where the lab cannot run."""
    from rxpool.kernel.build import lab

    lacks = needs.missing()
    if lacks:
        pytest.skip(f"kernel backend: missing {', '.join(lacks)}")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("the lab needs two CPUs")
    try:
        lab()
    except InputError as error:
        pytest.skip(str(error))
