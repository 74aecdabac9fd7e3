"""A node under traffic that is killed at random moments, its sender that remembers acknowledgements, and Orthanc."""

import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from faults import canary, wire
from faults.mutations import CANARY
from faults.processes import Watched, until
from oracle import write_blocks
from peers import Orthanc

from node.bootstrap.state import open_journal_for_reading
from node.demo.archive import free_port
from node.journal.overview import overview
from node.settings import load_settings

_PATIENCE_S = 300.0
_PROGRAM = Path(__file__).parent / "oracle_node.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One image of a series: what is sent, without its file meta information."""

    uid: str
    data_set: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data_set).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Eight images that the default route accepts."""

    study_uid: str
    series_uid: str
    instances: tuple[Instance, ...]


def make_series(folder: Path, name: str) -> Series:
    """Make a series whose patient has the name of the canary."""
    files = write_blocks(folder / name, name)
    for file in files:
        image = pydicom.dcmread(file)
        image.PatientName = image.PatientID = CANARY.decode()
        image.save_as(file, enforce_file_format=True)
    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    instances = tuple(
        Instance(
            uid=str(pydicom.dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID), data_set=data_set_of(file)
        )
        for file in files
    )
    return Series(study_uid=str(first.StudyInstanceUID), series_uid=str(first.SeriesInstanceUID), instances=instances)


def data_set_of(file: Path) -> bytes:
    """Return what follows the file meta information (PS3.10 7.1)."""
    content = file.read_bytes()
    return content[144 + int.from_bytes(content[140:144], "little") :]


@dataclass(slots=True)
class Sender:
    """Sends series after series in a thread, and whatever was not acknowledged again and again."""

    port: int
    #: Pause between two instances, so that a kill finds a series half sent now and then.
    pace_s: float = 0.05
    acknowledged: dict[str, str] = field(default_factory=dict)
    attempts: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    _owed: list[Instance] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: threading.Event = field(default_factory=threading.Event)

    def add(self, series: Series) -> None:
        with self._lock:
            self._owed.extend(series.instances)

    def owes(self) -> int:
        with self._lock:
            return len(self._owed)

    @contextlib.contextmanager
    def sending(self) -> Iterator["Sender"]:
        """Send until the end of the block."""
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(OSError, EOFError):
                self._send_owed()
            self._over.wait(0.05)

    def _send_owed(self) -> None:
        with self._lock:
            owed = list(self._owed)
        if not owed:
            return
        with wire.Line(self.port, patience_s=60) as line:
            if not line.associate():
                return
            for number, instance in enumerate(owed, 1):
                self.attempts += 1
                answered = line.ask(
                    wire.message(3, wire.store_command(instance.uid.encode(), number), instance.data_set)
                )
                self.statuses[answered.status] += 1
                if answered.status == 0:
                    with self._lock:
                        self.acknowledged[instance.uid] = instance.digest
                        self._owed.remove(instance)
                self._over.wait(self.pace_s)
            line.release()


@dataclass(slots=True)
class Victim:
    """One node over one state folder, forked off a template again and again."""

    folder: Path
    port: int
    template: Any
    pid: int = 0
    orphans: int = 0

    @property
    def output(self) -> Path:
        return self.folder / "node.log"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "cspine-node.toml"

    def start(self) -> None:
        """Start, without waiting for anything."""
        self.template.stdin.write(f"{self.config} {self.output}\n")
        self.template.stdin.flush()
        self.pid = int(self.template.stdout.readline())

    def listens(self) -> bool:
        return wire.echo(self.port, patience_s=1)

    def runs(self) -> bool:
        return Watched(pid=self.pid).alive()

    def kill(self) -> None:
        """SIGKILL, and see that its children follow it."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        if not until(lambda: not self._group(), 60):
            self.orphans += 1
            os.killpg(self.pid, signal.SIGKILL)
            until(lambda: not self._group())
        self.pid = 0

    def _group(self) -> bool:
        """True while a process of its session is left."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def cases(self) -> list[dict[str, Any]]:
        store = open_journal_for_reading(load_settings(self.config))
        try:
            return list(overview(store, latest=100_000)["latest_cases"])
        finally:
            store.close()


@contextlib.contextmanager
def victim(folder: Path, archive: Orthanc, confirm: str = "none", flaw: str = "") -> Iterator[Victim]:
    """Prepare a node that delivers to `archive`; nothing is left of it after the block. `flaw`: see `oracle_node`."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cspine-node.toml").write_text(
        f'[node]\nstate_dir = "state"\nport = {port}\n[receive]\nminimum_free_mb = 0\n'
        "[completeness]\nquiet_expected_s = 1\nquiet_s = 1.5\nquiet_after_abort_s = 3.5\nopen_association_idle_s = 5\n"
        '[[route]]\nname = "cervical"\ndestinations = ["archive"]\n'
        f'[[destination]]\nname = "archive"\nhost = "127.0.0.1"\nport = {archive.peer.port}\n'
        f'ae_title = "{archive.peer.ae_title}"\nretry_delay_s = 0.2\nretry_cap_s = 1\ntimeout_s = 20\n'
        f'confirm = "{confirm}"\nconfirm_timeout_s = 5\n'
    )
    if confirm == "commitment":
        _introduce(archive, port)
    with (folder / "template.log").open("ab") as output:
        template = subprocess.Popen(
            [sys.executable, str(_PROGRAM), "template", flaw],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join((str(_PROGRAM.parents[2]), str(_PROGRAM.parents[1])))},
        )
    assert template.stdin is not None and template.stdout is not None
    assert template.stdout.readline() == "ready\n", (folder / "template.log").read_text()[-2000:]
    node = Victim(folder=folder, port=port, template=template)
    try:
        yield node
    finally:
        if node.pid:
            node.stop()
        template.stdin.close()
        template.wait()
        template.stdout.close()


