"""A copy of a SQLite journal while another process writes it, by SQLite's online backup (sqlite.org/backup.html)."""

import sqlite3
from contextlib import closing
from pathlib import Path

from node.errors import JournalDamaged
from node.journal.engines import journal_error

_WAIT_S = 30


def copy_journal(source: Path, target: Path) -> int:
    """Copy the journal at `source`, as of one moment, to `target`, and return its version.

    The copy is one file without a write-ahead log, looked through by SQLite's integrity check. It is not fsynced yet.
    A `target` that is there is replaced. Raises JournalDamaged, JournalError.
    """
    target.unlink(missing_ok=True)
    live = f"{source.resolve().as_uri()}?mode=ro"
    try:
        with (
            closing(sqlite3.connect(live, uri=True, timeout=_WAIT_S)) as reader,
            closing(sqlite3.connect(target)) as copy,
        ):
            reader.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if found != ("ok",):
                raise JournalDamaged(f"the journal is damaged: {found[0]}")
            (version,) = copy.execute("SELECT version FROM about").fetchone()
    except sqlite3.Error as error:
        raise journal_error(error) from error
    if not isinstance(version, int):
        raise JournalDamaged("the journal is damaged: its version is no number")
    return version
