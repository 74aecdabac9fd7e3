"""A backup put back into an empty state folder.

The backup is read through before the first file is written. While files are on their way `journal.restoring` lies in
the state folder, and the node does not start there: a restore that was cut off is run again.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node.durable import fsync_folder, make_folder_durably
from node.errors import InputError, JournalError, SettingsError
from node.journal import schema
from node.recovery.alone import journal_alone
from node.recovery.backup_folder import JOURNAL, STATE, Step, digest_of, read_about, read_sums

UNFINISHED = "journal.restoring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What was put back, or would be."""

    #: When the backup was made, UTC, and by which version of the software.
    made_at: str
    software: str
    journal_version: int | None
    files: int
    bytes: int


def restore(backup: Path, state_dir: Path, step: Step = lambda _text: None, *, dry_run: bool = False) -> Restored:
    """Put the state of `backup` into `state_dir`; `dry_run` only reads the backup through.

    The files are copied, so that the backup stays what it was. Raises InputError for a backup that is not whole,
    JournalError for one of newer software, SettingsError where a state is there already, NodeAlreadyRunning, OSError.
    """
    about = read_about(backup)
    if about.journal is not None and about.journal > schema.VERSION:
        raise JournalError(f"the journal has version {about.journal}, this software needs {schema.VERSION}")
    sums = read_sums(backup)
    step("reading the backup")
    size = _require_whole(backup, sums)
    names = sorted(path.removeprefix(f"{STATE}/") for path in sums if path.startswith(f"{STATE}/"))
    if about.journal is not None and JOURNAL not in names:
        raise InputError("the backup is not whole: its journal is missing")
    if not dry_run:
        make_folder_durably(state_dir)
        with journal_alone(state_dir / JOURNAL):
            _require_empty(state_dir, {name.split("/")[0] for name in names})
            _put_back(backup / STATE, state_dir, names, step)
    return Restored(
        made_at=about.made_at,
        software=about.software,
        journal_version=about.journal,
        files=len(names),
        bytes=size,
    )


def require_restored(state_dir: Path) -> None:
    """Raise SettingsError where a restore was cut off: half of the files are not there."""
    if (state_dir / UNFINISHED).exists():
        raise SettingsError("node.state_dir: a restore was cut off there; run `cspine-node restore` again")


def _require_whole(backup: Path, sums: Mapping[str, str]) -> int:
    """Read every file of the backup; return the bytes of its state. Raises InputError."""
    wrong, size = [], 0
    for path, digest in sums.items():
        file = backup / path
        if not file.is_file() or file.is_symlink() or digest_of(file) != digest:
            wrong.append(path)
        elif path.startswith(f"{STATE}/"):
            size += file.stat().st_size
    if wrong:
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise InputError(f"the backup is not whole: {wrong[0]}{others} is missing or not what was written")
    return size


def _require_empty(state_dir: Path, names: set[str]) -> None:
    """Raise SettingsError where something of a state is there, unless a restore that was cut off has left it."""
    if (state_dir / UNFINISHED).exists():
        return
    there = sorted(name for name in names if os.path.lexists(state_dir / name))
    if there:
        raise SettingsError(f"node.state_dir: {state_dir} holds a state already ({there[0]}); move it aside first")


def _put_back(source: Path, state_dir: Path, names: list[str], step: Step) -> None:
    """Copy the files with their times, which say when an instance came."""
    marker = state_dir / UNFINISHED
    marker.touch()
    fsync_folder(state_dir)
    folders = {state_dir}
    for number, name in enumerate(names, start=1):
        if number % 100 == 1:
            step(f"file {number} of {len(names)}")
        target = state_dir / name
        make_folder_durably(target.parent)
        folders.add(target.parent)
        shutil.copy2(source / name, target)
        with target.open("rb") as file:
            os.fsync(file.fileno())
    for folder in sorted(folders):
        fsync_folder(folder)
    marker.unlink()
    fsync_folder(state_dir)
