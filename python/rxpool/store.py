"""The store: one folder per run, every file a function of the inputs except ``context.json``.

``<stem>-<16 hex>/`` holds ``scenario.json``, ``manifest.json``, ``replications/NNNN.parquet``, ``metrics.parquet``,
``series.parquet`` and ``context.json``. A replication's file appears by rename when it is finished and is never run
again; the merged files are made from them. A process that dies loses the replications it was running.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rxpool.errors import InputError
from rxpool.files import FolderLock, atomic_file, remove_temporary, storage_error, write_atomic
from rxpool.record import Replication
from rxpool.result import Result
from rxpool.scenario import Scenario, core_source

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
"""Number of the folder's layout, in ``manifest.json``."""


_MANIFEST_KEYS = frozenset({"run", "scenario", "policy", "digest", "core_source", "files", "replications"})


@dataclass(frozen=True)
class Store:
    """The folder that holds run folders, ``./runs`` by default."""

    root: Path = Path("runs")

    def __post_init__(self) -> None:
        """A text is a path too."""
        object.__setattr__(self, "root", Path(self.root))

    def folder(self, scenario: Scenario) -> RunFolder:
        """The run folder of a scenario; nothing is made yet."""
        return RunFolder(self.root / scenario.run_name)

    def study_folder(self, name: str) -> Path:
        """The folder of a sweep or a tuning, made where it is new; ``*`` over the runs does not meet it."""
        return make_folder(self.root / ".studies" / name)


