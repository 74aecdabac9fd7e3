"""An outbox over a real journal, real associations and a clock that the test turns; its cases are made on the spot."""

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes import mr_image
from pydicom.uid import MRImageStorage

from node.deliver.build import destination_of
from node.deliver.destination import Destination
from node.domain.arrivals import Arrival
from node.domain.case import CaseState, DeliveryState, ObjectKind, ResultObject
from node.domain.identifiers import Digest
from node.journal.cases import NewCase
from node.journal.journal import Journal
from node.journal.overview import overview
from node.outbox import Outbox
from node.settings import Settings, parse_settings

#: A stand-in for a report; archives know both classes.
OBJECTS = ((ObjectKind.SEGMENTATION, str(MRImageStorage)), (ObjectKind.REPORT, "1.2.840.10008.5.1.4.1.1.7"))
SOP_CLASSES = tuple(abstract for _, abstract in OBJECTS)


class Clock:
    """One clock for everything: monotonic seconds, and the wall."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.now)


class Rig:
    """A node of which only journal and outbox run. `keys`: name of a destination -> keys of its settings."""

    def __init__(
        self,
        folder: Path,
        keys: dict[str, dict[str, Any]],
        wrap: Callable[[Destination], Destination] = lambda way: way,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.clock = Clock()
        self.settings = settings(folder, keys)
        self.destinations = {
            item.name: wrap(destination_of(item, self.settings.node)) for item in self.settings.destination
        }
        self.contents: dict[str, str] = {}
        self._cases = 0
        self._open()

    def _open(self) -> None:
        self.journal = Journal(self.folder / "journal.sqlite", clock=self.clock.wall, monotonic=self.clock)
        self.outbox = Outbox(self.settings, self.journal, self.destinations, self.clock)

    def close(self) -> None:
        self.journal.close()

    def restart(self) -> None:
        """Begin again over the same journal, as after a crash."""
        self.journal.close()
        self._open()

    def add_case(self) -> list[str]:
        """Put a case with two objects into the outbox; return their UIDs."""
        self._cases += 1
        series, study = f"1.2.826.0.1.3680043.9.3811.5.{self._cases}", f"1.2.826.0.1.3680043.9.3811.6.{self._cases}"
        self.journal.arrivals.record(_arrival(series, study))
        (opened,) = [item for item in self.journal.arrivals.open_series() if item.series_uid == series]
        new = NewCase(
            series=opened, set_digest=Digest("ab" * 32), partial=False, route="all", state=CaseState.QUEUED, reasons=()
        )
        assert self.journal.cases.open(new) is not None
        claim = self.journal.cases.claim("rig")
        assert claim is not None
        objects = [self._object(kind, abstract, series, study) for kind, abstract in OBJECTS]
        assert self.journal.cases.finish(claim, objects)
        return [made.sop_instance_uid for made in objects]

    def _object(self, kind: ObjectKind, abstract: str, series: str, study: str) -> ResultObject:
        uid = f"{series}.{len(self.contents) + 1}"
        image = mr_image(1, series=f"{series}.9")
        image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = abstract
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid
        image.StudyInstanceUID = study
        path = Path("results") / f"{self._cases:08d}" / f"{kind.value}.dcm"
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        image.save_as(self.folder / path, enforce_file_format=True)
        content = (self.folder / path).read_bytes()
        meta = 144 + int.from_bytes(content[140:144], "little")
        self.contents[uid] = hashlib.sha256(content[meta:]).hexdigest()
        return ResultObject(
            kind=kind,
            sop_class_uid=abstract,
            sop_instance_uid=uid,
            path=path,
            digest=Digest(hashlib.sha256(content).hexdigest()),
            destinations=tuple(self.destinations),
        )

    def step(self, name: str) -> float | None:
        """Deliver and ask for confirmation once; return the seconds until the next try, None when nothing waits."""
        waits = [self.outbox.deliver(name), self.outbox.confirm(name)]
        return min((wait_s for wait_s in waits if wait_s is not None), default=None)

    def run(self, name: str, for_s: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the outbox work for `for_s` simulated seconds, or until nothing waits or something has happened."""
        end_s = self.clock.now + for_s
        while self.clock.now < end_s and not until():
            wait_s = self.step(name)
            if wait_s is None and not self.unsettled(name):
                return
            self.clock.now = min(end_s, self.clock.now + max(0.25, 15.0 if wait_s is None else wait_s))

    def deliveries(self, name: str) -> dict[str, dict[str, Any]]:
        """Return state, attempts, code and text of each object on its way to a destination."""
        return {
            item["sop_instance_uid"]: item
            for case in overview(self.journal.store, latest=100_000)["latest_cases"]
            for item in case["objects"]
            if item["destination"] == name
        }

    def states(self, name: str) -> dict[str, int]:
        """Return how many objects are in which state."""
        return dict(Counter(item["state"] for item in self.deliveries(name).values()))

    def codes(self, name: str) -> set[str | None]:
        """Return the reasons that stand with what is not delivered."""
        return {item["code"] for item in self.deliveries(name).values() if item["state"] != "delivered"}

    def unsettled(self, name: str) -> bool:
        """True while something is on its way."""
        return bool({"pending", "sent"} & self.states(name).keys())

    def cases(self) -> dict[str, int]:
        """Return how many cases are in which state."""
        return dict(overview(self.journal.store, latest=1)["cases"])

    def wrong_at(self, stored: dict[str, set[str]], name: str) -> list[str]:
        """Return in what an archive differs from what the journal says: lost, doubled, other bytes, unknown."""
        states = {uid: item["state"] for uid, item in self.deliveries(name).items()}
        wrong = [
            f"{uid} is called delivered and is not there"
            for uid in states
            if states[uid] == "delivered" and uid not in stored
        ]
        wrong += [f"{uid} is nothing that was sent" for uid in stored.keys() - self.contents.keys()]
        wrong += [f"{uid} has other bytes" for uid, digests in stored.items() if digests != {self.contents.get(uid)}]
        return wrong


