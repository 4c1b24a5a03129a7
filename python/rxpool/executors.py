"""Where replications run: local processes, or a Dask cluster. Results are the same bit for bit.

Any other ``concurrent.futures.Executor`` can be passed to ``run``, ``compare``, ``sweep`` and ``tune`` from Python.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from rxpool.errors import ExitCode, InputError


@contextmanager
def dask_executor(address: str, certificates: dict[str, str] | None = None) -> Iterator[Executor]:
    """The executor of the Dask cluster whose scheduler listens at ``address`` (``tls://host:port`` or ``tcp://…``).

    ``certificates`` are Dask's own keys (``tls_ca_file``, ``tls_client_cert``, ``tls_client_key``); without them those
    of Dask's configuration are used (``DASK_DISTRIBUTED__COMM__TLS__…``). A task whose
    worker died is run again elsewhere. Workers need the same rxpool, and the scenario's folder at the same path.
    Raises :class:`InputError` (exit 3) when nobody answers or a worker was built from other sources.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError:
        raise InputError("--dask needs the packages dask and distributed: pip install 'rxpool[cluster]'") from None
    _check_listening(address)
    security = distributed.Security(require_encryption=True, **certificates) if certificates else None
    try:
        client = distributed.Client(address, security=security, timeout="10s", set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"--dask {address}: {error or 'no answer'}", ExitCode.NOT_AVAILABLE) from None
    try:
        yield client_executor(client, f"--dask {address}")
    finally:
        client.close()


def client_executor(client: Any, name: str = "the Dask cluster") -> Executor:
    """The executor of a connected ``distributed.Client``, for clusters that Dask's own packages start.

    Raises :class:`InputError` (exit 3) unless there is a worker and all of them run this very core.
    """
    _check_workers(client, name)
    return _ClusterExecutor(client)


class _ClusterExecutor(Executor):
    """A cluster as an executor.

    Dask's own (``Client.get_executor``) asks for a task's state after its result, and takes a result for an error whose
    worker died in between; ``result()`` has such a task run again.
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def worker_count(self) -> int:
        """How many workers the scheduler has now."""
        return len(self._client.scheduler_info()["workers"])

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hands the call to the scheduler; a cancelled future cancels the task."""
        task = self._client.submit(fn, *args, pure=False, **kwargs)
        future: Future[Any] = Future()
        future.add_done_callback(lambda done: task.cancel() if done.cancelled() else None)
        task.add_done_callback(partial(_settle, future))
        return future


def _settle(future: Future[Any], task: Any) -> None:
    """Hands a task's outcome on; runs in a thread of the client's."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(task.result())
    except BaseException as error:
        cancelled = type(error).__name__ in ("CancelledError", "FutureCancelledError")
        future.set_exception(CancelledError() if cancelled else error)


def _check_listening(address: str) -> None:
    """Raises :class:`InputError` where nobody listens: a Dask client would be left half made, and say so at exit."""
    scheme, _, rest = address.rpartition("://")
    host, colon, port = rest.rpartition(":")
    if scheme == "inproc":
        return
    if not (host and colon and port.isdigit()):
        raise InputError(f"--dask {address}: write it as tls://host:port or tcp://host:port")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise InputError(f"--dask {address}: {error or 'no answer'}", ExitCode.NOT_AVAILABLE) from None


def is_private(address: str) -> bool:
    """Whether nobody else can listen in: TLS, this machine's loopback, or a scheduler in this process."""
    scheme, _, rest = address.rpartition("://")
    host = rest.rpartition(":")[0].strip("[]") if ":" in rest else rest
    return scheme in ("tls", "inproc") or host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: whoever answers the lookup decides where it leads
        return False


def _check_workers(client: Any, name: str) -> None:
    """All workers run this very core, or their results could not be told apart from ours."""
    from rxpool.scenario import core_source

    sources = client.run(core_source, on_error="return")
    if not sources:
        raise InputError(f"{name}: the cluster has no workers", ExitCode.NOT_AVAILABLE)
    for worker, source in sources.items():
        if isinstance(source, BaseException):
            raise InputError(f"{name}: worker {worker} has no rxpool: {source}", ExitCode.NOT_AVAILABLE)
        if source != core_source():
            raise InputError(f"{name}: worker {worker} has another rxpool; install this version there")
