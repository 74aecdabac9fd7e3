"""A journal in a folder of its own, and short ways to fill it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from node.domain.arrivals import Arrival
from node.domain.case import CaseState, ObjectKind, Reason, ResultObject
from node.journal.cases import Claim, NewCase
from node.journal.journal import Journal
from node.journal.overview import events, overview

SERIES = "1.2.3"


class Clock:
    """A wall clock that goes on by a second at every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def arrival(number: int, *, digest: str = "", series: str = SERIES, own_result: bool = False) -> Arrival:
    digest = digest or f"{number:064x}"
    return Arrival(
        sop_instance_uid=f"{series}.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        series_uid=series,
        study_uid="1.2",
        digest=digest,
        path=f"spool/{digest}.dcm",
        calling_ae="PACS",
        own_result=own_result,
    )


def open_case(
    journal: Journal, *, series: str = SERIES, state: CaseState = CaseState.QUEUED, reasons: tuple[Reason, ...] = ()
) -> int | None:
    """Close a series as it stands and open its case."""
    (found,) = [item for item in journal.arrivals.open_series() if item.series_uid == series]
    route = "neck" if state is CaseState.QUEUED else None
    return journal.cases.open(
        NewCase(series=found, set_digest="d" * 64, partial=False, route=route, state=state, reasons=reasons)
    )


def results(case_id: int, *destinations: str) -> list[ResultObject]:
    return [
        ResultObject(
            kind=kind,
            sop_class_uid=f"1.2.840.10008.5.1.4.1.1.{number}",
            sop_instance_uid=f"9.{case_id}.{number}",
            path=Path(f"results/{case_id}/{kind.value}.dcm"),
            digest=f"{number:064x}",
            destinations=destinations,
        )
        for number, kind in enumerate((ObjectKind.SEGMENTATION, ObjectKind.REPORT), start=1)
    ]


def running(journal: Journal, *, number: int = 1, series: str = SERIES, owner: str = "me") -> Claim:
    """Take one more instance, open the case of its series and claim it."""
    journal.arrivals.record(arrival(number, series=series))
    open_case(journal, series=series)
    claim = journal.cases.claim(owner)
    assert claim is not None
    return claim


def states(journal: Journal) -> list[str]:
    """Return the states of all cases, oldest first."""
    return [case["state"] for case in reversed(overview(journal.store, latest=1000)["latest_cases"])]


def deliveries(journal: Journal) -> list[tuple[str, str, str]]:
    """Return (object UID, destination, state) of all deliveries, oldest first."""
    cases = reversed(overview(journal.store, latest=1000)["latest_cases"])
    return [
        (item["sop_instance_uid"], item["destination"], item["state"])
        for case in cases
        for item in case["objects"]
        if item["destination"]
    ]


def trail(journal: Journal, series: str = SERIES) -> list[str]:
    """Return what happened to a series."""
    return [event["what"] for event in events(journal.store, series_uid=series)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", clock=Clock())
    yield made
    made.close()


@pytest.fixture(scope="session")
def fill() -> SimpleNamespace:
    """Return the functions above, for tests to ask for as one fixture."""
    return SimpleNamespace(
        arrival=arrival,
        open_case=open_case,
        results=results,
        running=running,
        states=states,
        deliveries=deliveries,
        trail=trail,
    )
