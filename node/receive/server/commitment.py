"""Storage commitment at the listener (PS3.4 J): who asks the node, and who answers it."""

from collections.abc import Iterator
from io import BytesIO
from typing import Any, Protocol

from node.domain.commitment import CommitmentReport, CommitmentRequest, Failure, Reference
from node.domain.identifiers import parse_uid
from node.errors import InvalidIdentifier, JournalError
from node.log import get_logger
from node.receive.elements import Element, Unusual, Walk

#: Storage Commitment Push Model SOP Instance (PS3.4 J.3.5).
_INSTANCE = "1.2.840.10008.1.20.1.1"
_IMPLICIT = "1.2.840.10008.1.2"

#: Statuses of DIMSE-N (PS3.7 annex C).
_SUCCESS = 0x0000
_PROCESSING_FAILURE = 0x0110
_NO_SUCH_OBJECT = 0x0112
_NO_SUCH_EVENT = 0x0113
_INVALID_ARGUMENT = 0x0115
_NO_SUCH_ACTION = 0x0123
_NOT_AUTHORISED = 0x0124

_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_CLASS, _INSTANCE_UID, _REASON = 0x00081150, 0x00081155, 0x00081197
_LONGEST_VALUE = 256
#: "Processing failure", where a report names no reason.
_NO_REASON = 0x0110


class Commitments(Protocol):
    """Where storage commitment is kept."""

    def asked(self, request: CommitmentRequest) -> None:
        """Note what a peer asks for; durable on return. Raises OSError or JournalError."""

    def told(self, report: CommitmentReport) -> bool:
        """Note what an archive reports; False for an unknown transaction. Raises OSError or JournalError."""


class Commitment:
    """Handles N-ACTION and N-EVENT-REPORT of all associations."""

    def __init__(self, commitments: Commitments) -> None:
        self._commitments = commitments

    def asked(self, request: Any, syntax: str, calling_ae: str, *, may: bool) -> int:
        """Return the status of an N-ACTION (PS3.4 J.3.2)."""
        if not may:
            return _NOT_AUTHORISED
        if request.ActionTypeID != 1:
            return _NO_SUCH_ACTION
        if str(request.RequestedSOPInstanceUID) != _INSTANCE:
            return _NO_SUCH_OBJECT
        try:
            transaction_uid, committed, _ = _parsed(request.ActionInformation, syntax)
            asked = CommitmentRequest(transaction_uid=transaction_uid, asked_by=calling_ae, references=committed)
            self._commitments.asked(asked)
        except (Unusual, InvalidIdentifier):
            return _INVALID_ARGUMENT
        except (OSError, JournalError) as error:
            return _failed(error)
        return _SUCCESS

    def told(self, request: Any, syntax: str, *, may: bool) -> int:
        """Return the status of an N-EVENT-REPORT (PS3.4 J.3.3)."""
        if not may:
            return _NOT_AUTHORISED
        if request.EventTypeID not in {1, 2}:
            return _NO_SUCH_EVENT
        try:
            transaction_uid, committed, failed = _parsed(request.EventInformation, syntax)
            report = CommitmentReport(transaction_uid=transaction_uid, committed=committed, failed=failed)
            known = self._commitments.told(report)
        except (Unusual, InvalidIdentifier):
            return _INVALID_ARGUMENT
        except (OSError, JournalError) as error:
            return _failed(error)
        return _SUCCESS if known else _INVALID_ARGUMENT


def _failed(error: Exception) -> int:
    get_logger().error("storage commitment not noted", error=type(error).__name__)
    return _PROCESSING_FAILURE


def _parsed(content: BytesIO | None, syntax: str) -> tuple[str, tuple[Reference, ...], tuple[Failure, ...]]:
    """Return Transaction UID, Referenced SOP Sequence and Failed SOP Sequence (PS3.4 tables J.3-1 and J.3-2).

    Raises Unusual or InvalidIdentifier.
    """
    encoded = content.getvalue() if content is not None else b""
    walk = Walk(lambda offset, size: encoded[offset : offset + size], implicit=syntax == _IMPLICIT)
    transaction_uid = ""
    committed: tuple[Reference, ...] = ()
    failed: tuple[Failure, ...] = ()
    for element in walk.elements(0):
        if element.tag == _TRANSACTION:
            transaction_uid = _value(encoded, element).decode("latin-1")
        elif element.tag == _REFERENCED:
            committed = tuple(_reference(item) for item in _items(walk, encoded, element))
        elif element.tag == _FAILED:
            failed = tuple(
                Failure(reference=_reference(item), reason=_reason(item)) for item in _items(walk, encoded, element)
            )
    if not committed and not failed:
        raise Unusual
    return parse_uid(transaction_uid), committed, failed


def _items(walk: Walk, encoded: bytes, sequence: Element) -> Iterator[dict[int, bytes]]:
    for item in walk.items(sequence):
        yield {
            element.tag: _value(encoded, element) for element in item if element.tag in {_CLASS, _INSTANCE_UID, _REASON}
        }


def _value(encoded: bytes, element: Element) -> bytes:
    if element.length is None or element.length > _LONGEST_VALUE:
        raise Unusual
    return encoded[element.offset : element.offset + element.length]


def _reference(item: dict[int, bytes]) -> Reference:
    return Reference(
        sop_class_uid=parse_uid(item.get(_CLASS, b"").decode("latin-1")),
        sop_instance_uid=parse_uid(item.get(_INSTANCE_UID, b"").decode("latin-1")),
    )


def _reason(item: dict[int, bytes]) -> int:
    return int.from_bytes(item.get(_REASON, b"")[:2], "little") or _NO_REASON
