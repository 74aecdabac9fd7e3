"""Events of a journal and the notices that they make."""

from pathlib import Path

import pytest
from notifying import Told, bytes_quarantined, quarantine
from outboxes import Rig

from node.errors import PeerUnreachable, StoreRefused
from node.journal.pulls import PullJournal
from node.pull.report import Outcome


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_a_case_that_cannot_be_segmented_is_told_with_its_codes(rig):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    assert told.texts() == ["case 1 is quarantined: slice-gap"]
    (notice,) = told.notices
    assert (notice["topic"], notice["case"], notice["codes"]) == ("quarantine", 1, ["slice-gap"])


def test_a_destination_that_refuses_for_good_is_named_with_its_code(rig):
    told = Told(rig)
    rig.archive.way = StoreRefused("no")
    rig.case(1)
    rig.deliver()
    assert told.texts() == ["case 1 did not reach every destination: archive (store-refused)"]


def test_received_bytes_that_are_no_instance_are_told(rig):
    told = Told(rig)
    bytes_quarantined(rig, "not-dicom")
    assert told.texts() == ["received bytes are no instance and lie in quarantine: not-dicom"]


def test_a_case_that_is_delivered_at_once_is_no_news(rig):
    told = Told(rig)
    rig.case(1)
    rig.deliver()
    assert rig.cases() == ["delivered"]
    assert told.texts() == []


def test_a_case_that_is_delivered_after_a_retry_has_recovered(rig):
    told = Told(rig)
    rig.archive.way = StoreRefused("no")
    rig.case(1)
    rig.deliver()
    rig.archive.way = None
    rig.journal.cases.retry(1)
    rig.deliver()
    assert told.texts()[1:] == ["case 1 is delivered after all"]
    assert [notice["topic"] for notice in told.notices] == ["failure", "recovery"]


def test_a_destination_is_told_of_when_it_has_failed_for_long_and_when_it_works_again(rig):
    told = Told(rig, failing_s=600.0)
    rig.archive.way = PeerUnreachable("gone")
    rig.case(1)
    rig.deliver()
    rig.clock.now += 599
    assert told.texts() == []
    rig.clock.now += 1
    assert told.texts() == ["destination archive fails since 2026-01-01T00:00:00.000+00:00: peer-unreachable"]
    rig.clock.now += 10_000
    rig.archive.way = None
    rig.deliver()
    assert told.texts()[1:] == [
        "destination archive works again; it had failed since 2026-01-01T00:00:00.000+00:00: peer-unreachable"
    ]


def test_a_destination_that_fails_for_a_moment_is_no_news(rig):
    told = Told(rig, failing_s=600.0)
    rig.archive.way = PeerUnreachable("gone")
    rig.case(1)
    rig.deliver()
    rig.archive.way = None
    rig.clock.now += 599
    rig.deliver()
    rig.clock.now += 10_000
    assert told.texts() == []


def test_a_destination_that_nothing_waits_for_any_more_does_not_fail(rig):
    told = Told(rig, failing_s=600.0)
    rig.archive.way = PeerUnreachable("gone")
    rig.case(1)
    rig.deliver()
    rig.journal.cases.cancel(1)
    rig.clock.now += 10_000
    assert told.texts() == []


def test_a_pull_is_told_of_when_it_has_failed_for_long_and_when_it_works_again(rig):
    told, pulls = Told(rig, failing_s=600.0), PullJournal(rig.journal.store)
    pulls.note_failed("nightly", code="destination-misconfigured", text="ARCHIVE rejected the association for good")
    rig.clock.now += 599
    assert told.texts() == []
    rig.clock.now += 1
    assert told.texts() == ["pull nightly fails since 2026-01-01T00:00:00.000+00:00: destination-misconfigured"]
    told.start()
    pulls.note_ended("nightly", **Outcome(stopped="stopped").document())
    pulls.note_ended("nightly", **Outcome(stopped="peer-unreachable").document())
    assert len(told.texts()) == 1
    pulls.note_ended("nightly", **Outcome(stopped="limit").document())
    assert told.texts()[1:] == [
        "pull nightly works again; it had failed since 2026-01-01T00:00:00.000+00:00: peer-unreachable"
    ]
    assert [(one["topic"], one["kind"], one["pull"], one["codes"]) for one in told.notices] == [
        ("failure", "pull-failing", "nightly", ["destination-misconfigured"]),
        ("recovery", "pull-works", "nightly", ["peer-unreachable"]),
    ]


def test_a_pull_that_fails_for_a_moment_or_is_stopped_is_no_news(rig):
    told, pulls = Told(rig, failing_s=600.0), PullJournal(rig.journal.store)
    pulls.note_failed("nightly", code="peer-unreachable", text="ARCHIVE does not answer")
    rig.clock.now += 599
    pulls.note_ended("nightly", **Outcome().document())
    pulls.note_ended("weekly", **Outcome(stopped="stopped").document())
    rig.clock.now += 10_000
    assert told.texts() == []


def test_only_the_topics_that_were_asked_for_are_told(rig):
    told = Told(rig, on=["recovery"])
    quarantine(rig, 1, "slice-gap")
    rig.journal.cases.retry(1)
    claim = rig.journal.cases.claim("test")
    assert claim is not None
    rig.journal.cases.finish(claim, [])
    assert told.texts() == ["case 1 is delivered after all"]


def test_no_uid_and_no_name_is_told(rig):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    rig.archive.way = StoreRefused("no")
    rig.case(2)
    rig.deliver()
    assert len(told.texts()) == 2
    for message in told.channel.taken:
        assert b"ZZSECRET" not in message.body
        assert b"4.1" not in message.body
        assert b"9.2" not in message.body
