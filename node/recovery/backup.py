"""A backup of the state folder, made while the node runs.

The journal is copied first, the files after it: a file that the journal names was there before its row, so the copy
names none that is missing. What came in between lies there without a row, and the node takes it in when it starts.
Only a purge takes files away; where one came in between, the journal is copied once more.

Received files, results and models are never changed in place, so on the same file system a backup holds them as hard
links, at no cost; what may change is copied. A hard link is no second disk: such a backup is to be copied elsewhere.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from node import __version__
from node.durable import new_folder_durably, write_durably
from node.errors import InputError
from node.journal.copying import copy_journal
from node.journal.files import quarantined_files, received_files, result_files
from node.journal.store import Store
from node.receive.kept import QUARANTINE, SPOOL
from node.recovery.backup_folder import (
    ABOUT,
    FORMAT,
    JOURNAL,
    SETTINGS,
    STATE,
    SUMS,
    About,
    Step,
    digest_of,
    packed_about,
    packed_sums,
)
from node.recovery.check import CheckReport, check_journal

#: Folders whose files are never changed in place.
_LINKED = frozenset({SPOOL, QUARANTINE, "results", "models"})
#: What a node makes anew: kept segmentations cost an inference, the ballast is empty space.
_LEFT_OUT = frozenset({"segmentations", "ballast", "control.sock", "lost+found"})
#: A purge comes once an hour; more rounds than this find the same files missing.
_ROUNDS = 4
#: Why a file cannot be linked but can be copied: another file system, one without links, too many links.
_COPIED_INSTEAD = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES})


@dataclass(slots=True, kw_only=True)
class Backup:
    """What a backup holds, and what is wrong with what it was made of."""

    folder: str
    #: Of the journal in it; None where that is a PostgreSQL database.
    journal_version: int | None = None
    files: int = 0
    bytes: int = 0
    #: Files that share their bytes with the state folder, or with an earlier backup.
    linked: int = 0
    #: What was not taken: symbolic links, sockets. Relative to the state folder.
    left_out: list[str] = field(default_factory=list)
    #: What the journal's own seals say, and files that it names which are gone or hold something else.
    damage: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, missing or altered."""
        return not (self.damage or self.missing or self.altered)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is backed up, and how."""

    state_dir: Path
    #: The SQLite journal; None where the journal is a PostgreSQL database.
    journal: Path | None
    settings_file: Path
    #: Copy everything, also where a hard link would do.
    copy: bool = False
    #: An earlier backup: files that it holds are linked from there.
    base: Path | None = None


def back_up(
    wanted: Wanted,
    target: Path,
    step: Step = lambda _text: None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Backup:
    """Make the backup `target`, a folder that must not be there yet; when this returns all of it is on the disk.

    Every file is read back, and the journal held against its seals and its files. After an error nothing is left of
    it. Raises InputError, JournalError, OSError.
    """
    _require_new(wanted, target)
    made = Backup(folder=str(target))
    about = clock().isoformat(timespec="seconds")
    with new_folder_durably(target) as folder:
        (folder / STATE).mkdir()
        if wanted.journal is None:
            _Gathering(wanted, folder / STATE, made, step).run()
        else:
            made.journal_version = _with_journal(wanted, wanted.journal, folder / STATE, made, step)
        shutil.copyfile(wanted.settings_file, folder / SETTINGS)
        described = About(format=FORMAT, made_at=about, software=__version__, journal=made.journal_version)
        write_durably(folder / ABOUT, [packed_about(described)])
        step("reading the backup back")
        write_durably(folder / SUMS, [packed_sums(dict(_sums(folder, made)))])
        if wanted.journal is not None:
            _judge(made, folder / STATE)
    return made


def _require_new(wanted: Wanted, target: Path) -> None:
    if os.path.lexists(target):
        raise InputError(f"{target} is there already; a backup is a new folder")
    if target.resolve().is_relative_to(wanted.state_dir.resolve()):
        raise InputError(f"{target} lies in the state folder, which it would be a backup of")
    if wanted.base is not None and not (wanted.base / ABOUT).is_file():
        raise InputError(f"{wanted.base} is no backup: it has no {ABOUT}")


def _with_journal(wanted: Wanted, journal: Path, state: Path, made: Backup, step: Step) -> int:
    """Copy the journal and gather files until it names none that was purged meanwhile; return its version."""
    gathering = _Gathering(wanted, state, made, step)
    lacking: set[str] | None = None
    for _ in range(_ROUNDS):
        step("journal")
        version = copy_journal(journal, state / JOURNAL)
        gathering.run()
        before, lacking = lacking, _lacking(state)
        if not lacking or lacking == before:
            break
    return version


def _lacking(state: Path) -> set[str]:
    """Return the files that the copied journal names and the backup does not hold."""
    store = Store(state / JOURNAL, read_only=True)
    try:
        named = {**received_files(store), **quarantined_files(store), **result_files(store)}
    finally:
        store.close()
    return {path for path in named if not (state / path).is_file()}


class _Gathering:
    """Brings the files of a state folder into a backup; what is there already is not brought again."""

    def __init__(self, wanted: Wanted, state: Path, made: Backup, step: Step) -> None:
        self._wanted = wanted
        self._state = state
        self._made = made
        self._step = step

    def run(self) -> None:
        """Take all files that are there now. Raises OSError."""
        self._made.left_out.clear()
        for path in sorted(self._wanted.state_dir.iterdir()):
            if path.name in _LEFT_OUT or path.name.startswith((".", "journal.")):
                continue
            self._step(path.name)
            for file in self._plain(path):
                self._take(file, may_link=path.name in _LINKED)

    def _plain(self, path: Path) -> Iterator[Path]:
        """Yield the plain files at and below `path` that are no temporary ones; the others are told."""
        if path.is_dir() and not path.is_symlink():
            for inner in sorted(path.iterdir()):
                if not inner.name.startswith("."):
                    yield from self._plain(inner)
        elif path.is_file() and not path.is_symlink():
            yield path
        elif os.path.lexists(path):
            self._made.left_out.append(path.relative_to(self._wanted.state_dir).as_posix())

    def _take(self, source: Path, *, may_link: bool) -> None:
        name = source.relative_to(self._wanted.state_dir)
        target = self._state / name
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            if may_link and self._link(source, name, target):
                self._made.linked += 1
            else:
                shutil.copy2(source, target)
        except FileNotFoundError:
            return  # purged since it was listed

    def _link(self, source: Path, name: Path, target: Path) -> bool:
        """Link a file from the earlier backup, or from the state folder; False where it has to be copied."""
        if self._wanted.base is not None and _is_same(earlier := self._wanted.base / STATE / name, source):
            return _linked(earlier, target)
        return not self._wanted.copy and _linked(source, target)


def _is_same(earlier: Path, source: Path) -> bool:
    """Return whether an earlier backup holds a file, by its size and time."""
    if not earlier.is_file() or earlier.is_symlink():
        return False
    old, new = earlier.stat(), source.stat()
    return (old.st_size, old.st_mtime_ns) == (new.st_size, new.st_mtime_ns)


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _COPIED_INSTEAD:
            return False
        raise
    return True


def _sums(folder: Path, made: Backup) -> Iterator[tuple[str, str]]:
    """Yield the path and the digest of every file, and count them."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            made.files += 1
            made.bytes += path.stat().st_size
            yield path.relative_to(folder).as_posix(), digest_of(path)


def _judge(made: Backup, state: Path) -> None:
    """Hold the copied journal against its seals and against the files beside it."""
    store = Store(state / JOURNAL, read_only=True)
    try:
        report: CheckReport = check_journal(state, store, deep=True)
    finally:
        store.close()
    made.damage, made.missing, made.altered = report.damage, report.missing, report.altered
