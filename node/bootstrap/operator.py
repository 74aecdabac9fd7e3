"""What an operator can do, without a node."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from node.bootstrap.state import journal_place, make_state_dir
from node.journal.journal import Journal
from node.operations import Operations
from node.receive.headroom import Headroom
from node.recovery import require_finished
from node.retention import Retention
from node.settings import Settings


def headroom_of(settings: Settings, journal: Journal) -> Headroom:
    """Return the watermarks of the state folder."""
    return Headroom(
        settings.node.state_dir,
        minimum_free_mb=settings.receive.minimum_free_mb,
        maximum_backlog=settings.receive.maximum_backlog,
        queued=journal.cases.queued,
    )


@contextmanager
def operations_alone(settings: Settings) -> Iterator[Operations]:
    """Give what an operator can do, while the node does not run. Raises NodeAlreadyRunning, JournalError."""
    state_dir = make_state_dir(settings.node)
    require_finished(state_dir)
    journal = Journal(journal_place(settings))
    try:
        retention = Retention(settings, journal, headroom_of(settings, journal))
        yield Operations(
            journal,
            {place.name: place.wanted for place in settings.destination},
            purge=lambda dry_run: asdict(retention.purge(dry_run=dry_run)),
        )
    finally:
        journal.close()
