"""Delivery into a folder: <StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm, the files as they are."""

import errno
import hashlib
import os
from collections.abc import Generator, Sequence
from pathlib import Path

from node.deliver.destination import Answer, Confirmation, Parcel
from node.domain.commitment import CommitmentReport
from node.domain.identifiers import parse_uid
from node.durable import write_durably
from node.errors import (
    DeliveryError,
    DestinationMisconfigured,
    InvalidIdentifier,
    OutOfResources,
    PeerUnreachable,
    ResultDamaged,
    StoreRefused,
)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FileTreeDestination:
    """A folder, of a network share perhaps. It must be there: one made in its place would hide a lost mount."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        """Write `parcels`; on an answer the file is on the disk.

        Raises PeerUnreachable where there is no folder, DestinationMisconfigured where the node may not write there.
        """
        self._must_be_there()
        for parcel in parcels:
            yield Answer(parcel=parcel, error=self._write(parcel), note=None)

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        """Compare the files there with the results, by their digests. Raises what `deliver` raises."""
        self._must_be_there()
        for parcel in parcels:
            yield Confirmation(parcel=parcel, found=self._has(parcel))

    def ask_commitment(self, _transaction_uid: str, _parcels: Sequence[Parcel], /) -> CommitmentReport | None:
        """Raise DestinationMisconfigured: a folder commits to nothing."""
        raise DestinationMisconfigured("a folder knows no storage commitment")

    def reach(self) -> None:
        """Look whether the folder is there and may be written. Raises PeerUnreachable or DestinationMisconfigured."""
        self._must_be_there()
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise DestinationMisconfigured(f"{self._root} may not be written")

    def hang_up(self) -> None:
        """Do nothing: nobody is waited for here but the file system, which cannot be hurried."""

    def _must_be_there(self) -> None:
        if not self._root.is_dir():
            raise PeerUnreachable(f"{self._root} is not there")

    def _write(self, parcel: Parcel) -> DeliveryError | None:
        try:
            target = self._target(parcel)
            content = parcel.path.read_bytes()
        except InvalidIdentifier:
            return StoreRefused("a UID of this object is none, and becomes no file name")
        except OSError as error:
            return ResultDamaged(f"the result file cannot be read: {type(error).__name__}")
        try:
            if not target.is_file():
                write_durably(target, [content])
            elif target.read_bytes() != content:
                return StoreRefused(f"{self._root} has another file of this UID")
        except OSError as error:
            return self._failure(error)
        return None

    def _failure(self, error: OSError) -> DeliveryError:
        """Return what a failing file system means; raises what concerns the whole way."""
        words = os.strerror(error.errno or 0)
        if error.errno in _FULL:
            return OutOfResources(f"{self._root}: {words}")
        if error.errno in _FORBIDDEN:
            raise DestinationMisconfigured(f"{self._root}: {words}") from error
        raise PeerUnreachable(f"{self._root}: {words}") from error

    def _has(self, parcel: Parcel) -> bool:
        try:
            return _digest(self._target(parcel)) == _digest(parcel.path)
        except (InvalidIdentifier, FileNotFoundError):
            return False
        except OSError as error:
            raise self._failure(error) from error

    def _target(self, parcel: Parcel) -> Path:
        """Return where an object belongs. Raises InvalidIdentifier: what is no UID becomes no path."""
        study, series, instance = map(parse_uid, (parcel.study_uid, parcel.series_uid, parcel.sop_instance_uid))
        return self._root / study / series / f"{instance}.dcm"


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
