"""An archive with fifty studies, and a node that hears, spools and keeps a journal, without an engine."""

import contextlib
import io
import json
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes import mr_image
from peers import Orthanc, missing, program
from pydicom.dataset import Dataset
from wired import data_set_begins

from node.caseflow import Caseflow
from node.demo.archive import running_orthanc
from node.domain.arrivals import Arrival, Quarantined
from node.journal.journal import Journal
from node.journal.pulls import PullJournal
from node.pull.build import archive_of, pulls_of_node
from node.pull.dicom import DicomArchive
from node.pull.door import Door
from node.pull.report import Item, Outcome, Wish
from node.pull.run import Fetching, Pull
from node.receive.intake import Intake
from node.receive.listener import Listener
from node.receive.server.storage import Storage
from node.receive.spool import Received, Spool
from node.receive.traffic import Traffic
from node.scu.association import Peer
from node.settings import Settings, parse_settings

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
#: What the node takes the time for, and the day of the studies.
NOW = datetime(2026, 11, 20, 22, 0).astimezone()
TODAY = "20261120"
INSTANCES = 3


def image(study: int, series: int, number: int, **values: Any) -> Dataset:
    """Return one instance of a study; series 1 is the one that the node exists for."""
    uid = f"1.2.{study}.{series}"
    made = mr_image(number, series=uid)
    made.StudyInstanceUID = f"1.2.{study}"
    made.PatientID = made.PatientName = f"P{study}"
    made.StudyDate, made.StudyTime, made.StudyDescription = TODAY, "080000", "MRI CERVICAL SPINE"
    made.SeriesDescription = "SAG T2 TSE"
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def study(number: int) -> list[Dataset]:
    """Return a study as it lies in an archive: the T2, others that no route takes, and a result of the node's."""
    wanted = [image(number, 1, n) for n in range(1, INSTANCES + 1)]
    stir = image(number, 2, 1, SeriesDescription="SAG STIR")
    brain = image(number, 3, 1, SeriesDescription="AX T2", ProtocolName="BRAIN ROUTINE")
    own = image(number, 4, 1, SeriesDescription="SAG T2 TSE", ManufacturerModelName="cspine-node")
    report = image(number, 5, 1, Modality="SR")
    return [*wanted, stir, brain, own, report]


def part10(data_set: Dataset) -> bytes:
    """Return an instance as a DICOM file."""
    content = io.BytesIO()
    data_set.save_as(content, enforce_file_format=True)
    return content.getvalue()


def wanted_uids(studies: Sequence[int]) -> set[str]:
    return {f"1.2.{number}.1.{n}" for number in studies for n in range(1, INSTANCES + 1)}


@contextlib.contextmanager
def archive_of_fifty(folder: Path) -> Iterator[Orthanc]:
    """Run an Orthanc of fifty studies, that knows DICOMweb and C-GET."""
    found = program("Orthanc")
    if found is None or not PLUGIN.exists():
        missing("orthanc with orthanc-dicomweb")
    assert found is not None
    more = {"Plugins": [str(PLUGIN)], "DicomAlwaysAllowGet": True, "DicomAlwaysAllowMove": True}
    with running_orthanc(found, folder, with_rest=True, more=more) as running:
        orthanc = Orthanc(peer=replace(running.peer, calling_ae_title="CSPINE"), url=running.rest_url)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for data_set in [one for number in range(1, 51) for one in study(number)]:
                archive.writestr(f"{data_set.SOPInstanceUID}.dcm", part10(data_set))
        post(orthanc, "/instances", packed.getvalue())
        yield orthanc


