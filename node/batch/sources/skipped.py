"""Files that became part of no item."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from node.domain.case import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file of the input that is part of no item, and why. `member`: which file of a zip, from 0; else None."""

    path: Path
    member: int | None
    reason: Reason


#: Is told of each file that is skipped.
Tell = Callable[[Skipped], None]
