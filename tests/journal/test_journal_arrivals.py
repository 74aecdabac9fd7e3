"""Arrivals in the journal: new, changed or known; and which series still receive."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from node.domain.arrivals import Expectation, ExpectedBy, Quarantined
from node.journal.arrivals import HeldInstance, OpenSeries, Outcome
from node.journal.overview import events, overview
from node.journal.pulls import PullJournal

A, B = "a" * 64, "b" * 64


def uids(journal, series="1.2.3"):
    return [instance.sop_instance_uid for instance in journal.arrivals.instances(series)]


def test_an_arrival_is_new_then_a_duplicate_then_changed(journal, fill):
    record = journal.arrivals.record
    assert record(fill.arrival(1, digest=A)) is Outcome.NEW
    assert record(fill.arrival(1, digest=A)) is Outcome.DUPLICATE
    assert record(fill.arrival(1, digest=B)) is Outcome.CHANGED
    assert record(fill.arrival(2, digest=A)) is Outcome.NEW
    assert [(item.sop_instance_uid, item.digest) for item in journal.arrivals.instances("1.2.3")] == [
        ("1.2.3.1", B),
        ("1.2.3.2", A),
    ]
    assert fill.trail(journal) == ["series receiving", "instance changed"]


def test_an_older_version_that_is_sent_again_counts_again(journal, fill):
    outcomes = [journal.arrivals.record(fill.arrival(1, digest=digest)) for digest in (A, B, A, A, B)]
    assert outcomes == [Outcome.NEW, Outcome.CHANGED, Outcome.CHANGED, Outcome.DUPLICATE, Outcome.CHANGED]
    assert [item.digest for item in journal.arrivals.instances("1.2.3")] == [B]


def test_one_uid_in_two_series_is_two_instances(journal, fill):
    one, other = fill.arrival(1, series="1.2.3"), fill.arrival(1, series="1.2.4")
    other = type(other)(**{**{name: getattr(other, name) for name in other.__slots__}, "sop_instance_uid": "1.2.3.1"})
    assert [journal.arrivals.record(item) for item in (one, other)] == [Outcome.NEW, Outcome.NEW]
    assert uids(journal, "1.2.3") == uids(journal, "1.2.4") == ["1.2.3.1"]


def test_a_duplicate_does_not_count_as_an_arrival_of_its_series(journal, fill):
    for digest in (A, A, B, B):
        journal.arrivals.record(fill.arrival(1, digest=digest))
    (found,) = journal.arrivals.open_series()
    assert replace(found, first_age_s=0.0) == OpenSeries(
        series_uid="1.2.3", study_uid="1.2", arrivals=2, instances=1, own_result=False, calling_ae="PACS"
    )


def test_open_series_come_oldest_first(journal, fill):
    for series in ("5.1", "4.1", "6.1", "5.1"):
        journal.arrivals.record(fill.arrival(1, series=series))
    assert [item.series_uid for item in journal.arrivals.open_series()] == ["5.1", "4.1", "6.1"]


@pytest.mark.parametrize("digest", [f"{2:064x}", B], ids=["new", "changed"])
def test_a_late_slice_opens_its_series_again_and_a_duplicate_does_not(journal, fill, digest):
    journal.arrivals.record(fill.arrival(1, digest=A))
    fill.open_case(journal)
    assert journal.arrivals.open_series() == ()
    journal.arrivals.record(fill.arrival(1, digest=A))
    assert journal.arrivals.open_series() == ()
    journal.arrivals.record(fill.arrival(2 if digest != B else 1, digest=digest))
    assert [(item.series_uid, item.arrivals) for item in journal.arrivals.open_series()] == [("1.2.3", 2)]


def test_an_own_result_is_remembered_with_its_series(journal, fill):
    journal.arrivals.record(fill.arrival(1, own_result=True))
    assert [item.own_result for item in journal.arrivals.open_series()] == [True]


def test_the_uid_of_a_result_is_known(journal, fill):
    claim = fill.running(journal)
    assert not PullJournal(journal.store).made_here(["9.1.1"])
    journal.cases.finish(claim, fill.results(claim.case_id, "archive"))
    assert PullJournal(journal.store).made_here(["9.1.1"])
    assert not PullJournal(journal.store).made_here(["1.2.3.1"])


def test_bytes_in_quarantine_are_recorded_once(journal):
    bad = Quarantined(digest=A, path=f"quarantine/{A}.dcm", code="not-dicom", text="cannot be parsed", calling_ae="X")
    assert journal.arrivals.record_quarantined(bad)
    assert not journal.arrivals.record_quarantined(bad)
    (row,) = overview(journal.store, latest=9)["latest_quarantined"]
    assert (row["digest"], row["code"], row["calling_ae"]) == (A, "not-dicom", "X")


def test_several_threads_record_arrivals_at_once_and_none_is_lost(journal, fill):
    outcomes: list[Outcome] = []
    start = threading.Barrier(6)

    def send(first: int) -> None:
        start.wait(20)
        outcomes.extend(journal.arrivals.record(fill.arrival(number)) for number in range(first, first + 12))

    threads = [threading.Thread(target=send, args=[6 * index]) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(uids(journal)) == 42
    assert (outcomes.count(Outcome.NEW), outcomes.count(Outcome.DUPLICATE), len(outcomes)) == (42, 30, 72)
    assert [item.arrivals for item in journal.arrivals.open_series()] == [42]


def test_one_instance_from_several_threads_is_new_once(journal, fill):
    outcomes: list[Outcome] = []
    start = threading.Barrier(4)

    def send() -> None:
        start.wait(20)
        outcomes.append(journal.arrivals.record(fill.arrival(1)))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(outcome.value for outcome in outcomes) == ["duplicate", "duplicate", "duplicate", "new"]


def test_times_are_utc_in_iso_8601(journal, fill):
    journal.arrivals.record(fill.arrival(1, digest=A))
    journal.arrivals.record(fill.arrival(1, digest=B))
    (_, event) = events(journal.store, series_uid="1.2.3")
    assert event["at"].startswith("2026-01-02T03:04:")
    assert event["at"].endswith("+00:00")


def test_a_series_tells_how_many_instances_it_has_who_sent_the_last_and_how_old_it_is(journal, fill, clock):
    for sender, number, digest in (("ONE", 1, A), ("TWO", 1, B), ("TWO", 2, A)):
        journal.arrivals.record(replace(fill.arrival(number, digest=digest), calling_ae=sender))
    clock.now += timedelta(minutes=5)
    (found,) = journal.arrivals.open_series()
    assert (found.arrivals, found.instances, found.calling_ae, found.revisions) == (3, 2, "TWO", 0)
    assert 300 < found.first_age_s < 320


def test_a_clock_that_was_set_back_makes_no_negative_age(journal, fill, clock):
    journal.arrivals.record(fill.arrival(1))
    clock.now -= timedelta(hours=1)
    assert journal.arrivals.open_series()[0].first_age_s == 0


def test_a_revision_has_an_age_of_its_own(journal, fill, clock):
    journal.arrivals.record(fill.arrival(1))
    fill.open_case(journal)
    clock.now += timedelta(hours=5)
    journal.arrivals.record(fill.arrival(2))
    (found,) = journal.arrivals.open_series()
    assert (found.revisions, found.first_age_s < 60) == (1, True)


def test_of_those_who_say_how_many_instances_there_are_the_best_is_believed(journal, fill):
    journal.arrivals.record(fill.arrival(1))
    seen = []
    for number, source in ((9, "HEADER"), (13, "COMMITMENT"), (12, "QUERY"), (11, "RETRIEVE"), (14, "COMMITMENT")):
        journal.arrivals.expect("1.2.3", Expectation(instances=number, by=ExpectedBy[source]))
        seen.append(journal.arrivals.open_series()[0].expected)
    assert [(item.instances, item.by.name) for item in seen] == [
        (9, "HEADER"), (13, "COMMITMENT"), (13, "COMMITMENT"), (13, "COMMITMENT"), (14, "COMMITMENT"),
    ]  # fmt: skip


def test_what_is_expected_may_be_known_before_the_first_instance(journal, fill):
    journal.arrivals.expect("1.2.3", Expectation(instances=13, by=ExpectedBy.RETRIEVE))
    assert journal.arrivals.open_series() == ()
    journal.arrivals.record(fill.arrival(1), association="a-1")
    assert journal.arrivals.open_series()[0].expected == Expectation(instances=13, by=ExpectedBy.RETRIEVE)


def test_what_is_held_is_the_newest_version_of_each_instance(journal, fill):
    for digest in (A, B):
        journal.arrivals.record(fill.arrival(1, digest=digest))
    journal.arrivals.record(fill.arrival(2))
    found = journal.arrivals.held(["1.2.3.1", "1.2.3.9"])
    assert found == (
        HeldInstance(
            sop_instance_uid="1.2.3.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            series_uid="1.2.3",
            digest=B,
            path=f"spool/{B}.dcm",
        ),
    )
    assert len(journal.arrivals.held([f"1.2.3.{number}" for number in range(1200)])) == 2


def test_an_object_that_the_node_made_is_its_own_result_when_it_comes_back(journal, fill):
    journal.cases.finish(fill.running(journal), fill.results(1, "archive"))
    returned = replace(fill.arrival(1, series="9"), sop_instance_uid="9.1.1")
    assert journal.arrivals.record(returned) is Outcome.NEW
    assert [item.own_result for item in journal.arrivals.open_series()] == [True]
