"""Sources whose input lies in files that every worker sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.assemble.headers import gather
from node.assemble.nifti import NiftiImage, read_nifti
from node.domain.series import Series
from node.errors import InputError, SystemFailed, UnsafeArchive
from node.receive.archive import unpack


@dataclass(frozen=True, slots=True)
class Folder:
    """Files of one folder, by name."""

    path: Path
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Zip:
    """Files of one zip, by the numbers that `unpack` gives them."""

    path: Path
    members: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFiles:
    """A DICOM series, whose files may lie in several folders and zips."""

    series_uid: str
    folders: tuple[Folder, ...]
    zips: tuple[Zip, ...]

    def load(self, scratch: Path) -> Series:
        """Return the series; what lies in zips is unpacked below `scratch`.

        Raises InputError, also for one damaged file of the series: without its slice it is another series. SystemFailed
        where a file cannot be read.
        """
        try:
            paths = [folder.path / name for folder in self.folders for name in folder.names]
            for number, archive in enumerate(self.zips):
                inner = scratch / f"zip-{number}"
                inner.mkdir(parents=True, exist_ok=True)
                paths += unpack(archive.path, inner, frozenset(archive.members))
            return series_among(paths, self.series_uid)
        except OSError as error:
            raise SystemFailed(f"a file of the series cannot be read: {type(error).__name__}") from error


def series_among(paths: Sequence[Path], series_uid: str) -> Series:
    """Return the series `series_uid`, of which `paths` are the files.

    Raises InputError where it is not there, and the error of a file that is damaged. OSError passes.
    """
    found, unreadable = gather(paths)
    if unreadable:
        raise unreadable[0].error
    for series in found:
        if series.series_instance_uid == series_uid:
            return series
    raise InputError("the series is no longer in the files where it was found")


@dataclass(frozen=True, slots=True)
class NiftiFile:
    """A NIfTI image."""

    path: Path

    def load(self, _scratch: Path) -> NiftiImage:
        """Return the image as it is stored. Raises NiftiRefused, or SystemFailed where it cannot be read."""
        try:
            return read_nifti(self.path)
        except OSError as error:
            raise SystemFailed(f"the image cannot be read: {type(error).__name__}") from error


@dataclass(frozen=True, slots=True)
class RefusedZip:
    """A zip that was not looked into, so that the ledger has its name."""

    text: str

    def load(self, _scratch: Path) -> Series:
        """Raise UnsafeArchive."""
        raise UnsafeArchive(self.text)
