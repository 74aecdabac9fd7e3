"""The spool: received bytes, one file an instance, named by hashes and never by a received string."""

import contextlib
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from node.domain.arrivals import Arrival, Quarantined
from node.durable import write_durably
from node.errors import InputError
from node.receive.headers import digest_of, read_identity

_SPOOL = "spool"
_QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One C-STORE: file meta information and data set as they came."""

    #: Preamble, prefix and file meta information (PS3.10 7.1).
    file_meta: bytes
    data_set: bytes
    calling_ae: str


class Spool:
    """Puts received bytes on the disk, then reports them; only after both may the sender be told so.

    `report` makes its record durable and returns whether it held anything new.
    """

    def __init__(self, state_dir: Path, report: Callable[[Arrival | Quarantined], bool]) -> None:
        self._state_dir = state_dir
        self._report = report

    def take(self, received: Received) -> Arrival | Quarantined | None:
        """Keep one instance: as an arrival of its series, in quarantine with the reason, or None for a duplicate.

        On return the bytes and the report are durable. Raises OSError or JournalError when they are not.
        """
        taken = self._identify(received)
        write_durably(self._state_dir / taken.path, [received.file_meta, received.data_set])
        return taken if self._report(taken) else None

    @staticmethod
    def _identify(received: Received) -> Arrival | Quarantined:
        try:
            identity = read_identity(received.file_meta + received.data_set)
        except InputError as error:
            digest = digest_of("", received.file_meta + received.data_set)
            return Quarantined(
                digest=digest,
                path=f"{_QUARANTINE}/{digest}.dcm",
                code=error.code,
                text=str(error),
                calling_ae=received.calling_ae,
            )
        digest = digest_of(identity.transfer_syntax_uid, received.data_set)
        folder = hashlib.sha256(identity.series_uid.encode()).hexdigest()[:32]
        return Arrival(
            sop_instance_uid=identity.sop_instance_uid,
            sop_class_uid=identity.sop_class_uid,
            series_uid=identity.series_uid,
            study_uid=identity.study_uid,
            digest=digest,
            path=f"{_SPOOL}/{folder}/{digest}.dcm",
            calling_ae=received.calling_ae,
            own_result=identity.own_result,
        )


def sweep(folders: Iterable[Path], *, older_than_s: float, now_s: float) -> int:
    """Delete temporary files that a crash left behind; return how many. Times are seconds since the epoch."""
    deleted = 0
    for path in [part for folder in folders for part in folder.rglob(".*.part")]:
        with contextlib.suppress(FileNotFoundError):  # renamed in the meantime
            if now_s - path.stat().st_mtime > older_than_s:
                path.unlink()
                deleted += 1
    return deleted
