"""The last step of the live way: what waits for a destination is delivered, confirmed, and tried again until settled.

    PENDING --send--> SENT --confirm--> DELIVERED          where the destination is asked to confirm
    PENDING --send--> DELIVERED                            where it is not
    SENT --not there--> PENDING                            sent again
    PENDING --refused for good, attempts spent--> REFUSED

`sending.py` has the first column, `confirming.py` the second. Each destination has its own pauses: a bad one holds up
no other.
"""

import time
from collections.abc import Callable, Mapping

from node.deliver.destination import Destination
from node.domain.commitment import CommitmentReport
from node.journal.journal import Journal
from node.outbox.confirming import Confirmer
from node.outbox.sending import Sender
from node.settings import Settings

__all__ = ["Outbox"]


class Outbox:
    """Deliveries over one journal. For each destination one thread may call `deliver` and another `confirm`."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        destinations: Mapping[str, Destination],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._journal = journal
        self._senders: dict[str, Sender] = {}
        self._confirmers: dict[str, Confirmer] = {}
        for knobs in settings.destination:
            where = destinations[knobs.name]
            sender = Sender(
                journal=journal, destination=where, state_dir=settings.node.state_dir, knobs=knobs, clock=clock
            )
            self._senders[knobs.name] = sender
            self._confirmers[knobs.name] = Confirmer(
                sender=sender,
                journal=journal,
                destination=where,
                state_dir=settings.node.state_dir,
                knobs=knobs,
                clock=clock,
            )

    @property
    def destinations(self) -> tuple[str, ...]:
        """The names of all destinations."""
        return tuple(self._senders)

    def deliver(self, destination: str) -> float | None:
        """Deliver what waits for a destination; return the seconds until its next try, None when nothing waits."""
        return self._senders[destination].step()

    def confirm(self, destination: str) -> float | None:
        """Ask a destination for what it took; return the seconds until the next look, None when nothing awaits."""
        return self._confirmers[destination].step()

    def resume(self, destination: str) -> None:
        """End the pauses of a destination: an operator has asked for a try. One that is not configured has none."""
        if destination in self._senders:
            self._senders[destination].resume()
            self._confirmers[destination].resume()

    def halt(self, destination: str) -> None:
        """Break off what is under way to a destination, from another thread: the next start goes on with it."""
        self._senders[destination].halt()

    def told(self, report: CommitmentReport) -> bool:
        """Take a report of storage commitment, of any thread; durable on return. False for an unknown transaction."""
        return any(
            confirmer.told(report) for confirmer in self._confirmers.values()
        ) or self._journal.commitments.settle(report)
