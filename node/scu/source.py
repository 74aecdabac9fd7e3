"""What the node asks of a peer that sends to it, and tells it: counts, and reports of storage commitment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.domain.commitment import CommitmentReport, Reference
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed
from node.scu.association import Peer, associate

_ENCODINGS = (str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian))

#: Study Root Query/Retrieve Information Model, FIND (PS3.4 C.6.2).
_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
#: Storage Commitment Push Model SOP Class and its well-known instance (PS3.4 J.3.5).
_COMMITMENT, _COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
#: Event types (PS3.4 J.3.3.1.1).
_ALL_COMMITTED, _SOME_FAILED = 1, 2

_SUCCESS = 0x0000
_PENDING = frozenset({0xFF00, 0xFF01})
#: Processing failure, resource limitation (PS3.7 C.5): the peer may take the report later.
_MAY_PASS = frozenset({0x0110, 0x0213})
#: No series has more; a larger number is no answer.
_MOST_INSTANCES = 1_000_000


@dataclass(frozen=True, slots=True)
class SeriesOfStudy:
    """A series as a query has to name it (PS3.4 C.4.1.1)."""

    study_uid: str
    series_uid: str


def count_instances(peer: Peer, asked: Sequence[SeriesOfStudy]) -> dict[str, int]:
    """Return NumberOfSeriesRelatedInstances (PS3.4 C.3.4) by series UID, for the series that the peer speaks of.

    One association, a C-FIND each. Raises what `associate` raises, PeerUnreachable, or RequestFailed for a failure.
    """
    counts: dict[str, int] = {}
    with associate(peer, [(_FIND, _ENCODINGS)]) as association:
        for series in asked:
            identifier = series_identifier(series)
            identifier.NumberOfSeriesRelatedInstances = None
            with _named(peer):
                for status, found in association.send_c_find(identifier, _FIND):
                    _heard(peer, status)
                    if status.Status not in {_SUCCESS, *_PENDING}:
                        raise RequestFailed(f"{peer.ae_title} answered a C-FIND with 0x{status.Status:04X}")
                    number = _count(found, series) if status.Status in _PENDING else None
                    if number is not None:
                        counts[series.series_uid] = number
    return counts


def report_commitment(peer: Peer, report: CommitmentReport) -> None:
    """Tell a peer what is kept of what it asked to be committed (N-EVENT-REPORT, PS3.4 J.3.3).

    The node requests the association and keeps the role of SCP (PS3.7 D.3.3.4). Any answer but one that may pass ends
    the matter. Raises what `associate` raises, PeerUnreachable, or RequestFailed.
    """
    with associate(peer, [(_COMMITMENT, _ENCODINGS)], as_scp=[_COMMITMENT]) as association:
        if not any(context.as_scp for context in association.accepted_contexts):
            raise ContextsRefused(f"{peer.who} does not let the caller be SCP of storage commitment")
        event_type = _SOME_FAILED if report.failed else _ALL_COMMITTED
        with _named(peer):
            status, _reply = association.send_n_event_report(
                _event_information(report), event_type, _COMMITMENT, _COMMITMENT_INSTANCE
            )
        _heard(peer, status)
        if status.Status in _MAY_PASS:
            raise RequestFailed(f"{peer.ae_title} answered the N-EVENT-REPORT with 0x{status.Status:04X}")


def _event_information(report: CommitmentReport) -> Dataset:
    """Return Table J.3-2 of PS3.4: a sequence that would be empty is left out."""
    made = Dataset()
    made.TransactionUID = report.transaction_uid
    if report.committed:
        made.ReferencedSOPSequence = [_item(reference) for reference in report.committed]
    if report.failed:
        made.FailedSOPSequence = [_item(failure.reference) for failure in report.failed]
        for item, failure in zip(made.FailedSOPSequence, report.failed, strict=True):
            item.FailureReason = failure.reason
    return made


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_instance_uid
    return item


def series_identifier(series: SeriesOfStudy, sop_instance_uids: Sequence[str] = ()) -> Dataset:
    """Return the identifier of a request about one series, or about some of its instances (PS3.4 C.4)."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = "IMAGE" if sop_instance_uids else "SERIES"
    identifier.StudyInstanceUID = series.study_uid
    identifier.SeriesInstanceUID = series.series_uid
    if sop_instance_uids:
        identifier.SOPInstanceUID = list(sop_instance_uids)
    return identifier


def _count(found: Dataset | None, series: SeriesOfStudy) -> int | None:
    """Return the number in one match; None where it is of another series, or names none."""
    try:
        if found is None or str(found.SeriesInstanceUID) != series.series_uid:
            return None
        number = int(found.NumberOfSeriesRelatedInstances)
    except (AttributeError, TypeError, ValueError):
        return None
    return number if 0 <= number <= _MOST_INSTANCES else None


def _heard(peer: Peer, status: Any) -> None:
    """Raise PeerUnreachable for pynetdicom's empty status: no answer came."""
    if "Status" not in status:
        raise PeerUnreachable(f"{peer.who} did not answer")


@contextmanager
def _named(peer: Peer) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # pynetdicom: the association has ended
        raise PeerUnreachable(f"{peer.who} ended the association") from error
