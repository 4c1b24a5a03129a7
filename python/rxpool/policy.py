"""Policies in Python's hands: an eBPF object loaded into a box of its own, run on bytes, its maps read and written.

``Policy.load("drop_udp_port")`` takes what a scenario and ``--policy`` take; ``Policy.from_c`` compiles a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rxpool.errors import ExitCode, InputError
from rxpool.shipped import shipped_folder

if TYPE_CHECKING:
    from rxpool._core import LoadedPolicy, ProgramDict
    from rxpool.policy_map import PolicyMap

VERDICTS = ("XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT")
"""Names of the verdicts, ``enum xdp_action``; any other number a program returns counts as aborted."""


@dataclass(frozen=True)
class PacketRun:
    """What one run did to one packet.

    ``abort`` names why the run was ended ("memory", "fuel", …; empty: it reached its exit), ``instructions`` counts
    what it executed, ``redirect`` is the map (empty: none) and the key or interface of XDP_REDIRECT. ``host_ns`` is the
    host's time for all repeats.
    """

    verdict: str
    returned: int
    packet: bytes
    metadata: bytes
    instructions: int
    abort: str = ""
    redirect: tuple[str, int] | None = None
    host_ns: int = field(default=0, compare=False)


class Policy:
    """One eBPF object, checked and ready to run. Its maps keep their content from run to run; not shared by threads.

    Pickling keeps object, name and parameters, and begins with fresh maps.
    """

    def __init__(
        self,
        code: bytes,
        name: str = "policy",
        *,
        params: Mapping[str, int] | None = None,
        cpus: int = 1,
        engine: str = "jit",
        program: str = "",
    ) -> None:
        """Takes the bytes of an object file; ``params`` sets ``const volatile`` variables by name.

        ``cpus`` is how many values per-CPU maps have; ``engine`` is jit, interpreter or checked; ``program`` chooses
        the entry where the object has several for one hook. Raises :class:`InputError` (exit 4: the object is refused).
        """
        from rxpool import _core

        self.code = bytes(code)
        self.name = name
        self.params = dict(params or {})
        self._arguments = (self.code, name, self.params, cpus, engine, program)
        self._core: LoadedPolicy = _core.LoadedPolicy(
            object=self.code,
            label=f"{name}.bpf.o",
            params={key: int(value) for key, value in self.params.items()},
            cpus=cpus,
            engine=engine,
            program=program,
        )

    @classmethod
    def load(
        cls,
        source: str | PathLike[str],
        *,
        params: Mapping[str, int] | None = None,
        cpus: int = 1,
        engine: str = "jit",
        program: str = "",
    ) -> Policy:
        """A shipped policy by name, a ``.bpf.c`` (compiled) or a ``.bpf.o``. Raises :class:`InputError`."""
        path = find_policy(source)
        name = path.name.removesuffix(".c").removesuffix(".o").removesuffix(".bpf")
        code = read_object(path) if path.name.endswith(".o") else compile_c(read_source(path), path.name)
        return cls(code, name, params=params, cpus=cpus, engine=engine, program=program)

    @classmethod
    def from_c(
        cls,
        source: str,
        name: str = "policy",
        *,
        params: Mapping[str, int] | None = None,
        include: str | PathLike[str] | None = None,
        cpus: int = 1,
        engine: str = "jit",
        program: str = "",
    ) -> Policy:
        """Compiles restricted C.

        The text may include the headers in ``include`` (default: the shipped policies' folder, where ``policy.bpf.h``
        is) and the kernel's and libbpf's own, and nothing else; inline assembly may hold no directives. Raises
        :class:`InputError` with clang's first error, or naming the file or directive.
        """
        code = compile_c(source, f"{name}.bpf.c", include)
        return cls(code, name, params=params, cpus=cpus, engine=engine, program=program)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_load_again, self._arguments)

    def __repr__(self) -> str:
        return f"Policy({self.label!r}, programs={[p['name'] for p in self.programs]}, maps={list(self.maps)})"

    @property
    def digest(self) -> str:
        """SHA-256 of the object's bytes."""
        return hashlib.sha256(self.code).hexdigest()

    @property
    def label(self) -> str:
        """The name with its parameters, for tables."""
        inner = ",".join(f"{key}={value}" for key, value in sorted(self.params.items()))
        return f"{self.name}({inner})" if inner else self.name

    @property
    def programs(self) -> list[ProgramDict]:
        """The object's programs: name, hook, helpers, kernel functions, maps."""
        return self._core.programs()

    @property
    def findings(self) -> list[str]:
        """What is worth saying about the accepted object, places that only a kernel can judge among it."""
        return self._core.findings()

    @property
    def knobs(self) -> dict[str, int]:
        """The ``const volatile`` variables and their values."""
        return {name: value for name, _, value in self._core.knobs()}

    @property
    def maps(self) -> Mapping[str, PolicyMap]:
        """The maps by name, data sections (``.bss``) included."""
        from rxpool.policy_map import PolicyMap

        return {entry["name"]: PolicyMap(self._core, entry) for entry in self._core.maps()}

    def run(
        self,
        packets: Iterable[bytes],
        *,
        hook: str = "xdp",
        now_ns: int = 0,
        gap_ns: int = 0,
        cpu: int = 0,
        rx_queue: int = 0,
        rx_hash: int | None = None,
    ) -> list[PacketRun]:
        """Runs the program of a hook on Ethernet frames (no FCS), one after the other.

        The program's clock stands at ``now_ns`` for the first and ``gap_ns`` later for each next one.
        """
        return [
            self.run_one(packet, hook=hook, now_ns=now_ns + index * gap_ns, cpu=cpu, rx_queue=rx_queue, rx_hash=rx_hash)
            for index, packet in enumerate(packets)
        ]

    def run_one(
        self,
        packet: bytes,
        *,
        hook: str = "xdp",
        now_ns: int = 0,
        cpu: int = 0,
        rx_queue: int = 0,
        rx_hash: int | None = None,
        repeat: int = 1,
    ) -> PacketRun:
        """Runs one frame, ``repeat`` times from the same bytes; the answer is the last run's."""
        returned, abort, instructions, after, metadata, redirect, host_ns = self._core.run(
            hook=hook,
            packet=bytes(packet),
            now_ns=now_ns,
            cpu=cpu,
            rx_queue=rx_queue,
            rx_hash=rx_hash,
            repeat=repeat,
        )
        verdict = verdict_name(returned)
        return PacketRun(verdict, returned, after, metadata, instructions, abort, redirect, host_ns)

    def run_return(
        self,
        *,
        held_ns: int,
        cookie: int = 0,
        rx_hash: int = 0,
        rx_queue: int = 0,
        bytes: int = 0,
        consumer: int = 0,
        cpu: int = 0,
        now_ns: int = 0,
    ) -> int:
        """Runs the return hook as for a buffer that was held ``held_ns``; the instructions it executed."""
        return self._core.run_return(
            held_ns=held_ns,
            cookie=cookie,
            rx_hash=rx_hash,
            rx_queue=rx_queue,
            bytes=bytes,
            consumer=consumer,
            cpu=cpu,
            now_ns=now_ns,
        )

    def last_abort(self) -> str:
        """The last run that was ended: reason, address, instruction, source line, disassembly around it."""
        return self._core.last_abort()

    def dot(self, program: str | None = None) -> str:
        """The control flow of a program (default: the entry of its first hook) in Graphviz' DOT."""
        return self._core.dot(program or self.entry())

    def entry(self, hook: str | None = None) -> str:
        """Name of the program that serves a hook (default: the object's first)."""
        for program in self.programs:
            if program["entry"] and hook in (None, program["hook"]):
                return program["name"]
        raise InputError(f"{self.name} has no program for the hook {hook}")


