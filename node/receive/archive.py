"""Zip archives of DICOM files, unpacked with suspicion."""

import errno
import lzma
import shutil
import struct
import zipfile
import zlib
from pathlib import Path

from node.errors import UnsafeArchive

_MOST_FILES = 200_000
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


def unpack(archive: Path, folder: Path) -> tuple[Path, ...]:
    """Unpack the files of a zip into `folder` and return them; their names are numbers, the archive's are not used.

    Raises UnsafeArchive when it is no zip, is damaged or encrypted, or unpacks to more than 200,000 files or 32 GiB.
    """
    unpacked: list[Path] = []
    left = _MOST_BYTES
    try:
        with zipfile.ZipFile(archive) as content:
            entries = [entry for entry in content.infolist() if not entry.is_dir()]
            if len(entries) > _MOST_FILES:
                raise UnsafeArchive(f"{archive}: more than {_MOST_FILES} files")
            for number, entry in enumerate(entries):
                path = folder / f"{number:06d}"
                left -= _copy(content, entry, path, left)
                unpacked.append(path)
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _DAMAGED_ERRNO:
            raise
        raise UnsafeArchive(f"{archive}: cannot be unpacked: {type(error).__name__}") from error
    return tuple(unpacked)


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
