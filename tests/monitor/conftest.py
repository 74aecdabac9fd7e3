"""A journal whose clock the test turns, and a way to append events to its trail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node.journal.journal import Journal


class Trail:
    """A journal and its clock. Minutes are counted from 2026-01-02 03:00 UTC."""

    def __init__(self, where: Path) -> None:
        self.minute = 0.0
        self.journal = Journal(
            where, clock=lambda: datetime(2026, 1, 2, 3, tzinfo=UTC) + timedelta(minutes=self.minute)
        )
        self.store = self.journal.store

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, tzinfo=UTC) + timedelta(minutes=self.minute)

    def tell(self, what: str, *, at: float = 0.0, case: int | None = None, **detail: Any) -> None:
        """Append an event of minute `at`."""
        self.minute = at
        with self.store.transaction() as connection:
            self.store.record(connection, what, series_uid="1.2.3", case_id=case, **detail)


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    made = Trail(tmp_path / "journal.sqlite")
    yield made
    made.journal.close()
