"""A wired case flow without threads, over a clock that the test turns and a destination in memory."""

import contextlib
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from oracle import OracleSegmenter

from node.caseflow import Caseflow
from node.deliver.destination import Answer, Confirmation, Parcel
from node.domain.commitment import CommitmentReport
from node.domain.findings import Segmentation
from node.domain.geometry import Volume
from node.errors import ContextsRefused, PeerUnreachable
from node.journal.journal import Journal
from node.journal.overview import overview
from node.outbox import Outbox
from node.receive.spool import Received, Spool
from node.receive.traffic import Traffic
from node.settings import Settings, parse_settings

#: One destination, that takes the default forms.
ARCHIVE: Mapping[str, Mapping[str, Any]] = {"archive": {}}


class Clock:
    """A monotonic clock that the test turns, and a wall clock that goes with it until the test sets it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.set_by_s = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now + self.set_by_s)


class Shelf:
    """A destination in memory. `faults` are met first: an error for one object, or an exception for the whole way."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.syntaxes: list[str] = []
        self.bytes: dict[str, bytes] = {}
        self.faults: list[Exception | None] = []

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        for parcel in parcels:
            fault = self.faults.pop(0) if self.faults else None
            if isinstance(fault, PeerUnreachable | ContextsRefused):
                raise fault
            if fault is None:
                self.taken.append(parcel.sop_instance_uid)
                self.syntaxes.append(parcel.transfer_syntax_uid)
                self.bytes[parcel.sop_instance_uid] = parcel.path.read_bytes()
            yield Answer(parcel=parcel, error=fault, note=None)  # type: ignore[arg-type]

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        for parcel in parcels:
            yield Confirmation(parcel=parcel, found=parcel.sop_instance_uid in self.bytes)

    def ask_commitment(self, transaction_uid: str, parcels: Sequence[Parcel]) -> CommitmentReport | None:
        raise NotImplementedError

    def reach(self) -> None:
        return

    def hang_up(self) -> None:
        return


class Node:
    """A wired case flow without threads. `forms`: what each destination takes; `rules`: more keys of the route.

    A second one over the same folder, and the same clock, is the node after a restart.
    """

    def __init__(
        self,
        state_dir: Path,
        segmenter: OracleSegmenter | None = None,
        route: str = "cervical",
        forms: Mapping[str, Mapping[str, Any]] = ARCHIVE,
        clock: Clock | None = None,
        **rules: Any,
    ) -> None:
        self.state_dir = state_dir
        state_dir.mkdir(exist_ok=True)
        self.settings = settings(state_dir, route, forms, **rules)
        self.clock = clock or Clock()
        self.segmenter = segmenter or OracleSegmenter()
        self.shelves = {name: Shelf() for name in forms}
        self.shelf = next(iter(self.shelves.values()))
        self.journal = Journal(state_dir / "journal.sqlite", clock=self.clock.wall, monotonic=self.clock)
        self.journal.cases.release_claims(self.settings.work.restarts)
        self.traffic = Traffic(self.clock)
        self.flow = Caseflow(self.settings, self.journal, self.traffic, lambda: self.segmenter, self.clock)
        self.flow.resume()
        self.outbox = Outbox(self.settings, self.journal, self.shelves, self.clock)
        self.spool = Spool(state_dir, self.flow.take)

    def receive(self, files: Sequence[Path]) -> None:
        for file in files:
            content = file.read_bytes()
            begins = data_set_begins(content)
            received = Received(file_meta=content[:begins], data_set=content[begins:], calling_ae="TEST")
            self.spool.take(received)

    def settle(self) -> None:
        """Wait until every series is complete, then close, work and deliver until nothing is left."""
        self.close()
        while self.flow.work():
            pass
        for name in self.shelves:
            self.outbox.deliver(name)

    def close(self) -> None:
        """See every open series once, so that its timers run, then let them run out."""
        self.flow.close()
        self.clock.now += 1000
        self.flow.close()

    def cases(self) -> list[dict[str, Any]]:
        """Return the cases, oldest first."""
        return list(reversed(overview(self.journal.store, latest=100)["latest_cases"]))

    def codes(self) -> list[str]:
        return [reason["code"] for reason in self.cases()[-1]["reasons"]]


class GatedSegmenter(OracleSegmenter):
    """Holds its first call until the gate opens."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.gate = threading.Event(), threading.Event()

    def segment(self, volume: Volume) -> Segmentation:
        if not self.arrived.is_set():
            self.arrived.set()
            assert self.gate.wait(60)
        return super().segment(volume)


@contextlib.contextmanager
def first_case_running(node: Node, segmenter: GatedSegmenter) -> Iterator[None]:
    """Work on the oldest case in another thread while the block runs."""
    worker = threading.Thread(target=node.flow.work)
    worker.start()
    assert segmenter.arrived.wait(60)
    try:
        yield
    finally:
        segmenter.gate.set()
        worker.join()


def data_set_begins(content: bytes) -> int:
    """Return where the file meta information of a DICOM file ends (PS3.10 7.1); 0 where there is none."""
    return 144 + int.from_bytes(content[140:144], "little") if content[128:132] == b"DICM" else 0


def settings(state_dir: Path, route: str, forms: Mapping[str, Mapping[str, Any]] = ARCHIVE, **rules: Any) -> Settings:
    peer = {"host": "127.0.0.1", "port": 4242, "ae_title": "ARCHIVE"}
    return parse_settings(
        {
            "node": {"state_dir": str(state_dir)},
            "route": [{"name": route, "destinations": list(forms), **rules}],
            "destination": [{**peer, "name": name, **own} for name, own in forms.items()],
        },
        name="test",
    )
