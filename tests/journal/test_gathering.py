"""Group commit: who waits together is written together, and fails together."""

import threading

import pytest

from node.errors import JournalError
from node.journal.gathering import Gathering


class Writer:
    """Writes numbers as their squares; the first batch waits until it may go on."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.first_taken, self.may_go_on = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def __call__(self, take):
        batch = list(take())
        self.batches.append(batch)
        if len(self.batches) == 1:
            self.first_taken.set()
            assert self.may_go_on.wait(60)
        elif self.error is not None:
            raise self.error
        return [number * number for number in batch]


def gathered(writer, numbers):
    """Submit 1, then, while it is written, the others by a thread each; return what each of them got."""
    gathering = Gathering[int, int](writer)
    answers: dict[int, object] = {}

    def submit(number):
        try:
            answers[number] = gathering.submit(number)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test wants to see it
            answers[number] = error

    threads = [threading.Thread(target=submit, args=(1,))]
    threads[0].start()
    assert writer.first_taken.wait(60)
    for number in numbers:
        threads.append(threading.Thread(target=submit, args=(number,)))
        threads[-1].start()
    for _ in range(60_000):
        with gathering._mutex:
            if len(gathering._queue) == len(numbers):
                break
        threading.Event().wait(0.001)
    writer.may_go_on.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return gathering, answers


def test_those_who_come_while_one_is_written_are_the_next_batch():
    writer = Writer()
    _, answers = gathered(writer, range(2, 8))
    assert answers == {number: number * number for number in range(1, 8)}
    assert [sorted(batch) for batch in writer.batches] == [[1], [2, 3, 4, 5, 6, 7]]


def test_a_batch_has_at_most_a_hundred_and_nobody_is_forgotten():
    writer = Writer()
    _, answers = gathered(writer, range(2, 133))
    assert answers == {number: number * number for number in range(1, 133)}
    assert [len(batch) for batch in writer.batches] == [1, 100, 31]


def test_an_error_reaches_everyone_in_its_batch_and_the_next_batch_is_written():
    writer = Writer()
    writer.error = JournalError("disk full")
    gathering, answers = gathered(writer, range(2, 5))
    assert answers.pop(1) == 1
    assert {type(error) for error in answers.values()} == {JournalError}
    assert {str(error) for error in answers.values()} == {"disk full"}
    assert len({id(error) for error in answers.values()}) == 3
    writer.error = None
    assert gathering.submit(9) == 81


def test_an_error_that_nobody_foresaw_leaves_nobody_waiting():
    writer = Writer()
    writer.error = ZeroDivisionError()
    gathering, answers = gathered(writer, range(2, 5))
    assert sorted(type(answer).__name__ for answer in answers.values()) == [
        "JournalError", "JournalError", "ZeroDivisionError", "int",
    ]  # fmt: skip
    writer.error = None
    assert gathering.submit(9) == 81


def test_an_error_before_the_batch_is_taken_is_raised_too():
    def write(_take):
        raise JournalError("locked")

    gathering = Gathering[int, int](write)
    for _ in range(2):
        with pytest.raises(JournalError, match="locked"):
            gathering.submit(1)
