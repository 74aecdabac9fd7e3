"""Files that survive a power cut.

Order: temporary file, fsync, rename, fsync of the directory. A reader sees the whole file or none.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

#: One thread makes folders at a time: a folder that another thread has just made is not on the disk yet.
_MAKING = threading.Lock()
#: Folders whose names this process has put on the disk; one that was there before may stem from a crash.
_DURABLE: set[Path] = set()
#: How many of them it remembers; then it begins anew, and asks the disk once more.
_MOST_DURABLE = 10_000


def write_durably(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Write `chunks` to `path`, replacing what was there; on return the bytes and the name are on the disk.

    The folder of `path` is made when it is missing. Raises OSError, and then leaves no temporary file behind.
    """
    make_folder_durably(path.parent)
    _replace(path, chunks)
    fsync_folder(path.parent)


def write_files_durably(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` by their names into `folder`, in that order; on return all of them are on the disk.

    As `write_durably` for each, but the folder is waited for once: a power cut before the return may leave any of them.
    """
    make_folder_durably(folder)
    for name, content in files.items():
        _replace(folder / name, [content])
    fsync_folder(folder)


def _replace(path: Path, chunks: Iterable[bytes | memoryview]) -> None:
    """Let `path` be a file of `chunks` that is on the disk; its name may not be there yet."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class GrowingFile:
    """A file that is written in pieces, hidden, and becomes `path` at the end or is thrown away. One thread uses it."""

    def __init__(self, folder: Path) -> None:
        """Begin it in `folder`, which is made when it is missing. Raises OSError."""
        make_folder_durably(folder)
        self._temporary: str | None = f"{folder}/.{secrets.token_hex(8)}.part"
        self._descriptor = os.open(self._temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size = 0

    def write(self, chunk: bytes | memoryview) -> None:
        """Append `chunk`. Raises OSError."""
        written = os.write(self._descriptor, chunk)
        self.size += written
        while written < len(chunk):
            more = os.write(self._descriptor, memoryview(chunk)[written:])
            written += more
            self.size += more

    def read(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes at `offset` of what has been written. Raises OSError."""
        return os.pread(self._descriptor, size, offset)

    def keep(self, path: Path) -> None:
        """Become `path`, replacing what was there; on return the bytes and the name are on the disk.

        The folder of `path` is made when it is missing. Raises OSError, and then leaves no temporary file behind.
        """
        if self._temporary is None:
            raise ValueError("this file has been kept or thrown away")
        try:
            os.fsync(self._descriptor)
            make_folder_durably(path.parent)
            os.replace(self._temporary, path)  # noqa: PTH105 - a file a second or a thousand: Path costs more than this
            self._temporary = None
        finally:
            self.discard()
        fsync_folder(path.parent)

    def discard(self) -> None:
        """Throw away what is not kept; a second time does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            with contextlib.suppress(OSError):  # what is kept was fsynced before
                os.close(descriptor)
        if self._temporary is not None:
            temporary, self._temporary = self._temporary, None
            with contextlib.suppress(OSError):
                os.unlink(temporary)  # noqa: PTH108 - the same


@contextlib.contextmanager
def new_folder_durably(path: Path) -> Iterator[Path]:
    """Give a hidden folder to fill; at the end it is on the disk and becomes `path`, which must not be there yet.

    After an error nothing is left of it. The folder of `path` is made when it is missing. Raises OSError.
    """
    make_folder_durably(path.parent)
    folder = path.parent / f".{path.name}-{secrets.token_hex(4)}.part"
    folder.mkdir()
    try:
        yield folder
        for inner in sorted(folder.rglob("*"), reverse=True):
            if inner.is_dir():
                fsync_folder(inner)
            else:
                with inner.open("rb") as file:
                    os.fsync(file.fileno())
        fsync_folder(folder)
        folder.rename(path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    fsync_folder(path.parent)


def make_folder_durably(folder: Path) -> None:
    """Make `folder` and its parents; on return their names are on the disk."""
    if folder in _DURABLE and folder.is_dir():
        return
    with _MAKING:
        for part in (*reversed(folder.parents), folder):
            if part in _DURABLE and part.is_dir():
                continue
            there = part.is_dir()
            if not there:
                part.mkdir(exist_ok=True)
            try:
                fsync_folder(part.parent)
            except PermissionError:  # a folder of the system that we could not have made a name in
                if not there:
                    raise
            if len(_DURABLE) >= _MOST_DURABLE:
                _DURABLE.clear()
            _DURABLE.add(part)


def fsync_folder(folder: Path) -> None:
    """Put the names within `folder` on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
