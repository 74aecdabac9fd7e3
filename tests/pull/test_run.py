"""One pull over an archive in memory: its limits, its windows, and what it does when something fails."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from pullrig import NOW, Node, image, node_beside, run
from shelf import Shelf

from node.errors import DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.pull.report import Wish
from node.settings import RouteSettings, Rules

CASE = (
    'insert into "case" (id, series_uid, study_uid, revision, set_digest, partial, state, reasons, attempts, claims,'
    " purged, created_at, updated_at)"
)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with node_beside(tmp_path) as made:
        yield made


@pytest.fixture
def shelf() -> Shelf:
    """Three studies, of two instances each."""
    return Shelf([image(study, 1, number) for study in (1, 2, 3) for number in (1, 2)])


def test_the_last_days_are_asked_for_and_the_modalities_of_the_routes(node: Node, shelf: Shelf) -> None:
    run(node.pull(asked=shelf))
    run(node.pull(asked=shelf, days=1))
    run(node.pull(asked=shelf), since=date(2026, 11, 19))
    assert shelf.asked == [
        (("20261118", "20261119", "20261120"), ("MR",), ()),
        (("20261120",), ("MR",), ()),
        (("20261119", "20261120"), ("MR",), ()),
    ]


def test_everything_that_lacks_comes_through_the_door_of_a_c_store(node: Node, shelf: Shelf) -> None:
    outcome, _ = run(node.pull(asked=shelf))
    assert (outcome.document()["fetched"], outcome.instances, outcome.stopped) == (3, 6, None)
    [first, *_] = node.journal.arrivals.open_series()
    assert (first.calling_ae, first.instances, first.expected and first.expected.instances) == ("SHELF", 2, 2)
    assert sorted(path.suffix for path in (node.settings.node.state_dir / "spool").rglob("*.dcm")) == [".dcm"] * 6


def test_no_more_than_the_limit_is_fetched_at_a_time(node: Node, shelf: Shelf) -> None:
    outcome, _ = run(node.pull(asked=shelf, maximum_series=2))
    assert (shelf.fetched, outcome.stopped) == (["1.2.1.1", "1.2.2.1"], "limit")
    node.close_all()
    outcome, _ = run(node.pull(asked=shelf, maximum_series=2))
    assert (shelf.fetched[2:], outcome.stopped) == (["1.2.3.1"], None)


def test_a_pull_by_schedule_ends_with_its_window_and_one_that_somebody_asks_for_does_not(
    node: Node, shelf: Shelf
) -> None:
    clock = [NOW]
    pull = node.pull(now=lambda: clock[0], asked=shelf, windows=("20:00-22:30",))
    assert pull.is_time()
    shelf.faults = {"1.2.1.1": RequestFailed("busy")}
    clock[0] = NOW + timedelta(hours=1)
    assert not pull.is_time()
    outcome, _ = run(pull, scheduled=True)
    assert (outcome.stopped, shelf.fetched) == ("window", [])
    outcome, _ = run(pull)
    assert (outcome.stopped, len(shelf.fetched)) == (None, 3)


def test_nothing_is_fetched_while_nothing_may_be_stored(node: Node, shelf: Shelf) -> None:
    node.shut.append("disk")
    outcome, _ = run(node.pull(asked=shelf))
    assert (outcome.stopped, shelf.fetched) == ("disk", [])
    dry, _ = run(node.pull(asked=shelf), dry_run=True)
    assert dry.document()["lacking"] == 3


def test_a_pull_that_is_stopped_leaves_the_rest(node: Node, shelf: Shelf) -> None:
    pull = node.pull(asked=shelf)
    items = []

    def stop_after_the_first(item):
        items.append(item)
        pull.stop.set()

    assert pull.run(Wish(), stop_after_the_first).stopped == "stopped"
    assert len(items) == 1


def test_a_pull_that_is_stopped_asks_about_no_further_studies(
    node: Node, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.pull.run._STUDIES_A_TIME", 1)
    node.receive(shelf.data_sets)
    node.close_all()
    pull = node.pull(asked=shelf)
    items = []

    def stop_after_the_first(item):
        items.append(item)
        pull.stop.set()

    assert pull.run(Wish(), stop_after_the_first).stopped == "stopped"
    assert [item.reason.code for item in items] == ["here"]


def test_one_series_that_fails_holds_up_no_other(node: Node, shelf: Shelf) -> None:
    shelf.faults = {"1.2.2.1": RequestFailed("SHELF answered a C-GET with 0xA702")}
    outcome, items = run(node.pull(asked=shelf))
    assert [(item.fate.value, item.arrived, item.reason.code) for item in items] == [
        ("fetched", 2, "missing"),
        ("failed", 0, "request-failed"),
        ("fetched", 2, "missing"),
    ]
    assert items[1].reason.text == "0 of 2 instances came: SHELF answered a C-GET with 0xA702"
    assert outcome.stopped is None


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_what_is_named_by_no_uid_holds_up_nothing_and_is_counted_by_each_pull(node: Node, shelf: Shelf) -> None:
    study, series, instance = image(4, 1, 1), image(1, 2, 1), image(2, 1, 3)
    study.StudyInstanceUID, series.SeriesInstanceUID, instance.SOPInstanceUID = "1.2.4.x", "1.2.1.2.", "2" * 65
    shelf.data_sets += [study, series, instance]
    outcome, _ = run(node.pull(asked=shelf), dry_run=True)
    assert (outcome.document()["lacking"], outcome.document()["reasons"]) == (3, {"invalid-identifier": 3})
    outcome, _ = run(node.pull(asked=shelf))
    assert (outcome.document()["fetched"], outcome.document()["failed"]) == (3, 0)
    assert outcome.document()["reasons"] == {"invalid-identifier": 3}
    shelf.data_sets = shelf.data_sets[:2]
    assert run(node.pull(asked=shelf))[0].document()["reasons"] == {"receiving": 1}


@pytest.mark.parametrize("error", [PeerUnreachable("away"), DestinationMisconfigured("does not know CSPINE")])
def test_an_archive_that_is_away_is_left_alone_and_no_series_is_blamed(
    node: Node, shelf: Shelf, error: Exception
) -> None:
    shelf.faults = {"1.2.1.1": error}
    for _ in range(5):
        outcome, _ = run(node.pull(asked=shelf, attempts=1))
        assert outcome.stopped == error.code  # type: ignore[attr-defined]
    shelf.faults = {}
    outcome, _ = run(node.pull(asked=shelf, attempts=1))
    assert outcome.document()["fetched"] == 3


def test_a_series_that_does_not_come_as_a_whole_is_asked_for_so_often_and_then_once_a_day(
    node: Node, shelf: Shelf
) -> None:
    shelf.held_back = {"1.2.2.1.2"}
    for _ in range(4):
        outcome, _ = run(node.pull(asked=shelf, attempts=2))
        node.close_all()
    assert shelf.fetched.count("1.2.2.1") == 2
    assert outcome.document()["reasons"] == {"attempts-spent": 1, "here": 2}
    with node.journal.store.transaction() as connection:
        connection.exec_driver_sql("update event set at = '2020-01-01T00:00:00.000+00:00'")
    run(node.pull(asked=shelf, attempts=2))
    assert shelf.fetched.count("1.2.2.1") == 3


def test_a_series_of_which_the_archive_has_more_now_is_asked_for_anew(node: Node, shelf: Shelf) -> None:
    shelf.held_back = {"1.2.2.1.2"}
    for _ in range(3):
        run(node.pull(asked=shelf, attempts=1))
        node.close_all()
    shelf.data_sets.append(image(2, 1, 3))
    outcome, items = run(node.pull(asked=shelf, attempts=1))
    assert [(item.wanted, item.arrived) for item in items if item.wanted] == [(2, 1)]
    assert outcome.document()["failed"] == 1


def test_a_study_asked_for_by_its_uid_is_fetched_whenever_it_was_made_and_however_often_it_failed(
    node: Node, shelf: Shelf
) -> None:
    for one in shelf.data_sets:
        one.StudyDate = "20260101"
    assert run(node.pull(asked=shelf))[0].studies == 0
    shelf.held_back = {"1.2.2.1.1", "1.2.2.1.2"}
    for _ in range(3):
        outcome, _ = run(node.pull(asked=shelf, attempts=1), study_uids=("1.2.2",))
        assert outcome.document()["failed"] == 1
    assert shelf.fetched == ["1.2.2.1"] * 3


def test_a_study_asked_for_by_its_uid_is_compared_by_instances(node: Node, shelf: Shelf) -> None:
    node.receive([image(study, 1, number) for study in (1, 2, 3) for number in (1, 9)])
    node.close_all()
    for one in shelf.data_sets:
        one.NumberOfSeriesRelatedInstances = "2"
    assert run(node.pull(asked=shelf))[0].document()["reasons"] == {"here": 3}
    outcome, [item] = run(node.pull(asked=shelf), study_uids=("1.2.2",))
    assert (outcome.document()["fetched"], item.reason.code, node.arrivals()) == (1, "differs", ["1.2.2.1.2"])


def test_a_study_that_has_just_begun_is_left_to_the_next_pull(node: Node, shelf: Shelf) -> None:
    early = NOW.replace(hour=8, minute=30)
    outcome, _ = run(node.pull(now=lambda: early, asked=shelf))
    assert outcome.document()["reasons"] == {"too-recent": 3}
    outcome, _ = run(node.pull(now=lambda: early - timedelta(hours=4), asked=shelf, settle_min=0), dry_run=True)
    assert outcome.document()["lacking"] == 3
    outcome, _ = run(node.pull(now=lambda: early + timedelta(minutes=30), asked=shelf))
    assert outcome.document()["fetched"] == 3


def test_a_series_that_is_arriving_or_has_been_purged_is_not_asked_for(node: Node, shelf: Shelf) -> None:
    node.receive([image(1, 1, 1)])
    with node.journal.store.transaction() as connection:
        connection.exec_driver_sql("update series set closed = 0")
    node.receive([image(2, 1, 1)])
    with node.journal.store.transaction() as connection:
        connection.exec_driver_sql("update series set closed = 1, instances = 0 where series_uid = '1.2.2.1'")
        connection.exec_driver_sql("delete from instance where series_uid = '1.2.2.1'")
        connection.exec_driver_sql(
            f"{CASE} values (1, '1.2.2.1', '1.2.2', 1, '', 0, 'delivered', '[]', 1, 1, 1, '', '')"
        )
    outcome, _ = run(node.pull(asked=shelf))
    assert shelf.fetched == ["1.2.3.1"]
    assert outcome.document()["reasons"] == {"purged": 1, "receiving": 1}


def test_what_the_node_made_itself_is_known_by_its_uid_whatever_the_archive_calls_it(node: Node, shelf: Shelf) -> None:
    with node.journal.store.transaction() as connection:
        connection.exec_driver_sql("insert into series values ('1.9', '1.2', 1, 1, 1, 0, '', '', '')")
        connection.exec_driver_sql(f"{CASE} values (1, '1.9', '1.2', 1, '', 0, 'delivered', '[]', 1, 1, 0, '', '')")
        connection.exec_driver_sql(
            "insert into object (case_id, kind, sop_class_uid, sop_instance_uid, path, digest) values"
            " (1, 'SC', '1.2', '1.2.2.1.1', '', '')"
        )
    outcome, _ = run(node.pull(asked=shelf))
    assert shelf.fetched == ["1.2.1.1", "1.2.3.1"]
    assert outcome.document()["reasons"] == {"own-result": 1}


def test_a_region_that_the_archive_answers_blank_is_judged_after_the_series_has_arrived(
    node: Node, shelf: Shelf
) -> None:
    for one in shelf.data_sets:
        one.StudyDescription, one.ProtocolName, one.BodyPartExamined = "MRI", "", ""
    outcome, _ = run(node.pull(asked=shelf, untold="skip"))
    assert outcome.document()["reasons"] == {"untold": 3}
    outcome, _ = run(node.pull(asked=shelf))
    assert outcome.document()["fetched"] == 3


def test_only_the_routes_of_a_pull_count(node: Node, shelf: Shelf) -> None:
    lumbar = RouteSettings(name="lumbar", accept=Rules(region=("lumb",)))
    two = replace(node, settings=node.settings.model_copy(update={"route": (*node.settings.route, lumbar)}))
    outcome, _ = run(two.pull(asked=shelf, routes=("lumbar",), untold="skip"))
    assert outcome.document()["reasons"] == {"untold": 3}
    outcome, _ = run(two.pull(asked=shelf, untold="skip"))
    assert outcome.document()["fetched"] == 3


def test_what_was_asked_for_is_in_the_audit_trail_of_the_series(node: Node, shelf: Shelf) -> None:
    run(node.pull(asked=shelf))
    with node.journal.store.reading() as connection:
        [detail] = connection.exec_driver_sql(
            "select detail from event where what = 'series asked for' and series_uid = '1.2.1.1'"
        ).scalars()
    assert detail == '{"pull": "nightly", "instances": 2, "wanted": 2, "arrived": 2, "code": "missing"}'
