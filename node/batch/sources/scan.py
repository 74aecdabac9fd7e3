"""Looks at every file below some folders, and puts into an index what it is."""

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from node.assemble.nifti import is_nifti
from node.batch.runner import batch, ledger
from node.batch.sources.identity import series_of_file, series_of_zip
from node.batch.sources.index import Index, Unit
from node.batch.sources.keys import key_of
from node.domain.case import Reason
from node.errors import InputError, NodeError, SystemFailed, UnsafeArchive

#: Told how many files have been looked at.
Progress = Callable[[int], None]

#: Changed with the rules of what a file is: an index made by others is not believed.
_RULES = 1
#: Files that are looked at together; their names are all that is kept of a folder.
_FILES_A_TIME = 512
#: Folders within folders; each holds a listing open.
_DEEPEST = 64
#: Reading a header waits for the disk or the network.
_THREADS = 8


@dataclass(frozen=True, slots=True)
class _Look:
    """What became of one file."""

    name: str
    #: (number in the zip, Series Instance UID).
    instances: tuple[tuple[int | None, str], ...] = ()
    skipped: tuple[tuple[int | None, NodeError], ...] = ()
    nifti: bool = False
    #: Why it is a zip that is not looked into.
    refusal: str | None = None

    @property
    def again(self) -> bool:
        """Whether another time may find more: the machine failed, not the data."""
        return any(isinstance(error, SystemFailed) for _, error in self.skipped)


