"""Writing files so that a reader sees the whole of one or nothing, whatever happens to the writer."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from rxpool.errors import ExitCode, InputError

_TEMPORARY = ".tmp-"
IN_A_STORE = "free some space or give another --out, then run again: finished replications are kept"
"""What helps where a store's disk is full."""

ELSEWHERE = "free some space, or write the file elsewhere"
"""What helps where a single file finds no room."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def atomic_file(path: Path, advice: str = IN_A_STORE) -> Iterator[IO[bytes]]:
    """A binary file that appears at ``path`` by rename when the block ends, and not at all when it fails.

    Data is on the disk before the name is. A full disk is an :class:`InputError` with exit code 5 and that ``advice``.
    """
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    try:
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise storage_error(path, error, advice) from error


def write_atomic(path: Path, data: bytes, advice: str = IN_A_STORE) -> None:
    """Writes a whole file at once (see :func:`atomic_file`)."""
    with atomic_file(path, advice) as file:
        file.write(data)


@dataclass
class FolderLock:
    """An exclusive lock on a folder, held by one process until it closes it or ends."""

    descriptor: int

    @classmethod
    def take(cls, folder: Path, *, wait: bool) -> FolderLock | None:
        """Takes the lock; None where another process has it and ``wait`` is false."""
        try:
            descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise storage_error(folder, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor)

    def holds(self, folder: Path) -> bool:
        """Whether the folder is still the one that was locked; another process may have removed it meanwhile."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), (folder / ".lock").stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        """Lets the next process in."""
        os.close(self.descriptor)


def check_writable(path: Path) -> None:
    """Raises :class:`InputError` for a path at which no file can be written, before work is done for it."""
    folder = path.parent
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file")
    if not folder.is_dir():
        raise InputError(f"{path}: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {folder} is not writable")


def remove_temporary(folder: Path) -> None:
    """Removes what a killed writer left behind; only for whoever holds the folder's lock."""
    for path in folder.glob(f"{_TEMPORARY}*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(path: Path, error: OSError, advice: str = IN_A_STORE) -> InputError:
    """The one-line error for a file that cannot be written or read."""
    if error.errno in _NO_SPACE:
        return InputError(f"{path}: {error.strerror}; {advice}", ExitCode.LIMIT)
    return InputError(f"{path}: {error.strerror or error}")
