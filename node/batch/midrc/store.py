"""The bytes of a download: in folders, in zips, and in zips within these. Zips are read with suspicion."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from node.batch.midrc.exam import Place
from node.batch.midrc.names import is_junk
from node.errors import InputError, UnsafeArchive
from node.receive.archive import OpenArchive

#: A series of the largest pictures takes a tenth of it.
MOST_SERIES_BYTES = 2 << 30
_MOST_INSTANCES = 20_000
_MOST_FILE_BYTES = 4 << 30
_SUFFIXES = (".nii.gz", ".nii", ".tsv", ".zip")


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A file of a series on this machine. `whole` is false where only its head was copied and the rest is a hole."""

    name: str
    path: Path
    whole: bool = True


class Store:
    """Takes files out of folders and zips; each zip of the download is opened once. A context manager."""

    def __init__(self) -> None:
        self._archives: dict[Path, OpenArchive] = {}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the zips."""
        for archive in self._archives.values():
            archive.close()
        self._archives.clear()

    def archive(self, path: Path) -> OpenArchive:
        """Return the zip at `path`, opened. Raises UnsafeArchive; InputError where there is none."""
        if path not in self._archives:
            if not path.is_file():
                raise InputError(f"{path}: no such file")
            self._archives[path] = OpenArchive(path)
        return self._archives[path]

    def local(self, place: Place, scratch: Path) -> Path:
        """Return the file or folder at `place`; what lies in a zip is copied below `scratch`, under a new name.

        Raises InputError where it is not there or leads elsewhere, and UnsafeArchive.
        """
        if place.container.is_dir():
            return _within(place)
        archive = self.archive(place.container)
        if place.name in archive.files:
            path = Path(tempfile.mkdtemp(dir=scratch)) / f"file{_suffix(place.name)}"
            archive.copy(place.name, path, _MOST_FILE_BYTES)
            return path
        inside = [name for name in archive.files if name.startswith(f"{place.name}/")]
        if not inside:
            raise InputError(f"{place.container}: holds no {place.name}")
        folder = Path(tempfile.mkdtemp(dir=scratch))
        _copied(archive, inside, folder, None)
        return folder

    def head(self, place: Place, scratch: Path, size: int) -> Path:
        """Return a file that begins as the one at `place` and may end early, or the file itself. Raises as `local`."""
        if place.container.is_dir():
            return _within(place)
        archive = self.archive(place.container)
        if place.name not in archive.files:
            raise InputError(f"{place.container}: holds no {place.name}")
        if archive.files[place.name] > _MOST_FILE_BYTES:
            raise UnsafeArchive(f"{place.container}: a file in it claims more than {_MOST_FILE_BYTES >> 30} GiB")
        path = Path(tempfile.mkdtemp(dir=scratch)) / f"file{_suffix(place.name)}"
        archive.copy_head(place.name, path, size)
        return path

    def instances(self, place: Place, scratch: Path, head: int | None = None) -> tuple[Copied, ...]:
        """Return the files of the series at `place`, a zip or a folder, without what operating systems left there.

        `head`: bytes of each that are enough; None for all of them. Raises as `local`.
        """
        if not place.container.is_dir():
            archive = self.archive(place.container)
            inside = [name for name in archive.files if name.startswith(f"{place.name}/")]
            if inside:
                return _copied(archive, inside, Path(tempfile.mkdtemp(dir=scratch)), head)
        local = self.local(place, scratch)
        if local.is_dir():
            files = sorted(path for path in local.rglob("*") if path.is_file())
            named = [(path.relative_to(local), path) for path in files]
            return tuple(
                Copied(name=name.as_posix(), path=path) for name, path in named if not is_junk(PurePosixPath(name))
            )
        with OpenArchive(local) as archive:
            return _copied(archive, list(archive.files), Path(tempfile.mkdtemp(dir=scratch)), head)


def _copied(archive: OpenArchive, names: Sequence[str], folder: Path, head: int | None) -> tuple[Copied, ...]:
    """Copy files of a zip into `folder` under numbers."""
    wanted = [name for name in names if not is_junk(PurePosixPath(name))]
    sizes = archive.files
    if len(wanted) > _MOST_INSTANCES or sum(sizes[name] for name in wanted) > MOST_SERIES_BYTES:
        raise UnsafeArchive(f"a series of more than {_MOST_INSTANCES} files or {MOST_SERIES_BYTES >> 30} GiB")
    copied = []
    for number, name in enumerate(wanted):
        path, whole = folder / f"{number:06d}", True
        if head is None:
            archive.copy(name, path, MOST_SERIES_BYTES)
        else:
            whole = archive.copy_head(name, path, head)
        copied.append(Copied(name=name, path=path, whole=whole))
    return tuple(copied)


def _within(place: Place) -> Path:
    path = place.container / place.name
    if ".." in PurePosixPath(place.name).parts or PurePosixPath(place.name).is_absolute():
        raise InputError("the place of a file leads out of its folder")
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    return path


def _suffix(name: str) -> str:
    return next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), "")
