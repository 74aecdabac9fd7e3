"""Version 1: instances, series, cases, objects, deliveries, events. Its tables were made by the software itself."""

from node.errors import JournalError

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Never run: what has no version is made as the newest one."""
    raise JournalError("a journal of version 1 cannot be made any more")
