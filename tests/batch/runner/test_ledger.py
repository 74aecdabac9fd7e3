"""The ledger: what was written is read, whatever is torn or damaged, from however many writers."""

import json
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.batch.runner.ledger import LedgerWriter, Record, Spot, State, find_record, ledger_files, read_record
from node.batch.runner.standing import Damage, read_standings
from node.errors import JournalDamaged

TASK = "a" * 64

records = st.builds(
    Record,
    key=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", fullmatch=True),
    state=st.sampled_from(State),
    task=st.just(TASK),
    attempt=st.integers(1, 9),
    final=st.booleans(),
    at=st.floats(1.0e9, 4.0e9),
    code=st.text(max_size=10),
    reason=st.text(max_size=30),
    worker=st.just("host-1-aa"),
    seconds=st.floats(0.0, 1e6),
    idle_s=st.none() | st.floats(0.0, 1e6),
    returned=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


def record(key: str = "a", state: State = State.DONE, *, at: float = 1.0, task: str = TASK, attempt: int = 1) -> Record:
    """A record that ended at `at`."""
    return Record(key=key, state=state, task=task, attempt=attempt, final=state is not State.FAILED, at=at)


RUNS = {
    "a failure undoes nothing of the same input": ("A done, A failed", "A done"),
    "another input takes its place": ("A done, B done", "B done"),
    "what is done of that stays done": ("A done, B done, B failed", "B done"),
    "a failure of another input counts": ("A done, B failed", "B failed"),
    "and so does one of an input that came back": ("A done, B done, A failed", "A failed"),
    "the latest failure counts": ("A failed, A failed", "A failed"),
}


@pytest.mark.parametrize(("runs", "counts"), RUNS.values(), ids=RUNS)
def test_of_a_case_the_latest_input_counts_whatever_the_order_of_the_files(
    tmp_path: Path, runs: str, counts: str
) -> None:
    made = []
    for at, run in enumerate(runs.split(", ")):
        mark, state = run.split()
        made.append(replace(record(at=float(at), state=State(state)), mark={"A": "1f", "B": "2e"}[mark]))
    mark, state = counts.split()
    last = max(one.at for one in made if (one.mark, one.state.value) == ({"A": "1f", "B": "2e"}[mark], state))
    for number, order in enumerate(permutations(made)):
        written(tmp_path / str(number), list(order))
        standing = read_standings(tmp_path / str(number), TASK).by_key["a"]
        assert (standing.mark, standing.state.value, standing.at) == ({"A": "1f", "B": "2e"}[mark], state, last)


def written(out: Path, *lists: list[Record]) -> None:
    """Write each list by a writer of its own."""
    for made in lists:
        writer = LedgerWriter(out)
        for one in made:
            writer.append(one)
        writer.close()


def one_file(out: Path, content: bytes) -> Path:
    """Write a file of the ledger as it is."""
    (out / "ledger").mkdir(parents=True)
    path = out / "ledger" / "host-1-aa.jsonl"
    path.write_bytes(content)
    return path


@given(made=records)
def test_a_record_is_read_as_it_was_written(made: Record) -> None:
    body = made.line()[len('{"crc32":"........","record":') : -2]
    assert Record.parse(body) == made
    assert json.loads(made.line())["record"]["key"] == made.key


@settings(deadline=None)
@given(made=st.lists(records, min_size=1, max_size=6), data=st.data())
def test_a_torn_last_line_was_never_written(
    made: list[Record], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [one.line() for one in made]
    whole = b"".join(lines)
    cut = data.draw(st.integers(0, len(whole) - 1))
    out = tmp_path_factory.mktemp("torn")
    one_file(out, whole[:cut])
    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    standings = read_standings(out, TASK)
    assert standings.executions == sum(end <= cut for end in ends)
    assert standings.damaged == ()


@settings(deadline=None)
@given(made=st.lists(records, min_size=2, max_size=6), data=st.data())
def test_a_damaged_line_is_named_and_the_others_count(
    made: list[Record], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = [one.line() for one in made]
    number = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[number]) - 2))
    harmed = bytearray(lines[number])
    harmed[at] ^= 1
    if harmed[at] == ord("\n"):
        harmed[at] ^= 3
    out = tmp_path_factory.mktemp("damaged")
    one_file(out, b"".join([*lines[:number], bytes(harmed), *lines[number + 1 :]]))
    standings = read_standings(out, TASK)
    assert standings.executions == len(lines) - 1
    assert standings.damaged == (Damage(file="host-1-aa.jsonl", offset=sum(map(len, lines[:number]))),)


