"""A new journal out of the files, where the old one is damaged or lost.

The new one is written as `journal.new` and put in the place of the old one by the last rename of all; while it lies
there the node does not start. So a rebuild may be cut off at any point, and run again. What is not in the files is
lost: the events, which series no route took and why (they are judged again), and what was delivered (it is sent again).
"""

import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from node.durable import fsync_folder
from node.errors import JournalDamaged, JournalError
from node.journal.journal import Journal
from node.journal.rebuilt import begin_again
from node.recovery.alone import journal_alone
from node.recovery.filling import Filling, Rebuilt
from node.recovery.restoring import require_restored

_NEW = "journal.new"
_SUFFIXES = ("", "-wal", "-shm")


def require_finished(state_dir: Path) -> None:
    """Raise where a rebuild or a restore was cut off: what lies there is not the state to go on with.

    Raises JournalDamaged, SettingsError.
    """
    require_restored(state_dir)
    if (state_dir / _NEW).exists():
        raise JournalDamaged("a rebuild of the journal was cut off; run `cspine-node journal rebuild` again")


def rebuild_journal(path: Path, step: Callable[[str], None] = lambda _text: None) -> Rebuilt:
    """Make a new journal at `path` from the files around it, and return what is in it; `step` is told how far it is.

    Files that do not hold what they should go to quarantine, and are told. The old journal is kept beside the new one.
    Raises NodeAlreadyRunning, JournalError, OSError.
    """
    new = path.with_name(_NEW)
    _remove_unfinished(new)
    journal = Journal(new)
    try:
        rebuilt = Filling(path.parent, journal, step).run()
        rebuilt.receiving = begin_again(journal.store, {**asdict(rebuilt), "problems": len(rebuilt.problems)})
    finally:
        journal.close()
    if any(_beside(new, suffix).exists() for suffix in _SUFFIXES[1:]):
        raise JournalError("the new journal could not be closed, because another process reads it")
    rebuilt.kept_as = _keep_old(path)
    new.replace(path)
    fsync_folder(path.parent)
    return rebuilt


def _remove_unfinished(new: Path) -> None:
    """Delete what a rebuild that was cut off has left. Raises NodeAlreadyRunning when the node or a rebuild runs."""
    with journal_alone(new):
        for suffix in reversed(_SUFFIXES):  # the file itself last: while it is there, the node does not start
            _beside(new, suffix).unlink(missing_ok=True)


def _keep_old(path: Path) -> str | None:
    """Move the old journal aside, its write-ahead log too, and return its name; None where there is none."""
    kept: str | None = None
    for suffix in _SUFFIXES:
        part = _beside(path, suffix)
        if not os.path.lexists(part):
            continue
        number = 1
        while (aside := _beside(path, f".damaged-{number}{suffix}")).exists():
            number += 1
        part.rename(aside)
        kept = kept or aside.name
    fsync_folder(path.parent)
    return kept


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f"{path.name}{suffix}")
