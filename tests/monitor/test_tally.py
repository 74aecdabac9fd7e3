"""The counters follow from the trail of the journal, whoever counts and whenever he begins."""

from scraped import written

from node.journal.schema import event
from node.monitor.sheet import Sheet
from node.monitor.tally import Tally


def counted(trail, *, only: str = "") -> dict[str, float]:
    """Return what somebody who begins now counts and is not 0."""
    tally = Tally(trail.store)
    assert tally.catch_up(patience_s=60)
    return values(tally, only)


def values(tally: Tally, only: str = "") -> dict[str, float]:
    sheet = Sheet()
    tally.fill(sheet)
    return {name: value for name, value in written(sheet).items() if value and name.startswith(only)}


def reason(code: str) -> dict[str, str]:
    return {"code": code, "text": "as the test says"}


def test_an_empty_trail_counts_nothing_and_shows_the_series_that_will_rise(trail):
    tally = Tally(trail.store)
    assert tally.catch_up(patience_s=60)
    sheet = Sheet()
    tally.fill(sheet)
    found = written(sheet)
    assert set(found.values()) == {0.0}
    assert found['cases_ended_total{state="quarantined"}'] == 0
    assert found['results_total{verdict="reject"}'] == 0
    assert found['turnaround_seconds_bucket{le="+Inf"}'] == 0


def test_a_delivered_case_is_counted_with_its_stages_its_verdict_and_its_turnaround(trail):
    trail.tell("case queued", at=0, case=1, revision=1, route="neck", partial=False, reasons=[])
    trail.tell("case running", at=1, case=1)
    timings = {"segment": 4.2, "encode": 0.3}
    trail.tell("case sending", at=2, case=1, reasons=[], verdict="review", timings_s=timings, seconds=4.75)
    trail.tell("delivery delivered", at=2.5, case=1, destination="archive")
    trail.tell("case delivered", at=3, case=1)
    found = counted(trail)
    assert found['cases_accepted_total{route="neck"}'] == 1
    assert found['cases_ended_total{state="delivered"}'] == 1
    assert found['results_total{verdict="review"}'] == 1
    assert found['deliveries_total{destination="archive",outcome="delivered"}'] == 1
    assert found['stage_seconds_sum{stage="segment"}'] == 4.2
    assert found['stage_seconds_bucket{le="0.5",stage="encode"}'] == 1
    assert 'stage_seconds_bucket{le="0.25",stage="encode"}' not in found
    assert found["work_seconds_sum"] == 4.75
    assert (found["turnaround_seconds_count"], found["turnaround_seconds_sum"]) == (1, 180)
    assert found['turnaround_seconds_bucket{le="300.0"}'] == 1
    assert 'turnaround_seconds_bucket{le="120.0"}' not in found


def test_a_failure_is_counted_by_its_class_and_by_what_follows(trail):
    trail.tell("case queued", case=1, revision=1, route="neck", reasons=[])
    trail.tell("case queued", case=1, reasons=[reason("engine-died")])
    trail.tell("case queued", case=1, reasons=[reason("engine-died")])
    trail.tell("case quarantined", case=1, reasons=[reason("engine-timeout")])
    assert counted(trail, only="case_failures") == {
        'case_failures_total{code="engine-died",outcome="retried"}': 2,
        'case_failures_total{code="engine-timeout",outcome="quarantined"}': 1,
    }


def test_a_rejected_series_counts_once_for_each_kind_of_reason(trail):
    reasons = [reason("region"), reason("echo-time"), reason("region")]
    trail.tell("case rejected", case=1, revision=1, route=None, reasons=reasons)
    assert counted(trail) == {
        'cases_ended_total{state="rejected"}': 1,
        'series_rejected_total{reason="echo-time"}': 1,
        'series_rejected_total{reason="region"}': 1,
    }


def test_a_case_that_goes_to_its_destinations_once_more_brings_no_second_result(trail):
    trail.tell("case sending", case=1, reasons=[], verdict="good", timings_s={"segment": 1.0}, seconds=1.0)
    trail.tell("case undelivered", case=1)
    trail.tell("case sending", case=1)
    assert counted(trail, only="results") == {'results_total{verdict="good"}': 1}
    assert counted(trail, only="work_seconds_count") == {"work_seconds_count": 1}


def test_the_time_that_an_operator_held_a_case_is_no_turnaround(trail):
    trail.tell("case queued", at=0, case=1, revision=1, route="neck", reasons=[])
    trail.tell("case held", at=1, case=1)
    trail.tell("case queued", at=600, case=1)
    trail.tell("case delivered", at=601, case=1)
    assert counted(trail, only="turnaround_seconds_count") == {}