@settings(deadline=None)
@given(made=st.lists(st.tuples(records, st.integers(0, 2)), max_size=12))
def test_what_counts_does_not_depend_on_who_wrote_it(
    made: list[tuple[Record, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    apart, together = tmp_path_factory.mktemp("apart"), tmp_path_factory.mktemp("together")
    distinct = [(replace(one, at=float(number + 1)), who) for number, (one, who) in enumerate(made)]
    written(apart, *[[one for one, who in distinct if who == writer] for writer in range(3)])
    written(together, [one for one, _ in distinct])
    for out in (apart, together):
        standings = read_standings(out, TASK)
        assert standings.executions == len(made)
        expected: dict[str, Record] = {}
        for one, _ in distinct:
            if one.state is not State.FAILED or expected.get(one.key, one).state is State.FAILED:
                expected[one.key] = one
        assert {one.key: one for one in standings.records()} == expected


def test_what_is_done_stays_done_and_of_failures_the_latest_counts(tmp_path: Path) -> None:
    written(
        tmp_path,
        [record("a", State.DONE, at=1.0), record("b", State.FAILED, at=5.0, attempt=2)],
        [record("a", State.FAILED, at=2.0), record("b", State.FAILED, at=4.0)],
    )
    standings = read_standings(tmp_path, TASK)
    assert standings.by_key["a"].state is State.DONE
    assert standings.by_key["b"].attempt == 2
    assert standings.counts() == {"done": 1, "refused": 0, "failed": 1}


def test_records_of_another_task_do_not_count(tmp_path: Path) -> None:
    written(tmp_path, [record("a", task="b" * 64), record("c")])
    standings = read_standings(tmp_path, TASK)
    assert list(standings.by_key) == ["c"]
    assert standings.executions == 1


def test_a_record_is_found_by_its_place_and_by_its_key(tmp_path: Path) -> None:
    writer = LedgerWriter(tmp_path)
    writer.append(record("a", at=1.0))
    spot = writer.append(record("b", at=2.0))
    writer.close()
    assert read_record(tmp_path, spot) == record("b", at=2.0)
    assert find_record(tmp_path, spot.file, "a") == record("a", at=1.0)
    assert find_record(tmp_path, spot.file, "c") is None
    assert read_record(tmp_path, Spot(file=spot.file, offset=spot.offset + 1)) is None
    assert read_record(tmp_path, Spot(file="../batch.json", offset=0)) is None
    assert read_record(tmp_path, Spot(file="gone.jsonl", offset=0)) is None


def test_each_writer_has_a_file_of_its_own_and_none_before_its_first_record(tmp_path: Path) -> None:
    idle, busy = LedgerWriter(tmp_path), LedgerWriter(tmp_path)
    spot = busy.append(record())
    assert [path.name for path in ledger_files(tmp_path)] == [spot.file]
    assert idle.name != busy.name
    busy.close()


def test_a_line_that_changes_while_the_tables_are_made_is_named(tmp_path: Path) -> None:
    written(tmp_path, [record("a")])
    standings = read_standings(tmp_path, TASK)
    [path] = ledger_files(tmp_path)
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(JournalDamaged, match="byte 0: the line has changed"):
        list(standings.records())
