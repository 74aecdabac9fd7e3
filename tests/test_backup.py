"""Backups: made beside a journal that is being written, whole, put back, and refused where something is wrong."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from keeper import SERIES, Keeper

from node.errors import InputError, JournalError, NodeAlreadyRunning, SettingsError
from node.journal.journal import Journal
from node.journal.store import Store
from node.receive.headroom import Headroom
from node.recovery import Backup, Wanted, back_up, check_journal, require_finished, restore
from node.recovery import backup as backing_up
from node.retention import Retention


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "state")
    (tmp_path / "cspine-node.toml").write_text('[node]\nstate_dir = "state"\n')
    yield made
    made.close()


def wanted(keeper: Keeper, *, copy: bool = False, base: Path | None = None) -> Wanted:
    return Wanted(
        state_dir=keeper.state_dir,
        journal=keeper.state_dir / "journal.sqlite",
        settings_file=keeper.state_dir.parent / "cspine-node.toml",
        copy=copy,
        base=base,
    )


def backed_up(keeper: Keeper, name: str = "backup", *, copy: bool = False, base: Path | None = None) -> Backup:
    return back_up(wanted(keeper, copy=copy, base=base), keeper.state_dir.parent / name)


def is_sound(state_dir: Path) -> bool:
    store = Store(state_dir / "journal.sqlite", read_only=True)
    try:
        return check_journal(state_dir, store, deep=True).ok
    finally:
        store.close()


def test_a_backup_beside_an_open_journal_is_whole_and_sound(keeper: Keeper, tmp_path: Path) -> None:
    keeper.delivered()
    keeper.receive_garbage()
    (keeper.state_dir / "log.key").write_bytes(b"k" * 32)
    made = backed_up(keeper)
    assert (made.ok, made.journal_version is not None, made.linked) == (True, True, 7)
    assert (tmp_path / "backup" / "settings.toml").read_text() == '[node]\nstate_dir = "state"\n'
    assert (tmp_path / "backup" / "state" / "log.key").read_bytes() == b"k" * 32
    assert is_sound(tmp_path / "backup" / "state")


def test_another_program_can_tell_that_a_backup_is_whole(keeper: Keeper, tmp_path: Path) -> None:
    keeper.delivered()
    backed_up(keeper)
    command = ["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"]
    assert subprocess.run(command, cwd=tmp_path / "backup", check=False, capture_output=True).returncode == 0
    (tmp_path / "backup" / "settings.toml").write_text("something else")
    assert subprocess.run(command, cwd=tmp_path / "backup", check=False, capture_output=True).returncode == 1


def test_received_files_are_linked_and_what_may_change_is_copied(keeper: Keeper, tmp_path: Path) -> None:
    received = keeper.receive(1)
    (keeper.state_dir / "log.key").write_bytes(b"key")
    backed_up(keeper)
    state = tmp_path / "backup" / "state"
    assert (state / received.relative_to(keeper.state_dir)).samefile(received)
    assert not (state / "log.key").samefile(keeper.state_dir / "log.key")


def test_a_copy_shares_nothing_and_keeps_the_time_of_arrival(keeper: Keeper, tmp_path: Path) -> None:
    received = keeper.receive(1)
    made = backed_up(keeper, copy=True)
    copied = tmp_path / "backup" / "state" / received.relative_to(keeper.state_dir)
    assert made.linked == 0
    assert not copied.samefile(received)
    assert copied.stat().st_mtime_ns == received.stat().st_mtime_ns


def test_a_second_backup_links_what_the_first_one_copied(keeper: Keeper, tmp_path: Path) -> None:
    received = keeper.receive(1).relative_to(keeper.state_dir)
    backed_up(keeper, "monday", copy=True)
    later = keeper.receive(2).relative_to(keeper.state_dir)
    made = backed_up(keeper, "tuesday", copy=True, base=tmp_path / "monday")
    monday, tuesday = tmp_path / "monday" / "state", tmp_path / "tuesday" / "state"
    assert (made.ok, made.linked) == (True, 1)
    assert (tuesday / received).samefile(monday / received)
    assert not (tuesday / later).samefile(keeper.state_dir / later)


def test_where_links_are_impossible_files_are_copied(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    keeper.receive(1)
    monkeypatch.setattr(os, "link", refused)
    made = backed_up(keeper)
    assert (made.ok, made.linked) == (True, 0)


def test_a_purge_in_between_costs_a_second_look_at_the_journal_and_nothing_else(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.delivered()
    keeper.rejected(series="1.2.4")
    keeper.later = timedelta(days=31)
    retention = Retention(keeper.settings, keeper.journal, Headroom(keeper.state_dir, minimum_free_mb=0), keeper.clock)
    copied, looks = backing_up.copy_journal, []

    def copy_then_purge(source: Path, target: Path) -> int:
        version = copied(source, target)
        if not looks:
            retention.purge()
        looks.append(version)
        return version

    monkeypatch.setattr(backing_up, "copy_journal", copy_then_purge)
    made = backed_up(keeper)
    assert (len(looks), made.ok, made.missing) == (2, True, ())
    assert keeper.files() == []


def test_backups_while_instances_come_in_are_sound_each_of_them(keeper: Keeper, tmp_path: Path) -> None:
    first, ended = threading.Event(), threading.Event()

    def receiving() -> None:
        for number in range(1, 10_000):
            if ended.is_set():
                return
            keeper.receive(number)
            first.set()

    receiver = threading.Thread(target=receiving)
    receiver.start()
    assert first.wait(60)
    made = [backed_up(keeper, name) for name in ("one", "two", "three")]
    ended.set()
    receiver.join()
    assert [backup.ok for backup in made] == [True, True, True]
    restore(tmp_path / "three", tmp_path / "new")
    assert is_sound(tmp_path / "new")


def test_what_is_missing_or_altered_is_told_and_the_rest_backed_up(keeper: Keeper, tmp_path: Path) -> None:
    gone, altered = keeper.receive(1), keeper.receive(2)
    keeper.receive(3)
    gone.unlink()
    altered.write_bytes(b"rot" + altered.read_bytes()[3:])
    made = backed_up(keeper)
    assert not made.ok
    assert made.missing == (gone.relative_to(keeper.state_dir).as_posix(),)
    assert (tmp_path / "backup" / "SHA256SUMS").is_file()


def test_caches_locks_sockets_and_temporary_files_are_left_out(keeper: Keeper, tmp_path: Path) -> None:
    keeper.receive(1)
    for name in ("ballast", "segmentations/a.zip", "spool/.x.part", "journal.sqlite.v1.bak"):
        (keeper.state_dir / name).parent.mkdir(exist_ok=True)
        (keeper.state_dir / name).write_bytes(b"x")
    (keeper.state_dir / "models").mkdir()
    (keeper.state_dir / "models" / "elsewhere").symlink_to(tmp_path)
    made = backed_up(keeper)
    assert made.left_out == ["models/elsewhere"]
    assert sorted(path.name for path in (tmp_path / "backup" / "state").iterdir()) == ["journal.sqlite", "spool"]


@pytest.mark.parametrize("place", ["state/backup", "there"])
def test_a_backup_is_a_new_folder_outside_the_state_folder(keeper: Keeper, tmp_path: Path, place: str) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError):
        backed_up(keeper, place)


def test_a_backup_that_fails_leaves_nothing(keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    keeper.receive(1)
    monkeypatch.setattr(backing_up, "digest_of", full)
    with pytest.raises(OSError, match="No space left"):
        backed_up(keeper)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cspine-node.toml", "state"]


def test_what_was_backed_up_is_put_back_and_the_node_goes_on_with_it(keeper: Keeper, tmp_path: Path) -> None:
    keeper.delivered()
    keeper.receive(1, series="1.2.4")
    keeper.open_case(series="1.2.4")
    made = backed_up(keeper)
    report = restore(tmp_path / "backup", tmp_path / "new" / "state")
    assert (report.journal_version, report.files) == (made.journal_version, made.files - 2)
    assert is_sound(tmp_path / "new" / "state")
    other = Journal(tmp_path / "new" / "state" / "journal.sqlite")
    claim = other.cases.claim("other")
    other.close()
    assert claim is not None
    assert (claim.series_uid, keeper.states()) == ("1.2.4", ["delivered", "queued"])


def test_what_came_after_the_journal_was_copied_is_taken_in_at_the_start(keeper: Keeper, tmp_path: Path) -> None:
    keeper.receive(1)
    backed_up(keeper)
    late = keeper.receive(2)
    restore(tmp_path / "backup", tmp_path / "new")
    name = late.relative_to(keeper.state_dir)
    (tmp_path / "new" / name).write_bytes(late.read_bytes())
    other = Keeper(tmp_path / "new")
    Retention(other.settings, other.journal, Headroom(other.state_dir, minimum_free_mb=0)).take_in()
    taken = [instance.sop_instance_uid for instance in other.journal.arrivals.instances(SERIES)]
    other.close()
    assert taken == ["1.2.3.1", "1.2.3.2"]


def test_a_dry_run_reads_the_backup_and_writes_nothing(keeper: Keeper, tmp_path: Path) -> None:
    keeper.receive(1)
    backed_up(keeper)
    assert restore(tmp_path / "backup", tmp_path / "new", dry_run=True).files == 2
    assert not (tmp_path / "new").exists()


def test_a_state_folder_in_use_is_not_overwritten(keeper: Keeper, tmp_path: Path) -> None:
    keeper.receive(1)
    backed_up(keeper)
    with pytest.raises(NodeAlreadyRunning):
        restore(tmp_path / "backup", keeper.state_dir)
    keeper.close()
    with pytest.raises(SettingsError, match="holds a state already"):
        restore(tmp_path / "backup", keeper.state_dir)


def test_a_restore_that_was_cut_off_keeps_the_node_from_starting_and_is_run_again(
    keeper: Keeper, tmp_path: Path
) -> None:
    keeper.receive(1)
    backed_up(keeper)
    new = tmp_path / "new"

    def cut_off(text: str) -> None:
        if text.startswith("file "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(tmp_path / "backup", new, cut_off)
    with pytest.raises(SettingsError, match="a restore was cut off there"):
        require_finished(new)
    restore(tmp_path / "backup", new)
    require_finished(new)
    assert is_sound(new)


def rot(backup: Path) -> None:
    (file,) = backup.glob("state/spool/*/*.dcm")
    file.unlink()
    file.write_bytes(b"rotten")


def lose(backup: Path) -> None:
    (backup / "state" / "journal.sqlite").unlink()


def escape(backup: Path) -> None:
    with (backup / "SHA256SUMS").open("a") as sums:
        sums.write(f"{'0' * 64}  state/../../outside\n")


def forget(backup: Path) -> None:
    (backup / "backup.json").unlink()


def confuse(backup: Path) -> None:
    (backup / "backup.json").write_text('{"format": "one"}')


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (rot, "is missing or not what was written"),
        (lose, r"state/journal\.sqlite is missing"),
        (escape, "SHA256SUMS is no list of digests"),
        (forget, r"it has no backup\.json"),
        (confuse, r"its backup\.json cannot be read"),
    ],
)
def test_a_backup_that_is_not_whole_is_refused_before_anything_is_written(
    keeper: Keeper, tmp_path: Path, harm: object, said: str
) -> None:
    keeper.receive(1)
    backed_up(keeper)
    harm(tmp_path / "backup")  # type: ignore[operator]
    with pytest.raises(InputError, match=said):
        restore(tmp_path / "backup", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_backup_of_newer_software_is_refused(keeper: Keeper, tmp_path: Path) -> None:
    backed_up(keeper)
    about = tmp_path / "backup" / "backup.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "journal": 999}))
    with pytest.raises(JournalError, match="the journal has version 999"):
        restore(tmp_path / "backup", tmp_path / "new")


def test_a_journal_in_postgresql_is_left_to_its_own_backups(keeper: Keeper, tmp_path: Path) -> None:
    keeper.receive(1)
    settings = keeper.state_dir.parent / "cspine-node.toml"
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    made = back_up(
        Wanted(state_dir=keeper.state_dir, journal=None, settings_file=settings), tmp_path / "b", clock=lambda: at
    )
    about = json.loads((tmp_path / "b" / "backup.json").read_text())
    assert (made.journal_version, about["journal"], about["made_at"]) == (None, None, "2026-01-02T03:04:05+00:00")
    assert restore(tmp_path / "b", tmp_path / "new").files == 1
    assert not (tmp_path / "new" / "journal.sqlite").exists()


def test_the_commands_back_up_beside_a_node_that_holds_its_journal_and_put_back(keeper: Keeper, tmp_path: Path) -> None:
    keeper.delivered()
    said = answer("backup", tmp_path / "backup", "--config", tmp_path / "cspine-node.toml")
    assert (said["ok"], said["linked"], said["missing"]) == (True, 6, [])
    assert (tmp_path / "backup").stat().st_mode & 0o777 == 0o700
    new = tmp_path / "new.toml"
    new.write_text('[node]\nstate_dir = "new"\n')
    said = answer("restore", tmp_path / "backup", "--config", new)
    assert (said["state_dir"], said["files"]) == (str(tmp_path / "new"), 7)
    assert is_sound(tmp_path / "new")


def answer(*arguments: str | Path) -> dict[str, object]:
    command = [sys.executable, "-m", "node", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
