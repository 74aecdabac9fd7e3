"""A journal that is damaged or lost: what is told of it, and the one that is made anew from the files."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keeper import SERIES, Keeper

from node.errors import JournalDamaged, NodeAlreadyRunning
from node.journal.journal import Journal
from node.journal.store import Store
from node.recovery import CheckReport, Rebuilt, check_journal, rebuild_journal, require_finished
from node.recovery import rebuild as rebuilding
from node.recovery.filling import Filling

TABLES = ("instance", "quarantine", "series", "case", "object", "delivery")


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "state")
    yield made
    made.close()


def report(keeper: Keeper, *, deep: bool = False, later_s: float = 0) -> CheckReport:
    def clock() -> float:
        return keeper.clock().timestamp() + later_s

    return check_journal(keeper.state_dir, keeper.journal.store, deep=deep, clock=clock)


def journal_of(keeper: Keeper) -> Path:
    return keeper.state_dir / "journal.sqlite"


def rebuilt(keeper: Keeper) -> Rebuilt:
    keeper.close()
    return rebuild_journal(journal_of(keeper))


def rows(path: Path, table: str, *columns: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        found = sorted(connection.execute(f'SELECT {", ".join(columns)} FROM "{table}"').fetchall())
    connection.close()
    return found


def instances(path: Path) -> list[Any]:
    columns = ("sop_instance_uid", "sop_class_uid", "series_uid", "study_uid", "digest", "path", "calling_ae")
    return rows(path, "instance", *columns)


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[:4096] = os.urandom(4096)
    path.write_bytes(content)


def test_a_sound_journal_with_all_its_files_is_sound(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive_garbage()
    told = report(keeper, deep=True)
    assert told == CheckReport(damage=(), files=5, missing=(), altered=(), unnamed=())
    assert told.ok


def test_a_missing_file_is_told(keeper: Keeper) -> None:
    (first, _), folder = keeper.delivered()
    first.unlink()
    (folder / "sr.dcm").unlink()
    told = report(keeper)
    assert told.missing == (f"results/{folder.name}/sr.dcm", f"spool/{first.parent.name}/{first.name}")
    assert not told.ok


def test_an_altered_file_is_told_by_a_deep_check(keeper: Keeper) -> None:
    (first, _), folder = keeper.delivered()
    garbage = keeper.receive_garbage()
    for path in (first, folder / "seg.dcm", garbage):
        path.write_bytes(path.read_bytes()[:-1] + b"!")
    assert report(keeper).ok
    assert report(keeper, deep=True).altered == (
        f"quarantine/{garbage.name}",
        f"results/{folder.name}/seg.dcm",
        f"spool/{first.parent.name}/{first.name}",
    )


def test_a_file_without_a_row_is_told_once_it_is_no_more_on_its_way(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.spool._report = lambda taken: True
    path = keeper.receive(2)
    assert report(keeper).unnamed == ()
    told = report(keeper, later_s=700)
    assert told.unnamed == (f"spool/{path.parent.name}/{path.name}",)
    assert told.ok


def test_a_row_that_is_not_what_was_written_is_told(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.close()
    with sqlite3.connect(journal_of(keeper)) as connection:
        connection.execute("UPDATE instance SET path = 'spool/other.dcm' WHERE id = 1")
    connection.close()
    store = Store(journal_of(keeper), read_only=True)
    told = check_journal(keeper.state_dir, store)
    store.close()
    assert told.damage == ("instance 1: not what was written",)
    assert told.missing == ("spool/other.dcm",)


def test_a_lost_journal_is_made_anew_with_all_that_the_files_tell(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive(1, series="1.2.4", calling_ae="SCANNER")
    keeper.receive_garbage()
    before = instances(journal_of(keeper))
    objects = rows(
        journal_of(keeper), "object", "case_id", "kind", "sop_class_uid", "sop_instance_uid", "path", "digest"
    )
    keeper.close()
    for path in keeper.state_dir.glob("journal.sqlite*"):
        path.unlink()
    told = rebuild_journal(journal_of(keeper))
    assert told == Rebuilt(series=2, instances=3, quarantined=1, cases=1, objects=2, receiving=1, kept_as=None)
    assert instances(journal_of(keeper)) == before
    assert (
        rows(journal_of(keeper), "object", "case_id", "kind", "sop_class_uid", "sop_instance_uid", "path", "digest")
        == objects
    )
    assert rows(journal_of(keeper), "case", "id", "series_uid", "revision", "route", "state") == [
        (1, SERIES, 1, "neck", "sending")
    ]
    assert rows(journal_of(keeper), "delivery", "destination", "state") == [("archive", "pending")] * 2
    assert rows(journal_of(keeper), "series", "series_uid", "closed") == [(SERIES, 1), ("1.2.4", 0)]
    journal = Journal(journal_of(keeper))
    assert check_journal(keeper.state_dir, journal.store, deep=True).ok
    journal.close()


def test_what_is_sent_again_has_the_same_identifiers_and_files(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.open_case()
    keeper.finish("archive")
    before = [
        (item.case_id, item.sop_instance_uid, item.path, item.digest)
        for item in keeper.journal.deliveries.pending("archive")
    ]
    rebuilt(keeper)
    journal = Journal(journal_of(keeper))
    after = [
        (item.case_id, item.sop_instance_uid, item.path, item.digest) for item in journal.deliveries.pending("archive")
    ]
    journal.close()
    assert after == before
    assert len(after) == 2


def test_a_damaged_journal_is_kept_beside_the_new_one(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.close()
    damage(journal_of(keeper))
    old = journal_of(keeper).read_bytes()
    with pytest.raises(JournalDamaged):
        Journal(journal_of(keeper))
    journal_of(keeper).with_name("journal.sqlite-wal").write_bytes(b"log")
    assert rebuild_journal(journal_of(keeper)).kept_as == "journal.sqlite.damaged-1"
    assert journal_of(keeper).with_name("journal.sqlite.damaged-1").read_bytes() == old
    assert journal_of(keeper).with_name("journal.sqlite.damaged-1-wal").exists()
    assert rebuild_journal(journal_of(keeper)).kept_as == "journal.sqlite.damaged-2"
    Journal(journal_of(keeper)).close()


def test_a_second_rebuild_gives_the_same_journal(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive(1, series="1.2.4")
    first = rebuilt(keeper)
    before = {table: rows(journal_of(keeper), table, "*") for table in ("instance", "object")}
    second = rebuild_journal(journal_of(keeper))
    assert (first.instances, first.cases) == (second.instances, second.cases)
    assert {table: rows(journal_of(keeper), table, "*") for table in before} == before


def test_versions_of_an_instance_keep_their_order(keeper: Keeper) -> None:
    old = keeper.receive(1, version=1)
    new = keeper.receive(1, version=2)
    os.utime(old, (1_000_000, 1_000_000))
    os.utime(new, (2_000_000, 2_000_000))
    rebuilt(keeper)
    journal = Journal(journal_of(keeper))
    (instance,) = journal.arrivals.instances(SERIES)
    journal.close()
    assert instance.digest == new.stem
    assert rows(journal_of(keeper), "instance", "received_at", "digest") == [
        ("1970-01-12T13:46:40.000+00:00", old.stem),
        ("1970-01-24T03:33:20.000+00:00", new.stem),
    ]


def test_a_series_that_receives_waits_from_the_rebuild_on(keeper: Keeper) -> None:
    """Its files may be days old: the longest wait must not have passed at once."""
    path = keeper.receive(1)
    os.utime(path, (1_000_000, 1_000_000))
    rebuilt(keeper)
    journal = Journal(journal_of(keeper))
    (series,) = journal.arrivals.open_series()
    journal.close()
    assert series.first_age_s < 600


def test_an_altered_file_goes_to_quarantine_and_is_told_and_never_used(keeper: Keeper) -> None:
    path = keeper.receive(1)
    keeper.receive(2)
    name = f"spool/{path.parent.name}/{path.name}"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    told = rebuilt(keeper)
    assert [(item.path, item.code) for item in told.problems] == [(name, "truncated-file")]
    assert (told.instances, told.quarantined) == (1, 1)
    assert not path.exists()
    assert [uid for uid, *_ in instances(journal_of(keeper))] == [f"{SERIES}.2"]
    assert rebuild_journal(journal_of(keeper)).problems == []


def test_a_file_in_the_folder_of_another_series_is_not_used(keeper: Keeper) -> None:
    path = keeper.receive(1)
    other = keeper.receive(1, series="1.2.4")
    path.rename(other.parent / path.name)
    told = rebuilt(keeper)
    assert [item.code for item in told.problems] == ["truncated-file"]
    assert [series for _, _, series, *_ in instances(journal_of(keeper))] == ["1.2.4"]


def test_an_altered_file_in_quarantine_stays_there_under_its_own_digest(keeper: Keeper) -> None:
    path = keeper.receive_garbage()
    path.write_bytes(b"other bytes")
    told = rebuilt(keeper)
    assert ([item.path for item in told.problems], told.quarantined) == ([f"quarantine/{path.name}"], 1)
    (digest,) = rows(journal_of(keeper), "quarantine", "digest")
    assert (keeper.state_dir / "quarantine" / f"{digest[0]}.dcm").exists()


@pytest.mark.parametrize("name", ["seg.dcm", "case.json"])
def test_a_case_with_an_altered_file_is_told_and_its_series_judged_again(keeper: Keeper, name: str) -> None:
    _, folder = keeper.delivered()
    (folder / name).write_bytes((folder / name).read_bytes()[:-2] + b"!}")
    told = rebuilt(keeper)
    assert [(item.path, item.code) for item in told.problems] == [(f"results/{folder.name}", "result-damaged")]
    assert (told.cases, told.receiving) == (0, 1)


def test_the_verdict_is_that_of_the_findings_and_unknown_without_them(keeper: Keeper) -> None:
    for series, findings in (("1.2.3", '{"quality": {"verdict": "review"}}'), ("1.2.4", '{"quality": {}}')):
        keeper.receive(1, series=series)
        keeper.open_case(series=series)
        (keeper.finish("archive") / "findings.json").write_text(findings)
    keeper.delivered(series="1.2.5")
    rebuilt(keeper)
    assert rows(journal_of(keeper), "case", "id", "verdict") == [(1, "review"), (2, None), (3, None)]


def test_of_several_revisions_only_the_newest_is_sent(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive(3)
    keeper.open_case()
    keeper.finish("archive")
    told = rebuilt(keeper)
    assert (told.cases, told.receiving) == (2, 0)
    assert rows(journal_of(keeper), "case", "id", "revision", "state") == [(1, 1, "superseded"), (2, 2, "sending")]
    assert sorted(rows(journal_of(keeper), "delivery", "state")) == [("cancelled",)] * 2 + [("pending",)] * 2


def test_a_series_with_a_late_instance_is_judged_again(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive(3)
    assert rebuilt(keeper).receiving == 1


@pytest.mark.parametrize("point", ["series", "case", "set aside", "put in place"])
def test_a_rebuild_that_is_cut_off_keeps_the_node_from_starting_until_it_is_run_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    keeper.delivered()
    before = instances(journal_of(keeper))
    keeper.close()

    class PowerCut(Exception):
        pass

    def cut(*_args: Any, **_kwargs: Any) -> None:
        raise PowerCut

    steps = {
        "series": (Filling, "_fill_series"),
        "case": (Filling, "_cases"),
        "set aside": (rebuilding, "_keep_old"),
        "put in place": (rebuilding, "fsync_folder"),
    }
    monkeypatch.setattr(*steps[point], cut)
    with pytest.raises(PowerCut):
        rebuild_journal(journal_of(keeper))
    monkeypatch.undo()
    with pytest.raises(JournalDamaged, match="cut off"):
        require_finished(keeper.state_dir)
    rebuild_journal(journal_of(keeper))
    require_finished(keeper.state_dir)
    assert instances(journal_of(keeper)) == before


def test_a_running_node_is_not_rebuilt_under_its_feet(keeper: Keeper) -> None:
    keeper.receive(1)
    with pytest.raises(NodeAlreadyRunning):
        rebuild_journal(journal_of(keeper))
    require_finished(keeper.state_dir)


def test_symbolic_links_are_not_followed(keeper: Keeper, tmp_path: Path) -> None:
    path = keeper.receive(1)
    moved = path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(moved)
    assert rebuilt(keeper).instances == 0
    assert len(list(moved.iterdir())) == 1


def test_an_empty_state_folder_gives_an_empty_journal(tmp_path: Path) -> None:
    assert rebuild_journal(tmp_path / "journal.sqlite") == Rebuilt()
