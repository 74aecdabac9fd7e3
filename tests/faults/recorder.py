"""A file system that keeps a record: every operation is passed through to a folder and written down, with its time.

Run as a process, `python -m faults.recorder FOLDER MOUNT LOG`; the log is written when the mount ends.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH208

import contextlib
import errno
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mfusepy

_PATIENCE_S = 30.0
ROOT = 1


class Operation(NamedTuple):
    """One change. `node` is the inode; of a change of names it is the folder, and `target` the inode named."""

    #: CLOCK_MONOTONIC, the same in all processes.
    at_ns: int
    #: "create", "mkdir", "write", "truncate", "fsync", "fsyncdir", "rename", "link", "unlink"
    #: (also of folders).
    what: str
    node: int
    name: str = ""
    target: int = 0
    new_name: str = ""
    offset: int = 0
    content: bytes = b""


class _Recorder(mfusepy.Operations):  # type: ignore[misc]
    """Pass-through. One thread, so that the record has one order."""

    use_ns = True

    def __init__(self, backing: str, log: Path) -> None:
        self._backing = backing
        self._log = log
        self._nodes = {"/": ROOT}
        self._open: dict[int, int] = {}
        self.record: list[Operation] = []

    def _note(self, what: str, node: int, **more: Any) -> None:
        self.record.append(Operation(at_ns=time.monotonic_ns(), what=what, node=node, **more))

    def _real(self, path: str) -> str:
        return self._backing + path

    def _at(self, path: str) -> tuple[int, str]:
        folder, name = os.path.split(path)
        return self._nodes[folder], name

    def _new(self, what: str, path: str) -> int:
        node = len(self.record) + 2
        folder, name = self._at(path)
        self._note(what, folder, name=name, target=node)
        self._nodes[path] = node
        return node

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        found = os.fstat(fh) if fh else os.lstat(self._real(path))
        keys = ("st_mode", "st_nlink", "st_size", "st_uid", "st_gid", "st_atime_ns", "st_mtime_ns", "st_ctime_ns")
        return {key.removesuffix("_ns"): getattr(found, key) for key in keys}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *os.listdir(self._real(path))]

    def access(self, path: str, amode: int) -> int:
        if not os.access(self._real(path), amode):
            raise mfusepy.FuseOSError(errno.EACCES)
        return 0

    def chmod(self, path: str, mode: int) -> int:
        os.chmod(self._real(path), mode)
        return 0

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> int:
        os.utime(self._real(path), ns=times)
        return 0

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._real(path))
        keys = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize", "f_namemax")
        return {key: getattr(found, key) for key in keys}

    def mkdir(self, path: str, mode: int) -> int:
        self._new("mkdir", path)
        os.mkdir(self._real(path), mode)
        return 0

    def create(self, path: str, mode: int, fi: Any = None) -> int:
        descriptor = os.open(self._real(path), os.O_RDWR | os.O_CREAT, mode)
        self._open[descriptor] = self._new("create", path)
        return descriptor

    def open(self, path: str, flags: int) -> int:
        descriptor = os.open(self._real(path), flags & ~os.O_APPEND)
        self._open[descriptor] = self._nodes[path]
        return descriptor

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._note("write", self._open[fh], offset=offset, content=bytes(data))
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        self._note("truncate", self._open[fh] if fh else self._nodes[path], offset=length)
        os.truncate(fh or self._real(path), length)
        return 0

    def flush(self, path: str, fh: int) -> int:
        return 0

    def release(self, path: str, fh: int) -> int:
        os.close(fh)
        del self._open[fh]
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        self._note("fsync", self._open[fh])
        return 0

    def fsyncdir(self, path: str, datasync: int, fh: int) -> int:
        self._note("fsyncdir", self._nodes[path])
        return 0

    def unlink(self, path: str) -> int:
        folder, name = self._at(path)
        self._note("unlink", folder, name=name)
        os.unlink(self._real(path))
        del self._nodes[path]
        return 0

    def rmdir(self, path: str) -> int:
        folder, name = self._at(path)
        self._note("unlink", folder, name=name)
        os.rmdir(self._real(path))
        del self._nodes[path]
        return 0

    def rename(self, old: str, new: str) -> int:
        (folder, name), (new_folder, new_name) = self._at(old), self._at(new)
        if folder == new_folder:
            self._note("rename", folder, name=name, new_name=new_name, target=self._nodes[old])
        else:  # two changes, so that a disk may keep both names, or one
            self._note("link", new_folder, name=new_name, target=self._nodes[old])
            self._note("unlink", folder, name=name)
        os.rename(self._real(old), self._real(new))
        moved = {path: node for path, node in self._nodes.items() if path == old or path.startswith(f"{old}/")}
        for path, node in moved.items():
            del self._nodes[path]
            self._nodes[new + path.removeprefix(old)] = node
        return 0

    def destroy(self, path: str) -> None:
        self._log.write_bytes(pickle.dumps([tuple(operation) for operation in self.record]))


@contextlib.contextmanager
def recording(work: Path) -> Iterator[tuple[Path, Path]]:
    """Mount a recorded folder for the length of the block; yield it, and the log, which is there after the block."""
    unmount = shutil.which("fusermount") or shutil.which("fusermount3")
    assert unmount is not None
    backing, mount, log = (work / name for name in ("backing", "mount", "record.pickle"))
    backing.mkdir()
    mount.mkdir()
    ready, told = os.pipe()
    command = [sys.executable, "-m", "faults.recorder", str(backing), str(mount), str(log), str(told)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(command, env=environment, pass_fds=[told])
    os.close(told)
    try:
        assert os.read(ready, 1) == b"+", "the recording file system did not start"
        yield mount, log
    finally:
        os.close(ready)
        subprocess.run([unmount, "-u", str(mount)], check=True)
        process.wait(_PATIENCE_S)


def read_record(log: Path) -> list[Operation]:
    """Return what was recorded, in order."""
    return [Operation(*fields) for fields in pickle.loads(log.read_bytes())]


class _Ready(_Recorder):
    """Says when the mount is there."""

    def __init__(self, backing: str, log: Path, told: int) -> None:
        super().__init__(backing, log)
        self._told = told

    def init(self, path: str) -> None:
        os.write(self._told, b"+")
        os.close(self._told)


if __name__ == "__main__":
    _folder, _mount, _log, _told = sys.argv[1:]
    mfusepy.FUSE(
        _Ready(_folder, Path(_log), int(_told)),
        _mount,
        foreground=True,
        nothreads=True,
        hard_remove=True,
        fsname="faults",
    )
