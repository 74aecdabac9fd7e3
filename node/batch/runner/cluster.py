"""Dask: workers on this machine, or a scheduler that somebody else has started."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import dask
from dask.system import cpu_count
from distributed import Client, LocalCluster
from distributed.security import Security

from node.batch.runner.options import RunOptions
from node.errors import BatchInterrupted

#: Dask's own types know nothing of types.
_new_client: Any = Client
_new_cluster: Any = LocalCluster
_new_security: Any = Security

_LOOPBACK = "127.0.0.1"
#: Of one try to reach a scheduler.
_TRY_S = 5.0
_PAUSE_S = 0.5

_SETTINGS = {
    # The claims of the cases know better which case ends its workers: all that wait at a worker are suspects to Dask.
    "distributed.scheduler.allowed-failures": 1000,
    # The pages and figures that every scheduler and worker serves over HTTP, to whoever asks.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # What Dask remembers of each task for its developers; a batch has a million.
    "distributed.admin.log-length": 100,
    "distributed.admin.low-level-log-length": 100,
    "distributed.admin.system-monitor.log-length": 100,
    "distributed.admin.system-monitor.gil.enabled": False,
    "distributed.diagnostics.computations.max-history": 1,
    "distributed.diagnostics.nvml": False,
    "distributed.worker.profile.enabled": False,
    # Dask has workers give freed memory back at once; the next layer of a network takes it again, page by page.
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": None,
    # There are no results to move or copy between workers, nor to spill.
    "distributed.scheduler.active-memory-manager.start": False,
}


def local_workers(options: RunOptions) -> int:
    """Return how many processes a batch starts on this machine."""
    return options.workers or len(options.devices) or cpu_count()


def threads_of_worker(options: RunOptions) -> int:
    """Return how many CPU threads a worker takes; 0 leaves it to the worker."""
    if options.threads or not options.local:
        return options.threads
    return max(1, cpu_count() // local_workers(options))


@contextlib.contextmanager
def connected(options: RunOptions) -> Iterator[Any]:
    """Give a client whose scheduler has answered. What is left at an error is ended, not waited for.

    Raises BatchInterrupted where no scheduler answers for `patience_s`.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with _on_this_machine(options) if options.local else _elsewhere(options) as client:
        yield client


@contextlib.contextmanager
def _on_this_machine(options: RunOptions) -> Iterator[Any]:
    """Start scheduler and workers. They speak TLS with keys made for them, so that no other user can give them work."""
    settings = dict(_SETTINGS)
    if options.dashboard is not None:
        del settings["distributed.scheduler.http.routes"]
    with dask.config.set(settings):
        cluster = _new_cluster(
            n_workers=local_workers(options),
            threads_per_worker=1,
            processes=True,
            host=_LOOPBACK,
            dashboard_address=options.dashboard or f"{_LOOPBACK}:0",
            scheduler_kwargs={"dashboard": options.dashboard is not None},
            security=_new_security.temporary(),
            silence_logs=logging.CRITICAL,
            memory_limit=0,
        )
        try:
            with _closing(_new_client(cluster, set_as_default=False)) as client:
                yield client
        except BaseException:
            _kill_workers(cluster)
            raise
        finally:
            cluster.close()


def _kill_workers(cluster: Any) -> None:
    """End the workers where they stand: a case that is not in the ledger is done anew."""
    for nanny in list(cluster.workers.values()):
        nanny.auto_restart = False
        if nanny.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(nanny.pid, signal.SIGKILL)


@contextlib.contextmanager
def _elsewhere(options: RunOptions) -> Iterator[Any]:
    with _closing(_reached(options)) as client:
        yield client


@contextlib.contextmanager
def _closing(client: Any) -> Iterator[Any]:
    try:
        yield client
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            client.close(timeout=_TRY_S)


def _reached(options: RunOptions) -> Any:
    until_s = time.monotonic() + options.patience_s
    while True:
        try:
            return _client(options)
        except (OSError, TimeoutError, ValueError) as error:  # ValueError: a scheduler file that is half written
            if time.monotonic() >= until_s:
                raise BatchInterrupted(
                    f"the scheduler at {options.scheduler or options.scheduler_file} does not answer; "
                    f"the same command goes on once it does"
                ) from error
        threading.Event().wait(_PAUSE_S)


def _client(options: RunOptions) -> Any:
    security = None
    if options.tls is not None:
        security = _new_security(
            tls_ca_file=str(options.tls.ca),
            tls_client_cert=str(options.tls.cert),
            tls_client_key=str(options.tls.key),
            require_encryption=True,
        )
    if options.scheduler_file is not None:
        options.scheduler_file.stat()  # Dask waits for a missing one without end
        return _new_client(
            scheduler_file=str(options.scheduler_file), timeout=_TRY_S, security=security, set_as_default=False
        )
    return _new_client(options.scheduler, timeout=_TRY_S, security=security, set_as_default=False)
