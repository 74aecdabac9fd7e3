"""How a batch is run."""

from dataclasses import dataclass
from pathlib import Path

from node.batch.runner.batch import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Who may speak with the scheduler: files in PEM, as `distributed.Security` takes them."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Where a batch computes, and what of it.

    `workers`: processes on this machine; 0: one for each device of `devices`, or else for each CPU.
    `scheduler`, `scheduler_file`: a Dask scheduler that somebody else has started, by its address or the file it wrote.
    """

    workers: int = 0
    #: CPU threads of a worker; 0: the CPUs of this machine shared out, or all that a worker elsewhere has.
    threads: int = 0
    #: CUDA devices of this machine, one a worker.
    devices: tuple[str, ...] = ()
    scheduler: str | None = None
    scheduler_file: Path | None = None
    tls: Tls | None = None
    #: How long a scheduler that is gone, or one without workers, is waited for.
    patience_s: float = 600.0
    #: Address of Dask's dashboard, such as "127.0.0.1:8787"; none without. Only for workers on this machine.
    dashboard: str | None = None
    shard: Shard | None = None
    #: Run what failed, and only that.
    only_failed: bool = False
    #: How often a case is tried whose error may pass.
    attempts: int = 2
    #: Do all anew where `out` holds the results of another task.
    anew: bool = False

    @property
    def local(self) -> bool:
        """Whether the workers are processes of this machine that the batch starts itself."""
        return self.scheduler is None and self.scheduler_file is None
