"""One scrape of a node with cases in several states: gauges, counters, and what is told when a part does not answer."""

from collections.abc import Iterator

import pytest
from oracle import failure, write_blocks
from scraped import written
from wired import Node

from node.errors import EngineError, JournalError, PeerUnreachable, SystemFailed
from node.journal.pulls import PullJournal
from node.monitor.catalogue import METRICS, Kind
from node.monitor.figures import FiguresOfNode
from node.monitor.scrape import Scraper
from node.pull.report import Outcome
from node.receive.intake import Intake
from node.segment.devices import Device
from node.settings import PullSettings

DEVICE = Device(index=0, name="H200", used=1 << 30, size=141 << 30, utilization=0.5)


def answering(closed=None):
    """Return what asks a running node."""
    node = FiguresOfNode(
        intake=Intake().counts,
        connections=lambda: 2,
        gate=lambda: closed,
        engine_ready=lambda: True,
        devices=lambda: [DEVICE],
    )
    return node.answer


def scraped(node: Node, ask=lambda _request: None) -> dict[str, float]:
    return written(Scraper(node.settings, node.journal.store, ask).scrape())


@pytest.fixture
def node(tmp_path) -> Iterator[Node]:
    made = Node(tmp_path / "state")
    yield made
    made.journal.close()


def test_an_empty_node_has_every_metric_of_the_journal_at_nothing(node):
    found = scraped(node)
    assert (found["journal_readable"], found["up"]) == (1, 0)
    assert found['cases{state="queued"}'] == 0
    assert found['oldest_age_seconds{state="running"}'] == 0
    assert found['deliveries_waiting{destination="archive",state="pending"}'] == 0
    assert found['destination_failing_seconds{destination="archive"}'] == 0
    assert 'destination_last_success_timestamp_seconds{destination="archive"}' not in found
    assert "last_arrival_timestamp_seconds" not in found


def test_ages_grow_with_the_clock_and_end_with_the_work(node, tmp_path):
    node.receive(write_blocks(tmp_path / "sent"))
    node.clock.now += 20
    found = scraped(node)
    assert (found["series_receiving"], found['oldest_age_seconds{state="receiving"}']) == (1, 20)
    assert found["last_arrival_timestamp_seconds"] == 1767225600
    node.close()
    node.clock.now += 300
    found = scraped(node)
    assert (found['cases{state="queued"}'], found['oldest_age_seconds{state="queued"}']) == (1, 300)
    assert found["series_receiving"] == 0
    node.settle()
    found = scraped(node)
    assert (found['cases{state="delivered"}'], found['cases{state="queued"}']) == (1, 0)
    assert found['oldest_age_seconds{state="queued"}'] == 0
    assert found['cases_ended_total{state="delivered"}'] == 1
    assert found['deliveries_total{destination="archive",outcome="delivered"}'] == 2
    assert found["work_seconds_count"] == 1
    stages = {"volume", "segment", "measure", "draw", "encode"}
    assert all(found[f'stage_seconds_count{{stage="{stage}"}}'] == 1 for stage in stages)
    assert sum(value for name, value in found.items() if name.startswith("results_total")) == 1


def test_the_last_arrival_is_told_after_everything_that_arrived_was_deleted(node, tmp_path):
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    before = scraped(node)["last_arrival_timestamp_seconds"]
    with node.journal.store.reading() as connection:
        [series_uid] = connection.exec_driver_sql("select series_uid from series").scalars()
    assert node.journal.retention.forget(series_uid)
    assert scraped(node)["last_arrival_timestamp_seconds"] == before == 1767225600


def test_a_dead_destination_is_told_with_what_waits_for_it_and_since_when(node, tmp_path):
    node.shelf.faults = [PeerUnreachable("nobody listens")] * 2
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    node.clock.now += 900
    found = scraped(node)
    assert found['deliveries_waiting{destination="archive",state="pending"}'] == 2
    assert found['deliveries_oldest_age_seconds{destination="archive",state="pending"}'] == 900
    assert found['destination_failing_seconds{destination="archive"}'] == 900
    assert found['delivery_failures_total{code="peer-unreachable",destination="archive"}'] == 1
    node.shelf.faults = []
    node.outbox.deliver("archive")
    found = scraped(node)
    assert found['destination_failing_seconds{destination="archive"}'] == 0
    assert found['destination_last_success_timestamp_seconds{destination="archive"}'] == 1767225600 + 1900