def verdict_name(returned: int) -> str:
    """The verdict that a returned number means."""
    return VERDICTS[returned] if returned < len(VERDICTS) else VERDICTS[0]


def find_policy(source: str | PathLike[str]) -> Path:
    """The file of a policy named as in ``--policy``. Raises :class:`InputError`."""
    path = Path(source)
    if path.suffix in (".c", ".o") or "/" in str(source):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if path.suffix not in (".c", ".o"):
            raise InputError(f"{path}: a policy is a .bpf.c source or a .bpf.o object")
        return path
    shipped = Path(shipped_folder()) / "policies"
    found = shipped / f"{source}.bpf.c"
    if not found.is_file():
        names = ", ".join(sorted(p.name.removesuffix(".bpf.c") for p in shipped.glob("*.bpf.c")))
        raise InputError(f"no policy '{source}'; shipped are {names}; or give a .bpf.c or .bpf.o file")
    return found


def compile_c(source: str, name: str, include: str | PathLike[str] | None = None) -> bytes:
    """The object of a C text. Raises :class:`InputError`."""
    from rxpool import _core

    folder = Path(include) if include is not None else Path(shipped_folder()) / "policies"
    return _core.compile_policy(source, name, str(folder.resolve()))


def read_source(path: Path) -> str:
    """A policy's source. Raises :class:`InputError`."""
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def read_object(path: Path) -> bytes:
    """A policy's object file, at most 16 MiB. Raises :class:`InputError`."""
    try:
        size = path.stat().st_size
        if size > 16 << 20:
            raise InputError(f"{path.name}: too large: {size} bytes, at most 16 MiB", ExitCode.POLICY_REJECTED)
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _load_again(code: bytes, name: str, params: dict[str, int], cpus: int, engine: str, program: str) -> Policy:
    return Policy(code, name, params=params, cpus=cpus, engine=engine, program=program)
