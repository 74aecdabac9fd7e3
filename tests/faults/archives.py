"""Archives that misbehave: a Storage, Query and Commitment SCP with a plan, and a line before it that breaks."""

import contextlib
import hashlib
import random
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    PatientRootQueryRetrieveInformationModelFind,
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
)
from pynetdicom.transport import ThreadedAssociationServer

from node.domain.commitment import CommitmentReport, Failure, Reference

_SYNTAXES = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
_FINDS = (StudyRootQueryRetrieveInformationModelFind, PatientRootQueryRetrieveInformationModelFind)


@dataclass(slots=True)
class Archive:
    """An archive. `statuses` answers the first C-STOREs, one each, then Success; with another status nothing is kept.

    `lies`: answers Success, or what `statuses` says, and keeps nothing until it is set back.
    """

    sop_classes: Sequence[str]
    statuses: list[int] = field(default_factory=list)
    always: int = 0x0000
    lies: bool = False
    #: Rejects the first associations (result, source, diagnostic), one each (PS3.8 9.3.4).
    rejections: list[tuple[int, int, int]] = field(default_factory=list)
    #: Called with each request for commitment; None: it is answered and forgotten.
    on_commitment: Callable[[str, list[Reference]], None] | None = None
    #: The status of an N-ACTION.
    commitment_status: int = 0x0000
    delay_s: float = 0.0
    stored: dict[str, set[str]] = field(default_factory=dict)
    of_study: dict[str, tuple[str, str]] = field(default_factory=dict)
    stores: Counter[str] = field(default_factory=Counter)
    associations: int = 0
    requests: list[str] = field(default_factory=list)
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, uid: str, data_set: bytes, study: str, series: str) -> None:
        with self._lock:
            self.stored.setdefault(uid, set()).add(hashlib.sha256(data_set).hexdigest())
            self.of_study[uid] = study, series

    def on_store(self, event: Any) -> int:
        uid, content = str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()
        threading.Event().wait(self.delay_s)
        with self._lock:
            self.stores[uid] += 1
            status = self.statuses.pop(0) if self.statuses else self.always
        keeps = status == 0 or status in {0x0001, 0x0107, 0x0116} or 0xB000 <= status < 0xC000
        if keeps and not self.lies:
            data_set = event.dataset
            self.take(uid, content, str(data_set.StudyInstanceUID), str(data_set.SeriesInstanceUID))
        return status

    def on_find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        query = event.identifier
        asked = str(query.get("SOPInstanceUID", "")).split("\\")
        with self._lock:
            known = dict(self.of_study)
        for uid, (study, series) in known.items():
            fits = query.get("StudyInstanceUID") in {None, "", study} and query.get("SeriesInstanceUID") in {
                None,
                "",
                series,
            }
            if fits and (asked == [""] or uid in asked):
                found = Dataset()
                found.QueryRetrieveLevel = query.get("QueryRetrieveLevel", "IMAGE")
                found.StudyInstanceUID, found.SeriesInstanceUID, found.SOPInstanceUID = study, series, uid
                yield 0xFF00, found

    def on_action(self, event: Any) -> tuple[int, Dataset | None]:
        request = event.action_information
        references = [
            Reference(
                sop_class_uid=str(item.ReferencedSOPClassUID), sop_instance_uid=str(item.ReferencedSOPInstanceUID)
            )
            for item in request.ReferencedSOPSequence
        ]
        with self._lock:
            self.requests.append(str(request.TransactionUID))
        if self.commitment_status == 0 and self.on_commitment is not None:
            self.on_commitment(str(request.TransactionUID), references)
        return self.commitment_status, None

    def on_requested(self, event: Any) -> None:
        with self._lock:
            self.associations += 1
            rejection = self.rejections.pop(0) if self.rejections else None
        if rejection:
            event.assoc.acse.send_reject(*rejection)
            event.assoc.kill()

    def report(self, transaction_uid: str, references: Sequence[Reference]) -> CommitmentReport:
        """Return the truth about `references` (PS3.4 J.3.3)."""
        with self._lock:
            kept = set(self.stored)
        return CommitmentReport(
            transaction_uid=transaction_uid,
            committed=tuple(item for item in references if item.sop_instance_uid in kept),
            failed=tuple(
                Failure(reference=item, reason=0x0112) for item in references if item.sop_instance_uid not in kept
            ),
        )

    @contextlib.contextmanager
    def listening(self, port: int = 0) -> Iterator["Archive"]:
        """Listen on a loopback port until the block ends."""
        ae = AE(ae_title="ARCHIVE")
        ae.supported_contexts = [build_context(abstract, _SYNTAXES) for abstract in self.sop_classes]
        for abstract in (*_FINDS, StorageCommitmentPushModel, "1.2.840.10008.1.1"):
            ae.add_supported_context(abstract, _SYNTAXES)
        ae.maximum_associations = 100
        ae.network_timeout = 20
        handlers = [
            (evt.EVT_C_STORE, self.on_store),
            (evt.EVT_C_FIND, self.on_find),
            (evt.EVT_N_ACTION, self.on_action),
            (evt.EVT_REQUESTED, self.on_requested),
        ]
        server = ae.make_server(("127.0.0.1", port), evt_handlers=handlers, server_class=ThreadedAssociationServer)
        ae._servers.append(server)
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        self.port = int(server.server_address[1])
        try:
            yield self
        finally:
            ae.shutdown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """How one connection through a `Line` ends."""

    #: After so many bytes towards the archive the line breaks; None: never.
    after_sent: int | None = None
    #: After so many bytes of answers.
    after_answered: int | None = None
    #: The answer to the association passes whole and does not count.
    associates: bool = False
    #: Answers beyond `after_answered` are swallowed, and the connection stays.
    silent: bool = False
    #: What is answered to the first bytes instead of what the archive would say.
    garbage: bytes = b""
    #: The connection is reset rather than closed.
    reset: bool = False