def test_what_waits_of_a_held_case_is_nobody_s_delay(node, tmp_path):
    node.shelf.faults = [PeerUnreachable("nobody listens")]
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    node.journal.cases.hold(1)
    found = scraped(node)
    assert found['deliveries_waiting{destination="archive",state="pending"}'] == 0
    assert found['destination_failing_seconds{destination="archive"}'] == 0
    assert found['cases{state="held"}'] == 1


def test_a_pull_that_fails_is_told_since_when_until_one_ends(node):
    pull = PullSettings(name="nightly", archive="archive")
    node.settings = node.settings.model_copy(update={"pull": (pull,)})
    found = scraped(node)
    assert found['pulls_total{outcome="failed",pull="nightly"}'] == 0
    assert found['pull_failing_seconds{pull="nightly"}'] == 0
    assert 'pull_last_success_timestamp_seconds{pull="nightly"}' not in found
    journal = PullJournal(node.journal.store)
    journal.note_failed("nightly", code="destination-misconfigured", text="ARCHIVE rejected the association for good")
    node.clock.now += 900
    found = scraped(node)
    assert found['pulls_total{outcome="failed",pull="nightly"}'] == 1
    assert found['pull_failing_seconds{pull="nightly"}'] == 900
    journal.note_ended("nightly", **Outcome().document())
    found = scraped(node)
    assert found['pull_failing_seconds{pull="nightly"}'] == 0
    assert found['pull_last_success_timestamp_seconds{pull="nightly"}'] == 1767225600 + 900
    assert found["events_damaged_total"] == 0


def test_failures_are_told_by_class(node, tmp_path):
    node.segmenter.failures = [failure(EngineError) for _ in range(3)]
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    found = scraped(node)
    assert found['case_failures_total{code="engine-error",outcome="retried"}'] == 2
    assert found['case_failures_total{code="engine-error",outcome="quarantined"}'] == 1
    assert found['oldest_age_seconds{state="quarantined"}'] == 0


def test_with_a_running_node_every_metric_of_the_catalogue_has_a_value_or_a_type(node):
    scraper = Scraper(node.settings, node.journal.store, answering())
    sheet = scraper.scrape()
    assert sheet is not None
    assert [family.name for family in sheet.collect()] == [
        metric.name.removesuffix("_total") if metric.kind is Kind.COUNTER else metric.name for metric in METRICS
    ]
    found = written(sheet)
    assert found["up"] == found["engine_ready"] == 1
    assert found["connections"] == 2
    assert found['intake_closed{reason="disk"}'] == 0
    assert found['instances_refused_total{reason="too-large"}'] == 0
    assert found['device_memory_used_bytes{device="0",name="H200"}'] == 1 << 30
    assert found['device_utilization_ratio{device="0",name="H200"}'] == 0.5
    assert found["process_resident_memory_bytes"] > 0
    assert found["disk_size_bytes"] >= found["disk_free_bytes"] > 0
    assert found["disk_minimum_free_bytes"] == 1 << 30
    assert found["journal_bytes"] > 0


def test_a_closed_door_is_told_with_its_reason(node):
    found = scraped(node, answering(closed="backlog"))
    assert found['intake_closed{reason="backlog"}'] == 1
    assert found['intake_closed{reason="disk"}'] == 0


def test_a_node_that_breaks_off_is_down_and_the_journal_is_told_nevertheless(node):
    def broken(_request):
        raise SystemFailed("the node did not answer")

    found = scraped(node, broken)
    assert (found["up"], found["journal_readable"]) == (0, 1)
    assert "connections" not in found


def test_a_journal_that_cannot_be_read_is_told_and_the_node_is_nevertheless(node, monkeypatch):
    def broken():
        raise JournalError("the journal failed")

    monkeypatch.setattr(node.journal.store, "reading", broken)
    found = scraped(node, answering())
    assert (found["up"], found["journal_readable"]) == (1, 0)
    assert 'cases{state="queued"}' not in found


def test_two_scrapes_count_the_same_trail_once(node, tmp_path):
    scraper = Scraper(node.settings, node.journal.store, lambda _request: None)
    node.receive(write_blocks(tmp_path / "sent"))
    node.settle()
    first, second = written(scraper.scrape()), written(scraper.scrape())
    assert first['cases_ended_total{state="delivered"}'] == second['cases_ended_total{state="delivered"}'] == 1
