"""Where the compiled parts of the kernel backend are: the lab's program, its BPF object, policies."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from rxpool.errors import ExitCode, InputError

_CLANGS = ("clang-19", "clang-18", "clang-17", "clang")


def root() -> Path:
    """The checkout that this package is in."""
    return Path(__file__).resolve().parents[3]


def tree() -> Path:
    """The built tree: ``RXPOOL_BUILD``, or the checkout's optimised build."""
    return Path(os.environ.get("RXPOOL_BUILD", root() / "build/release"))


def lab() -> Path:
    """The lab's program. Raises :class:`InputError` where it cannot be had."""
    return compiled("kernel/lab/rxpool-lab", "rxpool_lab_objects")


def compiled(path: str, objects: str) -> Path:
    """A program of the built tree and the BPF objects beside it, built if the tree is there.

    Raises :class:`InputError` where it cannot be had.
    """
    program = tree() / path
    if (tree() / "build.ninja").exists():
        done = subprocess.run(
            ["cmake", "--build", str(tree()), "--target", program.name, objects],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 and not program.exists():
            raise InputError(
                f"kernel backend: {program.name} does not build: {done.stdout[-300:]}", ExitCode.NOT_AVAILABLE
            )
    if not program.exists():
        raise InputError(f"kernel backend: {program} is not built", ExitCode.NOT_AVAILABLE)
    return program


def policy_object(program: str, folder: Path) -> Path:
    """The BPF object of a policy as the scenario names it: a file, or the name of a shipped one."""
    if program.endswith(".bpf.o"):
        return folder / program
    shipped = root() / "scenarios/policies" / f"{program}.bpf.c"
    source = folder / program if program.endswith(".bpf.c") else shipped
    if not source.exists():
        raise InputError(f"policy '{program}': no such file or shipped policy", ExitCode.POLICY_REJECTED)
    clang = next((c for c in _CLANGS if shutil.which(c)), None)
    if clang is None:
        raise InputError("policies need clang to be compiled", ExitCode.NOT_AVAILABLE)
    target = tree() / "kernel/policies" / f"{source.name.removesuffix('.bpf.c')}.bpf.o"
    target.parent.mkdir(parents=True, exist_ok=True)
    headers = [f"-I{root() / 'scenarios/policies'}", "-idirafter", "/usr/include/x86_64-linux-gnu"]
    command = [clang, "-target", "bpf", "-mcpu=v3", "-O2", "-g", *headers, "-c", str(source), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"policy '{program}': {done.stderr.strip()[-300:]}", ExitCode.POLICY_REJECTED)
    return target
