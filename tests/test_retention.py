"""Retention: what is delivered or was never wanted goes after its days. Nothing else does, whatever happens."""

import errno
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from disks import fill, small_disk
from keeper import SERIES, Keeper, data_set

from node.errors import JournalError
from node.journal.overview import events, overview
from node.receive.headroom import BALLAST, Headroom
from node.retention import Purged, Retention

NOTHING = Purged(series=0, files=0, bytes=0, left=0)
A_MONTH = timedelta(days=31)


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "state", delivered_days=30, rejected_days=10)
    yield made
    made.close()


def retention(keeper: Keeper) -> Retention:
    return Retention(keeper.settings, keeper.journal, Headroom(keeper.state_dir, minimum_free_mb=0), keeper.clock)


def purge(keeper: Keeper, *, dry_run: bool = False) -> Purged:
    return retention(keeper).purge(dry_run=dry_run)


class PowerCut(Exception):
    """Ends a purge where the test wants it to end."""


def test_a_delivered_series_goes_after_its_days_with_its_results(keeper: Keeper) -> None:
    keeper.delivered()
    size = sum((keeper.state_dir / name).stat().st_size for name in keeper.files())
    keeper.later = timedelta(days=29)
    assert purge(keeper) == NOTHING
    keeper.later = A_MONTH
    assert purge(keeper) == Purged(series=1, files=6, bytes=size, left=0)
    assert keeper.files() == []
    assert [event["what"] for event in events(keeper.journal.store, series_uid=SERIES)][-1] == "purged"
    assert purge(keeper) == NOTHING


