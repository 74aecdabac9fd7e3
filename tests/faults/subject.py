"""The node under test, within the process that a fault will hit: receive, close, work, encode, send and recover."""

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from oracle import OracleSegmenter

from node.caseflow import Caseflow
from node.deliver.build import destination_of
from node.domain.arrivals import Arrival, Quarantined
from node.domain.commitment import CommitmentReport, CommitmentRequest
from node.durable import make_folder_durably
from node.errors import JournalError, NodeError
from node.journal.journal import Journal
from node.journal.store import utc_now
from node.outbox import Outbox
from node.receive.headroom import Headroom
from node.receive.listener import Listener
from node.receive.spool import Spool, sweep
from node.receive.traffic import Traffic
from node.recovery import check_journal, rebuild_journal
from node.retention import Retention
from node.settings import Settings, parse_settings

JOURNAL = "journal.sqlite"
DESTINATION = "archive"
#: What the cases of a harness come to: one series that is taken, others that no route takes.
ENDED = frozenset({"delivered", "superseded", "rejected"})

#: Seconds by which the clock is turned when nothing is to be done before.
_LONG_S = 4000.0
_ROUNDS = 12

Report = Callable[[Arrival | Quarantined], bool]


def _open_gate() -> None:
    """Refuse nothing."""


class _NoCommitments:
    """Nobody asks for storage commitment here."""

    def asked(self, request: CommitmentRequest) -> None:
        raise NotImplementedError

    def told(self, report: CommitmentReport) -> bool:
        raise NotImplementedError


class Subject:
    """One life of the node over `state_dir`: opened as the service opens it, driven step by step."""

    def __init__(
        self,
        state_dir: Path,
        archive_port: int,
        *,
        gate: bool = False,
        report: Callable[[Report], Report] = lambda report: report,
        destination: Callable[[Any], Any] = lambda destination: destination,
    ) -> None:
        """Open the journal and take back what a dead process held.

        `gate`: with watermarks, of one megabyte. `report`, `destination`: wrappers of controls.
        """
        self.state_dir = state_dir
        self._ahead_s = 0.0
        make_folder_durably(state_dir)
        self.settings = settings = _settings(state_dir, archive_port)
        self.journal = Journal(
            state_dir / JOURNAL, clock=lambda: utc_now() + timedelta(seconds=self._ahead_s), monotonic=self._monotonic
        )
        self.journal.cases.release_claims(settings.work.restarts)
        self.traffic = Traffic(self._monotonic)
        segmenter = OracleSegmenter()
        self.flow = Caseflow(settings, self.journal, self.traffic, lambda: segmenter, self._monotonic)
        self.flow.resume()
        places = {DESTINATION: destination(destination_of(settings.destination[0], settings.node))}
        self.outbox = Outbox(settings, self.journal, places, self._monotonic)
        self.spool = Spool(state_dir, report(self.flow.take))
        self.headroom = Headroom(state_dir, minimum_free_mb=1)
        asked = self.headroom.gate if gate else _open_gate
        self.listener = Listener(settings, self.spool, self.traffic, asked, _NoCommitments())
        sweep([state_dir], older_than_s=0, now_s=time.time() + 1)

    def listen(self) -> int:
        """Listen on a free port of the loopback address, and return it."""
        return self.listener.start()

    def finish(self) -> list[str]:
        """Close, work and deliver until nothing is left; return the classes of the errors that were met on the way.

        An OSError or a JournalError is what the service's loop takes too; anything else ends the process.
        """
        met: list[str] = []
        for _ in range(_ROUNDS):
            self._ahead_s += _LONG_S
            for step in (self.flow.close, self._work, self._deliver):
                try:
                    step()
                except (OSError, JournalError) as error:
                    met.append(type(error).__name__)
            if met[-3:] == [] and self._settled():
                break
            if len(met) >= 6:
                break
        return met

    def purge(self) -> int:
        """Delete what is settled, as if forty days had passed; return how many series that were."""
        later = timedelta(days=40)
        retention = Retention(self.settings, self.journal, self.headroom, clock=lambda: utc_now() + later)
        return retention.purge().series

    def retry(self) -> None:
        """Try the quarantined cases again; those that never had a route are judged again."""
        quarantined = rows(self.state_dir, "SELECT id, route FROM \"case\" WHERE state = 'quarantined'")
        for case_id, route in quarantined:
            (self.journal.cases.retry if route else self.journal.cases.reprocess)(case_id)

    def close(self) -> None:
        """End this life in order."""
        self.listener.stop()
        self.journal.close()

    def _monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def _work(self) -> None:
        while self.flow.work():
            pass

    def _deliver(self) -> None:
        for _ in range(_ROUNDS):
            wait_s = self.outbox.deliver(DESTINATION)
            if wait_s is None:
                return
            self._ahead_s += wait_s

    def _settled(self) -> bool:
        try:
            return not self.journal.arrivals.open_series() and set(states(self.state_dir)) <= ENDED
        except (JournalError, sqlite3.Error):  # the fault is still there
            return False


def states(state_dir: Path) -> list[str]:
    """Return the states of all cases, oldest first, read beside the node."""
    return [row[0] for row in rows(state_dir, 'SELECT state FROM "case" ORDER BY id')]


