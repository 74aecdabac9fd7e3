"""Asking an archive to commit to objects (Storage Commitment Push Model, PS3.4 J), as SCU."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

from node.domain.commitment import CommitmentReport, Failure, Reference
from node.errors import ContextsRefused, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.scu.association import Peer, associate

_REQUEST_STORAGE_COMMITMENT = 1
#: PS3.7 C.5.12: the peer reads no report in what it sent.
_INVALID_ARGUMENT = 0x0115
#: A peer may report over the association of the request instead of a new one (PS3.4 J.3.3); those that do are quick.
_LINGER_S = 1.0


def ask_commitment(
    peer: Peer, transaction_uid: str, references: Sequence[Reference], *, linger_s: float = _LINGER_S
) -> CommitmentReport | None:
    """Send the N-ACTION, and return the report where it comes over the same association within `linger_s`.

    Otherwise it comes over an association of the peer's, or never. Raises what `associate` raises, PeerUnreachable,
    RequestFailed for a failure status, or DestinationMisconfigured where the peer knows no storage commitment.
    """
    inbox = _Inbox(transaction_uid)
    handlers = [(evt.EVT_N_EVENT_REPORT, inbox.on_report)]
    contexts = [(str(StorageCommitmentPushModel), [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)])]
    try:
        with associate(peer, contexts, handlers=handlers) as association:
            _request(peer, association, transaction_uid, references)
            inbox.arrived.wait(linger_s)
    except ContextsRefused as error:
        text = f'{peer.who} knows no storage commitment; confirm = "query" or "none" would fit'
        raise DestinationMisconfigured(text) from error
    return inbox.report


def report_of(information: Dataset) -> CommitmentReport:
    """Return what an N-EVENT-REPORT says (PS3.4 J.3.3.1). Raises ValueError when it is no report."""
    try:
        return CommitmentReport(
            transaction_uid=str(information.TransactionUID),
            committed=tuple(_reference(item) for item in _items(information, "ReferencedSOPSequence")),
            failed=tuple(
                Failure(reference=_reference(item), reason=int(item.FailureReason))
                for item in _items(information, "FailedSOPSequence")
            ),
        )
    except (AttributeError, TypeError) as error:
        raise ValueError(f"no report of storage commitment: {type(error).__name__}") from None


class _Inbox:
    """Takes the report of one transaction."""

    def __init__(self, transaction_uid: str) -> None:
        self._transaction_uid = transaction_uid
        self.report: CommitmentReport | None = None
        self.arrived = threading.Event()

    def on_report(self, event: Any) -> tuple[int, None]:
        """Answer Success before the report is in the journal: what is lost then is asked for again."""
        try:
            report = report_of(event.event_information)
        except ValueError:
            return _INVALID_ARGUMENT, None
        if report.transaction_uid == self._transaction_uid:
            self.report = report
            self.arrived.set()
        return 0x0000, None


def _request(peer: Peer, association: Any, transaction_uid: str, references: Sequence[Reference]) -> None:
    information = Dataset()
    information.TransactionUID = transaction_uid
    information.ReferencedSOPSequence = [_item(reference) for reference in references]
    try:
        status, _ = association.send_n_action(
            information,
            _REQUEST_STORAGE_COMMITMENT,
            str(StorageCommitmentPushModel),
            str(StorageCommitmentPushModelInstance),
        )
    except RuntimeError as error:  # pynetdicom: the association has ended
        raise PeerUnreachable(f"{peer.who} ended the association") from error
    if "Status" not in status:
        raise PeerUnreachable(f"{peer.who} did not answer an N-ACTION")
    if status.Status != 0x0000:
        raise RequestFailed(f"{peer.ae_title} answered the request for commitment with 0x{status.Status:04X}")


def _items(information: Dataset, keyword: str) -> Iterable[Dataset]:
    return information.get(keyword) or ()


def _reference(item: Dataset) -> Reference:
    return Reference(sop_class_uid=str(item.ReferencedSOPClassUID), sop_instance_uid=str(item.ReferencedSOPInstanceUID))


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item
