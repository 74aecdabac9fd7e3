"""Claims: one process at a time on a case, and no case that ends its worker for ever."""

import threading
from pathlib import Path

import pytest

from node.batch.runner.claim import Claim
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, Spot, State

TASK = "a" * 64


def record(state: State = State.DONE, key: str = "a") -> Record:
    """A record of case `key`."""
    return Record(key=key, state=state, task=TASK, attempt=1, final=True)


def claim(out: Path, session: str = "s", key: str = "a") -> Claim:
    """The claim on a case of the batch at `out`."""
    return Claim(case_folder(out, key), session)


def test_a_case_is_done_where_the_ledger_says_so_at_the_place_in_its_claim(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path)
    with claim(tmp_path) as held:
        assert held.done(tmp_path, TASK, "") is None
        held.begin(f"{writer.name}.jsonl")
        held.end(writer.append(record()))
    writer.close()
    with claim(tmp_path) as held:
        assert held.done(tmp_path, TASK, "") == record()
        assert held.done(tmp_path, "b" * 64, "") is None


def test_a_claim_is_not_believed_without_the_ledger(tmp_path: Path) -> None:
    with claim(tmp_path) as held:
        held.end(Spot(file="host-1-aa.jsonl", offset=0))
        assert held.done(tmp_path, TASK, "") is None


def test_a_run_that_was_killed_between_its_record_and_its_claim_is_found(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path)
    with claim(tmp_path) as held:
        held.begin(f"{writer.name}.jsonl")
        writer.append(record())
    writer.close()
    with claim(tmp_path) as held:
        assert held.done(tmp_path, TASK, "") == record()


def test_a_failure_is_not_done(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path)
    with claim(tmp_path) as held:
        held.begin(f"{writer.name}.jsonl")
        writer.append(record(State.FAILED))
        assert held.done(tmp_path, TASK, "") is None
        held.end(Spot(file=f"{writer.name}.jsonl", offset=0), failed="request-1")
        assert held.done(tmp_path, TASK, "") is None
        assert held.answered(tmp_path, "request-1") == record(State.FAILED)
        assert held.answered(tmp_path, "request-2") is None
    writer.close()


@pytest.mark.parametrize(
    ("sessions", "kills"),
    [("ss", False), ("sss", True), ("rrrqqqppp", False), ("rrrqqqpppo", True), ("rrs", False)],
    ids=["twice", "three times in a session", "in other sessions", "ten times in all", "mostly in others"],
)
def test_a_case_whose_runs_do_not_end_is_found_out(tmp_path: Path, sessions: str, kills: bool) -> None:
    for session in sessions:
        with claim(tmp_path, session) as held:
            held.begin("host-1-aa.jsonl")
    with claim(tmp_path) as held:
        assert held.kills() is kills
        held.end(Spot(file="host-1-aa.jsonl", offset=0), failed="request-1")
        assert not held.kills()


def test_a_second_run_of_a_case_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with claim(tmp_path):
            order.append("second")

    with claim(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        with claim(tmp_path, key="b"):
            order.append("another case")
        order.append("first")
    thread.join()
    assert order == ["another case", "first", "second"]


def test_a_torn_claim_says_nothing(tmp_path: Path) -> None:
    with claim(tmp_path) as held:
        held.end(Spot(file="host-1-aa.jsonl", offset=0), failed="request-1")
    (case_folder(tmp_path, "a") / ".claim").write_bytes(b"done host\nstarted\n\xff\xfe done x y\n")
    with claim(tmp_path) as held:
        assert held.done(tmp_path, TASK, "") is None
        assert not held.kills()
