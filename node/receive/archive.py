"""Zip archives of DICOM files or of a trained model, unpacked with suspicion."""

import errno
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from node.errors import UnsafeArchive

_MOST_FILES = 200_000
#: Ten trained networks with the validation images of each fold stay far below.
_MOST_FILES_IN_TREE = 20_000
_DEEPEST = 16
_LONGEST_NAME = 255
_MOST_BYTES = 32 << 30
_CHUNK = 1 << 20
#: Disk that is left to others.
_RESERVE = 512 << 20

#: What zipfile and its decompressors raise for damaged bytes.
_DAMAGED = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
    IndexError,
    ValueError,
    OverflowError,
)
#: The same as an OSError: bz2 gives no number, a seek before the start of the file EINVAL.
_DAMAGED_ERRNO = (None, errno.EINVAL)
#: A file where an earlier entry made a folder, or the other way round.
_CLASH_ERRNO = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What an archive may unpack to."""

    files: int
    #: In bytes.
    size: int


def unpack(
    archive: Path, folder: Path, only: Container[int] | None = None, limits: Limits | None = None
) -> tuple[Path, ...]:
    """Unpack the files of a zip into `folder` and return them; their names are numbers, the archive's are not used.

    `only`: the numbers that are wanted, from 0 in the order of the archive; None for all.
    Raises UnsafeArchive when it is no zip, is damaged or encrypted, or unpacks to more than `limits` allows: 200,000
    files and 32 GiB where nobody asks for less.
    """
    limits = limits or Limits(files=_MOST_FILES, size=_MOST_BYTES)
    unpacked: list[Path] = []
    left = limits.size
    with _opened(archive, limits.files) as content:
        for number, entry in _files(content):
            if only is not None and number not in only:
                continue
            path = folder / f"{number:06d}"
            left -= _copy(content, entry, path, left)
            unpacked.append(path)
    return tuple(unpacked)


def heads(archive: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the first `size` bytes of each file of a zip, with the number that `unpack` gives it; nothing is unpacked.

    Raises UnsafeArchive when it is no zip, is damaged or encrypted, or has more than 200,000 files.
    """
    with _opened(archive, _MOST_FILES) as content:
        for number, entry in _files(content):
            with content.open(entry) as source:
                head = source.read(size)
            yield number, head


def unpack_tree(archive: Path, folder: Path) -> None:
    """Unpack a zip into `folder`, which is empty, under the names that the archive gives.

    Raises UnsafeArchive as `unpack` does, with 20,000 files as the most; and for a name that leaves the folder, is
    there twice, or is anything but a plain file or folder, such as a link.
    """
    left = _MOST_BYTES
    with _opened(archive, _MOST_FILES_IN_TREE) as content:
        for entry in content.infolist():
            path = folder / _safe_name(archive, entry)
            if entry.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                raise UnsafeArchive(f"{archive}: a name is there twice")
            left -= _copy(content, entry, path, left)


def _files(content: zipfile.ZipFile) -> Iterator[tuple[int, zipfile.ZipInfo]]:
    return enumerate(entry for entry in content.infolist() if not entry.is_dir())


class OpenArchive:
    """A zip that stays as it is and whose files are read one by one. No name in it is ever used as a path.

    A context manager. Raises UnsafeArchive, on opening for what `unpack_tree` refuses, on reading for what is damaged
    or larger than it may be.
    """

    def __init__(self, archive: Path) -> None:
        """Open it and read its directory."""
        self._archive = archive
        self._closing = ExitStack()
        self._content = self._closing.enter_context(_opened(archive, _MOST_FILES))
        try:
            self._entries = self._listed()
        except UnsafeArchive:
            self.close()
            raise
        self._sizes = {name: entry.file_size for name, entry in self._entries.items()}

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close the zip."""
        self.close()

    def close(self) -> None:
        """Close the zip."""
        self._closing.close()

    @property
    def files(self) -> Mapping[str, int]:
        """The files by name, with slashes, in the order of the archive: the sizes in bytes that it claims."""
        return self._sizes

    def copy(self, name: str, path: Path, most: int) -> None:
        """Copy the file `name`, of at most `most` bytes, to `path`. Raises KeyError where it is not there."""
        entry = self._entries[name]
        with _telling(self._archive):
            if entry.file_size > most:
                raise UnsafeArchive(f"{self._archive}: a file in it claims more than {most} bytes")
            _copy(self._content, entry, path, most)

    def copy_head(self, name: str, path: Path, size: int) -> bool:
        """Copy the first `size` bytes of the file `name` to `path` and leave the rest of its length a hole.

        Returns whether that is the whole file. Raises KeyError where it is not there.
        """
        entry = self._entries[name]
        with _telling(self._archive), self._content.open(entry) as source, path.open("wb") as target:
            target.write(source.read(size))
            target.truncate(entry.file_size)
        return entry.file_size <= size

    def _listed(self) -> dict[str, zipfile.ZipInfo]:
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._content.infolist():
            name = str(_safe_name(self._archive, entry))
            if entry.is_dir():
                continue
            if name in entries:
                raise UnsafeArchive(f"{self._archive}: a name is there twice")
            entries[name] = entry
        return entries


@contextmanager
def _opened(archive: Path, most: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip of at most `most` files, and tell damage of any kind as UnsafeArchive."""
    with _telling(archive), zipfile.ZipFile(archive) as content:
        if sum(not entry.is_dir() for entry in content.infolist()) > most:
            raise UnsafeArchive(f"{archive}: more than {most} files")
        yield content


@contextmanager
def _telling(archive: Path) -> Iterator[None]:
    """Tell damage of any kind as UnsafeArchive."""
    try:
        yield
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (*_DAMAGED_ERRNO, *_CLASH_ERRNO):
            raise
        raise UnsafeArchive(f"{archive}: cannot be unpacked: {type(error).__name__}") from error


def _safe_name(archive: Path, entry: zipfile.ZipInfo) -> PurePosixPath:
    """Return the place of an entry within its folder. Raises UnsafeArchive."""
    name = PurePosixPath(entry.filename)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    plain = kind in {0, stat.S_IFREG, stat.S_IFDIR} and (kind == stat.S_IFDIR) <= entry.is_dir()
    short = len(name.parts) <= _DEEPEST and all(len(part.encode()) <= _LONGEST_NAME for part in name.parts)
    odd = "\\" in entry.filename or ":" in entry.filename or not entry.filename.isprintable()
    if name.is_absolute() or ".." in name.parts or not name.parts or odd or not plain or not short:
        raise UnsafeArchive(f"{archive}: a name that leads out of the folder, or that is no plain file or folder")
    return name


def _copy(content: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, most: int) -> int:
    """Copy one entry, counting what really comes out; return its size in bytes."""
    size = 0
    with content.open(entry) as source, path.open("wb") as target:
        while chunk := source.read(_CHUNK):
            size += len(chunk)
            if size > most or shutil.disk_usage(path.parent).free < _RESERVE:
                raise UnsafeArchive("the archive unpacks to more than it may, or than the disk holds")
            target.write(chunk)
    return size
