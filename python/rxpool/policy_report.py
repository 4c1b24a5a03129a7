"""What ``rxpool policy check`` and ``rxpool policy run`` find out, as plain values for JSON and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.policy import Policy, verdict_name
from rxpool.policy_map import PolicyMap

if TYPE_CHECKING:
    from rxpool._core import ProgramDict

SCHEMA = 1
LEAST_BYTES = 14
MOST_LISTED = 4096
"""Elements of one map that are listed; more are only counted."""


def check(policy: Policy) -> dict[str, Any]:
    """What the object needs, what each backend can give, our findings, and what this machine's kernel says."""
    from rxpool import _core

    asked = {name: (word, reason) for name, word, reason in _core.ask_kernel(policy._core)}
    programs = []
    for program in policy.programs:
        word, reason = asked[program["name"]]
        programs.append(
            {
                "name": program["name"],
                "hook": program["hook"],
                "entry": program["entry"],
                "instructions": program["instructions"],
                "functions": program["functions"],
                "needs": {"helpers": program["helpers"], "kfuncs": program["kfuncs"], "maps": program["maps"]},
                "sim": _sim_gives(program),
                "kernel_gives": _kernel_gives(program),
                "kernel": f"{word} ({reason})" if reason else word,
            }
        )
    return {
        "schema": SCHEMA,
        "policy": policy.name,
        "license": policy._core.license(),
        "programs": programs,
        "maps": [
            {key: m.info[key] for key in ("name", "type", "key_size", "value_size", "max_entries")}
            for m in policy.maps.values()
            if not m.info["data_section"]
        ],
        "params": policy.knobs,
        "findings": policy.findings,
    }


def _sim_gives(program: ProgramDict) -> str:
    if not program["entry"]:
        return "everything; another program of the object serves its hook unless this one is named"
    return "everything it needs"


def _kernel_gives(program: ProgramDict) -> str:
    if program["only_simulated"]:
        return "no such hook in this kernel"
    if program["callx"]:
        return "no call through a register"
    if program["kfuncs"]:
        return "only when bound to a device whose driver has " + ", ".join(program["kfuncs"])
    return "everything it needs"


@dataclass(frozen=True)
class Frames:
    """The frames of a capture: ns since the first, and the bytes. ``cut`` of them were captured in part."""

    frames: list[tuple[int, bytes]]
    cut: int

    @classmethod
    def read(cls, path: str, most_bytes: int = 3520) -> Frames:
        """Reads a capture. Raises :class:`InputError` for one with frames that no policy here can take."""
        from rxpool import _core

        frames, cut = [], 0
        for index, (time_ns, wire_bytes, data) in enumerate(_core.read_frames(path), start=1):
            if len(data) > most_bytes:
                raise InputError(
                    f"{path}: frame {index} has {len(data)} bytes and needs multi-buffer XDP (xdp.frags), which is not "
                    f"modelled; at most {most_bytes}"
                )
            if len(data) < LEAST_BYTES:
                raise InputError(f"{path}: frame {index} has {len(data)} bytes, an Ethernet header has {LEAST_BYTES}")
            cut += wire_bytes > len(data)
            frames.append((time_ns, data))
        return cls(frames, cut)


def run_sim(policy: Policy, frames: Frames, repeat: int, hook: str) -> dict[str, Any]:
    """Runs every frame ``repeat`` times in the simulator's machine, at the capture's own times."""
    verdicts: Counter[str] = Counter()
    aborts: Counter[str] = Counter()
    instructions = host_ns = 0
    for time_ns, data in frames.frames:
        done = policy.run_one(data, hook=hook, now_ns=time_ns, repeat=repeat)
        verdicts[done.verdict] += 1
        instructions += done.instructions
        host_ns += done.host_ns
        if done.abort:
            aborts[done.abort] += 1
    count = len(frames.frames)
    return {
        **_head(policy, "sim", hook, frames, repeat),
        "verdicts": dict(sorted(verdicts.items())),
        "aborts": dict(sorted(aborts.items())),
        **({"last_abort": policy.last_abort()} if aborts else {}),
        "instructions_mean": instructions / count,
        "duration_ns_mean": host_ns / (count * repeat),
        "maps": _maps((m.name, m, m.raw()) for m in policy.maps.values() if not m.info["read_only"]),
    }


def run_kernel(policy: Policy, frames: Frames, repeat: int, hook: str) -> dict[str, Any]:
    """Runs every frame in this machine's kernel with BPF_PROG_TEST_RUN, under the kernel's own clock."""
    from rxpool import _core

    program = policy.entry(hook)
    kernel = _core.KernelRun(policy._core, program)
    verdicts: Counter[str] = Counter()
    duration = 0
    for _, data in frames.frames:
        returned, _, duration_ns = kernel.run(data, repeat)
        verdicts[verdict_name(returned)] += 1
        duration += duration_ns
    maps = [m for m in policy.maps.values() if not m.info["data_section"]]
    return {
        **_head(policy, "kernel", hook, frames, repeat),
        "verdicts": dict(sorted(verdicts.items())),
        "duration_ns_mean": duration / len(frames.frames),
        "maps": _maps((m.name, m, kernel.dump(m.name)) for m in maps),
    }


def _head(policy: Policy, backend: str, hook: str, frames: Frames, repeat: int) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "policy": policy.name,
        "params": policy.knobs,
        "program": policy.entry(hook),
        "hook": hook,
        "backend": backend,
        "packets": len(frames.frames),
        "cut_packets": frames.cut,
        "repeat": repeat,
    }


def _maps(contents: Iterable[tuple[str, PolicyMap, list[tuple[bytes, bytes]]]]) -> dict[str, Any]:
    """Per map its elements; of arrays those that are not all zero."""
    maps = {}
    for name, policy_map, elements in contents:
        is_array = policy_map.info["type"] in ("ARRAY", "PERCPU_ARRAY")
        shown = [(key, value) for key, value in elements if any(value) or not is_array]
        if policy_map.info["data_section"]:
            listed = [{"value": _json(policy_map.value_of(value))} for _, value in shown]
        else:
            listed = [
                {"key": _json(policy_map.key_of(key)), "value": _json(policy_map.value_of(value))}
                for key, value in shown[:MOST_LISTED]
            ]
        maps[name] = {"type": policy_map.info["type"], "elements": len(elements), "content": listed}
    return maps


def _json(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _json(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part) for part in value]
    return value
