"""Statements of SQLAlchemy Core, compiled once and handed to the driver.

For arrivals only, of which there are hundreds a second: SQLAlchemy takes a tenth of a millisecond a statement, the
drivers a hundredth.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect
from sqlalchemy.sql.elements import ClauseElement


class Prepared:
    """One statement. What it returns is as the driver has it: SQLite knows no booleans."""

    def __init__(self, statement: ClauseElement, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self._text = str(compiled)
        #: Values that the statement itself brings.
        self._given = {name: value for name, value in compiled.params.items() if value is not None}
        self._order: Sequence[str] | None = getattr(compiled, "positiontup", None)

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return what the statement finds."""
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._text, self._bound(values))
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run the statement for each of `rows`, in their order."""
        cursor = connection.connection.cursor()
        try:
            if len(rows) == 1:
                cursor.execute(self._text, self._bound(rows[0]))
            else:
                cursor.executemany(self._text, [self._bound(row) for row in rows])
        finally:
            cursor.close()

    def _bound(self, values: Mapping[str, Any]) -> Any:
        merged = {**self._given, **values}
        return merged if self._order is None else [merged[name] for name in self._order]
