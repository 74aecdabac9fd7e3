"""A state folder as the live node leaves it: files by the spool, rows in a journal, results with their manifests."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.domain.arrivals import Arrival, Quarantined
from node.domain.case import CaseState, ObjectKind, ResultObject
from node.domain.findings import Verdict
from node.domain.identifiers import set_digest
from node.journal.batch import Outcome
from node.journal.cases import Account, Claim, NewCase
from node.journal.journal import Journal
from node.journal.overview import overview
from node.output.manifest import CaseManifest, ManifestObject, write_manifest
from node.receive.spool import Spool, StoreRequest
from node.settings import Settings, parse_settings

SERIES = "1.2.3"


def data_set(number: int, *, series: str = SERIES, version: int = 1) -> bytes:
    """Return an instance in Explicit VR Little Endian; its version stands in its InstanceNumber."""
    made = Dataset()
    made.SOPClassUID = MRImageStorage
    made.SOPInstanceUID = f"{series}.{number}"
    made.StudyInstanceUID = "1.2"
    made.SeriesInstanceUID = series
    made.InstanceNumber = version
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, False
    write_dataset(file, made)
    return file.getvalue()


class Keeper:
    """A journal with its files. Its wall clock is the real one, until the test moves it on by `later`."""

    def __init__(self, state_dir: Path, **retention: float) -> None:
        self.state_dir = state_dir
        state_dir.mkdir(exist_ok=True)
        self.later = timedelta()
        self.settings = settings(state_dir, **retention)
        self.journal = Journal(state_dir / "journal.sqlite", clock=self.clock)
        self.spool = Spool(state_dir, self._report)

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.later

    def _report(self, taken: Arrival | Quarantined) -> bool:
        if isinstance(taken, Quarantined):
            return self.journal.arrivals.record_quarantined(taken)
        return self.journal.arrivals.record(taken) is not Outcome.DUPLICATE

    def receive(self, number: int, *, series: str = SERIES, version: int = 1, calling_ae: str = "PACS") -> Path:
        """Take an instance over the spool, and return its file."""
        content = data_set(number, series=series, version=version)
        self._keep(content, f"{series}.{number}", calling_ae)
        digest = hashlib.sha256(ExplicitVRLittleEndian.encode() + b"\n" + content).hexdigest()
        (path,) = self.state_dir.glob(f"spool/*/{digest}.dcm")
        return path

    def receive_garbage(self) -> Path:
        """Take bytes that are no instance, and return their file."""
        self._keep(b"no data set", "1.9", "PACS")
        (path,) = self.state_dir.glob("quarantine/*.dcm")
        return path

    def _keep(self, content: bytes, sop_instance_uid: str, calling_ae: str) -> None:
        request = StoreRequest(
            sop_class_uid=MRImageStorage,
            sop_instance_uid=sop_instance_uid,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            calling_ae=calling_ae,
        )
        incoming = self.spool.open(request)
        incoming.write(content)
        incoming.keep()

    def open_case(self, *, series: str = SERIES, state: CaseState = CaseState.QUEUED) -> int:
        """Close a series as it stands and open its case."""
        (found,) = [item for item in self.journal.arrivals.open_series() if item.series_uid == series]
        digest = set_digest({item.sop_instance_uid: item.digest for item in self.journal.arrivals.instances(series)})
        route = "neck" if state is CaseState.QUEUED else None
        new = NewCase(series=found, set_digest=digest, partial=False, route=route, state=state, reasons=())
        case_id = self.journal.cases.open(new)
        assert case_id is not None
        return case_id

    def claim(self) -> Claim:
        claim = self.journal.cases.claim("me")
        assert claim is not None
        return claim

    def finish(self, *destinations: str) -> Path:
        """Work on the oldest queued case; return the folder of its results, two objects for each destination."""
        claim = self.claim()
        folder = self.state_dir / "results" / f"{claim.case_id:08d}-{claim.number}"
        folder.mkdir(parents=True)
        made = [
            _object(folder, f"9.{claim.case_id}.{number}", kind, destinations)
            for number, kind in enumerate((ObjectKind.SEGMENTATION, ObjectKind.REPORT), start=1)
        ]
        (folder / "overlay.png").write_bytes(b"picture")
        write_manifest(
            folder,
            CaseManifest(
                series_uid=claim.series_uid,
                study_uid=claim.study_uid,
                revision=claim.revision,
                set_digest=claim.set_digest,
                partial=claim.partial,
                route=claim.route,
                created_at=claim.created_at,
                objects=tuple(made),
            ),
        )
        results = [
            ResultObject(
                kind=item.kind,
                sop_class_uid=item.sop_class_uid,
                sop_instance_uid=item.sop_instance_uid,
                path=Path("results") / folder.name / item.name,
                digest=item.digest,
                destinations=item.destinations,
            )
            for item in made
        ]
        assert self.journal.cases.finish(claim, results, Account(verdict=Verdict.GOOD))
        return folder

    def deliver(self, destination: str = "archive") -> None:
        """Have a destination take everything that waits for it."""
        for delivery in self.journal.deliveries.pending(destination):
            self.journal.deliveries.record_delivered(delivery)

    def delivered(self, *, series: str = SERIES, numbers: Sequence[int] = (1, 2)) -> tuple[list[Path], Path]:
        """Take a series through to its delivery; return its received files and the folder of its results."""
        received = [self.receive(number, series=series) for number in numbers]
        self.open_case(series=series)
        folder = self.finish("archive")
        self.deliver()
        return received, folder

    def rejected(self, *, series: str = SERIES) -> Path:
        """Take a series that no route takes; return its received file."""
        received = self.receive(1, series=series)
        self.open_case(series=series, state=CaseState.REJECTED)
        return received

    def states(self) -> list[str]:
        """Return the states of all cases, oldest first."""
        return [case["state"] for case in reversed(overview(self.journal.store, latest=1000)["latest_cases"])]

    def files(self) -> list[str]:
        """Return all received and result files, by name."""
        found = [
            *self.state_dir.glob("spool/*/*"),
            *self.state_dir.glob("quarantine/*"),
            *self.state_dir.glob("results/*/*"),
        ]
        return sorted(path.relative_to(self.state_dir).as_posix() for path in found)

    def close(self) -> None:
        self.journal.close()


def settings(state_dir: Path, **retention: float) -> Settings:
    return parse_settings(
        {
            "node": {"state_dir": str(state_dir)},
            "retention": retention,
            "receive": {"minimum_free_mb": 0},
            "destination": [{"name": "archive", "host": "127.0.0.1", "port": 4242, "ae_title": "ARCHIVE"}],
        },
        name="test",
    )


def _object(folder: Path, uid: str, kind: ObjectKind, destinations: Sequence[str]) -> ManifestObject:
    name = f"{kind.value.lower()}.dcm"
    content = f"{kind.value} {uid}".encode()
    (folder / name).write_bytes(content)
    return ManifestObject(
        kind=kind,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        sop_instance_uid=uid,
        name=name,
        digest=hashlib.sha256(content).hexdigest(),
        destinations=tuple(destinations),
    )
