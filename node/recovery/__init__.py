"""When the journal is damaged or lost: what it still holds, and how it is made anew from the files."""

from node.recovery.check import CheckReport, check_journal
from node.recovery.filling import Rebuilt
from node.recovery.rebuild import rebuild_journal, require_finished

__all__ = ["CheckReport", "Rebuilt", "check_journal", "rebuild_journal", "require_finished"]
