"""A scenario as Python holds it: the resolved JSON, where it came from, and its digest."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from rxpool.errors import InputError
from rxpool.policy_given import GivenPolicy, PolicySource, given_policy
from rxpool.shipped import shipped_folder

ScenarioSource: TypeAlias = "str | PathLike[str] | Mapping[str, Any] | Scenario"


@dataclass(frozen=True)
class Scenario:
    """One resolved scenario: every default written out, checked by the core. Immutable and picklable.

    ``name`` is the file's stem, ``text`` the resolved JSON, ``folder`` where the files it names are looked up, and
    ``source`` what error messages call it. ``given`` and ``changes`` are what the user wrote (empty for a stored run):
    a further change is made to that, so that what was left out follows the key it takes its default from. ``brought``
    are the policies that came as objects or functions.
    """

    name: str
    text: str
    folder: str
    source: str
    allow_path: bool = False
    given: str = field(default="", compare=False, repr=False)
    changes: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)
    brought: tuple[GivenPolicy, ...] = ()

    @cached_property
    def resolved(self) -> dict[str, Any]:
        """The resolved scenario as plain values (treat as read-only)."""
        value: dict[str, Any] = json.loads(self.text)
        return value

    @property
    def seed(self) -> int:
        """The seed of all random streams."""
        return int(self.resolved["seed"])

    @property
    def replications(self) -> int:
        """How many independent replications the scenario asks for."""
        return int(self.resolved["replications"])

    @property
    def policy(self) -> str:
        """The policy's name with its parameters; ``nic=policy`` pairs where NICs differ."""
        return policy_name(self.resolved)

    def content(self) -> dict[str, Any]:
        """The resolved scenario without the number of replications: what the digest covers."""
        return {key: value for key, value in self.resolved.items() if key != "replications"}

    def files(self) -> dict[str, Path]:
        """The files whose bytes belong to the scenario, by their place in its folder (outside it: by their name)."""
        named: dict[str, Path] = {}
        for path in sorted(Path(p) for p in self._named_files()):
            inside = path.resolve().is_relative_to(self.folder)
            label = path.resolve().relative_to(self.folder).as_posix() if inside else path.name
            while label in named:
                label += "'"
            named[label] = path
        return named

    def _named_files(self) -> list[str]:
        from rxpool import _core

        return _core.named_files(self.text, self.folder, shipped_folder(), self.brought_contents())

    def brought_contents(self) -> dict[str, Any]:
        """The policies that came along, by name, as the compiled module takes them."""
        return {policy.name: policy.content for policy in self.brought}

    @property
    def only_here(self) -> str | None:
        """Name of a policy that exists in this process alone (a lambda, a notebook's function), or None."""
        return next((policy.name for policy in self.brought if policy.digest is None), None)

    @cached_property
    def file_digests(self) -> dict[str, str]:
        """SHA-256 of every file that the scenario names, and of the policies that came along."""
        digests = {name: _hash_file(path) for name, path in self.files().items()}
        digests |= {policy.name: policy.digest for policy in self.brought if policy.digest is not None}
        return dict(sorted(digests.items()))

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the resolved scenario without ``replications``, the named files and the core's own source."""
        whole = {"scenario": self.content(), "files": self.file_digests, "core": core_source()}
        return hashlib.sha256(canonical_json(whole).encode()).hexdigest()

    @property
    def run_name(self) -> str:
        """Name of the run folder: the stem and 16 hexadecimal digits of the digest."""
        return f"{self.name}-{self.digest[:16]}"

    def with_set(self, changes: Mapping[str, Any]) -> Scenario:
        """The same scenario with some dotted paths set to new values."""
        return load(self, set=changes)


