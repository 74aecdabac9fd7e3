"""The journal as one object, for those who write it."""

from pathlib import Path

from node.journal.arrivals import ArrivalJournal
from node.journal.cases import CaseJournal
from node.journal.deliveries import DeliveryJournal
from node.journal.store import Clock, Store, utc_now


class Journal:
    """Arrivals, cases and deliveries of one node. Raises NodeAlreadyRunning when another process writes it."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self.store = Store(path, clock=clock)
        self.arrivals = ArrivalJournal(self.store)
        self.cases = CaseJournal(self.store)
        self.deliveries = DeliveryJournal(self.store)

    def close(self) -> None:
        """Close the journal and let another process have it."""
        self.store.close()
