"""The pulls of a node: asked for through its socket, or by their schedules."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pullrig import NOW, Node, image, node_beside
from shelf import Shelf
from structlog.testing import capture_logs

from node.errors import InputError, InvalidIdentifier, PeerUnreachable, SystemFailed
from node.journal.events import DamagedEvent
from node.journal.overview import overview
from node.journal.pulls import PullJournal
from node.journal.trail import Place, read_on
from node.pull.pulls import Pulls
from node.pull.report import Wish


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_beside(tmp_path) as made:
        yield made


@pytest.fixture
def shelf() -> Shelf:
    return Shelf([image(study, 1, number) for study in (1, 2, 3) for number in (1, 2)])


def pulls_of(node: Node, shelf: Shelf, **keys: Any) -> Pulls:
    return Pulls([node.pull(asked=shelf, **keys)], PullJournal(node.journal.store))


def ask(pulls: Pulls, step: str, **more: Any) -> Any:
    return pulls.answer({"do": "pull", "step": step, "pull": "nightly", **more})


def ended(pulls: Pulls) -> Any:
    """Wait for the run, and return all that it tells."""
    pulls.runners["nightly"].join()
    return ask(pulls, "look")


def events(node: Node) -> list[tuple[str, str]]:
    with node.journal.store.reading() as connection:
        found = connection.exec_driver_sql("select what, detail from event where what like 'pull %' order by id").all()
    return [(row[0], row[1]) for row in found]


def test_a_pull_is_started_and_tells_series_by_series_what_it_did(node: Node, shelf: Shelf) -> None:
    with pulls_of(node, shelf) as pulls:
        assert ask(pulls, "look")["state"] == "never"
        assert ask(pulls, "start")["pull"] == "nightly"
        told = ended(pulls)
    assert (told["state"], told["error"]) == ("ended", None)
    assert told["series"][0] == {
        "study_uid": "1.2.1",
        "series_uid": "1.2.1.1",
        "fate": "fetched",
        "code": "missing",
        "text": "none of 2 instances is here",
        "wanted": 2,
        "arrived": 2,
    }
    assert [(item["series_uid"], item["fate"]) for item in ask(pulls, "look", after=2)["series"]] == [
        ("1.2.3.1", "fetched")
    ]
    assert (told["outcome"]["fetched"], told["outcome"]["instances"], told["outcome"]["stopped"]) == (3, 6, None)
    [(what, detail)] = events(node)
    assert what == "pull ended"
    assert '"pull": "nightly", "studies": 3, "series": 3' in detail
    assert "1.2.1" not in detail


@pytest.mark.parametrize("fault", [None, PeerUnreachable("away")])
def test_what_a_pull_leaves_in_the_trail_is_sound_for_whoever_reads_it(
    node: Node, shelf: Shelf, fault: Exception | None
) -> None:
    shelf.data_sets.append(image(1, 2, 1, Modality="CT"))
    shelf.fault = fault
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        ended(pulls)
    trail, _ = read_on(node.journal.store, Place(), 100)
    assert [event for event in trail if isinstance(event, DamagedEvent)] == []


def test_a_pull_that_runs_is_not_started_again_and_can_be_stopped(node: Node, shelf: Shelf) -> None:
    began, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        assert go_on.wait(60)

    shelf.before = wait
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        assert began.wait(60)
        assert ask(pulls, "look")["state"] == "running"
        with pytest.raises(SystemFailed, match="pull nightly is running"):
            ask(pulls, "start")
        assert ask(pulls, "stop")["state"] == "running"
        go_on.set()
        assert ended(pulls)["outcome"]["stopped"] == "stopped"
        assert shelf.fetched == ["1.2.1.1"]
        node.close_all()
        ask(pulls, "start")
        assert ended(pulls)["outcome"]["fetched"] == 2


def test_the_end_of_the_node_ends_a_pull_wherever_it_is_and_blames_no_series(node: Node, shelf: Shelf) -> None:
    began = threading.Event()

    def wait() -> None:
        began.set()
        assert shelf.hung_up.wait(60)
        raise PeerUnreachable("the archive ended the association")

    shelf.before = wait
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        assert began.wait(60)
    told = ask(pulls, "look")
    assert (told["state"], told["outcome"]["stopped"], told["error"]) == ("ended", "stopped", None)
    assert [what for what, _ in events(node)] == ["pull ended"]
    assert PullJournal(node.journal.store).in_vain("1.2.1.1", 2) == (0, 0.0)
    pulls.runners["nightly"].by_schedule()
    with pytest.raises(SystemFailed):
        ask(pulls, "start")
    assert shelf.fetched == ["1.2.1.1"]


def test_a_pull_that_still_asks_when_the_node_ends_has_not_failed(node: Node, shelf: Shelf) -> None:
    shelf.fault = PeerUnreachable("the archive ended the association")
    pull = node.pull(asked=shelf)
    pulls = Pulls([pull], PullJournal(node.journal.store))
    pull.end()
    pulls.runners["nightly"].start(Wish())
    assert ended(pulls)["outcome"]["stopped"] == "stopped"


def test_of_an_archive_that_is_full_of_other_things_the_sums_are_kept_and_not_each_series(
    node: Node, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.pull.pulls._MOST_SKIPPED", 2)
    shelf.data_sets[:0] = [image(study, 2, 1, Modality="CT") for study in range(1, 4)]
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        told = ended(pulls)
    assert [item["fate"] for item in told["series"]] == ["skipped", "skipped", "fetched", "fetched", "fetched"]
    assert (told["outcome"]["series"], told["outcome"]["reasons"]) == (6, {"modality": 3})


def test_a_dry_run_is_no_event(node: Node, shelf: Shelf) -> None:
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start", dry_run=True, since="2026-11-01", studies=["1.2.1"])
        assert ended(pulls)["outcome"]["lacking"] == 1
    assert shelf.asked[0][2] == ("1.2.1",)
    assert len(shelf.asked[0][0]) == 20
    assert (shelf.fetched, events(node)) == ([], [])


@pytest.mark.parametrize(
    ("error", "code"), [(PeerUnreachable("away"), "peer-unreachable"), (ZeroDivisionError("P^NAME"), "unexpected")]
)
def test_what_a_pull_fails_at_is_told_and_in_the_journal_without_foreign_words(
    node: Node, shelf: Shelf, error: Exception, code: str
) -> None:
    shelf.fault = error
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        told = ended(pulls)
        assert (told["state"], told["outcome"], told["error"]["code"]) == ("ended", None, code)
        [(what, detail)] = events(node)
        assert what == "pull failed"
        assert f'"pull": "nightly", "code": "{code}"' in detail
        assert "P^NAME" not in detail
        shelf.fault = None
        ask(pulls, "start")
        assert ended(pulls)["outcome"]["fetched"] == 3


def test_the_status_tells_how_each_pull_has_ended_last(node: Node, shelf: Shelf) -> None:
    assert overview(node.journal.store, latest=1)["pulls"] == []
    journal = PullJournal(node.journal.store)
    journal.note_failed("weekly", code="destination-misconfigured", text="SHELF rejected the association for good")
    journal.note_failed("nightly", code="peer-unreachable", text="SHELF does not answer")
    with pulls_of(node, shelf) as pulls:
        ask(pulls, "start")
        ended(pulls)
    told = overview(node.journal.store, latest=1)["pulls"]
    assert [(one["pull"], one["end"], one["code"], one["fetched"], one["failed"]) for one in told] == [
        ("nightly", "ended", "", 3, 0),
        ("weekly", "failed", "destination-misconfigured", 0, 0),
    ]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        ({"pull": "other", "step": "start"}, InputError),
        ({"step": "start"}, InputError),
        ({"pull": "nightly"}, InputError),
        ({"pull": "nightly", "step": "start", "dry_run": 1}, InputError),
        ({"pull": "nightly", "step": "start", "since": "yesterday"}, InputError),
        ({"pull": "nightly", "step": "start", "since": 7}, InputError),
        ({"pull": "nightly", "step": "start", "studies": "1.2"}, InputError),
        ({"pull": "nightly", "step": "start", "studies": ["x"]}, InvalidIdentifier),
        ({"pull": "nightly", "step": "look", "after": -1}, InputError),
        ({"pull": "nightly", "step": "look", "after": "1"}, InputError),
    ],
)
def test_what_is_no_request_is_refused(node: Node, shelf: Shelf, request_: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        pulls_of(node, shelf).answer(request_)


class Planned:
    """Takes down what is planned."""

    def __init__(self) -> None:
        self.chores: list[tuple[object, Any]] = []

    def every(self, interval: timedelta, chore: Any) -> None:
        self.chores.append((interval, chore))

    def at(self, crontab: str, chore: Any) -> None:
        self.chores.append((crontab, chore))


MINUTE = timedelta(minutes=1)
NIGHT = {"windows": ("20:00-06:00",)}


@pytest.mark.parametrize(
    ("keys", "planned"),
    [
        ({}, []),
        ({"every_min": 15.0}, [timedelta(minutes=15)]),
        ({"cron": "0 1 * * mon"}, ["0 1 * * mon"]),
        (NIGHT, []),
        ({"every_min": 1440.0, **NIGHT}, [timedelta(days=1), MINUTE]),
        ({"cron": "0 12 * * *", **NIGHT}, ["0 12 * * *", MINUTE]),
    ],
)
def test_a_pull_is_planned_by_its_schedule(
    node: Node, shelf: Shelf, keys: dict[str, Any], planned: list[object]
) -> None:
    chores = Planned()
    pulls_of(node, shelf, **keys).plan(chores)  # type: ignore[arg-type]
    assert [when for when, _ in chores.chores] == planned


class Days:
    """Does what is planned by intervals, by a clock of its own that begins at 10:00."""

    def __init__(self) -> None:
        self.now = NOW.replace(hour=10, minute=0)
        self.chores: list[tuple[timedelta, datetime, Any]] = []

    def every(self, interval: timedelta, chore: Any) -> None:
        self.chores.append((interval, self.now, chore))

    def go_on(self, until: datetime, pulls: Pulls) -> None:
        """Turn the clock on, minute by minute; what is begun ends within its minute."""
        while self.now < until:
            self.now += MINUTE
            for interval, since, chore in self.chores:
                if (self.now - since) % interval == timedelta():
                    chore()
                    pulls.runners["nightly"].join()


def test_a_pull_whose_time_comes_outside_its_window_begins_when_it_opens(node: Node, shelf: Shelf) -> None:
    days, began = Days(), []
    start = days.now
    pull = node.pull(asked=shelf, now=lambda: days.now, every_min=1440.0, **NIGHT)
    shelf.studies = lambda *_: began.append(days.now) or []  # type: ignore[method-assign, func-returns-value]
    pulls = Pulls([pull], PullJournal(node.journal.store))
    pulls.plan(days)  # type: ignore[arg-type]
    days.go_on(start + timedelta(days=3, hours=12), pulls)
    assert began == [start + timedelta(days=day, hours=10) for day in (1, 2, 3)]


def test_that_a_pull_is_put_off_is_logged_once_until_it_has_run(node: Node, shelf: Shelf) -> None:
    times = [NOW.replace(hour=hour) for hour in (10, 11, 21, 9, 10)]
    now = [NOW]
    pulls = Pulls([node.pull(asked=shelf, now=lambda: now[0], **NIGHT)], PullJournal(node.journal.store))
    runner = pulls.runners["nightly"]
    said = []
    for now[0] in times:
        with capture_logs() as logs:
            runner.by_schedule()
            runner.by_window()
            runner.join()
        said.append([line["event"] for line in logs])
    assert said == [["pull put off"], [], ["pull ended"], ["pull put off"], []]


def test_by_schedule_nothing_runs_out_of_the_windows(node: Node, shelf: Shelf) -> None:
    pulls = pulls_of(node, shelf, windows=("01:00-02:00",))
    pulls.runners["nightly"].by_schedule()
    assert (shelf.asked, pulls.runners["nightly"].state) == ([], "never")
    pulls = pulls_of(node, shelf, windows=(f"{NOW:%H:%M}-23:59",))
    pulls.runners["nightly"].by_schedule()
    pulls.runners["nightly"].join()
    assert len(shelf.fetched) == 3
