"""When the journal is damaged or lost: what it still holds, and how it is made anew from the files; and backups."""

from node.recovery.backup import Backup, Wanted, back_up
from node.recovery.check import CheckReport, check_journal
from node.recovery.filling import Rebuilt
from node.recovery.rebuild import rebuild_journal, require_finished
from node.recovery.restoring import Restored, restore

__all__ = [
    "Backup",
    "CheckReport",
    "Rebuilt",
    "Restored",
    "Wanted",
    "back_up",
    "check_journal",
    "rebuild_journal",
    "require_finished",
    "restore",
]