@dataclass(frozen=True)
class RunFolder:
    """One run's folder. Reading needs no lock; whoever writes holds the lock that :meth:`open` gives."""

    path: Path

    def open(self, scenario: Scenario, *, wait: bool = True) -> FolderLock | None:
        """Makes the folder if it is new and locks it for writing; the caller closes the lock.

        Where another process is writing, waits for it, or returns None unless ``wait``. Raises :class:`InputError` for
        a folder that another version made, a name that is taken, or a full disk.
        """
        while True:
            make_folder(self.path / "replications")
            lock = FolderLock.take(self.path, wait=wait)
            if lock is None:
                return None
            if lock.holds(self.path):
                break
            lock.close()
        try:
            remove_temporary(self.path)
            remove_temporary(self.path / "replications")
            self._begin(scenario)
        except BaseException:
            lock.close()
            raise
        return lock

    def _begin(self, scenario: Scenario) -> None:
        if (self.path / "manifest.json").exists():
            digest = self.manifest()["digest"]
            if digest != scenario.digest:
                raise InputError(f"{self.path}: holds another scenario (digest {digest[:16]}…); move it away")
            if self._content() is None:
                write_atomic(self.path / "scenario.json", _json_bytes(scenario.content()))
            return
        write_atomic(self.path / "scenario.json", _json_bytes(scenario.content()))
        self._write_manifest(scenario, {})

    def _content(self) -> dict[str, Any] | None:
        """``scenario.json``; None where it is missing or damaged."""
        try:
            content = json.loads((self.path / "scenario.json").read_bytes())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write_manifest(self, scenario: Scenario, fingerprints: dict[int, str]) -> None:
        manifest = {
            "format": FORMAT,
            "run": self.path.name,
            "scenario": scenario.name,
            "policy": scenario.policy,
            "digest": scenario.digest,
            "core_source": core_source(),
            "files": scenario.file_digests,
            "replications": {f"{index:04d}": fingerprints[index] for index in sorted(fingerprints)},
        }
        data = _json_bytes(manifest)
        path = self.path / "manifest.json"
        if not path.exists() or path.read_bytes() != data:
            write_atomic(path, data)

    def discard_empty(self) -> None:
        """Removes the folder if no replication of it is finished; only for whoever holds its lock."""
        if not self.finished():
            shutil.rmtree(self.path, ignore_errors=True)

    def manifest(self) -> dict[str, Any]:
        """``manifest.json``; raises :class:`InputError` where it is missing, damaged or of another format."""
        path = self.path / "manifest.json"
        try:
            manifest: dict[str, Any] = json.loads(path.read_bytes())
            version = manifest["format"]
            if version == FORMAT and not (manifest.keys() >= _MANIFEST_KEYS and isinstance(manifest["files"], dict)):
                raise ValueError
        except FileNotFoundError:
            raise InputError(f"{self.path}: not a run folder (no manifest.json)") from None
        except OSError as error:
            raise storage_error(path, error) from error
        except (ValueError, KeyError, TypeError):
            raise InputError(f"{path}: damaged; move the folder away and run again") from None
        if version != FORMAT:
            raise InputError(
                f"{path}: store format {version}, this rxpool reads format {FORMAT}; give another --out or use the "
                "version that wrote it"
            )
        return manifest

    def replication_path(self, index: int) -> Path:
        """Where one replication is kept."""
        return self.path / "replications" / f"{index:04d}.parquet"

    def finished(self) -> list[int]:
        """Numbers of the finished replications, in order."""
        try:
            names = [p.name for p in (self.path / "replications").iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(m[1]) for name in names if (m := re.fullmatch(r"(\d{4,})\.parquet", name)))

    def write(self, replication: Replication) -> None:
        """Keeps one finished replication."""
        write_atomic(self.replication_path(replication.replication), parquet_bytes(replication.to_arrow()))

    def read(self, index: int) -> Replication:
        """Reads one finished replication back; CPU seconds are not among it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.replication_path(index)
        try:
            return Replication.from_arrow(pq.read_table(path, page_checksum_verification=True))
        except FileNotFoundError:
            raise InputError(f"{path}: missing; run the scenario again") from None
        except OSError as error:
            if error.errno is not None:
                raise storage_error(path, error) from error
            raise _damaged(path) from None  # what Arrow raises for bytes that zstd or thrift cannot read
        except (pa.ArrowException, ArithmeticError, LookupError, TypeError, ValueError):
            raise _damaged(path) from None

    def merge(self, scenario: Scenario, fresh: Iterable[Replication] = ()) -> None:
        """Writes ``metrics.parquet``, ``series.parquet`` and the manifest from every finished replication."""
        import pyarrow.compute as pc

        known = {r.replication: r for r in fresh}
        fingerprints = {}
        labels = {"run": self.path.name, "scenario": scenario.name, "policy": scenario.policy}
        with (
            atomic_file(self.path / "metrics.parquet") as metrics_file,
            atomic_file(self.path / "series.parquet") as series_file,
        ):
            metrics = _RowGroups(metrics_file, _long_schema(False))
            series = _RowGroups(series_file, _long_schema(True))
            for index in self.finished():
                replication = known.get(index) or self.read(index)
                fingerprints[index] = f"{replication.fingerprint:016x}"
                table = replication.to_arrow()
                is_metric = pc.is_null(table.column("time_ns"))
                metrics.add(_labelled(table.filter(is_metric), labels, index, False))
                if replication.series:
                    series.add(_labelled(table.filter(pc.invert(is_metric)), labels, index, True))
            metrics.close()
            series.close()
        self._write_manifest(scenario, fingerprints)

    def merged_current(self) -> bool:
        """Whether the merged files cover exactly the finished replications."""
        numbers = [int(index) for index in self.manifest()["replications"]]
        return numbers == self.finished() and (self.path / "metrics.parquet").exists()

    def write_context(self, context: dict[str, Any]) -> None:
        """Writes ``context.json``: date, host, compiler, speed."""
        write_atomic(self.path / "context.json", _json_bytes(context))

    def context(self) -> dict[str, Any]:
        """``context.json``, or nothing where it was not written."""
        try:
            value = json.loads((self.path / "context.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def load(self, count: int | None = None) -> Result:
        """The stored result: the first ``count`` replications, or all that are finished."""
        manifest = self.manifest()
        finished = self.finished() if count is None else list(range(count))
        if not finished:
            raise InputError(f"{self.path}: holds no finished replication; run the scenario again")
        content = self._content()
        if content is None:
            raise InputError(f"{self.path / 'scenario.json'}: missing or damaged; run the scenario again")
        scenario = StoredScenario(
            name=manifest["scenario"],
            text=json.dumps({**content, "replications": len(finished)}),
            folder=str(self.path),
            source=str(self.path),
            stored_digest=manifest["digest"],
            stored_files=manifest["files"],
        )
        context = self.context()
        replications = tuple(with_cpu_seconds(self.read(i), context) for i in finished)
        return Result(scenario, replications, context, str(self.path))


@dataclass(frozen=True)
class StoredScenario(Scenario):
    """A scenario read from a run folder: its digest is the stored one, its files need not be there any more."""

    stored_digest: str = ""
    stored_files: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest under which the run was stored."""
        return self.stored_digest

    @property
    def file_digests(self) -> dict[str, str]:
        """SHA-256 of the files as they were when it ran."""
        return self.stored_files