def _introduce(archive: Orthanc, port: int) -> None:
    """Tell Orthanc where the node listens, so that it can report commitments there."""
    modality = {"AET": "CSPINE", "Host": "127.0.0.1", "Port": port}
    request = urllib.request.Request(f"{archive.url}/modalities/node", json.dumps(modality).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


@dataclass(slots=True, kw_only=True)
class Ordeal:
    """What came of the kills."""

    kills: int = 0
    before_it_listened: int = 0
    series: list[Series] = field(default_factory=list)
    acknowledged: int = 0
    sent: int = 0
    lost: int = 0
    cases: Counter[str] = field(default_factory=Counter)
    #: Cases beyond one a series: a series that was closed before all of it had come again.
    further_revisions: int = 0
    orphans: int = 0
    faults: list[str] = field(default_factory=list)
    seconds: float = 0.0


def ordeal(
    node: Victim, archive: Orthanc, *, kills: int, seed: int, longest_s: float = 8.0, patience_s: float = _PATIENCE_S
) -> Ordeal:
    """Kill the node `kills` times at random moments under traffic, let it end its work, and look what there is."""
    chance, told, begun = random.Random(seed), Ordeal(), time.monotonic()
    sender = Sender(port=node.port)
    with sender.sending():
        for number in range(kills):
            series = make_series(node.folder / "source", f"kill-{seed}-{number}")
            told.series.append(series)
            node.start()
            lives_s = chance.choice((chance.uniform(0, 1), chance.uniform(0, longest_s), chance.uniform(0, longest_s)))
            threading.Event().wait(lives_s * chance.random())
            sender.add(series)
            told.before_it_listened += not node.listens()
            threading.Event().wait(lives_s * chance.random())
            node.kill()
            told.kills += 1
        node.start()
        settled = until(lambda: not sender.owes() and _all_ended(node, told.series), patience_s)
    if not settled:
        told.faults.append(f"not settled: {sender.owes()} instances not acknowledged, the node runs: {node.runs()}")
    told.faults += _look(node, archive, told, sender)
    node.stop()
    told.orphans = node.orphans
    told.faults += [f"seen: {where}" for where in canary.sightings(node.state_dir, [node.output])]
    told.seconds = round(time.monotonic() - begun, 1)
    return told


def _all_ended(node: Victim, series: list[Series]) -> bool:
    threading.Event().wait(0.3)
    cases = node.cases()
    newest = {case["series_uid"]: case["state"] for case in reversed(cases)}
    return len(newest) == len(series) and set(newest.values()) == {"delivered"}


def _has_arrived(case: dict[str, Any]) -> bool:
    """True when the results of a revision are at the archive; a later one may have taken over after that."""
    return {item["state"] for item in case["objects"]} == {"delivered"}


def _look(node: Victim, archive: Orthanc, told: Ordeal, sender: Sender) -> list[str]:
    """Return what is wrong: acknowledged and not kept, not delivered, more than once at the archive."""
    kept = {hashlib.sha256(data_set_of(file)).hexdigest() for file in (node.state_dir / "spool").rglob("*.dcm")}
    lost = [uid for uid, digest in sender.acknowledged.items() if digest not in kept]
    told.acknowledged, told.sent, told.lost = len(sender.acknowledged), sender.attempts, len(lost)
    faults = [f"acknowledged and lost: {uid}" for uid in lost]
    cases = node.cases()
    told.cases.update(case["state"] for case in cases)
    told.further_revisions = len(cases) - len(told.series)
    for series in told.series:
        found = Counter(instance["modality"] for instance in archive.instances(series.study_uid))
        states = [case["state"] for case in cases if case["series_uid"] == series.series_uid]
        revisions = sum(_has_arrived(case) for case in cases if case["series_uid"] == series.series_uid)
        if found != {"SEG": revisions, "SR": revisions}:
            faults.append(f"the archive has {dict(found)} of series {series.series_uid}, whose cases are {states}")
    return faults