@contextlib.contextmanager
def rig(
    folder: Path, wrap: Callable[[Destination], Destination] = lambda way: way, **keys: dict[str, Any]
) -> Iterator[Rig]:
    """Run a rig until the block ends."""
    made = Rig(folder, keys, wrap)
    try:
        yield made
    finally:
        made.close()


def dicom(port: int, **keys: Any) -> dict[str, Any]:
    """Return the settings of a DICOM destination on this machine; time-outs are short, for peers that never answer."""
    return {
        "host": "127.0.0.1",
        "port": port,
        "ae_title": "ARCHIVE",
        "timeout_s": 1.0,
        "confirm_timeout_s": 60,
        **keys,
    }


def settings(folder: Path, keys: dict[str, dict[str, Any]]) -> Settings:
    """Return the settings of a node with these destinations."""
    return parse_settings(
        {
            "node": {"state_dir": str(folder)},
            "route": [{"name": "all", "destinations": list(keys)}],
            "destination": [{"name": name, **own} for name, own in keys.items()],
        },
        name="rig",
    )


def _arrival(series: str, study: str) -> Arrival:
    return Arrival(
        sop_instance_uid=f"{series}.1",
        sop_class_uid=str(MRImageStorage),
        series_uid=series,
        study_uid=study,
        digest=Digest("cd" * 32),
        path="spool/none.dcm",
        calling_ae="TEST",
        own_result=False,
    )


def in_thread(act: Callable[[], Any]) -> threading.Thread:
    """Do something beside."""
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def all_delivered(rig: Rig, names: Sequence[str]) -> bool:
    """True when every object is at each of these destinations."""
    return all(rig.states(name).keys() == {DeliveryState.DELIVERED.value} for name in names)
