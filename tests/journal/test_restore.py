"""A journal made again from the files."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from node.domain.arrivals import Quarantined
from node.domain.case import ObjectKind, ResultObject
from node.domain.identifiers import set_digest
from node.journal.arrivals import Outcome
from node.journal.overview import overview
from node.journal.pulls import PullJournal
from node.journal.restore import RestoredCase

AT = datetime(2026, 1, 1, tzinfo=UTC)
SEG = ResultObject(
    kind=ObjectKind.SEGMENTATION,
    sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
    sop_instance_uid="9.1.1",
    path=Path("results/00000007-1/seg.dcm"),
    digest="e" * 64,
    destinations=("archive",),
)
CASE = RestoredCase(
    series_uid="1.2.3",
    study_uid="1.2",
    revision=1,
    set_digest=set_digest({"1.2.3.1": f"{1:064x}"}),
    partial=False,
    route="neck",
    created_at="2026-01-01T00:00:00.000+00:00",
    objects=(SEG,),
    case_id=7,
)


def test_a_case_made_of_all_instances_is_sent_again_and_its_series_closed(journal, fill):
    assert journal.restore.arrival(fill.arrival(1), AT)
    assert not journal.restore.arrival(fill.arrival(1), AT)
    assert len(journal.arrivals.open_series()) == 1
    assert journal.restore.case(CASE) == 7
    assert (fill.states(journal), journal.arrivals.open_series()) == (["sending"], ())
    (delivery,) = journal.deliveries.pending("archive")
    assert (delivery.path, delivery.attempts, delivery.study_uid) == ("results/00000007-1/seg.dcm", 0, "1.2")
    assert PullJournal(journal.store).made_here(["9.1.1"])


def test_a_case_is_restored_once(journal, fill):
    assert [journal.restore.case(CASE), journal.restore.case(CASE)] == [7, None]
    assert fill.states(journal) == ["sending"]


def test_a_series_with_another_instance_receives_and_its_case_is_the_next_revision(journal, fill):
    for number in (1, 2):
        journal.restore.arrival(fill.arrival(number), AT)
    journal.restore.case(CASE)
    assert [item.arrivals for item in journal.arrivals.open_series()] == [2]
    assert fill.open_case(journal) == 8
    assert fill.states(journal) == ["superseded", "queued"]


def test_results_that_go_nowhere_are_delivered(journal, fill):
    journal.restore.case(replace(CASE, objects=(replace(SEG, destinations=()),)))
    assert fill.states(journal) == ["delivered"]


def test_of_several_revisions_the_newest_is_sent_in_whichever_order_they_come(journal, fill):
    second = replace(CASE, revision=2, case_id=9, objects=(replace(SEG, sop_instance_uid="9.2.1"),))
    third = replace(CASE, revision=3, case_id=11, objects=(replace(SEG, sop_instance_uid="9.3.1"),))
    for case in (second, CASE, third):
        journal.restore.case(case)
    assert fill.states(journal) == ["superseded", "superseded", "sending"]
    assert [item.sop_instance_uid for item in journal.deliveries.pending("archive")] == ["9.3.1"]


def test_a_purged_series_stays_closed_and_receives_what_comes_again(journal, fill):
    journal.restore.case(CASE)
    assert journal.arrivals.open_series() == ()
    assert journal.arrivals.record(fill.arrival(1)) is Outcome.NEW
    assert [(item.arrivals, item.revisions) for item in journal.arrivals.open_series()] == [(1, 1)]


def test_a_number_that_is_taken_is_not_given_twice(journal, fill):
    journal.restore.case(CASE)
    assert journal.restore.case(replace(CASE, series_uid="7.7")) == 8


def test_the_newest_version_is_the_one_restored_last(journal, fill):
    for digest in ("a" * 64, "b" * 64):
        journal.restore.arrival(fill.arrival(1, digest=digest), AT)
    assert [item.digest for item in journal.arrivals.instances("1.2.3")] == ["b" * 64]


def test_bytes_in_quarantine_come_back_with_their_time(journal):
    bad = Quarantined(
        digest="c" * 64, path="quarantine/c.dcm", code="not-dicom", text="cannot be parsed", calling_ae="X"
    )
    assert [journal.restore.quarantined(bad, AT), journal.restore.quarantined(bad, AT)] == [True, False]
    (row,) = overview(journal.store, latest=9)["latest_quarantined"]
    assert row["received_at"] == "2026-01-01T00:00:00.000+00:00"