def test_a_dry_run_tells_what_would_go_and_deletes_nothing(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.later = A_MONTH
    before = keeper.files()
    told = purge(keeper, dry_run=True)
    assert (told.series, told.files) == (1, 6)
    assert keeper.files() == before
    assert purge(keeper) == told


def test_a_rejected_series_goes_after_days_of_its_own(keeper: Keeper) -> None:
    keeper.rejected()
    keeper.later = timedelta(days=9)
    assert purge(keeper) == NOTHING
    keeper.later = timedelta(days=11)
    assert (purge(keeper).series, keeper.files()) == (1, [])


def test_zero_days_keep_for_ever(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "state", delivered_days=0, rejected_days=0)
    keeper.delivered()
    keeper.rejected(series="1.2.4")
    keeper.later = timedelta(days=10_000)
    assert purge(keeper) == NOTHING
    keeper.close()


def _waiting(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.open_case()


def _running(keeper: Keeper) -> None:
    _waiting(keeper)
    keeper.claim()


def _sending(keeper: Keeper) -> None:
    _waiting(keeper)
    keeper.finish("archive")


def _sent(keeper: Keeper) -> None:
    _sending(keeper)
    for delivery in keeper.journal.deliveries.pending("archive"):
        keeper.journal.deliveries.record_sent(delivery)


def _undelivered(keeper: Keeper) -> None:
    _sending(keeper)
    for delivery in keeper.journal.deliveries.pending("archive"):
        keeper.journal.deliveries.record_refused(delivery, "store-refused", "")


def _held(keeper: Keeper) -> None:
    _waiting(keeper)
    keeper.journal.cases.hold(1)


def _receiving_again(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.receive(3)


def _revised(keeper: Keeper) -> None:
    _receiving_again(keeper)
    keeper.open_case()


@pytest.mark.parametrize(
    "reach", [_waiting, _running, _sending, _sent, _undelivered, _held, _receiving_again, _revised]
)
def test_what_is_not_settled_stays(keeper: Keeper, reach: Any) -> None:
    reach(keeper)
    before = keeper.files()
    keeper.later = timedelta(days=10_000)
    assert purge(keeper) == NOTHING
    assert retention(keeper).sweep() == 0
    assert keeper.files() == before


@pytest.mark.parametrize("point", range(8))
def test_a_purge_that_is_cut_off_at_any_point_loses_nothing_and_is_ended_later(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, point: int
) -> None:
    """Points: before and after the journal forgets, then each step of deleting."""
    keeper.delivered()
    keeper.receive(1, series="1.2.4")
    wanted = [name for name in keeper.files() if data_set(1, series="1.2.4") in (keeper.state_dir / name).read_bytes()]
    keeper.later = A_MONTH
    steps = [0]

    def cut(kind: Any, name: str) -> None:
        original = getattr(kind, name)

        def step(*args: Any, **kwargs: Any) -> Any:
            steps[0] += 1
            if steps[0] == point + 1:
                raise PowerCut
            return original(*args, **kwargs)

        monkeypatch.setattr(kind, name, step)

    for kind, name in ((type(keeper.journal.retention), "forget"), (os, "rename"), (os, "unlink"), (os, "rmdir")):
        cut(kind, name)
    with pytest.raises(PowerCut):
        purge(keeper)
    monkeypatch.undo()
    for instance in keeper.journal.arrivals.instances(SERIES):
        assert (keeper.state_dir / instance.path).is_file(), "a row without its file"
    purge(keeper)
    retention(keeper).sweep()
    assert keeper.files() == wanted
    (left,) = keeper.journal.arrivals.instances("1.2.4")
    assert (keeper.state_dir / left.path).is_file()


def test_an_instance_that_comes_again_while_its_series_is_purged_stays(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.delivered(numbers=[1])
    keeper.later = A_MONTH
    forget = keeper.journal.retention.forget

    def forget_and_receive(series_uid: str) -> bool:
        done = forget(series_uid)
        keeper.receive(1)
        return done

    monkeypatch.setattr(keeper.journal.retention, "forget", forget_and_receive)
    assert purge(keeper).series == 1
    (instance,) = keeper.journal.arrivals.instances(SERIES)
    assert (keeper.state_dir / instance.path).is_file()
    assert len(keeper.files()) == 1


def test_a_series_that_receives_while_it_is_purged_stays_as_it_is(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper.delivered()
    keeper.later = A_MONTH
    forget = keeper.journal.retention.forget

    def receive_and_forget(series_uid: str) -> bool:
        keeper.receive(3)
        return forget(series_uid)

    monkeypatch.setattr(keeper.journal.retention, "forget", receive_and_forget)
    assert purge(keeper) == Purged(series=0, files=0, bytes=0, left=1)
    assert len(keeper.files()) == 7
    assert len(keeper.journal.arrivals.instances(SERIES)) == 3


def test_a_file_that_was_written_minutes_ago_is_left_for_a_later_time(keeper: Keeper) -> None:
    received, _ = keeper.delivered()
    keeper.later = A_MONTH
    now = keeper.clock().timestamp()
    os.utime(received[0], (now, now))
    assert purge(keeper) == Purged(series=0, files=0, bytes=0, left=1)
    keeper.later = A_MONTH + timedelta(minutes=11)
    assert purge(keeper).series == 1


def test_a_symbolic_link_is_neither_followed_nor_deleted(keeper: Keeper, tmp_path: Path) -> None:
    received, folder = keeper.delivered()
    keeper.delivered(series="1.2.4")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    (outside / received[0].name).write_text("precious")
    kept = received[0].parent.rename(tmp_path / "moved")
    received[0].parent.symlink_to(outside)
    keeper.later = A_MONTH
    assert (purge(keeper).left, purge(keeper).left) == (1, 1)
    assert sorted(path.name for path in outside.iterdir()) == sorted(["precious", received[0].name])
    received[0].parent.unlink()
    kept.rename(received[0].parent)
    (folder / "link").symlink_to(outside / "precious")
    assert purge(keeper).left == 1
    (folder / "link").unlink()
    (folder / "overlay.png").unlink()
    assert (purge(keeper).series, keeper.files()) == (1, [])
    assert (outside / "precious").read_text() == "precious"


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "spool/../../outside", "journal.sqlite", "spool//x", ""])
def test_a_path_that_leaves_the_folders_of_files_is_refused(keeper: Keeper, tmp_path: Path, path: str) -> None:
    (tmp_path / "outside").write_text("precious")
    keeper.delivered()
    keeper.later = A_MONTH
    settled = keeper.journal.retention.settled
    altered = [
        type(item)(series_uid=item.series_uid, paths=(path,), result_folders=())
        for item in settled(keeper.clock(), None)
    ]
    keeper.journal.retention.settled = lambda *_: tuple(altered)  # type: ignore[method-assign]
    assert purge(keeper) == Purged(series=0, files=0, bytes=0, left=1)
    assert (tmp_path / "outside").exists()
    assert (keeper.state_dir / "journal.sqlite").exists()


def test_a_disk_that_fails_in_mid_purge_is_told(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper.delivered()
    keeper.later = A_MONTH

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        purge(keeper)


def test_a_nearly_full_disk_gives_the_ballast_to_the_purge(keeper: Keeper) -> None:
    keeper.delivered()
    keeper.later = A_MONTH
    spared: list[bool] = []

    class Watched(Headroom):
        def spared(self) -> Any:
            spared.append(True)
            return super().spared()

    headroom = Watched(keeper.state_dir, minimum_free_mb=0)
    made = Retention(keeper.settings, keeper.journal, headroom, keeper.clock)
    made.purge(dry_run=True)
    assert spared == []
    made.purge()
    assert spared == [True]


def test_on_a_full_disk_the_ballast_lets_the_journal_forget(tmp_path: Path) -> None:
    """Without it a DELETE fails for want of space, and nothing can ever be freed."""
    with small_disk(tmp_path / "disk") as disk:
        keeper = Keeper(disk / "state", delivered_days=30)
        headroom = Headroom(keeper.state_dir, minimum_free_mb=0)
        headroom.tend()
        keeper.delivered(numbers=range(20))
        keeper.later = A_MONTH
        fill(disk / "others")
        made = Retention(keeper.settings, keeper.journal, headroom, keeper.clock)
        ballast = (keeper.state_dir / BALLAST).stat().st_size
        (keeper.state_dir / BALLAST).rename(disk / "not given up")
        with pytest.raises(JournalError, match="full"):
            made.purge()
        (disk / "not given up").rename(keeper.state_dir / BALLAST)
        assert made.purge().series == 1
        assert keeper.files() == []
        (disk / "others").unlink()
        headroom.tend()
        assert (keeper.state_dir / BALLAST).stat().st_size == ballast
        keeper.close()


def test_a_received_file_that_the_journal_does_not_name_is_taken_after_a_day(keeper: Keeper) -> None:
    """As after the return of a journal of yesterday, or a crash between file and row."""
    keeper.receive(1)
    lost = keeper.spool
    lost._report = lambda taken: True
    path = keeper.receive(2)
    garbage = keeper.receive_garbage()
    assert retention(keeper).sweep() == 0
    assert len(keeper.journal.arrivals.instances(SERIES)) == 1
    keeper.later = timedelta(hours=25)
    assert retention(keeper).sweep() == 0
    assert path.exists()
    assert garbage.exists()
    assert len(keeper.journal.arrivals.instances(SERIES)) == 2


@pytest.mark.parametrize("age_s", [0, 3600, 10**9])
def test_at_the_start_every_received_file_that_the_journal_does_not_name_is_taken(keeper: Keeper, age_s: int) -> None:
    """As after a crash between file and row, or a write-ahead log whose end has rotted."""
    keeper.receive(1)
    keeper.spool._report = lambda taken: True
    path, garbage = keeper.receive(2), keeper.receive_garbage()
    for file in (path, garbage):
        os.utime(file, times=(file.stat().st_mtime - age_s,) * 2)
    for _ in range(2):
        retention(keeper).take_in()
        assert [instance.sop_instance_uid for instance in keeper.journal.arrivals.instances(SERIES)] == [
            "1.2.3.1",
            "1.2.3.2",
        ]
        assert len(overview(keeper.journal.store, latest=5)["latest_quarantined"]) == 1
    assert path.exists()
    assert garbage.exists()


def test_a_file_older_than_the_journal_waits_for_a_rebuild(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.spool._report = lambda taken: True
    path = keeper.receive(2)
    os.utime(path, (0, 0))
    keeper.later = timedelta(days=10_000)
    assert retention(keeper).sweep() == 0
    assert path.exists()
    assert len(keeper.journal.arrivals.instances(SERIES)) == 1


def test_a_damaged_file_that_the_journal_does_not_name_stays(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.spool._report = lambda taken: True
    path = keeper.receive(2)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    keeper.later = timedelta(hours=25)
    assert retention(keeper).sweep() == 0
    assert path.exists()


def test_the_folder_of_an_attempt_that_came_to_nothing_is_swept_after_a_day(keeper: Keeper) -> None:
    keeper.receive(1)
    keeper.open_case()
    folder = keeper.finish("archive")
    lost = folder.with_name("00000001-0")
    lost.mkdir()
    (lost / "seg.dcm").write_bytes(b"half")
    unknown = folder.with_name("00000099-1")
    unknown.mkdir()
    foreign = folder.with_name("notes")
    foreign.mkdir()
    assert retention(keeper).sweep() == 0
    keeper.later = timedelta(hours=25)
    assert retention(keeper).sweep() == 1
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, "00000099-1", "notes"]


def test_the_empty_folder_of_a_purged_series_is_swept_a_day_later(keeper: Keeper) -> None:
    (path, _), _ = keeper.delivered()
    keeper.later = A_MONTH
    purge(keeper)
    now = keeper.clock().timestamp()
    os.utime(path.parent, (now, now))
    retention(keeper).sweep()
    assert path.parent.is_dir()
    keeper.later = A_MONTH + timedelta(hours=25)
    retention(keeper).sweep()
    assert not path.parent.exists()
    assert keeper.receive(1).is_file()


def test_a_sweep_of_an_empty_state_folder_finds_nothing(keeper: Keeper) -> None:
    assert retention(keeper).sweep() == 0