def load(
    source: ScenarioSource,
    *,
    set: Mapping[str, Any] | None = None,  # the option's name on the command line
    seed: int | None = None,
    replications: int | None = None,
    policy: PolicySource | None = None,
    folder: str | PathLike[str] | None = None,
    allow_path: bool = False,
) -> Scenario:
    """Reads and checks a scenario.

    ``source`` is a path, a dictionary or a scenario; ``set`` maps dotted paths (``nics.nic0.rx_ring``) to new values;
    ``policy`` goes to every NIC (or to one: ``nic0=drop``); it may be a name, a file beside the scenario or in the
    current folder, a :class:`rxpool.Policy` or a function (:mod:`rxpool.policy_given`). Files that the scenario names
    are looked up in ``folder`` (default: the scenario file's own) and must lie in it unless ``allow_path``.
    Raises :class:`InputError` with a one-line text.
    """
    from rxpool import _core

    earlier: dict[str, str] = {}
    if isinstance(source, Scenario):
        text, name, label = source.given or source.text, source.name, source.source
        earlier = dict(source.changes)
        home = source.folder
        allow_path = allow_path or source.allow_path
    elif isinstance(source, Mapping):
        text, name, label, home = json.dumps(source, default=_plain_json), "scenario", "scenario", "."
    else:
        path = Path(source)
        text = _read_text(path)
        name, label, home = path.stem, str(path), str(path.parent)
    if folder is not None:
        home = str(folder)
    changes: dict[str, Any] = {}
    brought = source.brought if isinstance(source, Scenario) else ()
    if policy is not None:
        nics, chosen = _policy_target(text, label, policy)
        chosen = _from_current_folder(chosen, home)
        one = given_policy(chosen)
        value: Any = chosen
        if one is not None:
            brought = (*(other for other in brought if other.name != one.name), one)
            value = {"program": one.name, "params": one.params}
        changes |= {f"policies.{nic}": value for nic in nics}
    changes |= set or {}
    if seed is not None:
        changes["seed"] = seed
    if replications is not None:
        changes["replications"] = replications
    # A later change of a key comes after what was changed in between.
    kept = [(key, value) for key, value in earlier.items() if key not in changes]
    overrides = [*kept, *((key, json.dumps(value, default=_plain_json)) for key, value in changes.items())]
    home = str(Path(home).resolve())
    contents = {policy.name: policy.content for policy in brought}
    resolved = _core.resolve(text, label, home, overrides, allow_path, shipped_folder(), contents)
    used = {entry["program"] for entry in json.loads(resolved)["policies"].values()} if brought else frozenset()
    in_use = tuple(policy for policy in brought if policy.name in used)
    return Scenario(_safe_stem(name), resolved, home, label, allow_path, text, tuple(overrides), in_use)


def _plain_json(value: Any) -> Any:
    """What JSON has no word for, from those who compute their values: scalars and arrays of numpy, paths."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, PathLike):
        return os.fspath(value)
    raise InputError(f"{value!r}: a scenario holds JSON values, not a {type(value).__name__}")


def _from_current_folder(policy: PolicySource, home: str) -> PolicySource:
    """A policy's file that is not beside the scenario but where the caller is: what it holds."""
    from rxpool.policy import Policy

    if not isinstance(policy, str) or not policy.endswith((".bpf.c", ".bpf.o")):
        return policy
    if (Path(home) / policy).is_file() or not Path(policy).is_file():
        return policy
    return Policy.load(policy)


def parse_set(assignments: Sequence[str]) -> dict[str, Any]:
    """Turns ``a.b=c`` texts into a mapping; the value is JSON where it parses as such, else a plain text.

    Raises :class:`InputError` for a text without ``=`` or without a path.
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, value = assignment.partition("=")
        if not equals or not path.strip():
            raise InputError(f"--set {assignment}: write it as path=value, for example nics.nic0.rx_ring=256")
        changes[path.strip()] = parse_value(value)
    return changes


def parse_value(text: str) -> Any:
    """A value from the command line: JSON where it parses as such, else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, or brackets without end
        return text


def policy_name(resolved: Mapping[str, Any]) -> str:
    """One name for the policies of a scenario, for tables and the ``policy`` column."""
    policies = resolved.get("policies") or {}
    names = {nic: _one_policy(entry) for nic, entry in policies.items()}
    distinct = sorted(dict.fromkeys(names.values()))
    if not distinct:
        return "none"
    if len(distinct) == 1:
        return distinct[0]
    return ",".join(f"{nic}={name}" for nic, name in sorted(names.items()))


def _one_policy(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    program = str(entry.get("program", "none")).partition("@")[0]
    params = entry.get("params") or {}
    if not params:
        return program
    inner = ",".join(f"{key}={_plain(value)}" for key, value in sorted(params.items()))
    return f"{program}({inner})"


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _policy_target(text: str, label: str, policy: PolicySource) -> tuple[list[str], PolicySource]:
    """The NICs that a policy argument is for, and the policy without the NIC's name."""
    try:
        nics = json.loads(text).get("nics", {})
    except (json.JSONDecodeError, AttributeError):
        return [], policy  # the core reports what is wrong, with its place
    if not isinstance(nics, dict) or not nics:
        return [], policy
    if isinstance(policy, str):
        nic, equals, name = policy.partition("=")
        if equals and nic in nics:
            return [nic], name
        if equals and "/" not in nic:
            raise InputError(f"{label}: --policy {policy}: no NIC is called '{nic}'; there are: {', '.join(nics)}")
    return list(nics), policy


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces: one text for one value."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_plain_json
    )


def core_source() -> str:
    """Hash of the C++ sources that the compiled module was built from."""
    from rxpool import _core

    return _core.build_info()["core_source"]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); a scenario is a JSON file") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _safe_stem(name: str) -> str:
    """A stem that is safe as a folder name everywhere."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "scenario"
