"""What an operator asks for, and the answer: each case by itself, an error for what cannot be, events for what was."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper import SERIES, Keeper

from node.control import ControlServer, ask
from node.domain.case import CaseState, SegmentationForm, Wanted
from node.errors import InputError
from node.journal.overview import events
from node.operations import Operations

PATIENCE_S = 30.0


class Desk:
    """Operations over a journal, and what they called."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self.changes = 0
        self.retried: list[str] = []
        self.purges: list[bool] = []
        self.operations = Operations(
            keeper.journal,
            {"archive": Wanted(), "labelmaps": Wanted(segmentation=SegmentationForm.LABELMAP)},
            purge=self._purge,
            on_change=self._changed,
            on_retry=self.retried.append,
        )

    def _purge(self, dry_run: bool) -> dict[str, int]:
        self.purges.append(dry_run)
        return {"series": 3}

    def _changed(self) -> None:
        self.changes += 1

    def act(self, action: str, *cases: int | str, **more: Any) -> Any:
        numbers = [case for case in cases if isinstance(case, int)]
        series = [case for case in cases if isinstance(case, str)]
        return self.operations.answer({"do": action, "cases": numbers, "series": series, **more})


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    keeper = Keeper(tmp_path / "state")
    yield Desk(keeper)
    keeper.close()


def queued(desk: Desk, series: str = SERIES) -> int:
    desk.keeper.receive(1, series=series)
    return desk.keeper.open_case(series=series)


def undelivered(desk: Desk) -> int:
    case_id = queued(desk)
    desk.keeper.finish("archive")
    for delivery in desk.keeper.journal.deliveries.pending("archive"):
        desk.keeper.journal.deliveries.record_refused(delivery, "store-refused", "")
    return case_id


def done(case: int, was: str, state: str) -> dict[str, Any]:
    return {"cases": [{"case": case, "was": was, "state": state}], "exit_code": 0}


def test_a_case_is_held_released_and_cancelled(desk: Desk) -> None:
    case = queued(desk)
    assert desk.act("hold", case) == done(case, "queued", "held")
    assert desk.keeper.journal.cases.claim("me") is None
    assert desk.act("release", case) == done(case, "held", "queued")
    assert desk.act("cancel", case) == done(case, "queued", "cancelled")
    assert desk.changes == 3
    what = [event["what"] for event in events(desk.keeper.journal.store, series_uid=SERIES)]
    assert what[-3:] == ["case held", "case queued", "case cancelled"]


def test_an_undelivered_case_is_retried_at_once(desk: Desk) -> None:
    case = undelivered(desk)
    assert desk.act("retry", case) == done(case, "undelivered", "sending")
    assert desk.retried == ["archive"]
    assert len(desk.keeper.journal.deliveries.pending("archive")) == 2


def test_a_case_held_before_its_destinations_goes_on_to_them(desk: Desk) -> None:
    case = queued(desk)
    desk.keeper.finish("archive")
    assert desk.act("hold", case) == done(case, "sending", "held")
    assert desk.keeper.journal.deliveries.pending("archive") == ()
    assert desk.act("release", case) == done(case, "held", "sending")
    assert desk.retried == ["archive"]


def test_a_delivered_case_is_reprocessed_as_a_new_revision(desk: Desk) -> None:
    desk.keeper.delivered()
    assert desk.act("reprocess", 1) == done(1, "delivered", "delivered")
    desk.keeper.open_case()
    assert desk.keeper.states() == ["delivered", "queued"]


def test_a_delivered_case_is_sent_once_more_at_once(desk: Desk) -> None:
    desk.keeper.delivered()
    assert desk.act("send", 1, destination="archive") == done(1, "delivered", "sending")
    assert (desk.retried, desk.changes) == (["archive"], 1)
    assert len(desk.keeper.journal.deliveries.pending("archive")) == 2