class _RowGroups:
    """Writes labelled tables to one Parquet file in row groups of about 64 Ki rows, always cut at the same places."""

    ROWS = 1 << 16

    def __init__(self, stream: IO[bytes], schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(stream, schema, compression="zstd", write_page_checksum=True)
        self._parts: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        self._parts.append(table)
        if sum(len(part) for part in self._parts) >= self.ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._parts:
            self._writer.write_table(pa.concat_tables(self._parts).combine_chunks())
            self._parts.clear()


def _labelled(table: pa.Table, labels: dict[str, str], index: int, series: bool) -> pa.Table:
    """The table with run, scenario, policy and replication before its own columns."""
    import pyarrow as pa

    schema = _long_schema(series)
    columns: dict[str, Any] = {name: table.column(name) for name in table.column_names}
    columns |= {name: pa.repeat(label, len(table)) for name, label in labels.items()}
    columns["replication"] = pa.repeat(pa.scalar(index, pa.int32()), len(table))
    return pa.Table.from_arrays([columns[f.name].cast(f.type) for f in schema], schema=schema)


def _long_schema(series: bool) -> pa.Schema:
    """Columns of the merged files: plain strings and numbers that any Parquet reader knows."""
    import pyarrow as pa

    fields = [(name, pa.string()) for name in ("run", "scenario", "policy")]
    fields += [("replication", pa.int32())]
    fields += [(name, pa.string()) for name in ("component", "metric", "unit")]
    if series:
        fields += [("time_ns", pa.int64())]
    return pa.schema([*fields, ("value", pa.float64())], metadata={"rxpool_schema": "1"})


def with_cpu_seconds(replication: Replication, context: dict[str, Any]) -> Replication:
    """The replication with the CPU seconds that ``context.json`` keeps for it."""
    seconds = context.get("cpu_seconds", {}).get(f"{replication.replication:04d}")
    return replace(replication, loop_cpu_seconds=seconds)


def load_run(path: str | PathLike[str]) -> Result:
    """Reads a stored run: a run folder, or a name (or the unique beginning of one) under ``./runs``."""
    return RunFolder(find_run(path)).load()


def find_run(path: str | PathLike[str], root: Path = Path("runs")) -> Path:
    """The run folder that a text means: a path, or the unique beginning of a name in ``root``.

    Raises :class:`InputError` where there is none, or several.
    """
    direct = Path(path)
    if direct.is_dir():
        return direct
    matches = sorted(p for p in root.glob("*/") if p.name.startswith(str(path)))
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"{path}: several runs begin so: {', '.join(p.name for p in matches[:5])}")
    raise InputError(f"{path}: no such run folder, nor a run in {root}/ whose name begins so")


def make_folder(path: Path) -> Path:
    """Makes a folder and those above it. Raises :class:`InputError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    return path


def parquet_bytes(table: pa.Table) -> bytes:
    """A table as Parquet in memory; equal tables give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", store_schema=True, write_page_checksum=True)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _damaged(path: Path) -> InputError:
    return InputError(f"{path}: damaged; delete it and run the scenario again")


def _json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
