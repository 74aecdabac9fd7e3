"""What a worker does with an item, in this process."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from batchwork import Nowhere, Toy, begun, ready

from node.batch.runner import worker
from node.batch.runner.claim import Claim
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import State, ledger_files
from node.batch.runner.standing import read_standings
from node.batch.runner.task import WorkItem
from node.batch.runner.worker import Answer, Site, do, release
from node.errors import SettingsError, SystemFailed

BATCH = "the-batch"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A batch in an empty folder, whose toy does as its keys say."""
    deeds = {key: key for key in ("input", "engine", "once", "refuse")}
    task = Toy(notes=tmp_path / "notes", deeds=deeds)
    yield Site(
        out=tmp_path / "out",
        batch=BATCH,
        session="s",
        task=task,
        digest=task.digest,
        attempts=2,
        threads=3,
        devices=(),
    )
    release(BATCH)


NUMBERS = itertools.count()


def done(site: Site, key: str, attempt: int = 1, request: str | None = None) -> Answer:
    """Do the item of a key, by a request of its own."""
    return do(site, WorkItem(key=key, source=Nowhere()), attempt, request or f"request-{next(NUMBERS)}")


def notes(site: Site) -> Path:
    """The folder of the toy's notes."""
    assert isinstance(site.task, Toy)
    return site.task.notes


def test_a_case_is_done_once_however_often_it_is_asked_for(site: Site) -> None:
    first, second = done(site, "a"), done(site, "a")
    assert (first.executed, second.executed) == (True, False)
    assert first.record == second.record
    assert first.record.returned == {"verdict": "good", "bodies": 7, "discs": 6, "pipeline_s": 0.0}
    assert (case_folder(site.out, "a") / "result.txt").exists()
    assert begun(notes(site)) == ["a"]


def test_the_task_is_made_ready_once_for_all_items(site: Site) -> None:
    for key in "abc":
        done(site, key)
    [line] = ready(notes(site))
    assert line.split()[1:] == ["0", "3"]


@pytest.mark.parametrize(
    ("key", "attempt", "state", "final", "code", "reason"),
    [
        ("input", 1, State.FAILED, True, "input-error", "a slice\tis missing"),
        ("engine", 1, State.FAILED, False, "engine-error", "the network failed"),
        ("engine", 2, State.FAILED, True, "engine-error", "the network failed"),
        ("refuse", 1, State.REFUSED, True, "plane", "not sagittal"),
    ],
    ids=["input is at fault", "may pass", "attempts are spent", "not taken"],
)
def test_what_becomes_of_a_case_that_has_no_results(  # noqa: PLR0913, PLR0917 - one parameter a column
    site: Site, key: str, attempt: int, state: State, final: bool, code: str, reason: str
) -> None:
    record = done(site, key, attempt).record
    assert (record.state, record.final, record.code, record.reason) == (state, final, code, reason)
    standing = read_standings(site.out, site.digest).by_key[key]
    assert (standing.state, standing.final, standing.attempt) == (state, final, attempt)


def test_a_request_is_answered_once_also_where_the_case_failed(site: Site) -> None:
    first = done(site, "engine", request="request")
    again = done(site, "engine", request="request")
    assert again == Answer(record=first.record, executed=False, trouble=False)
    assert done(site, "engine", 2).executed


def test_a_refused_case_is_not_looked_at_again(site: Site) -> None:
    done(site, "refuse")
    assert not done(site, "refuse").executed


def test_a_case_that_ended_its_workers_is_not_begun_again(site: Site) -> None:
    for _ in range(3):
        with Claim(case_folder(site.out, "a"), "s") as claim:
            claim.begin("host-1-aa.jsonl")
    answer = done(site, "a")
    assert (answer.record.code, answer.record.final, answer.trouble) == ("worker-died", True, True)
    assert begun(notes(site)) == []
    assert done(site, "a").record.state is State.DONE


def test_several_failures_in_a_row_make_the_task_ready_anew(site: Site) -> None:
    deeds = {f"e{number}": "engine" for number in range(3)}
    assert isinstance(site.task, Toy)
    failing = replace(site, task=replace(site.task, deeds=deeds))
    for key in ("e0", "a", "e1", "e2"):
        done(failing, key)
    assert len(ready(notes(site))) == 1
    done(failing, "e0")
    done(failing, "b")
    assert len(ready(notes(site))) == 2


def test_another_version_on_a_worker_stops_the_batch(site: Site) -> None:
    with pytest.raises(SettingsError, match="another version"):
        done(replace(site, digest="b" * 64), "a")


def test_a_ledger_that_cannot_be_written_stops_the_batch(site: Site) -> None:
    site.out.mkdir()
    (site.out / "ledger").write_text("no folder")
    with pytest.raises(SystemFailed, match="ledger"):
        done(site, "a")


def test_another_batch_in_the_same_folder_has_a_file_of_its_own(site: Site) -> None:
    done(site, "a")
    done(replace(site, batch="another"), "b")
    assert len(ledger_files(site.out)) == 2
    release("another")


def marked(site: Site, key: str, mark: str) -> Answer:
    """Do the item of a key whose input looks like `mark`."""
    return do(site, WorkItem(key=key, source=Nowhere(), mark=mark), 1, f"request-{next(NUMBERS)}")


def test_a_case_whose_input_looks_otherwise_is_done_again(site: Site) -> None:
    first, other, same = marked(site, "a", "1f"), marked(site, "a", "2e"), marked(site, "a", "2e")
    assert (first.executed, other.executed, same.executed) == (True, True, False)
    assert same.record == other.record
    standing = read_standings(site.out, site.digest).by_key["a"]
    assert (standing.mark, standing.state) == ("2e", State.DONE)


def test_what_is_done_is_not_done_again_where_nobody_can_look_at_its_input(site: Site) -> None:
    first, unseen = marked(site, "a", "1f"), marked(site, "a", "")
    assert (unseen.executed, unseen.record) == (False, first.record)


def test_results_stay_where_the_task_cannot_be_made_ready(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    marked(site, "a", "1f")
    release(BATCH)

    def refuse(_self: Toy, _place: object) -> None:
        raise SettingsError("no such device")

    with monkeypatch.context() as patched:
        patched.setattr(Toy, "ready", refuse)
        with pytest.raises(SettingsError):
            marked(site, "a", "2e")
    assert (case_folder(site.out, "a") / "result.txt").exists()
    assert read_standings(site.out, site.digest).by_key["a"].mark == "1f"
    assert not marked(site, "a", "1f").executed


def test_results_of_another_input_are_taken_back_before_they_go(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is killed then, and comes back to the input of before, runs the case once more."""
    marked(site, "a", "1f")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(worker, "_outcome", killed)
        with pytest.raises(KeyboardInterrupt):
            marked(site, "a", "2e")
    assert not (case_folder(site.out, "a") / "result.txt").exists()
    standing = read_standings(site.out, site.digest).by_key["a"]
    assert (standing.mark, standing.state, standing.final) == ("2e", State.FAILED, False)
    assert marked(site, "a", "1f").executed


def test_nothing_of_an_earlier_run_is_left_to_a_case_that_fails(site: Site) -> None:
    folder = case_folder(site.out, "input")
    folder.mkdir(parents=True)
    (folder / "classes.nii.gz").write_bytes(b"of another model")
    assert done(site, "input").record.state is State.FAILED
    assert [path.name for path in folder.iterdir()] == [".claim"]
