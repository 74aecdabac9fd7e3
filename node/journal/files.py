"""Which files of the state folder the journal names. Paths are relative to it."""

from collections.abc import Mapping

from sqlalchemy import Table, select

from node.journal import schema
from node.journal.store import Store


def received_files(store: Store, prefix: str = "") -> Mapping[str, str]:
    """Return the digest of each file of an instance whose path begins with `prefix`, by its path."""
    return _files(store, schema.instance, prefix)


def quarantined_files(store: Store) -> Mapping[str, str]:
    """Return the digest of each file in quarantine, by its path."""
    return _files(store, schema.quarantine, "")


def result_files(store: Store) -> Mapping[str, str]:
    """Return the digest of each result file that has not been purged, by its path."""
    case, result = schema.case, schema.result
    statement = select(result.c.path, result.c.digest).join(case, result.c.case_id == case.c.id).where(~case.c.purged)
    with store.reading() as connection:
        return {row.path: row.digest for row in connection.execute(statement)}


def begun_at(store: Store) -> str | None:
    """Return when the first event was written, as it is stored; None for a journal without any."""
    table = schema.event
    with store.reading() as connection:
        return connection.execute(select(table.c.at).order_by(table.c.id).limit(1)).scalar()


def case_numbers(store: Store) -> frozenset[int]:
    """Return the numbers of all cases."""
    with store.reading() as connection:
        return frozenset(connection.execute(select(schema.case.c.id)).scalars())


def is_purged(store: Store, series_uid: str) -> bool:
    """Return whether the newest case of a series has been purged."""
    table = schema.case
    newest = select(table.c.purged).where(table.c.series_uid == series_uid).order_by(table.c.revision.desc()).limit(1)
    with store.reading() as connection:
        return bool(connection.execute(newest).scalar())


def _files(store: Store, table: Table, prefix: str) -> Mapping[str, str]:
    begins = table.c.path.startswith(prefix, autoescape=True)
    with store.reading() as connection:
        return {row.path: row.digest for row in connection.execute(select(table.c.path, table.c.digest).where(begins))}
