"""A named NIC of this host, taken over for a time: its settings, its packets, the pages of its pools.

The work is done by rxpool-attach (kernel/attach), which gives the NIC back however it ends. Consent is the caller's to
have: nothing here asks.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt

from rxpool.errors import ExitCode, InputError
from rxpool.kernel.build import compiled
from rxpool.kernel.needs import ATTACH, demand

PACKET = np.dtype(
    [("time_ns", "<u8"), ("length", "<u2"), ("port", "<u2"), ("flow", "<u2"), ("queue", "u1"), ("protocol", "u1")]
)
"""One packet as XDP met it (attach.h): time since the begin, length without FCS, destination port, hash of the flow."""

STATE = Path("/run/rxpool")
"""Where the state of a NIC that is in use lies."""

_MOST_PACKETS = 4_000_000


@dataclass(frozen=True)
class Attached:
    """What was seen: ``report`` of the program (settings, counters, pools over time) and the recorded packets."""

    report: Mapping[str, Any]
    packets: npt.NDArray[Any]


def attach(
    interface: str,
    seconds: float,
    *,
    rx_ring: int = 0,
    rx_queues: int = 0,
    policy: str = "pass",
    params: Mapping[str, Any] | None = None,
    dead_man_s: float = 5,
) -> Attached:
    """Takes the NIC over, watches it, gives it back; a ring or a number of queues of 0 stays as it is.

    Raises :class:`InputError`: exit 2 where the NIC is refused (it carries a default route or the connection that this
    is called over), 3 where this kernel, driver or user cannot.
    """
    demand("attach", ATTACH)
    program = compiled("kernel/attach/rxpool-attach", "rxpool_attach_objects")
    plan = {
        "interface": interface,
        "duration_ms": seconds * 1000,
        "packets": _MOST_PACKETS,
        "rx_ring": rx_ring,
        "rx_queues": rx_queues,
        "policy": policy,
        "params": dict(params or {}),
        "state": str(STATE),
        "dead_man_s": dead_man_s,
    }
    with TemporaryDirectory() as folder:
        document, packets = Path(folder) / "plan.json", Path(folder) / "packets"
        document.write_text(json.dumps(plan))
        done = subprocess.run(
            [str(program), str(document), str(packets)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"RXPOOL_ATTACH_OBJECTS": str(program.parent)},
        )
        if done.returncode not in (0, 1):
            code = ExitCode.NOT_AVAILABLE if done.returncode == ExitCode.NOT_AVAILABLE else ExitCode.BAD_INPUT
            raise InputError(done.stderr.strip() or f"rxpool-attach ended with {done.returncode}", code)
        report = json.loads(done.stdout)
        if report["not_restored"]:
            raise InputError(f"{interface}: not restored: {'; '.join(report['not_restored'])}", ExitCode.LIMIT)
        seen = np.fromfile(packets, PACKET)
    # The recorder's places are taken before its clock is read, so two queues may be out of order by a little.
    return Attached(report, seen[np.argsort(seen["time_ns"], kind="stable")])
