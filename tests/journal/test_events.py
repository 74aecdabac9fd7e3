"""A damaged event of the trail is handed over as that, once, and whoever reads on loses nothing that comes after it."""

import json
from collections.abc import Callable

import pytest

from node.errors import JournalDamaged
from node.journal.events import DamagedEvent, Event
from node.journal.journal import Journal
from node.journal.overview import events
from node.journal.pulls import PullJournal
from node.journal.store import Store
from node.journal.trail import Place, newest_place, read_on

AT = "2026-01-02T03:04:05.000+00:00"


@pytest.fixture
def store(sqlite_journal: Journal) -> Store:
    return sqlite_journal.store


@pytest.fixture
def damage(store: Store) -> Callable[..., None]:
    """Writes over columns of an event, as SQL has it."""

    def done(number: int, change: str, *values: object) -> None:
        with store.transaction() as connection:
            connection.exec_driver_sql(f"UPDATE event SET {change} WHERE id = {number}", values)

    return done


def tell(store: Store, what: str = "case queued", **detail: object) -> None:
    with store.transaction() as connection:
        store.record(connection, what, series_uid="1.2.3", case_id=1, **detail)


def read(store: Store, place: Place, most: int = 100) -> tuple[list[tuple[int, bool]], Place]:
    """Read on; return number and soundness of each event, and the place behind them."""
    found, place = read_on(store, place, most)
    return [(event.event, isinstance(event, Event)) for event in found], place


@pytest.mark.parametrize(
    "change",
    [
        "detail = '{'",
        "detail = '[1, 2]'",
        "detail = CAST(X'5A5A534543524554FF' AS TEXT)",
        "what = CAST(X'FF' AS TEXT)",
        "what = X'FF'",
        "at = 'x'",
        "at = '2026-01-02T03:04:05'",
        "at = CAST(X'FF' AS TEXT)",
        "case_id = 'one'",
        "series_uid = X'FF'",
    ],
)
def test_what_is_no_event_any_more_is_passed_over(store, damage, change):
    for _ in range(3):
        tell(store)
    damage(2, change)
    assert read(store, Place()) == ([(1, True), (2, False), (3, True)], newest_place(store))


@pytest.mark.parametrize(
    ("what", "detail"),
    [
        ("delivery failed", {"destinatiom": "archive"}),
        ("delivery delivered", {"destination": 7}),
        ("bytes quarantined", {"kode": "not-dicom"}),
        ("bytes quarantined", {"code": 7}),
        ("case quarantined", {"reasons": "slice-gap"}),
        ("case quarantined", {"reasons": [{"code": "slice-gap"}]}),
        ("case sending", {"timings_s": [1.0]}),
        ("case sending", {"timings_s": {"segment": "long"}}),
        ("case sending", {"seconds": "long"}),
        ("series asked for", {"instances": 2, "arrived": 0}),
        ("pull ended", {"stopped": "limit"}),
        ("pull ended", {"pull": "nightly", "stopped": 7}),
        ("pull ended", {"pull": "nightly", "reasons": {"here": "all"}}),
        ("pull failed", {"pull": 7, "code": "peer-unreachable"}),
    ],
)
def test_what_lacks_what_its_readers_need_is_passed_over(store, what, detail):
    tell(store)
    tell(store, what, **detail)
    tell(store)
    assert read(store, Place())[0] == [(1, True), (2, False), (3, True)]


def test_a_damaged_event_at_the_end_is_read_once(store, damage):
    for _ in range(3):
        tell(store)
    damage(2, "at = CAST(X'FF' AS TEXT)")
    damage(3, "at = CAST(X'FF' AS TEXT)")
    found, place = read(store, Place())
    assert found == [(1, True), (2, False), (3, False)]
    assert place == newest_place(store) == Place(event=1, at=place.at, passed=3)
    assert read(store, place) == ([], place)
    tell(store)
    found, place = read(store, place)
    assert (found, place.event, place.passed) == ([(4, True)], 4, 0)


def test_a_trail_of_damaged_events_only_is_read_once(store, damage):
    for number in (1, 2):
        tell(store)
        damage(number, "at = 'x'")
    found, place = read(store, Place(), 1)
    assert (found, place) == ([(1, False)], Place(passed=1))
    found, place = read(store, place, 1)
    assert (found, place) == ([(2, False)], Place(passed=2))
    assert newest_place(store) == place


def test_a_damaged_number_that_was_missing_is_read_once(store, damage):
    for _ in range(3):
        tell(store)
    damage(2, "detail = '{'")
    found, place = read(store, Place(event=3, at=newest_place(store).at, missing=(2,)))
    assert (found, place.missing) == ([(2, False)], ())


def test_in_another_journal_it_goes_on_with_what_is_younger_whatever_is_damaged(store, damage):
    for _ in range(3):
        tell(store)
    damage(2, "at = CAST(X'31FF' AS TEXT)")
    assert read(store, Place(event=99, at="9999-01-01T00:00:00.000+00:00", passed=120)) == ([], newest_place(store))


def test_a_damaged_event_has_its_own_time_or_that_of_the_one_before(store, damage):
    for _ in range(3):
        tell(store)
    damage(1, "detail = '{', at = ?", AT)
    damage(2, "at = 'x'")
    (one, two, _), _place = read_on(store, Place(), 100)
    assert (one, two) == (DamagedEvent(event=1, at=AT), DamagedEvent(event=2, at=AT))


def test_where_the_numbers_cannot_be_read_either_the_journal_is_damaged(store, monkeypatch):
    def broken(*_arguments: object) -> None:
        raise JournalDamaged("the journal is damaged: SQLITE_CORRUPT")

    tell(store)
    monkeypatch.setattr(Store, "reading", broken)
    with pytest.raises(JournalDamaged):
        read_on(store, Place(), 100)


def test_the_status_of_a_series_names_a_damaged_event_and_tells_the_others(store, damage):
    for _ in range(3):
        tell(store)
    damage(2, "detail = CAST(X'5A5A534543524554FF' AS TEXT)")
    found = events(store, series_uid="1.2.3")
    assert [(event["id"], event["what"]) for event in found] == [
        (1, "case queued"), (2, "event damaged"), (3, "case queued"),
    ]  # fmt: skip
    assert "ZZSECRET" not in json.dumps(found)


def test_a_series_whose_trail_is_damaged_is_asked_for_by_what_can_be_read(store, damage):
    for _ in range(3):
        tell(store, "series asked for", instances=2, arrived=0, wanted=2)
    damage(2, "detail = '{'")
    assert PullJournal(store).in_vain("1.2.3", 2)[0] == 2
