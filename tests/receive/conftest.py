"""A spool with a record of its reports, and a listener on a free loopback port."""

import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE
from pynetdicom.sop_class import Verification
from pynetdicom.transport import ThreadedAssociationServer

from node.domain.arrivals import Arrival, Quarantined
from node.domain.commitment import CommitmentReport, CommitmentRequest
from node.receive.listener import Listener
from node.receive.spool import Spool
from node.receive.traffic import Ending, Traffic
from node.scu.association import hold_reactor_while_sending
from node.settings import Settings, parse_settings


class Reports:
    """A journal in memory: remembers what it is told, and says whether it was new. `fault` is raised instead."""

    def __init__(self) -> None:
        self.taken: list[Arrival | Quarantined] = []
        self.fault: Exception | None = None
        self.before: Callable[[Arrival | Quarantined], None] = lambda taken: None

    def __call__(self, taken: Arrival | Quarantined) -> bool:
        self.before(taken)
        if self.fault is not None:
            raise self.fault
        known = {item.digest for item in self.taken}
        self.taken.append(taken)
        return taken.digest not in known


class WatchedTraffic(Traffic):
    """Traffic that tells when an association has ended."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self.endings: list[Ending] = []
        self.told = threading.Condition()

    def ended(self, association: int, ending: Ending) -> None:
        super().ended(association, ending)
        with self.told:
            self.endings.append(ending)
            self.told.notify_all()

    def wait_for_endings(self, count: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.endings) >= count, 20)


class Notes:
    """Storage commitment in memory. Transactions that begin with 9 are unknown; `fault` is raised instead."""

    def __init__(self) -> None:
        self.requests: list[CommitmentRequest] = []
        self.reports: list[CommitmentReport] = []
        self.fault: Exception | None = None

    def asked(self, request: CommitmentRequest) -> None:
        if self.fault is not None:
            raise self.fault
        self.requests.append(request)

    def told(self, report: CommitmentReport) -> bool:
        if self.fault is not None:
            raise self.fault
        self.reports.append(report)
        return not report.transaction_uid.startswith("9")


def settings(state_dir: Path, receive: Mapping[str, object], **sections: object) -> Settings:
    document = {"node": {"state_dir": str(state_dir), "port": 0}, "receive": dict(receive), **sections}
    return parse_settings(document, name="test")


class Desk:
    """A listener with everything behind it."""

    def __init__(self, state_dir: Path, sections: Mapping[str, object], **receive: object) -> None:
        self.state_dir = state_dir
        self.reports = Reports()
        self.traffic = WatchedTraffic(lambda: 0.0)
        self.spool = Spool(state_dir, self.reports)
        self.gate: str | None = None
        self.commitments = Notes()
        self.settings = settings(state_dir, receive, **sections)
        self.listener = Listener(self.settings, self.spool, self.traffic, lambda: self.gate, self.commitments)
        self.port = self.listener.start()

    def call(self, *contexts: tuple[str, str], calling: str = "PACS"):
        """Open an association that offers `contexts`, MR images and C-ECHO unless told otherwise."""
        ae = AE(ae_title=calling)
        for abstract, syntax in contexts or (
            (MRImageStorage, ExplicitVRLittleEndian),
            (Verification, ExplicitVRLittleEndian),
        ):
            ae.add_requested_context(abstract, syntax)
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
        association = ae.associate("127.0.0.1", self.port, ae_title="CSPINE")
        hold_reactor_while_sending(association)  # a caller that takes its own answers for requests loses them
        return association

    def files(self) -> list[str]:
        """Return the files of the state folder, as relative paths."""
        return sorted(str(path.relative_to(self.state_dir)) for path in self.state_dir.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def prompt_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers look for their end every 10 ms, not every 0.5 s."""
    forever = ThreadedAssociationServer.serve_forever
    monkeypatch.setattr(
        ThreadedAssociationServer, "serve_forever", functools.partialmethod(forever, poll_interval=0.01)
    )


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    opened: list[Desk] = []

    def make(sections: Mapping[str, object] | None = None, **receive: object) -> Desk:
        opened.append(Desk(tmp_path / "state", sections or {}, **receive))
        return opened[-1]

    yield make
    for desk in opened:
        desk.listener.stop()


@pytest.fixture
def desk(open_desk: Callable[..., Desk]) -> Desk:
    return open_desk()


@pytest.fixture
def reports() -> Reports:
    return Reports()
