"""Keys, folders and shards; whose batch a folder is, and who works on it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.batch.runner.batch import Shard, occupied, read_batch
from node.batch.runner.folder import case_folder, checked_key, shard_of
from node.errors import BatchInterrupted, InputError, JournalDamaged, SettingsError

TASK, OTHER = "a" * 64, "b" * 64


@pytest.mark.parametrize("key", ["1.2.840", "593973-000003_Study-MR-3", "_", "a" * 200])
def test_names_of_files_and_uids_are_keys(key: str) -> None:
    assert checked_key(key) == key


@pytest.mark.parametrize("key", ["", ".", "..", ".hidden", "a/b", "a b", "a\n", "ä", "a" * 201])
def test_what_could_leave_its_folder_is_no_key(key: str) -> None:
    with pytest.raises(InputError, match="1 to 200 letters"):
        case_folder(Path("out"), key)


def test_a_case_lies_below_the_first_digits_of_its_keys_digest() -> None:
    # printf 1.2.3 | sha256sum
    assert case_folder(Path("out"), "1.2.3") == Path("out/cases/c4/1.2.3")


@given(key=st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}", fullmatch=True), count=st.integers(1, 50))
def test_every_case_is_in_exactly_one_shard(key: str, count: int) -> None:
    assert [Shard(number=number, count=count).has(key) for number in range(1, count + 1)].count(True) == 1


def test_shards_are_of_about_one_size() -> None:
    sizes = [0, 0, 0, 0]
    for number in range(4000):
        sizes[shard_of(f"1.2.{number}", 4) - 1] += 1
    assert min(sizes) > 900


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/", "a/b", "-1/2", "1/2/3", ""])
def test_a_shard_that_is_none_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="as in 2/8"):
        Shard.parse(text)


def test_a_batch_is_begun_once_and_goes_on(tmp_path: Path) -> None:
    with occupied(tmp_path / "out", TASK, None, anew=False) as first:
        pass
    with occupied(tmp_path / "out", TASK, None, anew=True) as second:
        assert second == first == read_batch(tmp_path / "out")


def test_another_task_needs_another_folder_or_anew(tmp_path: Path) -> None:
    with occupied(tmp_path, TASK, None, anew=False) as first:
        (tmp_path / "ledger").mkdir()
        (tmp_path / "ledger" / "host-1-aa.jsonl").write_text("")
    with pytest.raises(SettingsError, match="another task"), occupied(tmp_path, OTHER, None, anew=False):
        pass
    with occupied(tmp_path, OTHER, None, anew=True) as second:
        assert second.task == OTHER
        assert second.name != first.name
    assert not (tmp_path / "ledger").exists()
    [aside] = tmp_path.glob("ledger.before-*")
    assert [path.name for path in aside.iterdir()] == ["host-1-aa.jsonl"]


def test_two_drivers_of_the_same_are_one_too_many(tmp_path: Path) -> None:
    half, other = Shard(number=1, count=2), Shard(number=2, count=2)
    with occupied(tmp_path, TASK, half, anew=False):
        with occupied(tmp_path, TASK, other, anew=False):
            pass
        for shard in (half, None):
            with pytest.raises(BatchInterrupted, match="another batch runs there"):
                occupied(tmp_path, TASK, shard, anew=False).__enter__()
        with pytest.raises(BatchInterrupted, match="another batch runs there"):
            occupied(tmp_path, OTHER, other, anew=True).__enter__()
    with occupied(tmp_path, TASK, None, anew=False):
        pass


def test_a_folder_that_is_no_batch_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no batch"):
        read_batch(tmp_path)
    (tmp_path / "batch.json").write_text("{")
    with pytest.raises(JournalDamaged, match=r"batch\.json"):
        read_batch(tmp_path)
    (tmp_path / "batch.json").write_text('{"format": 9}')
    with pytest.raises(InputError, match="another version"):
        read_batch(tmp_path)
    (tmp_path / "batch.json").write_text('{"format": 1}')
    with pytest.raises(JournalDamaged, match=r"batch\.json"):
        read_batch(tmp_path)


def test_a_ledger_of_nobody_knows_what_is_named(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    with pytest.raises(JournalDamaged, match="--anew"):
        occupied(tmp_path, TASK, None, anew=False).__enter__()
    with occupied(tmp_path, TASK, None, anew=True):
        pass