def scan(paths: Sequence[Path], index: Index, progress: Progress) -> None:
    """Bring `index` up to what lies at `paths`. Links are followed; hidden files and folders are skipped by name.

    Raises InputError for a path that does not exist.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        scanner = _Scanner(index, pool, progress)
        for root in _roots(paths):
            if root.is_dir():
                scanner.folder(root, root, ())
            else:
                scanner.file(root)
    index.end()


def _roots(paths: Sequence[Path]) -> list[Path]:
    """Return the paths, absolute and sorted, without those that lie within others. Raises InputError."""
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
    every = sorted({Path(os.path.abspath(path)) for path in paths})  # noqa: PTH100 - links stay as they are
    return [path for path in every if not any(outer in every for outer in path.parents)]


class _Scanner:
    def __init__(self, index: Index, pool: ThreadPoolExecutor, progress: Progress) -> None:
        self._index = index
        self._pool = pool
        self._progress = progress
        self._done = 0

    def file(self, path: Path) -> None:
        """Look at one file that was named."""
        unit = self._index.begin(path.parent, path.name, _signature(path.parent, iter([(path.name, path.stat())])))
        if unit is not None:
            unit.end(again=self._look(unit, path.parent, path.parent, [path.name]))

    def folder(self, folder: Path, root: Path, above: tuple[tuple[int, int], ...]) -> None:
        """Look at a folder and at all below it. `above`: device and inode of the folders that it lies in."""
        try:
            about = folder.stat()
            place = (about.st_dev, about.st_ino)
            if (why := _why_not(folder, place, above)) is not None:
                self._skip(folder, InputError(why))
                return
            unit = self._index.begin(folder, "", _signature(root, _listed(folder)))
            if unit is not None:
                self._read(unit, folder, root)
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir() and not entry.name.startswith("."):
                        self.folder(folder / entry.name, root, (*above, place))
        except OSError as error:
            self._skip(folder, SystemFailed(f"a folder cannot be read: {type(error).__name__}"))

    def _read(self, unit: Unit, folder: Path, root: Path) -> None:
        """Look at the files of one folder."""
        again = False
        names = (entry.name for entry in _files(folder))
        while chunk := list(islice(names, _FILES_A_TIME)):
            again |= self._look(unit, folder, root, chunk)
        with os.scandir(folder) as entries:
            for entry in entries:
                if (why := _odd(entry)) is not None:
                    unit.add_skipped(entry.name, None, Reason.of(InputError(why)))
        unit.end(again=again)

    def _look(self, unit: Unit, folder: Path, root: Path, names: Sequence[str]) -> bool:
        """Add files to the index; return whether some could not be read now."""
        parts = [part for number in range(_THREADS) if (part := names[number::_THREADS])]
        looks = [look for part in self._pool.map(lambda part: _looks(folder, part), parts) for look in part]
        unit.add_instances((look.name, member, series) for look in looks for member, series in look.instances)
        for look in looks:
            for member, error in look.skipped:
                unit.add_skipped(look.name, member, Reason.of(error))
            if look.nifti or look.refusal is not None:
                unit.add_named(key_of((folder / look.name).relative_to(root)), look.name, look.refusal)
        self._index.commit_now_and_then()
        self._done += len(names)
        self._progress(self._done)
        return any(look.again for look in looks)

    def _skip(self, folder: Path, error: NodeError) -> None:
        """Note a folder that is not looked into."""
        unit = self._index.begin(folder.parent, f"{folder.name}/", "")
        if unit is not None:
            unit.add_skipped(folder.name, None, Reason.of(error))
            unit.end(again=True)


def _why_not(folder: Path, place: tuple[int, int], above: tuple[tuple[int, int], ...]) -> str | None:
    """Return why a folder is not looked into; None where it is."""
    if place in above:
        return "a link to a folder that it lies in"
    if len(above) >= _DEEPEST:
        return f"folders nest deeper than {_DEEPEST}"
    if (folder / batch.FILE).is_file() and (folder / ledger.FOLDER).is_dir():
        return "the results of a batch"
    return None


def _looks(folder: Path, names: Sequence[str]) -> list[_Look]:
    return [_look(folder / name) for name in names]


def _look(path: Path) -> _Look:
    """Say what a file is."""
    if is_nifti(path):
        return _Look(path.name, nifti=True)
    try:
        if path.suffix.lower() == ".zip":
            return _look_into(path)
        return _Look(path.name, instances=((None, series_of_file(path)),))
    except UnsafeArchive as error:
        return _Look(path.name, refusal=str(error))
    except InputError as error:
        return _Look(path.name, skipped=((None, error),))
    except OSError as error:
        return _Look(path.name, skipped=((None, SystemFailed(f"cannot be read: {type(error).__name__}")),))


def _look_into(path: Path) -> _Look:
    """Say what a zip holds. Raises UnsafeArchive; OSError passes."""
    instances: list[tuple[int | None, str]] = []
    skipped: list[tuple[int | None, NodeError]] = []
    for number, found in series_of_zip(path):
        if isinstance(found, InputError):
            skipped.append((number, found))
        else:
            instances.append((number, found))
    if not (instances or skipped):
        skipped.append((None, InputError("an empty archive")))
    return _Look(path.name, instances=tuple(instances), skipped=tuple(skipped))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a folder that are not hidden, links followed, in no order. OSError passes."""
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith(".") and entry.is_file())


def _listed(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Yield name and state of the files of a folder; one that goes away meanwhile was not there."""
    for entry in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            yield entry.name, entry.stat()


def _odd(entry: os.DirEntry[str]) -> str | None:
    """Return why an entry is not looked at; None where it is."""
    if entry.name.startswith("."):
        return "a hidden file or folder"
    if entry.is_file() or entry.is_dir():
        return None
    return "a link that leads nowhere" if entry.is_symlink() else "neither a file nor a folder"


def _signature(root: Path, files: Iterator[tuple[str, os.stat_result]]) -> str:
    """Return what changes with a file that is added, taken away or changed; the order of the files does not matter."""
    total, count = 0, 0
    for name, about in files:
        line = b"%b\0%d\0%d" % (os.fsencode(name), about.st_size, about.st_mtime_ns)
        total += int.from_bytes(hashlib.blake2b(line, digest_size=16).digest())
        count += 1
    place = hashlib.blake2b(os.fsencode(root), digest_size=16).hexdigest()
    return f"{_RULES}-{place}-{count}-{total % (1 << 128):032x}"
