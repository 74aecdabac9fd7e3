"""A journal of its own for each test, on both databases, and short ways to fill it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from peers import missing

from node.domain.arrivals import Arrival
from node.domain.case import CaseState, ObjectKind, Reason, ResultObject
from node.journal.arrivals import OpenSeries
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


class Seconds:
    """A monotonic clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


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
    return open_seen(journal, found, state=state, reasons=reasons)


def open_seen(
    journal: Journal, found: OpenSeries, *, state: CaseState = CaseState.QUEUED, reasons: tuple[Reason, ...] = ()
) -> int | None:
    """Close a series as it was seen and open its case."""
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


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The URL of a PostgreSQL database without tables."""
    if find_spec("psycopg") is None:
        missing("psycopg")
    from postgresql import running_cluster  # noqa: PLC0415 - needs the driver

    with running_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def shared_schema(cluster: str) -> Iterator[str]:
    """The URL of a journal in PostgreSQL, for one test after another."""
    from postgresql import new_schema  # noqa: PLC0415

    with new_schema(cluster, "shared") as url:
        Journal(url).close()
        yield url


@pytest.fixture
def postgresql(shared_schema: str) -> str:
    """The URL of an empty journal in PostgreSQL."""
    from postgresql import empty  # noqa: PLC0415

    empty(shared_schema, frozenset({"about", "alembic_version"}))
    return shared_schema


@pytest.fixture
def blank(cluster: str) -> Iterator[str]:
    """The URL of a place in PostgreSQL without tables."""
    from postgresql import new_schema  # noqa: PLC0415

    with new_schema(cluster, "blank") as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.peer("postgresql"))])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where an empty journal is, or is to be made: the contract of the journal holds on both databases."""
    return tmp_path / "journal.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def clock() -> Clock:
    """The wall clock of the journal."""
    return Clock()


@pytest.fixture
def seconds() -> Seconds:
    """The monotonic clock of a SQLite journal."""
    return Seconds()


@pytest.fixture
def journal(where: Path | str, clock: Clock, seconds: Seconds) -> Iterator[Journal]:
    made = Journal(where, clock=clock, monotonic=seconds)
    yield made
    made.close()


@pytest.fixture
def sqlite_journal(tmp_path: Path, clock: Clock, seconds: Seconds) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite", clock=clock, monotonic=seconds)
    yield made
    made.close()


@pytest.fixture(scope="session")
def fill() -> SimpleNamespace:
    """Return the functions above, for tests to ask for as one fixture."""
    return SimpleNamespace(
        arrival=arrival,
        open_case=open_case,
        open_seen=open_seen,
        results=results,
        running=running,
        states=states,
        deliveries=deliveries,
        trail=trail,
    )
