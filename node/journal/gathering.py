"""Group commit: who waits together is written together; a write to the disk costs the same for one as for ten."""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from node.errors import JournalError, NodeError

Item = TypeVar("Item")
Answer = TypeVar("Answer")

#: Called once a batch with a function that hands it over; returns one answer for each item.
Write = Callable[[Callable[[], Sequence[Item]]], Sequence[Answer]]

_LARGEST_BATCH = 100


class _Waiting(Generic[Item, Answer]):
    """One thread that waits for its item."""

    __slots__ = ("answer", "error", "item", "leads", "woken")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.answer: Answer | None = None
        self.error: NodeError | None = None
        self.leads = False
        self.woken = threading.Lock()
        self.woken.acquire()


class Gathering(Generic[Item, Answer]):
    """Items of many threads, written in batches by whichever thread is the first to come."""

    def __init__(self, write: Write[Item, Answer]) -> None:
        self._write = write
        self._mutex = threading.Lock()
        self._queue: list[_Waiting[Item, Answer]] = []
        self._led = False

    def submit(self, item: Item) -> Answer:
        """Return the answer to `item` once its batch is written. An error of the batch is raised in each thread."""
        mine = _Waiting[Item, Answer](item)
        with self._mutex:
            self._queue.append(mine)
            mine.leads = not self._led
            self._led = True
        if not mine.leads:
            mine.woken.acquire()
        if mine.leads:
            self._lead()
        if mine.error is not None:
            raise type(mine.error)(*mine.error.args) from mine.error
        assert mine.answer is not None  # noqa: S101 - set with every batch that raises nothing
        return mine.answer

    def _lead(self) -> None:
        """Write one batch, answer to those in it, and let the first of the others lead."""
        batch: list[_Waiting[Item, Answer]] = []

        def take() -> Sequence[Item]:
            if not batch:
                batch.extend(self._taken())
            return [waiting.item for waiting in batch]

        error: NodeError | None = JournalError("the journal failed while it wrote for other threads too")
        answers: Sequence[Answer] = ()
        try:
            answers = self._write(take)
            error = None
        except NodeError as raised:
            error = raised
        finally:
            self._answer(batch or self._taken(), answers, error)

    def _taken(self) -> list[_Waiting[Item, Answer]]:
        with self._mutex:
            batch = self._queue[:_LARGEST_BATCH]
            del self._queue[:_LARGEST_BATCH]
        return batch

    def _answer(
        self, batch: Sequence[_Waiting[Item, Answer]], answers: Sequence[Answer], error: NodeError | None
    ) -> None:
        with self._mutex:
            heir = self._queue[0] if self._queue else None
            self._led = heir is not None
        if heir is not None:
            heir.leads = True
            heir.woken.release()
        for number, waiting in enumerate(batch):
            waiting.error = error
            if error is None:
                waiting.answer = answers[number]
            waiting.leads = False
            waiting.woken.release()
