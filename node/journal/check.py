"""Whether the journal is what was written: the database's own check, every seal, every reference."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, Table, select

from node.errors import JournalDamaged, JournalError
from node.journal import schema
from node.journal.seals import SEALED, seal_of
from node.journal.store import Store

#: After so many the rest of a table is not told.
_MOST = 100
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """One thing that is not what was written. Never what it holds."""

    #: "journal" for what is no matter of one table.
    table: str
    #: Number of the row; None for what is no matter of one row.
    row: int | None
    text: str


def check(store: Store) -> tuple[Damage, ...]:
    """Return what is damaged in a journal; nothing for a sound one. Raises JournalError when it cannot be reached."""
    found = [*_of_file(store)] if store.path is not None else []
    for table in schema.metadata.sorted_tables:
        found += _guarded(store, table)
    return tuple(found)


def first_damage(store: Store) -> str | None:
    """Return what SQLite finds first when it looks at the pages only; None for a sound file, and for PostgreSQL."""
    if store.path is None:
        return None
    with store.reading() as connection:
        first = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
    return None if first == "ok" else str(first)


def _of_file(store: Store) -> Iterator[Damage]:
    """Tell what SQLite itself finds: pages, indexes, and references that lead nowhere."""
    try:
        with store.reading() as connection:
            for (line,) in connection.exec_driver_sql(f"PRAGMA integrity_check({_MOST})").all():
                if line != "ok":
                    yield Damage(table="journal", row=None, text=line)
            for table, row, parent, _ in connection.exec_driver_sql("PRAGMA foreign_key_check").all()[:_MOST]:
                yield Damage(table=table, row=row, text=f"no such row of {parent}")
    except JournalDamaged as error:
        yield Damage(table="journal", row=None, text=str(error))


def _guarded(store: Store, table: Table) -> list[Damage]:
    """Return the broken seals of a table; what cannot be read at all is one more damage."""
    found: list[Damage] = []
    try:
        with store.reading() as connection:
            for damage in _broken(connection, table):
                found.append(damage)
                if len(found) == _MOST:
                    break
    except JournalDamaged as error:
        found.append(Damage(table=table.name, row=None, text=str(error)))
    except JournalError as error:
        if store.path is None:
            raise
        found.append(Damage(table=table.name, row=None, text=str(error)))
    return found


def _broken(connection: Connection, table: Table) -> Iterator[Damage]:
    """Read every row, and hold those that are sealed against their seals."""
    if "id" not in table.c:
        connection.execute(select(table)).all()
        return
    last = None
    while True:
        page = select(table).order_by(table.c.id).limit(_PAGE)
        rows = connection.execute(page if last is None else page.where(table.c.id > last)).mappings().all()
        for row in rows:
            if table in SEALED and row["seal"] != seal_of(table, row):
                yield Damage(table=table.name, row=row["id"], text="not what was written")
        if len(rows) < _PAGE:
            return
        last = rows[-1]["id"]
