"""Deliveries in the journal: each destination on its own, and the case settled by all of them."""

import pytest

from node.journal.overview import overview


@pytest.fixture
def sending(journal, fill):
    """A case with two objects on their way to two destinations."""
    claim = fill.running(journal)
    journal.cases.finish(claim, fill.results(claim.case_id, "archive", "backup"))
    return journal


def test_what_waits_comes_case_by_case_segmentation_first(sending, fill):
    claim = fill.running(sending, series="7.1")
    sending.cases.finish(claim, fill.results(2, "archive"))
    assert [
        (item.case_id, item.series_uid, item.sop_instance_uid, item.path, item.attempts)
        for item in sending.deliveries.pending("archive")
    ] == [
        (1, "1.2.3", "9.1.1", "results/1/SEG.dcm", 0),
        (1, "1.2.3", "9.1.2", "results/1/SR.dcm", 0),
        (2, "7.1", "9.2.1", "results/2/SEG.dcm", 0),
        (2, "7.1", "9.2.2", "results/2/SR.dcm", 0),
    ]
    assert len(sending.deliveries.pending("backup")) == 2
    assert sending.deliveries.pending("nowhere") == ()


def test_a_case_is_delivered_when_every_destination_has_every_object(sending, fill):
    seen = []
    for destination in ("archive", "backup"):
        for delivery in sending.deliveries.pending(destination):
            sending.deliveries.record_delivered(delivery, None)
            seen += fill.states(sending)
    assert seen == ["sending", "sending", "sending", "delivered"]


def test_a_case_is_undelivered_when_one_object_was_refused_but_only_after_the_others(sending, fill):
    first, second = sending.deliveries.pending("archive")
    sending.deliveries.record_refused(first, "store-refused", "no such class")
    sending.deliveries.record_delivered(second, None)
    assert fill.states(sending) == ["sending"]
    for delivery in sending.deliveries.pending("backup"):
        sending.deliveries.record_delivered(delivery, None)
    assert fill.states(sending) == ["undelivered"]
    assert fill.deliveries(sending)[0] == ("9.1.1", "archive", "refused")


def test_a_failure_that_may_pass_counts_an_attempt_and_leaves_the_delivery_pending(sending, fill):
    for attempts in (0, 1):
        delivery = sending.deliveries.pending("archive")[0]
        assert delivery.attempts == attempts
        sending.deliveries.record_failed(delivery, "store-failed", "0xA700")
    item = overview(sending.store, latest=1)["latest_cases"][0]["objects"][0]
    assert (item["state"], item["attempts"], item["code"], item["text"]) == ("pending", 2, "store-failed", "0xA700")
    assert fill.states(sending) == ["sending"]


def test_a_note_is_kept_and_takes_the_place_of_an_old_fault(sending):
    delivery = sending.deliveries.pending("archive")[0]
    sending.deliveries.record_failed(delivery, "store-failed", "0xA700")
    sending.deliveries.record_delivered(delivery, "warning 0xB000")
    item = overview(sending.store, latest=1)["latest_cases"][0]["objects"][0]
    assert (item["state"], item["attempts"], item["code"], item["text"]) == ("delivered", 2, None, "warning 0xB000")


def test_a_delivery_ends_once(sending, fill):
    delivery = sending.deliveries.pending("archive")[0]
    sending.deliveries.record_delivered(delivery, None)
    sending.deliveries.record_refused(delivery, "store-refused", "no")
    sending.deliveries.record_failed(delivery, "store-failed", "no")
    assert fill.deliveries(sending)[0] == ("9.1.1", "archive", "delivered")
    assert fill.trail(sending).count("delivery delivered") == 1


def test_the_overview_counts_by_state_and_destination(sending):
    sending.deliveries.record_delivered(sending.deliveries.pending("archive")[0], None)
    told = overview(sending.store, latest=5)
    assert told["cases"] == {"sending": 1}
    assert told["receiving"] == 0
    assert sorted((item["destination"], item["state"], item["count"]) for item in told["deliveries"]) == [
        ("archive", "delivered", 1),
        ("archive", "pending", 1),
        ("backup", "pending", 2),
    ]


def test_the_overview_shows_the_latest_cases_first_and_no_more_than_asked_for(journal, fill):
    for series in ("5.1", "4.1", "6.1"):
        fill.running(journal, series=series)
    latest = overview(journal.store, latest=2)["latest_cases"]
    assert [case["series_uid"] for case in latest] == ["6.1", "4.1"]
    assert [case["objects"] for case in latest] == [[], []]
