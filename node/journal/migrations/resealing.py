"""Rows of a sealed table amid a migration: with the columns that there are by then, and seals over just these."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from node.journal.seals import SEALED, Values, seal_of


class Rows:
    """The rows of one table as it is at this moment."""

    def __init__(self, connection: sa.Connection, table: sa.Table) -> None:
        self._connection = connection
        self._table = table
        present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        self._columns = [column for column in table.c if column.name in present]
        self._sealed = [name for name in SEALED[table] if name in present]

    def all(self) -> Sequence[Values]:
        """Return every row."""
        return list(self._connection.execute(sa.select(*self._columns)).mappings())

    def sound(self) -> list[int]:
        """Return the numbers of the rows that are what was written."""
        return [row["id"] for row in self.all() if row["seal"] == seal_of(self._table, row, self._sealed)]

    def seal(self, rows: Iterable[Values]) -> None:
        """Seal rows as they stand."""
        seals = [{"number": row["id"], "made": seal_of(self._table, row, self._sealed)} for row in rows]
        if seals:
            table = self._table
            seal = table.update().where(table.c.id == sa.bindparam("number")).values(seal=sa.bindparam("made"))
            self._connection.execute(seal, seals)