def test_a_destination_that_takes_a_form_which_was_not_made_is_told(desk: Desk) -> None:
    desk.keeper.delivered()
    said = desk.act("send", 1, destination="labelmaps")["cases"][0]["error"]
    assert said["code"] == "illegal-transition"
    assert "it has no seg-labelmap, sr-labelmap for it" in said["message"]


def test_who_asked_is_in_the_audit_trail_before_what_was_done(desk: Desk) -> None:
    case = queued(desk)
    desk.act("hold", case, by="anna")
    desk.act("retry", case, by="anna")
    trail = events(desk.keeper.journal.store, series_uid=SERIES)[-3:]
    assert [(event["what"], event["detail"]) for event in trail] == [
        ("operator asked", {"action": "hold", "by": "anna"}),
        ("case held", {}),
        ("operator asked", {"action": "retry", "by": "anna"}),
    ]


def test_a_series_means_its_newest_case(desk: Desk) -> None:
    queued(desk)
    desk.keeper.receive(2)
    newest = desk.keeper.open_case()
    assert desk.act("hold", SERIES) == done(newest, "queued", "held")
    assert desk.keeper.states() == ["superseded", "held"]


def test_several_cases_are_answered_one_by_one_and_an_error_holds_up_no_other(desk: Desk) -> None:
    first, second = queued(desk), queued(desk, "1.2.4")
    said = desk.act("hold", first, 99, second, first, "1.2.5")
    assert said == {
        "cases": [
            {"case": first, "was": "queued", "state": "held"},
            {
                "case": 99,
                "error": {"code": "unknown-case", "message": "the journal has no case 99", "retryable": False},
            },
            {"case": second, "was": "queued", "state": "held"},
            {
                "series_uid": "1.2.5",
                "error": {
                    "code": "unknown-case",
                    "message": "the journal has no case of this series",
                    "retryable": False,
                },
            },
        ],
        "exit_code": 65,
    }
    assert desk.changes == 1


@pytest.mark.parametrize("action", ["retry", "release"])
def test_what_the_state_of_a_case_forbids_is_told_and_changes_nothing(desk: Desk, action: str) -> None:
    case = queued(desk)
    said = desk.act(action, case)
    assert (said["cases"][0]["error"]["code"], said["exit_code"]) == ("illegal-transition", 74)
    assert desk.keeper.states() == [CaseState.QUEUED.value]
    assert desk.changes == 0


def test_purge_is_handed_on_with_what_it_is_to_do(desk: Desk) -> None:
    assert desk.operations.answer({"do": "purge", "dry_run": True}) == {"purged": {"series": 3}, "exit_code": 0}
    desk.operations.answer({"do": "purge"})
    assert desk.purges == [True, False]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"do": "delete"},
        {"do": ["retry"]},
        {"do": "retry"},
        {"do": "retry", "cases": []},
        {"do": "retry", "cases": 7},
        {"do": "retry", "cases": ["7"]},
        {"do": "retry", "cases": [True]},
        {"do": "retry", "series": [7]},
        {"do": "retry", "series": ["../../etc"]},
        {"do": "purge", "dry_run": "no"},
        {"do": "send", "cases": [1]},
        {"do": "send", "cases": [1], "destination": "elsewhere"},
        {"do": "send", "cases": [1], "destination": ["archive"]},
        {"do": "retry", "cases": [1], "by": 7},
        {"do": "retry", "cases": [1], "by": "a\nb"},
    ],
)
def test_what_is_no_request_is_refused(desk: Desk, request_: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        desk.operations.answer(request_)
    assert desk.purges == []


def test_a_command_acts_through_the_node_that_runs(desk: Desk) -> None:
    case = queued(desk)
    with ControlServer(desk.keeper.state_dir, desk.operations.answer):
        request = {"do": "hold", "cases": [case], "series": []}
        assert ask(desk.keeper.state_dir, request, patience_s=PATIENCE_S) == done(case, "queued", "held")
        refused = ask(desk.keeper.state_dir, {"do": "delete"}, patience_s=PATIENCE_S)
    assert refused is not None
    assert (refused["error"]["code"], refused["exit_code"]) == ("input-error", 65)