def test_a_turnaround_is_never_negative_when_the_wall_clock_went_back(trail):
    trail.tell("case queued", at=60, case=1, revision=1, route="neck", reasons=[])
    trail.tell("case delivered", at=1, case=1)
    assert counted(trail, only="turnaround_seconds_count") == {"turnaround_seconds_count": 1}
    assert counted(trail, only="turnaround_seconds_sum") == {}


def test_bytes_that_are_no_instance_are_counted_by_what_is_wrong_with_them(trail):
    trail.tell("bytes quarantined", code="not-dicom")
    assert counted(trail) == {'files_quarantined_total{code="not-dicom"}': 1}


def test_a_destination_fails_from_its_first_failure_after_a_success_on(trail):
    for minute, what in enumerate(("failed", "delivered", "failed", "failed", "refused")):
        trail.tell(f"delivery {what}", at=minute, case=1, destination="archive", code="peer-unreachable")
    tally = Tally(trail.store)
    assert tally.catch_up(patience_s=60)
    way = tally.ways()["archive"]
    assert (way.last_success_at, way.failing_since) == (
        "2026-01-02T03:01:00.000+00:00",
        "2026-01-02T03:02:00.000+00:00",
    )
    assert values(tally, "deliver") == {
        'deliveries_total{destination="archive",outcome="delivered"}': 1,
        'deliveries_total{destination="archive",outcome="refused"}': 1,
        'delivery_failures_total{code="peer-unreachable",destination="archive"}': 4,
    }


def test_a_pull_fails_from_its_first_failure_after_a_success_on_whatever_it_failed_at(trail):
    trail.tell("series asked for", at=0, pull="nightly", instances=3, wanted=2, arrived=2)
    trail.tell("pull ended", at=0, pull="nightly", stopped="limit", reasons={"here": 7})
    trail.tell("series asked for", at=1, pull="nightly", instances=3, wanted=3, arrived=1)
    trail.tell("pull ended", at=1, pull="nightly", stopped="destination-misconfigured", reasons={})
    trail.tell("pull failed", at=2, pull="nightly", code="peer-unreachable", text="ARCHIVE does not answer")
    trail.tell("pull ended", at=3, pull="nightly", stopped="stopped", reasons={})
    tally = Tally(trail.store)
    assert tally.catch_up(patience_s=60)
    way = tally.pulls()["nightly"]
    assert (way.last_success_at, way.failing_since) == (
        "2026-01-02T03:00:00.000+00:00",
        "2026-01-02T03:01:00.000+00:00",
    )
    assert values(tally) == {
        'pulls_total{outcome="ended",pull="nightly"}': 1,
        'pulls_total{outcome="failed",pull="nightly"}': 2,
        'pulls_total{outcome="stopped",pull="nightly"}': 1,
        'pull_series_total{outcome="fetched",pull="nightly"}': 1,
        'pull_series_total{outcome="failed",pull="nightly"}': 1,
    }
    trail.tell("pull ended", at=4, pull="nightly", stopped=None, reasons={})
    assert tally.catch_up(patience_s=60)
    assert tally.pulls()["nightly"].failing_since is None


def test_who_counts_on_comes_to_what_somebody_counts_who_begins_anew(trail):
    early = Tally(trail.store)
    for number in range(1, 8):
        trail.tell("case queued", at=number, case=number, revision=1, route="neck", reasons=[])
        trail.tell("case delivered", at=number + 1, case=number)
        assert early.catch_up(patience_s=60)
    assert values(early) == counted(trail)


def test_a_long_trail_is_counted_in_as_many_calls_as_the_patience_asks_for(trail):
    rows = [trail.store.event("case rejected", case_id=n, reasons=[reason("region")]) for n in range(4500)]
    with trail.store.transaction() as connection:
        connection.execute(event.insert(), rows)
    tally = Tally(trail.store)
    assert [tally.catch_up(patience_s=0) for _ in range(4)] == [False, False, True, True]
    assert values(tally, "series_rejected") == {'series_rejected_total{reason="region"}': 4500}


def test_a_damaged_event_is_counted_as_that_and_the_rest_is_counted_once(trail):
    trail.tell("case rejected", at=0, case=1, reasons=[reason("region")])
    trail.tell("case rejected", at=1, case=2, reasons=[reason("region")])
    trail.tell("case sending", at=2, case=3, timings_s={"segment": 1.0})
    trail.tell("case rejected", at=3, case=4, reasons=[reason("region")])
    with trail.store.transaction() as connection:
        connection.exec_driver_sql("UPDATE event SET at = 'x' WHERE id = 2")
        connection.exec_driver_sql("UPDATE event SET detail = '{\"timings_s\": 7}' WHERE id = 3")
    tally = Tally(trail.store)
    for _ in range(3):
        assert tally.catch_up(patience_s=60)
    assert values(tally) == {
        "events_damaged_total": 2,
        'cases_ended_total{state="rejected"}': 2,
        'series_rejected_total{reason="region"}': 2,
    }
