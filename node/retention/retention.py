"""Retention: what is delivered and confirmed, or was never wanted, is deleted after its time.

First the journal forgets a series, durably, then its files go: a file without a row is harmless and swept later, a row
without its file would be a loss.
"""

import contextlib
import math
import threading
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from node import recall
from node.errors import InputError, SystemFailed
from node.journal.files import begun_at, case_numbers, is_purged, quarantined_files, received_files, result_files
from node.journal.journal import Journal
from node.journal.retention import SettledSeries
from node.journal.store import Clock, utc_now
from node.log import get_logger
from node.receive.headroom import Headroom
from node.receive.kept import QUARANTINE, SPOOL, read_arrival, read_quarantined
from node.retention.files import RESULTS, Seen, StateFiles, case_number, modified_s, newest_s
from node.settings import Settings

#: Seconds. A younger file may be on its way into the journal.
_YOUNG_S = 600.0
#: The same of what nobody names: however slow all is, by now it would be named.
_LEFTOVER_AGE_S = 24 * 3600.0
_HEX = "0123456789abcdef"


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What was deleted, or would be."""

    series: int
    files: int
    bytes: int
    #: Series whose time has come and that were left: a file of theirs is new, or is no plain file.
    left: int


class Retention:
    """Deletes by the settings. One purge or sweep at a time, whoever asks."""

    def __init__(self, settings: Settings, journal: Journal, headroom: Headroom, clock: Clock = utc_now) -> None:
        self._settings = settings.retention
        self._state_dir = settings.node.state_dir
        self._files = StateFiles(settings.node.state_dir)
        self._journal = journal
        self._headroom = headroom
        self._clock = clock
        self._turn = threading.Lock()

    def purge(self, *, dry_run: bool = False) -> Purged:
        """Forget and delete each series whose time has come; with `dry_run` only count them.

        A purge that is cut off at any point loses nothing, and a sweep ends it. Raises JournalError, OSError.
        """
        series = files = size = left = 0
        with self._turn, contextlib.nullcontext() if dry_run else self._headroom.spared():
            for settled in self._settled():
                seen = self._seen_of(settled)
                if seen is None or not (dry_run or self._purge_one(settled, seen)):
                    left += 1
                    continue
                series += 1
                files += len(seen)
                size += sum(file.bytes for file in seen)
        if series and not dry_run:
            get_logger().info("purged", series=series, files=files, bytes=size)
        return Purged(series=series, files=files, bytes=size, left=left)

    def sweep(self) -> int:
        """See to files that the journal does not name and that are older than a day; return how many were deleted.

        Those of a purged series and of attempts that came to nothing are deleted. Any other was received, and its row
        did not survive a crash or the return of an older journal: it is taken into the journal. What is older than the
        journal itself waits for `cspine-node journal rebuild`. Raises JournalError, OSError.
        """
        store = self._journal.store
        with self._turn:
            now = self._clock().timestamp()
            self._files.put_back(lambda path: path in received_files(store, path), before=now - _YOUNG_S)
            begun = begun_at(store)
            if begun is None:
                return 0
            oldest, youngest = datetime.fromisoformat(begun).timestamp() - _YOUNG_S, now - _LEFTOVER_AGE_S
            self._sweep_quarantined(oldest, youngest)
            swept = sum(self._sweep_received(digit, oldest, youngest) for digit in _HEX)
            return swept + self._sweep_results(oldest, youngest)

    def take_in(self) -> None:
        """See to every received file that the journal does not name, however young or old; for the start of the node,
        while nothing is received.

        A crash between its name and its row leaves such a file, which was not acknowledged; so does a write-ahead log
        whose end has rotted, and then it was. Raises JournalError, OSError.
        """
        with self._turn:
            self._sweep_quarantined(-math.inf, math.inf)
            for digit in _HEX:
                self._sweep_received(digit, -math.inf, math.inf)

    def _settled(self) -> tuple[SettledSeries, ...]:
        return self._journal.retention.settled(
            self._days_ago(self._settings.delivered_days), self._days_ago(self._settings.rejected_days)
        )

    def _days_ago(self, days: float) -> datetime | None:
        return self._clock() - timedelta(days=days) if days else None

    def _seen_of(self, settled: SettledSeries) -> list[Seen] | None:
        """Return the files of a series that are there; None when one of them must not be deleted now."""
        youngest_ns = int((self._clock().timestamp() - _YOUNG_S) * 1e9)
        try:
            received = [seen for path in settled.paths if (seen := self._files.seen(path)) is not None]
            results = [seen for folder in settled.result_folders for seen in self._files.seen_in(folder)]
        except SystemFailed as error:
            get_logger().error("retention leaves a series", series_uid=settled.series_uid, text=str(error))
            return None
        return None if any(seen.modified_ns > youngest_ns for seen in received) else [*received, *results]

    def _purge_one(self, settled: SettledSeries, seen: list[Seen]) -> bool:
        """Forget a series and delete what was seen of it; False when it is not settled any more."""
        if not self._journal.retention.forget(settled.series_uid):
            return False
        for file in seen:
            if not file.path.startswith(f"{RESULTS}/"):
                self._files.delete(file)
        for folder in settled.result_folders:
            self._files.delete_folder(folder)
        recall.forget(self._state_dir, settled.series_uid)
        return True

    def _sweep_received(self, digit: str, oldest: float, youngest: float) -> int:
        """Sweep the received files whose folder, which is named by a digest, begins with a hexadecimal digit."""
        old = self._old_files(f"{SPOOL}/{digit}*/*.dcm", oldest, youngest)
        named = received_files(self._journal.store, f"{SPOOL}/{digit}") if old else {}
        swept = sum(self._sweep_file(seen) for seen in self._unnamed(old, named))
        for folder in self._files.root.glob(f"{SPOOL}/{digit}*"):
            if modified_s(folder) < youngest:
                self._files.delete_empty(self._files.relative(folder))
        return swept

    def _sweep_quarantined(self, oldest: float, youngest: float) -> None:
        """Take old files in quarantine that the journal does not name into it."""
        old = self._old_files(f"{QUARANTINE}/*.dcm", oldest, youngest)
        named = quarantined_files(self._journal.store) if old else {}
        for seen in self._unnamed(old, named):
            self._journal.restore.quarantined(read_quarantined(self._files.root / seen.path), _received_at(seen))

    def _old_files(self, pattern: str, oldest: float, youngest: float) -> list[str]:
        found = [path for path in self._files.root.glob(pattern) if oldest < modified_s(path) < youngest]
        return [self._files.relative(path) for path in found]

    def _unnamed(self, paths: Iterable[str], named: Container[str]) -> list[Seen]:
        return [seen for path in paths if path not in named and (seen := self._files.seen(path)) is not None]

    def _sweep_file(self, seen: Seen) -> bool:
        """Delete a file that a purge left behind; take any other into the journal."""
        try:
            arrival = read_arrival(self._files.root / seen.path)
        except InputError as error:
            get_logger().error("a received file that the journal does not name is damaged", code=error.code)
            return False
        if is_purged(self._journal.store, arrival.series_uid):
            return self._files.delete(seen)
        get_logger().warning("a received file that the journal did not name is taken", series_uid=arrival.series_uid)
        self._journal.restore.arrival(arrival, _received_at(seen))
        return False

    def _sweep_results(self, oldest: float, youngest: float) -> int:
        """Sweep the folders of attempts that came to nothing, and of purged cases."""
        folders = [path for path in self._files.root.glob(f"{RESULTS}/*") if oldest < newest_s(path) < youngest]
        if not folders:
            return 0
        named = {PurePosixPath(path).parent.name for path in result_files(self._journal.store)}
        known = case_numbers(self._journal.store)
        leftovers = [
            folder
            for folder in folders
            if folder.name not in named and case_number(folder.name) in known and not folder.is_symlink()
        ]
        for folder in leftovers:
            self._files.delete_folder(self._files.relative(folder))
        return len(leftovers)


def _received_at(seen: Seen) -> datetime:
    return datetime.fromtimestamp(seen.modified_ns / 1e9, UTC)
