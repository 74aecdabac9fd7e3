"""Deleting in the state folder: never through a symbolic link, never outside the folders of received and result files.

A file may be received anew, under the same name, in the moment in which it is deleted. So it is first moved aside, and
deleted only if it still is the one that was meant.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from node.errors import SystemFailed
from node.receive.kept import QUARANTINE, SPOOL

RESULTS = "results"
_ASIDE = ".purged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file as it was when it was decided upon."""

    #: Relative to the state folder.
    path: str
    inode: int
    #: Nanoseconds since the epoch.
    modified_ns: int
    bytes: int


class StateFiles:
    """The files of one state folder, by their paths in it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def seen(self, path: str) -> Seen | None:
        """Look at a file; None when it is gone. Raises SystemFailed for what is no plain file of the node."""
        with contextlib.suppress(FileNotFoundError), self._folder_of(path) as (folder, name):
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise SystemFailed("the state folder has something else where a plain file should be")
            return Seen(path=path, inode=found.st_ino, modified_ns=found.st_mtime_ns, bytes=found.st_size)
        return None

    def seen_in(self, path: str) -> list[Seen]:
        """Look at the files of a folder, by name; none when it is gone. Raises SystemFailed as `seen` does."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._folder_of(f"{path}/.") as (folder, _),
            os.scandir(folder) as all_,
        ):
            names = sorted(entry.name for entry in all_)
            return [seen for name in names if (seen := self.seen(f"{path}/{name}")) is not None]
        return []

    def delete(self, seen: Seen) -> bool:
        """Delete a file if it still is the one that was seen; what has taken its place stays. Raises OSError."""
        with contextlib.suppress(FileNotFoundError), self._folder_of(seen.path) as (folder, name):
            aside = f".{name}{_ASIDE}"
            os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
            found = os.stat(aside, dir_fd=folder, follow_symlinks=False)
            meant = (found.st_ino, found.st_mtime_ns) == (seen.inode, seen.modified_ns)
            if not meant:
                with contextlib.suppress(FileExistsError):  # received a third time
                    os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            os.unlink(aside, dir_fd=folder)
            return meant
        return False

    def delete_folder(self, path: str) -> None:
        """Delete a folder and what is in it. Raises OSError, also for a symbolic link."""
        with contextlib.suppress(FileNotFoundError), self._folder_of(path) as (folder, name):
            shutil.rmtree(name, dir_fd=folder)

    def delete_empty(self, path: str) -> None:
        """Delete a folder if nothing is in it."""
        with contextlib.suppress(OSError, SystemFailed), self._folder_of(path) as (folder, name):
            os.rmdir(name, dir_fd=folder)

    def put_back(self, is_named: Callable[[str], bool], *, before: float) -> None:
        """End what a crash cut off between moving aside and deleting, where the file was written `before` that time
        (seconds since the epoch): what is named goes back unless it is there again, the rest is deleted.
        """
        for aside in self.root.glob(f"{SPOOL}/*/.*{_ASIDE}"):
            if aside.lstat().st_mtime >= before:
                continue
            whole = aside.with_name(aside.name.removeprefix(".").removesuffix(_ASIDE))
            if not whole.exists() and is_named(self.relative(whole)):
                aside.rename(whole)
            else:
                aside.unlink()

    def relative(self, path: Path) -> str:
        """Return a path as the journal has it."""
        return path.relative_to(self.root).as_posix()

    @contextlib.contextmanager
    def _folder_of(self, path: str) -> Iterator[tuple[int, str]]:
        """Give a descriptor of the folder of a file, and its name there. Raises SystemFailed, FileNotFoundError."""
        parts = path.split("/")
        if parts[0] not in {SPOOL, QUARANTINE, RESULTS} or len(parts) < 2 or not {"", ".."}.isdisjoint(parts):
            raise SystemFailed("the journal names a file that is not where its files lie")
        with contextlib.ExitStack() as opened:
            folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
            opened.callback(os.close, folder)
            for part in parts[:-1]:
                try:
                    folder = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                except NotADirectoryError as error:  # what Linux says of a symbolic link too
                    raise SystemFailed("the state folder has something else where a folder should be") from error
                opened.callback(os.close, folder)
            yield folder, parts[-1]


def modified_s(path: Path) -> float:
    """Return when a file was written, in seconds since the epoch; infinity when it is gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")


def newest_s(folder: Path) -> float:
    """Return when a folder or something in it was last written, in seconds since the epoch."""
    return max([modified_s(folder), *(modified_s(path) for path in folder.glob("*"))])


def case_number(folder_name: str) -> int | None:
    """Return the number of the case whose results a folder holds, by its name "<case>-<attempt>"; None for another."""
    number, dash, attempt = folder_name.partition("-")
    return int(number) if dash and number.isdecimal() and attempt.isdecimal() else None
