"""The state folder: whether the node may use it, who else may, and the room on its disk."""

import os
import pwd
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from node.doctor.finding import Finding, fault, fine, warning
from node.receive.headroom import BALLAST, Space
from node.settings import Settings

_FOLDER, _DISK = "state folder", "disk"
_MB = 1 << 20
#: Of the disk; with less somebody should see to it.
_LITTLE = 0.10
#: A disk with less than this part of its names left can soon hold no new file.
_FEW_NAMES = 0.05
#: File systems over a network, on which SQLite's WAL does not work (sqlite.org/wal.html).
_REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "fuse.sshfs", "glusterfs", "fuse.glusterfs"})


def look(settings: Settings, space: Callable[[Path], Space], mounts: str, *, node_runs: bool) -> Iterator[Finding]:
    """Yield what is wrong with the state folder and its disk. `mounts`: as in /proc/self/mountinfo (proc(5))."""
    folder = settings.node.state_dir
    if not folder.is_dir():
        yield _absent(folder)
        return
    found = [*_rights(folder), *_remote(settings, mounts)]
    yield from found or [fine(_FOLDER, f"{folder} can be written, by its owner alone")]
    yield from _room(settings, space(folder))
    yield from _names(folder)
    if node_runs and not (folder / BALLAST).exists():
        yield warning(
            _DISK,
            "the node has given up its ballast: the disk was full, and on a full one the journal cannot be written",
            "make room; the node then makes its ballast anew by itself",
        )


def _absent(folder: Path) -> Finding:
    if folder.exists():
        return fault(_FOLDER, f"{folder} is no folder", "set node.state_dir to a folder")
    near = next(parent for parent in folder.parents if parent.exists())
    if not os.access(near, os.W_OK | os.X_OK):
        return fault(
            _FOLDER,
            f"{folder} is not there, and {near} may not be written",
            f"make it for the user of the node: install -d -m 700 -o {whoami()} {folder}",
        )
    return warning(_FOLDER, f"{folder} is not there yet", "nothing, if the node has never run: it makes the folder")


def _rights(folder: Path) -> Iterator[Finding]:
    known = folder.stat()
    if known.st_uid != os.geteuid():
        yield warning(
            _FOLDER,
            f"{folder} belongs to {_name(known.st_uid)}, the doctor runs as {whoami()}",
            f"run it as the node does: sudo -u {_name(known.st_uid)} cspine-node doctor; or chown -R the folder",
        )
    if known.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield warning(
            _FOLDER,
            f"others than its owner may look into {folder} (mode {stat.S_IMODE(known.st_mode):o})",
            f"chmod 700 {folder}: it holds images of patients",
        )
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"doctor")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        yield fault(
            _FOLDER,
            f"{folder} cannot be written: {error.strerror}",
            f"chown -R {whoami()} {folder}; under systemd also name it in ReadWritePaths= or StateDirectory=",
        )


def _remote(settings: Settings, mounts: str) -> Iterator[Finding]:
    kind = file_system_of(settings.node.state_dir.resolve(), mounts)
    if kind in _REMOTE and not settings.journal.url:
        yield fault(
            _FOLDER,
            f"{settings.node.state_dir} lies on a network file system ({kind}), on which SQLite loses data",
            "move node.state_dir to a local disk, or keep the journal in PostgreSQL (journal.url)",
        )


def file_system_of(folder: Path, mounts: str) -> str:
    """Return the type of the file system that a folder lies on, "" where it is unknown.

    >>> root = "1 0 8:1 / / rw - ext4 /dev/sda1 rw"
    >>> file_system_of(Path("/data/state"), root + chr(10) + "2 1 0:9 / /data rw shared:1 - nfs4 nas:/x rw")
    'nfs4'
    """
    best, kind = -1, ""
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


def _room(settings: Settings, space: Space) -> Iterator[Finding]:
    least = settings.receive.minimum_free_mb * _MB
    told = f"{space.free / 1e9:.1f} of {space.total / 1e9:.1f} GB are free"
    if space.free < least:
        yield fault(
            _DISK,
            f"{told}; with less than {least / 1e9:.1f} GB the node takes nothing (receive.minimum_free_mb)",
            "make room: cspine-node purge, shorter retention.delivered_days, or a larger disk",
        )
    elif space.free < max(2 * least, _LITTLE * space.total):
        yield warning(_DISK, told, "make room in time: cspine-node purge --dry-run tells what could go")
    else:
        yield fine(_DISK, told)


def _names(folder: Path) -> Iterator[Finding]:
    known = os.statvfs(folder)
    if known.f_files and known.f_favail < _FEW_NAMES * known.f_files:
        yield warning(
            _DISK,
            f"only {known.f_favail} more files fit on it, however small",
            "make room: cspine-node purge; or a file system with more inodes",
        )


def whoami() -> str:
    """Return the user who looks."""
    return _name(os.geteuid())


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
