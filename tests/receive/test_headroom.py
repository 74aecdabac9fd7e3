"""Watermarks: what is refused before the disk is full or the worker buried, and how that ends by itself."""

import errno
import os
from pathlib import Path

import pytest
from disks import fill, small_disk

from node.errors import JournalError
from node.receive.headroom import BALLAST, Headroom, Space

MB = 1 << 20


class Disk:
    """A disk whose free space the test sets. What the ballast takes, it takes of this space too."""

    def __init__(self, folder: Path, total: int, free: int) -> None:
        self.folder = folder
        self.total = total
        self.others = free
        self.looks = 0
        self.fault: OSError | None = None

    def __call__(self, _folder: Path) -> Space:
        self.looks += 1
        if self.fault is not None:
            raise self.fault
        ballast = self.folder / BALLAST
        return Space(total=self.total, free=self.others - (ballast.stat().st_size if ballast.exists() else 0))


class Watch:
    """A headroom over a disk, a queue and a clock that the test sets. Each look comes a second after the last."""

    def __init__(
        self, folder: Path, *, minimum_free_mb: int = 0, maximum_backlog: int = 0, free_mb: float = 60
    ) -> None:
        self.disk = Disk(folder, 100 * MB, int(free_mb * MB))
        self.queued = 0
        self.journal_fault: JournalError | None = None
        self.now = 0.0
        self.headroom = Headroom(
            folder,
            minimum_free_mb=minimum_free_mb,
            maximum_backlog=maximum_backlog,
            queued=self._count,
            clock=lambda: self.now,
            space=self.disk,
        )

    def _count(self) -> int:
        if self.journal_fault is not None:
            raise self.journal_fault
        return self.queued

    def at_free_mb(self, free_mb: float) -> str | None:
        self.disk.others = int(free_mb * MB)
        return self.gate()

    def at_queued(self, queued: int) -> str | None:
        self.queued = queued
        return self.gate()

    def gate(self) -> str | None:
        self.now += 1
        return self.headroom.gate()


def test_with_space_and_an_empty_queue_everything_is_taken(tmp_path: Path) -> None:
    assert Watch(tmp_path, minimum_free_mb=10, maximum_backlog=5).gate() is None


def test_a_disk_below_the_mark_is_refused_and_taken_again_a_tenth_above_it(tmp_path: Path) -> None:
    watch = Watch(tmp_path, minimum_free_mb=10)
    # the ballast of a disk of 100 MB is 1 MB, and does not count as free
    assert [watch.at_free_mb(free) for free in (20, 11, 10.9, 11.5, 11.9, 12.1, 11.1, 10.9)] == [
        None,
        None,
        "disk",
        "disk",
        "disk",
        None,
        None,
        "disk",
    ]


def test_a_backlog_at_the_mark_is_refused_and_taken_again_a_tenth_below_it(tmp_path: Path) -> None:
    watch = Watch(tmp_path, maximum_backlog=20)
    assert [watch.at_queued(count) for count in (0, 19, 20, 25, 19, 18, 17, 19, 20)] == [
        None,
        None,
        "backlog",
        "backlog",
        "backlog",
        "backlog",
        None,
        None,
        "backlog",
    ]


def test_a_backlog_of_one_recovers_too(tmp_path: Path) -> None:
    watch = Watch(tmp_path, maximum_backlog=1)
    assert [watch.at_queued(count) for count in (0, 1, 0)] == [None, "backlog", None]


def test_without_marks_neither_disk_nor_queue_refuses(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    assert [watch.at_free_mb(2), watch.at_queued(1_000_000)] == [None, None]


def test_a_look_is_believed_for_a_fifth_of_a_second(tmp_path: Path) -> None:
    watch = Watch(tmp_path, minimum_free_mb=10)
    watch.gate()
    looks = watch.disk.looks
    watch.disk.others = 0
    watch.now += 0.19
    assert watch.headroom.gate() is None
    assert watch.disk.looks == looks
    watch.now += 0.02
    assert watch.headroom.gate() == "disk"


def test_a_disk_that_cannot_be_asked_takes_nothing_until_it_can(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.disk.fault = OSError(errno.EIO, os.strerror(errno.EIO))
    assert watch.gate() == "disk"
    watch.headroom.tend()
    watch.disk.fault = None
    assert watch.gate() is None


def test_a_journal_that_cannot_be_asked_takes_nothing_until_it_can(tmp_path: Path) -> None:
    watch = Watch(tmp_path, maximum_backlog=5)
    watch.journal_fault = JournalError("the journal failed")
    assert watch.gate() == "journal"
    watch.journal_fault = None
    assert watch.gate() is None


def test_the_ballast_is_a_hundredth_of_the_disk_and_takes_real_blocks(tmp_path: Path) -> None:
    Watch(tmp_path).headroom.tend()
    made = (tmp_path / BALLAST).stat()
    assert made.st_size == MB
    assert made.st_blocks * 512 >= MB
    assert made.st_mode & 0o077 == 0


def test_the_ballast_of_a_large_disk_is_64_mb(tmp_path: Path) -> None:
    def disk(_folder: Path) -> Space:
        return Space(total=1 << 44, free=1 << 43)

    Headroom(tmp_path, minimum_free_mb=0, space=disk).tend()
    assert (tmp_path / BALLAST).stat().st_size == 64 * MB


def test_a_full_disk_gets_the_ballast_and_gives_it_back_when_there_is_space_again(tmp_path: Path) -> None:
    watch = Watch(tmp_path, minimum_free_mb=10)
    seen = []
    for free in (60, 1.2, 1.2, 1.6, 12.2):
        gate = watch.at_free_mb(free)
        seen.append((gate, (tmp_path / BALLAST).exists()))
    assert seen == [(None, True), ("disk", False), ("disk", False), ("disk", True), (None, True)]


def test_the_mark_is_the_same_with_and_without_the_ballast(tmp_path: Path) -> None:
    watch = Watch(tmp_path, minimum_free_mb=10)
    watch.gate()
    watch.headroom._ballast.unlink()
    watch.headroom._make = lambda size: None  # type: ignore[method-assign]
    assert [watch.at_free_mb(free) for free in (11.1, 10.9)] == [None, "disk"]


def test_a_ballast_that_a_crash_left_half_made_is_completed(tmp_path: Path) -> None:
    (tmp_path / BALLAST).write_bytes(bytes(1000))
    Watch(tmp_path).headroom.tend()
    assert (tmp_path / BALLAST).stat().st_size == MB


def test_work_that_frees_space_has_the_ballast_on_a_nearly_full_disk_only(tmp_path: Path) -> None:
    watch = Watch(tmp_path)
    watch.headroom.tend()
    with watch.headroom.spared():
        assert (tmp_path / BALLAST).exists()
    watch.disk.others = int(1.5 * MB)
    with watch.headroom.spared():
        assert not (tmp_path / BALLAST).exists()
        watch.disk.others = 5 * MB
    assert (tmp_path / BALLAST).exists()


def test_on_a_real_full_disk_the_ballast_makes_room_for_a_write(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        headroom = Headroom(disk, minimum_free_mb=1, clock=iter(range(100)).__next__)
        assert headroom.gate() is None
        assert (disk / BALLAST).stat().st_size == 256 << 10
        fill(disk / "others")
        with pytest.raises(OSError, match="No space left"):
            (disk / "result").write_bytes(bytes(8192))
        assert headroom.gate() == "disk"
        (disk / "result").write_bytes(bytes(8192))
        assert not (disk / BALLAST).exists()
        (disk / "others").unlink()
        assert headroom.gate() is None
        assert (disk / BALLAST).stat().st_size == 256 << 10
