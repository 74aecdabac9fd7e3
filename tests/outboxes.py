"""An outbox over a real journal, a clock that the test turns, and an archive in memory."""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakes import mr_image, save
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from wired import Clock

from node.deliver.destination import Answer, Confirmation, Destination, Parcel
from node.domain.arrivals import Arrival
from node.domain.case import CaseState, ObjectKind, ResultObject
from node.domain.commitment import CommitmentReport, Failure, Reference
from node.domain.identifiers import Digest
from node.errors import DeliveryError
from node.journal.cases import NewCase
from node.journal.journal import Journal
from node.journal.overview import overview
from node.outbox import Outbox
from node.scu.commitment import report_of
from node.settings import parse_settings

KINDS = (ObjectKind.SEGMENTATION, ObjectKind.REPORT, ObjectKind.KEY_IMAGE)


class Archive:
    """A destination in memory. `way`: raised instead of answering; `says`: answered for an object, by its UID."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        #: How often somebody came to deliver or to ask.
        self.visits = 0
        self.way: DeliveryError | None = None
        self.says: dict[str, list[Any]] = {}
        self.has: set[str] = set()
        self.questions: list[list[str]] = []
        self.cannot_ask: DeliveryError | None = None
        self.transactions: list[tuple[str, list[str]]] = []
        self.report_at_once = False

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        self.visits += 1
        if self.way is not None:
            raise self.way
        for parcel in parcels:
            uid = parcel.sop_instance_uid
            said = self.says[uid].pop(0) if self.says.get(uid) else None
            self.sent.append(uid)
            if said == "duplicate":
                yield Answer(parcel=parcel, error=None, note="0x0111", unsure=True)
            elif isinstance(said, str):
                yield Answer(parcel=parcel, error=None, note=said)
            else:
                if said is None:
                    self.has.add(uid)
                yield Answer(parcel=parcel, error=said, note=None)

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        self.visits += 1
        if self.cannot_ask is not None:
            raise self.cannot_ask
        self.questions.append([parcel.sop_instance_uid for parcel in parcels])
        for parcel in parcels:
            assert (parcel.study_uid, parcel.series_uid[:2]) == ("1.2", "9.")
            yield Confirmation(parcel=parcel, found=parcel.sop_instance_uid in self.has)

    def ask_commitment(self, transaction_uid: str, parcels: Sequence[Parcel]) -> CommitmentReport | None:
        self.visits += 1
        if self.cannot_ask is not None:
            raise self.cannot_ask
        self.transactions.append((transaction_uid, [parcel.sop_instance_uid for parcel in parcels]))
        return self.report(-1) if self.report_at_once else None

    def reach(self) -> None:
        return

    def hang_up(self) -> None:
        return

    def report(self, number: int, *, only: Sequence[str] | None = None) -> CommitmentReport:
        """Return the report about one of the transactions: what it has is committed, the rest is failed."""
        transaction_uid, uids = self.transactions[number]
        spoken = [uid for uid in uids if only is None or uid in only]
        return CommitmentReport(
            transaction_uid=transaction_uid,
            committed=tuple(reference(uid) for uid in spoken if uid in self.has),
            failed=tuple(Failure(reference=reference(uid), reason=0x0112) for uid in spoken if uid not in self.has),
        )


@contextmanager
def report_scp(port: int, told: Callable[[CommitmentReport], object]) -> Iterator[None]:
    """Take reports of storage commitment under the AE title CSPINEDEMO, as the node's listener does."""

    def on_report(event: Any) -> tuple[int, None]:
        told(report_of(event.event_information))
        return 0x0000, None

    ae = AE(ae_title="CSPINEDEMO")
    context = build_context("1.2.840.10008.1.20.1", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    context.scu_role = context.scp_role = True
    ae.supported_contexts = [context]
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])
    try:
        yield
    finally:
        server.shutdown()


def reference(uid: str) -> Reference:
    return Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.4", sop_instance_uid=uid)


class Rig:
    """An outbox; `knobs`: of its destination, or of several by their names."""

    def __init__(
        self,
        state_dir: Path,
        names: Sequence[str] = ("archive",),
        destinations: Mapping[str, Destination] | None = None,
        **knobs: Any,
    ) -> None:
        self.state_dir = state_dir
        peer = {"host": "127.0.0.1", "port": 104, "ae_title": "ARCHIVE", **knobs}
        document = {
            "node": {"state_dir": str(state_dir)},
            "destination": [{**peer, "name": name} for name in names],
        }
        self.settings = parse_settings(document, name="test")
        self.clock = Clock()
        self.archives = {name: Archive() for name in names}
        self.archive = next(iter(self.archives.values()))
        self.journal = Journal(state_dir / "journal.sqlite", clock=self.clock.wall, monotonic=self.clock)
        self.outbox = Outbox(self.settings, self.journal, destinations or self.archives, self.clock)

    def close(self) -> None:
        self.journal.close()

    def restart(self) -> None:
        """Forget what only the process knew."""
        self.outbox = Outbox(self.settings, self.journal, self.archives, self.clock)

    def case(self, number: int = 1, objects: int = 2) -> list[str]:
        """Make a case whose results wait to be sent, and return their UIDs: SEG, SR, SC."""
        series, content = f"4.{number}", Digest(f"{number:064x}")
        self.journal.arrivals.record(
            Arrival(
                sop_instance_uid=f"4.{number}.1",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
                series_uid=series,
                study_uid="1.2",
                digest=content,
                path=f"spool/{number}.dcm",
                calling_ae="MR",
                own_result=False,
            )
        )
        [seen] = [item for item in self.journal.arrivals.open_series() if item.series_uid == series]
        new = NewCase(series=seen, set_digest=content, partial=False, route="neck", state=CaseState.QUEUED, reasons=())
        self.journal.cases.open(new)
        claim = self.journal.cases.claim("test")
        assert claim is not None
        made = [self._result(number, index) for index in range(objects)]
        assert self.journal.cases.finish(claim, made)
        return [item.sop_instance_uid for item in made]

    def _result(self, number: int, index: int) -> ResultObject:
        ds = mr_image(index + 1, series=f"9.{number}")
        folder = self.state_dir / "results" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        path = save(ds, folder / f"{index}.dcm")
        return ResultObject(
            kind=KINDS[index],
            sop_class_uid=ds.SOPClassUID,
            sop_instance_uid=ds.SOPInstanceUID,
            path=path.relative_to(self.state_dir),
            digest=Digest(hashlib.sha256(path.read_bytes()).hexdigest()),
            destinations=tuple(self.archives),
        )

    def deliver(self, name: str = "archive") -> float | None:
        return self.outbox.deliver(name)

    def confirm(self, name: str = "archive") -> float | None:
        return self.outbox.confirm(name)

    def states(self) -> list[str]:
        """Return the states of the deliveries, of the oldest case first."""
        return [item["state"] for case in self._cases() for item in case["objects"]]

    def codes(self) -> list[str | None]:
        return [item["code"] for case in self._cases() for item in case["objects"]]

    def texts(self) -> list[str | None]:
        return [item["text"] for case in self._cases() for item in case["objects"]]

    def cases(self) -> list[str]:
        return [case["state"] for case in self._cases()]

    def _cases(self) -> list[dict[str, Any]]:
        return list(reversed(overview(self.journal.store, latest=100000)["latest_cases"]))