SOUND = Break()


@dataclass(slots=True)
class Line:
    """A line before an archive: each connection breaks as the next of `plan` says, later ones are sound."""

    archive_port: int
    plan: list[Break] = field(default_factory=list)
    always: Break = SOUND
    port: int = 0
    connections: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @contextlib.contextmanager
    def open(self) -> Iterator["Line"]:
        """Take connections until the block ends."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(0.05)
            self.port = int(server.getsockname()[1])
            accepting = threading.Thread(target=self._accept, args=(server,))
            accepting.start()
            try:
                yield self
            finally:
                self._over.set()
                accepting.join()
                for thread in self._threads:
                    thread.join()

    def _accept(self, server: socket.socket) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                sender, _ = server.accept()
                self.connections += 1
                way = self.plan.pop(0) if self.plan else self.always
                thread = threading.Thread(target=self._carry, args=(sender, way))
                self._threads.append(thread)
                thread.start()

    def _carry(self, sender: socket.socket, way: Break) -> None:
        with (
            sender,
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.archive_port)) as archive,
        ):
            if way.garbage:
                sender.recv(65536)
                sender.sendall(way.garbage)
                return
            self._relay(sender, archive, way)
            if way.reset:
                sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _relay(self, sender: socket.socket, archive: socket.socket, way: Break) -> None:
        sent, answered, spared = 0, 0, True
        while not self._over.is_set():
            readable, _, _ = select.select([sender, archive], [], [], 0.05)
            if sender in readable:
                content = sender.recv(4096)
                limit = len(content) if way.after_sent is None else max(0, way.after_sent - sent)
                archive.sendall(content[:limit])
                sent += len(content)
                if not content or limit < len(content):
                    return
            if archive in readable:
                content = archive.recv(4096)
                if spared and way.associates:
                    answered, spared = -6 - int.from_bytes(content[2:6]), False
                limit = len(content) if way.after_answered is None else max(0, way.after_answered - answered)
                sender.sendall(content[:limit])
                answered += len(content)
                if not content or (limit < len(content) and not way.silent):
                    return


def breaks(seed: int, count: int, longest: int) -> list[Break]:
    """Return random breaks: somewhere on the way there, or on the way back."""
    chance = random.Random(seed)
    return [
        Break(
            after_sent=chance.randrange(longest) if chance.random() < 0.6 else None,
            after_answered=chance.randrange(400),
            silent=False,
            reset=chance.random() < 0.5,
        )
        for _ in range(count)
    ]
