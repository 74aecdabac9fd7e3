"""The audit trail read on from a place, also where numbers are missing for a moment."""

import pytest
from sqlalchemy import insert

from node.journal import schema
from node.journal.events import Event
from node.journal.journal import Journal
from node.journal.store import Store
from node.journal.trail import Place, ended_badly_before, newest_place, read_on

BAD = ("case quarantined", "case undelivered")


@pytest.fixture
def store(journal: Journal) -> Store:
    return journal.store


def record(store: Store, *numbers: int) -> None:
    with store.transaction() as connection:
        for number in numbers:
            connection.execute(insert(schema.event), {"id": number, **store.event(f"event {number}")})


def read(store: Store, place: Place, most: int = 100) -> tuple[list[int], Place]:
    events, place = read_on(store, place, most)
    return [event.event for event in events], place


def test_an_empty_trail_has_its_beginning_as_its_end(store):
    assert newest_place(store) == Place()
    assert read(store, Place()) == ([], Place())


def test_it_is_read_page_by_page(store):
    record(store, 1, 2, 3)
    first, place = read(store, Place(), 2)
    second, place = read(store, place, 2)
    third, place = read(store, place, 2)
    assert (first, second, third) == ([1, 2], [3], [])
    assert place == newest_place(store)


def test_a_number_that_comes_late_is_read_once(store):
    record(store, 1, 4)
    first, place = read(store, Place())
    assert place.missing == (2, 3)
    record(store, 3)
    second, place = read(store, place)
    assert place.missing == (2,)
    record(store, 5)
    third, place = read(store, place)
    assert (first, second, third) == ([1, 4], [3], [5])
    assert (place.event, place.missing) == (5, (2,))


def test_a_number_that_never_comes_is_given_up(store):
    record(store, 1, 3)
    _, place = read(store, Place())
    record(store, 1001)
    _, place = read(store, place)
    assert place.missing[0] == 2
    record(store, 1002)
    _, place = read(store, place)
    assert place.missing[0] == 4


@pytest.mark.peer("postgresql")
def test_what_another_host_has_not_committed_yet_is_read_when_it_has(postgresql):
    one, other = Journal(postgresql), Journal(postgresql)
    try:
        with one.store.transaction() as slow:
            one.store.record(slow, "slow")
            with other.store.transaction() as fast:
                other.store.record(fast, "fast")
            events, place = read_on(one.store, Place(), 100)
            assert [event.what for event in events] == ["fast"]
        events, place = read_on(one.store, place, 100)
        assert [event.what for event in events] == ["slow"]
        assert read_on(one.store, place, 100)[0] == ()
    finally:
        one.close()
        other.close()


def test_in_another_journal_it_goes_on_with_what_is_younger(store):
    record(store, 1, 2, 3)
    gone = Place(event=99, at="2026-01-02T03:04:07.000+00:00", missing=(50,))
    events, place = read(store, gone)
    assert (events, place) == ([3], newest_place(store))


def test_whether_a_series_had_ended_badly_is_what_was_told_last(store):
    told = ["case quarantined", "case queued", "case delivered", "case running", "case delivered"]
    with store.transaction() as connection:
        for what in told:
            store.record(connection, what, series_uid="1.2", case_id=1)
        store.record(connection, "case delivered", series_uid="1.3", case_id=2)
    events, _ = read_on(store, Place(), 100)

    def recovers(event: Event) -> bool:
        return ended_badly_before(store, event, BAD, "case delivered")

    assert [recovers(event) for event in events if event.what == "case delivered"] == [True, False, False]
