"""Zip archives of DICOM files or of a trained model, unpacked with suspicion."""

import errno
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

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


def unpack(archive: Path, folder: Path) -> tuple[Path, ...]:
    """Unpack the files of a zip into `folder` and return them; their names are numbers, the archive's are not used.

    Raises UnsafeArchive when it is no zip, is damaged or encrypted, or unpacks to more than 200,000 files or 32 GiB.
    """
    unpacked: list[Path] = []
    left = _MOST_BYTES
    with _opened(archive, _MOST_FILES) as content:
        for number, entry in enumerate(entry for entry in content.infolist() if not entry.is_dir()):
            path = folder / f"{number:06d}"
            left -= _copy(content, entry, path, left)
            unpacked.append(path)
    return tuple(unpacked)


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


@contextmanager
def _opened(archive: Path, most: int) -> Iterator[zipfile.ZipFile]:
    """Open a zip of at most `most` files, and tell damage of any kind as UnsafeArchive."""
    try:
        with zipfile.ZipFile(archive) as content:
            if sum(not entry.is_dir() for entry in content.infolist()) > most:
                raise UnsafeArchive(f"{archive}: more than {most} files")
            yield content
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