def rows(state_dir: Path, query: str) -> list[tuple[Any, ...]]:
    """Read the journal with nothing of the node's own software."""
    connection = sqlite3.connect(f"{(state_dir / JOURNAL).as_uri()}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def held(state_dir: Path, acknowledged: list[list[Any]]) -> list[str]:
    """Return what is wrong with what was promised: (UID, digest, SHA-256 and length of its data set) each."""
    try:
        known = {
            uid: (digest, path)
            for uid, digest, path in rows(state_dir, "SELECT sop_instance_uid, digest, path FROM instance ORDER BY id")
        }
    except sqlite3.Error as error:
        known = {}
        if acknowledged:
            return [f"the journal cannot be read: {error}"]
    wrong = []
    for uid, digest, of_data_set, length in acknowledged:
        if uid not in known:
            wrong.append(f"acknowledged and without a row: {uid}")
            continue
        path = state_dir / known[uid][1]
        if known[uid][0] != digest:
            wrong.append(f"acknowledged, the row has another digest: {uid}")
        elif not path.is_file():
            wrong.append(f"acknowledged, the file is gone: {uid}")
        elif hashlib.sha256(path.read_bytes()[-length:]).hexdigest() != of_data_set:
            wrong.append(f"acknowledged, the file has other bytes: {uid}")
    return wrong


def dump(state_dir: Path) -> dict[str, str]:
    """Return a digest of all rows of each table."""
    tables = [name for (name,) in rows(state_dir, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {
        name: hashlib.sha256(repr(rows(state_dir, f'SELECT * FROM "{name}" ORDER BY rowid')).encode()).hexdigest()
        for name in tables
    }


def judge_journal(state_dir: Path, sound: dict[str, str], acknowledged: list[list[Any]]) -> str:
    """Open a journal and look through it as the node does; return whether anything was noticed, or what was not."""
    try:
        journal = Journal(state_dir / JOURNAL)
    except NodeError as error:
        return f"noticed when opened ({error.code})"
    try:
        report = check_journal(state_dir, journal.store, clock=lambda: time.time() + _LONG_S)
        if not report.ok:
            return "noticed by the check"
        if report.unnamed:
            return "noticed by the check, which names received files without a row"
        try:
            now = dump(state_dir)
        except sqlite3.Error as error:
            return f"unseen: {error}"
        different = sorted(name for name in sound | now if sound.get(name) != now.get(name))
        if not different:
            return "harmless"
        lost = held(state_dir, acknowledged)
        return (
            f"unseen: {', '.join(different)}" if lost else "back at an earlier commit, with all that was acknowledged"
        )
    finally:
        journal.close()


def sweep_later(state_dir: Path) -> None:
    """Let two days pass, and the node sweep."""
    journal = Journal(state_dir / JOURNAL)
    headroom = Headroom(state_dir, minimum_free_mb=1)
    later = timedelta(days=2)
    Retention(_settings(state_dir, 1), journal, headroom, clock=lambda: utc_now() + later).sweep()
    journal.close()


def rebuild(state_dir: Path) -> None:
    """Make the journal anew from the files."""
    rebuild_journal(state_dir / JOURNAL)


def torn(state_dir: Path, data_sets: dict[str, list[Any]]) -> list[str]:
    """Return the files under a final name that are not whole: by the digest in their name, results by the journal's.

    `data_sets`: SHA-256 and length of the data set by digest.
    """
    wrong = []
    for path in sorted((state_dir / "spool").rglob("*.dcm")):
        if path.stem not in data_sets:
            continue  # of another series
        of_data_set, length = data_sets[path.stem]
        if hashlib.sha256(path.read_bytes()[-length:]).hexdigest() != of_data_set:
            wrong.append(f"a file of the spool is torn: {path.name}")
    documents = sorted((state_dir / "results").glob("*/findings.json"))
    whole = [path for path in documents if not path.parent.name.startswith(".")]
    wrong += [f"a result is torn: {path.parent.name}" for path in whole if not _is_json(path)]
    for digest, name in _results(state_dir):
        path = state_dir / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            wrong.append(f"a recorded result is torn: {name}")
    return wrong


def _results(state_dir: Path) -> Iterator[tuple[str, str]]:
    try:
        yield from rows(state_dir, "SELECT digest, path FROM object")  # type: ignore[misc]
    except sqlite3.Error:
        return


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text())
    except ValueError:
        return False
    return True


def _settings(state_dir: Path, archive_port: int) -> Settings:
    return parse_settings(
        {
            "node": {"state_dir": str(state_dir), "port": 0},
            "work": {"attempts": 3, "restarts": 10},
            "route": [{"name": "cervical", "destinations": [DESTINATION]}],
            "destination": [
                {
                    "name": DESTINATION,
                    "host": "127.0.0.1",
                    "port": archive_port,
                    "ae_title": "ARCHIVE",
                    "timeout_s": 20.0,
                }
            ],
        },
        name="faults",
    )


class Late:
    """A control: the sender is answered first, the journal told later."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._waiting: list[Arrival | Quarantined] = []
        self._lock = threading.Lock()

    def __call__(self, taken: Arrival | Quarantined) -> bool:
        with self._lock:
            due, self._waiting = self._waiting[:1], [*self._waiting[1:], taken]
        for late in due:
            self._report(late)
        return True