def post(orthanc: Orthanc, path: str, body: bytes, method: str = "POST") -> Any:
    request = urllib.request.Request(f"{orthanc.url}{path}", body, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


@dataclass(slots=True)
class Node:
    """A node on a free port, and what arrived at it."""

    settings: Settings
    journal: Journal
    spool: Spool
    storage: Storage
    port: int
    #: Of [receive.tls]; 0 without.
    tls_port: int
    arrived: list[Arrival | Quarantined]
    shut: list[str] = field(default_factory=list)

    def receive(self, data_sets: Sequence[Dataset]) -> None:
        """Take what a sender would have sent."""
        for data_set in data_sets:
            content = part10(data_set)
            begins = data_set_begins(content)
            self.spool.take(Received(file_meta=content[:begins], data_set=content[begins:], calling_ae="PACS"))
        self.arrived.clear()

    def pull(
        self, now: Callable[[], datetime] = lambda: NOW, asked: Any = None, peer: Peer | None = None, **keys: Any
    ) -> Pull:
        """Return the first pull of the settings with other keys, from `asked` or `peer` instead of its archive."""
        settings = self.settings.pull[0].model_copy(update=keys)
        journal = PullJournal(self.journal.store)
        fetching = Fetching(arrivals=self.journal.arrivals, door=Door(self.storage), gate=self.storage.gate)
        archive = asked or (DicomArchive(peer, settings) if peer else archive_of(settings, self.settings))
        return Pull(settings, self.settings.route, archive, journal, fetching, now)

    def pulls(self) -> Any:
        return pulls_of_node(self.settings, self.journal, self.storage)

    def close_all(self) -> None:
        """Let every series be closed, as if its time had passed."""
        with self.journal.store.transaction() as connection:
            connection.exec_driver_sql("update series set closed = 1")

    def stored(self) -> set[str]:
        with self.journal.store.reading() as connection:
            return set(connection.exec_driver_sql("select sop_instance_uid from instance").scalars())

    def arrivals(self) -> list[str]:
        """Return the UIDs of what has arrived since `receive`, sorted, as often as it arrived."""
        return sorted(item.sop_instance_uid for item in self.arrived if isinstance(item, Arrival))


def run(pull: Pull, **wish: Any) -> tuple[Outcome, list[Item]]:
    items: list[Item] = []
    return pull.run(Wish(**wish), items.append), items


@contextlib.contextmanager
def node_beside(
    tmp_path: Path, orthanc: Orthanc | None = None, own_port: int = 0, tls: Mapping[str, Any] | None = None
) -> Iterator[Node]:
    """Run a node that asks `orthanc`, which is told its port unless that is given; or whom a test names."""
    port = orthanc.peer.port if orthanc else 4242
    url = orthanc.url if orthanc else "http://127.0.0.1"
    settings = parse_settings(
        {
            "node": {"state_dir": str(tmp_path), "port": own_port},
            "receive": {"minimum_free_mb": 0, **({"tls": tls} if tls else {})},
            "destination": [
                {"name": "archive", "host": "127.0.0.1", "port": port, "ae_title": "ORTHANC"},
                {"name": "web", "kind": "stow", "url": f"{url}/dicom-web"},
            ],
            "pull": [{"name": "nightly", "archive": "archive", "pause_s": 0}],
        },
        name="test",
    )
    journal = Journal(tmp_path / "journal.sqlite")
    traffic = Traffic(lambda: 0.0)
    flow = Caseflow(settings, journal, traffic, lambda: pytest.fail("nothing is segmented here"))
    arrived: list[Arrival | Quarantined] = []

    def take(taken: Arrival | Quarantined) -> bool:
        arrived.append(taken)
        return flow.take(taken)

    shut: list[str] = []
    spool = Spool(tmp_path, take)
    storage = Storage(spool, traffic, lambda: shut[0] if shut else None, 0, Intake())  # type: ignore[arg-type, return-value]
    listener = Listener(settings, spool, traffic, lambda: None, None)  # type: ignore[arg-type]
    port = listener.start()
    if orthanc is not None and not own_port:
        known = {"AET": "CSPINE", "Host": "127.0.0.1", "Port": port, "Manufacturer": "Generic"}
        post(orthanc, "/modalities/CSPINE", json.dumps(known).encode(), "PUT")
    try:
        tls_port = listener.ports.get("tls", 0)
        yield Node(settings, journal, spool, storage, port, tls_port, arrived, shut)
    finally:
        listener.stop()
        journal.close()
