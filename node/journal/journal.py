"""The journal as one object, for those who write it."""

import time
from collections.abc import Callable
from pathlib import Path

from node.journal.arrivals import ArrivalJournal
from node.journal.cases import CaseJournal
from node.journal.commitments import CommitmentJournal
from node.journal.deliveries import DeliveryJournal
from node.journal.restore import RestoreJournal
from node.journal.retention import RetentionJournal
from node.journal.store import Clock, Store, utc_now


class Journal:
    """What one node knows for ever: in a SQLite file, given as a path, or a PostgreSQL database, given as a URL.

    `monotonic` is the clock of the leases of a SQLite journal, in seconds; PostgreSQL has its own. Raises
    NodeAlreadyRunning when another process writes the file, JournalDamaged, JournalError for a journal of newer
    software, SettingsError.
    """

    def __init__(
        self, where: Path | str, *, clock: Clock = utc_now, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = Store(where, clock=clock, monotonic=monotonic)
        self.arrivals = ArrivalJournal(self.store)
        self.cases = CaseJournal(self.store)
        self.deliveries = DeliveryJournal(self.store)
        self.commitments = CommitmentJournal(self.store)
        self.retention = RetentionJournal(self.store)
        self.restore = RestoreJournal(self.store)

    def close(self) -> None:
        """Close the journal and let another process have it."""
        self.store.close()
