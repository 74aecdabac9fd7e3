"""The state folder and the journal, as the settings name them."""

import os
from pathlib import Path

from node import log
from node.durable import make_folder_durably
from node.errors import SettingsError
from node.journal.store import Store
from node.settings import NodeSettings, Settings

_JOURNAL = "journal.sqlite"
_LOG_KEY = "log.key"


def journal_place(settings: Settings) -> Path | str:
    """Return where the journal is: a SQLite file, or the URL of a PostgreSQL database."""
    return settings.journal.url or settings.node.state_dir / _JOURNAL


def require_journal(settings: Settings) -> None:
    """Raise SettingsError where the node has never run."""
    place = journal_place(settings)
    if not settings.node.state_dir.is_dir() or (isinstance(place, Path) and not place.exists()):
        raise SettingsError(f"node.state_dir: {settings.node.state_dir} holds no journal; has the node run yet?")


def local_journal(settings: Settings) -> Path:
    """Return the file of a SQLite journal, which need not be there. Raises SettingsError for PostgreSQL."""
    if settings.journal.url:
        raise SettingsError("journal.url: a PostgreSQL journal is restored from the backups of its database")
    if not settings.node.state_dir.is_dir():
        raise SettingsError(f"node.state_dir: {settings.node.state_dir} is no folder")
    return settings.node.state_dir / _JOURNAL


def open_journal_for_reading(settings: Settings) -> Store:
    """Return the journal, read only, beside a node that may be running. Raises JournalError, SettingsError."""
    require_journal(settings)
    return Store(journal_place(settings), read_only=True)


def make_state_dir(node: NodeSettings) -> Path:
    """Make the state folder, readable by its owner only, and return it. Raises SettingsError."""
    os.umask(0o077)
    try:
        make_folder_durably(node.state_dir)
    except OSError as error:
        raise SettingsError(f"node.state_dir: {node.state_dir}: {error.strerror}") from error
    return node.state_dir


def uid_key(settings: Settings) -> bytes | None:
    """Return the key of the hashes that stand for UIDs in the logs, None where the node has made none."""
    path = settings.node.state_dir / _LOG_KEY
    return path.read_bytes() if path.exists() else None


def make_uid_key(settings: Settings) -> bytes | None:
    """Return that key, made on the first call, None where the logs print UIDs as they are."""
    hashed = settings.log.identifiers == "hashed"
    return log.load_or_make_key(settings.node.state_dir / _LOG_KEY) if hashed else None
