"""The figures of a journal do not depend on the database that holds it."""

from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import pytest
from peers import missing
from scraped import written

from node.domain.arrivals import Arrival
from node.domain.case import CaseState, ObjectKind, Reason, ResultObject
from node.journal.cases import NewCase
from node.journal.journal import Journal
from node.monitor.scrape import Scraper
from node.settings import parse_settings

#: What the machine says, and the size of a file: these differ.
_OF_THE_MACHINE = ("disk_", "journal_bytes")


class Clock:
    """A wall clock that goes on by a second at every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def fill(journal: Journal) -> None:
    """A series that arrives, one that no route takes, and one that is sent to two places, of which one fails."""
    for series in ("1.1", "1.2", "1.3"):
        arrival = Arrival(
            sop_instance_uid=f"{series}.1",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            series_uid=series,
            study_uid="1",
            digest="d" * 64,
            path=f"spool/{series}.dcm",
            calling_ae="PACS",
            own_result=False,
        )
        journal.arrivals.record(arrival)
    for found in journal.arrivals.open_series()[:2]:
        taken = found.series_uid == "1.1"
        new = NewCase(
            series=found,
            set_digest="d" * 64,
            partial=False,
            route="neck" if taken else None,
            state=CaseState.QUEUED if taken else CaseState.REJECTED,
            reasons=() if taken else (Reason(code="region", text="another region"),),
        )
        journal.cases.open(new)
    claim = journal.cases.claim("me")
    assert claim is not None
    made = ResultObject(
        kind=ObjectKind.SEGMENTATION,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid="9.1",
        path=Path("results/1/seg.dcm"),
        digest="e" * 64,
        destinations=("archive", "research"),
    )
    journal.cases.finish(claim, [made])
    journal.deliveries.record_failed(journal.deliveries.pending("archive")[0], "peer-unreachable", "nobody listens")
    journal.deliveries.record_sent(journal.deliveries.pending("research")[0])


def told(where: Path | str, state_dir: Path) -> dict[str, float]:
    destinations = [
        {"name": name, "host": "127.0.0.1", "port": 4242, "ae_title": "A"} for name in ("archive", "research")
    ]
    settings = parse_settings({"node": {"state_dir": str(state_dir)}, "destination": destinations}, name="test")
    journal = Journal(where, clock=Clock())
    try:
        fill(journal)
        found = written(Scraper(settings, journal.store, lambda _request: None).scrape())
        return {name: value for name, value in found.items() if not name.startswith(_OF_THE_MACHINE)}
    finally:
        journal.close()


@pytest.mark.peer("postgresql")
def test_both_databases_tell_the_same(tmp_path):
    if find_spec("psycopg") is None:
        missing("psycopg")
    from postgresql import new_schema, running_cluster  # noqa: PLC0415 - needs the driver

    with running_cluster() as url, new_schema(url, "monitored") as where:
        of_postgresql = told(where, tmp_path)
    of_sqlite = told(tmp_path / "journal.sqlite", tmp_path)
    assert of_postgresql == of_sqlite
    assert of_sqlite['deliveries_waiting{destination="archive",state="pending"}'] == 1
    assert of_sqlite['deliveries_waiting{destination="research",state="sent"}'] == 1
    assert of_sqlite['delivery_failures_total{code="peer-unreachable",destination="archive"}'] == 1
    assert of_sqlite['series_rejected_total{reason="region"}'] == 1
    assert of_sqlite["series_receiving"] == 1
