"""Policies that a scenario does not name by file: a :class:`rxpool.Policy`, or a Python function.

A function is ``policy(packet: bytes, signal) -> int``: an Ethernet frame without FCS in, a verdict (``XDP_PASS`` is 2)
out. It is for quick ideas: it costs microseconds per packet of the machine that simulates, and the simulated CPU is
charged as for 50 instructions whatever it does. A module-level function is named ``module:function``; the digest of a
run covers its module's source. Lambdas and functions of a notebook run in this process and are never stored.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from rxpool.errors import ExitCode, InputError

if TYPE_CHECKING:
    from rxpool._core import Signal
    from rxpool.policy import Policy

PolicyFunction: TypeAlias = "Callable[[bytes, Signal], int]"
PolicySource: TypeAlias = "str | Policy | PolicyFunction"

_FUNCTION_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class GivenPolicy:
    """A policy under the name that the scenario has for it.

    ``digest`` stands for its content in the digest of a run; without one (a function that no module holds) nothing may
    be stored. ``params`` are the ``const volatile`` variables that come with it.
    """

    name: str
    content: bytes | PolicyFunction
    digest: str | None
    params: dict[str, int] = field(default_factory=dict)

    @property
    def is_function(self) -> bool:
        """Whether it is a Python function."""
        return not isinstance(self.content, bytes)


def given_policy(source: PolicySource) -> GivenPolicy | None:
    """What a policy argument brings along; None for a name that the scenario itself understands.

    Raises :class:`InputError` for what is no name, no policy and no function, or for a function that cannot be found.
    """
    if isinstance(source, str):
        return _named_function(source) if _FUNCTION_NAME.fullmatch(source) else None
    from rxpool.policy import Policy

    if isinstance(source, Policy):
        return GivenPolicy(f"{source.name}@{source.digest[:16]}", source.code, source.digest, dict(source.params))
    if callable(source):
        return _function(source)
    raise InputError(f"policy: {source!r} is no name, no rxpool.Policy and no function")


def _named_function(name: str) -> GivenPolicy:
    module_name, _, function_name = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        function = getattr(importlib.import_module(module_name), function_name)
    except ImportError as error:
        raise InputError(f"policy {name}: no module '{module_name}': {error}", ExitCode.POLICY_REJECTED) from None
    except AttributeError:
        raise InputError(
            f"policy {name}: module {module_name} has no function '{function_name}'", ExitCode.POLICY_REJECTED
        ) from None
    if not callable(function):
        raise InputError(f"policy {name} is no function", ExitCode.POLICY_REJECTED)
    return GivenPolicy(name, function, _module_digest(function) or _module_digest(sys.modules[module_name]))


def _function(function: PolicyFunction) -> GivenPolicy:
    """A function as an argument: by module and name where those lead back to it, else for this process only."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    found = getattr(sys.modules.get(module or ""), name, None)
    if module and module != "__main__" and found is function:
        digest = _module_digest(sys.modules[module])
        if digest is not None:
            return GivenPolicy(f"{module}:{name}", function, digest)
    return GivenPolicy(f"in_process:{re.sub(r'[^A-Za-z0-9_]+', '_', name).strip('_')}", function, None)


def _module_digest(thing: Any) -> str | None:
    """SHA-256 of the source file of a module, or of the module that defines a function."""
    name = str(getattr(thing, "__module__", None) or getattr(thing, "__name__", ""))
    module = sys.modules.get(name)
    path = getattr(module, "__file__", None)
    if path is None or not os.path.isfile(path):  # noqa: PTH113 - a frozen module's path is no Path
        return None
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
