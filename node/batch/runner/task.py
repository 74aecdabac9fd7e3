"""What a batch does with each of its items: the seam between the runner and the work."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from node.assemble.nifti import NiftiImage
from node.domain.series import Series


class Source(Protocol):
    """Where the input of an item comes from. It is pickled to the worker."""

    def load(self, scratch: Path) -> Series | NiftiImage:
        """Return the input; what has to be unpacked or fetched goes to the folder `scratch`. Raises NodeError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """One case of a batch.

    `key` names it in the ledger and its folder: letters, digits, dots, hyphens and underscores, at most 200 of them.
    `source` may be more than a `Source` to a task that needs more, such as a mask beside the series. `mark` says what
    the input looks like (`node.batch.mark`): what was done under another mark is done again. Empty where nobody could
    look, and where the key says all, as of a series in an archive: what is done stays done.
    """

    key: str
    source: Source
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlace:
    """Which worker of its machine this is, from 0, and how many CPU threads are its own."""

    index: int
    threads: int


class Work(Protocol):
    """What a worker holds ready between items, such as a model in memory."""

    def __call__(self, item: WorkItem, scratch: Path, folder: Path) -> Mapping[str, Any]:
        """Do one item: results durably into `folder`, which is empty.

        Returns what the ledger keeps of it (JSON). Raises NodeError; the class says whether trying again can help.
        """


class Task(Protocol):
    """What is done. It is pickled to every worker, so it holds settings and paths, never a model."""

    @property
    def digest(self) -> str:
        """What the results follow from besides the item: a ledger takes no results of another digest."""

    def ready(self, place: WorkerPlace) -> AbstractContextManager[Work]:
        """Make ready what all items share, once a worker."""
