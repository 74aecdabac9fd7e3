"""Which items are run: by the ledger, one at a time."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from batchwork import Nowhere, items, names
from hypothesis import given
from hypothesis import strategies as st

from node.batch.runner.batch import Shard
from node.batch.runner.ledger import State
from node.batch.runner.options import RunOptions
from node.batch.runner.pending import Pending, Try
from node.batch.runner.report import Tally
from node.batch.runner.standing import Standing, Standings
from node.batch.runner.task import WorkItem
from node.errors import InputError

NOTHING = Standings(out=Path(), files=(), by_key={}, executions=0, damaged=())


def standings(**by_key: tuple[State, bool, int]) -> Standings:
    """A ledger by which each case has a state, is final or not, and has been tried so often."""
    found = {key: Standing(state, final, attempt, 1.0, 0, 0) for key, (state, final, attempt) in by_key.items()}
    return Standings(out=Path(), files=(), by_key=found, executions=len(found), damaged=())


def drained(pending: Pending) -> list[tuple[str, int]]:
    """Return the keys and tries of all that is pending."""
    found = []
    while (task := pending.next()) is not None:
        found.append((task.item.key, task.attempt))
    return found


LEDGER = standings(
    done=(State.DONE, True, 1),
    refused=(State.REFUSED, True, 1),
    failed=(State.FAILED, True, 2),
    trying=(State.FAILED, False, 1),
)
KEYS = ("done", "new", "refused", "failed", "trying")


@pytest.mark.parametrize(
    ("only_failed", "expected"), [(False, [("new", 1), ("trying", 2)]), (True, [("failed", 1), ("trying", 1)])]
)
def test_the_ledger_says_what_is_left(only_failed: bool, expected: list[tuple[str, int]]) -> None:
    tally = Tally()
    given_items = (WorkItem(key=key, source=Nowhere()) for key in KEYS)
    pending = Pending(given_items, LEDGER, RunOptions(only_failed=only_failed), tally)
    assert drained(pending) == expected
    assert tally.earlier == 3


@pytest.mark.parametrize(("only_failed", "expected"), [(False, KEYS), (True, ("failed", "trying"))])
def test_what_is_known_of_another_input_settles_nothing(only_failed: bool, expected: tuple[str, ...]) -> None:
    changed = [WorkItem(key=key, source=Nowhere(), mark="2e") for key in KEYS]
    found = drained(Pending(changed, LEDGER, RunOptions(only_failed=only_failed), Tally()))
    assert found == [(key, 1) for key in expected]


def test_what_cannot_be_looked_at_is_no_change() -> None:
    known = {key: replace(standing, mark="2e") for key, standing in LEDGER.by_key.items()}
    unseen = [WorkItem(key=key, source=Nowhere()) for key in KEYS]
    found = drained(Pending(unseen, replace(LEDGER, by_key=known), RunOptions(), Tally()))
    assert found == [("new", 1), ("trying", 2)]


def test_a_key_counts_once() -> None:
    tally = Tally()
    twice = [*items(3), *items(3)]
    assert len(drained(Pending(twice, NOTHING, RunOptions(), tally))) == 3
    assert tally.repeated == 3


def test_items_are_asked_for_one_by_one() -> None:
    asked: list[str] = []

    def told() -> Iterator[WorkItem]:
        for item in items(10):
            asked.append(item.key)
            yield item

    pending = Pending(told(), NOTHING, RunOptions(), Tally())
    first = pending.next()
    assert first is not None
    assert asked == ["case-0000"]
    pending.give_back(Try(item=first.item, attempt=2))
    assert pending.next() == Try(item=first.item, attempt=2)
    assert asked == ["case-0000"]


@given(count=st.integers(1, 9))
def test_shards_part_the_items_among_them(count: int) -> None:
    parts = [
        [key for key, _ in drained(Pending(items(40), NOTHING, RunOptions(shard=shard), Tally()))]
        for shard in (Shard(number=number, count=count) for number in range(1, count + 1))
    ]
    assert sorted(key for part in parts for key in part) == names(40)


def test_a_key_that_is_none_stops_the_batch() -> None:
    with pytest.raises(InputError, match="the key of a case"):
        Pending([WorkItem(key="../x", source=Nowhere())], NOTHING, RunOptions(), Tally()).next()
