"""Taking instances from an archive by C-GET (PS3.4 C.4.3), Study Root model.

They come back over the association that asks for them: the archive need not know the node's address.
"""

import contextlib
import time
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from typing import Any, NamedTuple

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID
from pynetdicom import evt

from node.errors import ContextsRefused, NodeError, PeerUnreachable, RequestFailed
from node.scu.association import Peer, associate
from node.scu.query import ENCODINGS
from node.scu.source import SeriesOfStudy, series_identifier

#: Study Root Query/Retrieve Information Model, MOVE and GET (PS3.4 C.6.2).
_MOVE, _GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"
#: MR, Enhanced MR and Legacy Converted Enhanced MR Image Storage (PS3.4 B.5).
MR_IMAGES = tuple(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("4", "4.1", "4.4"))
#: What the node decodes: native, RLE, JPEG, JPEG-LS, JPEG 2000, HTJ2K. Deflated data is left out on purpose.
TRANSFER_SYNTAXES = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
)
#: Presentation contexts of one association (PS3.8 9.3.2.2: odd numbers up to 255), without those of the question.
_MOST_CLASSES = 126 // len(TRANSFER_SYNTAXES)
_SUCCESS = 0x0000
_PENDING = frozenset({0xFF00, 0xFF01})
#: Answers to a C-STORE (PS3.4 B.2.3, PS3.7 C.5): not what was asked for, no data set.
_NOT_AUTHORISED, _CANNOT_UNDERSTAND = 0x0124, 0xC000
#: No instance, and no series, of MR images has more bytes; an endless one would fill the memory.
_MOST_BYTES, _MOST_BYTES_OF_SERIES = 2 << 30, 16 << 30
_SERIES_INSTANCE_UID = 0x0020000E
#: What pydicom raises for bytes that are no data set.
_UNPARSEABLE = (InvalidDicomError, EOFError, ValueError, KeyError, AttributeError, TypeError, NotImplementedError)

#: (abstract syntax, transfer syntaxes).
_Context = tuple[str, tuple[str, ...]]


class Inbox:
    """Takes the instances of one series: one thread uses it, but for the count of bytes.

    `keep` is given pynetdicom's C-STORE event for each, and returns the status of its answer. What it cannot keep it
    puts into `error`, or answers with a failure that the archive will count.
    """

    def __init__(self, peer: Peer, series: SeriesOfStudy, keep: Callable[[Any], int]) -> None:
        self._peer = peer
        self._series_uid = series.series_uid
        self._keep = keep
        self._bytes = 0
        self._bytes_before = 0
        #: How many instances were kept.
        self.taken = 0
        #: Why the series cannot be taken as it is sent.
        self.error: NodeError | None = None

    def on_open(self, event: Any) -> None:
        """Count what comes over the line, and end a connection over which more comes than any series has."""
        transport = event.assoc.dul.socket
        receive: Callable[[int], Any] = transport.recv

        def recv(length: int) -> Any:
            content = receive(length)
            self._bytes += len(content)
            if self._bytes - self._bytes_before > _MOST_BYTES or self._bytes > _MOST_BYTES_OF_SERIES:
                self.error = self.error or RequestFailed(f"{self._peer.ae_title} sends a series that is too long")
                raise OSError("the peer sends a series that is too long")
            return content

        transport.recv = recv

    def wait_while_bytes_come(self, association: Any) -> None:
        """Let pynetdicom wait for a message as long as its bytes may take: its time-out knows no sizes.

        A peer is given up when it is silent, or slower than `minimum_kb_per_s`.
        """
        provider = association.dimse
        look: Callable[..., tuple[Any, Any]] = provider.get_msg

        def get_msg(_self: Any, block: bool = False) -> tuple[Any, Any]:
            began, before = time.monotonic(), self._bytes
            found = look(block=block)
            while block and found[1] is None and not association.acse.is_aborted():
                if time.monotonic() - began >= self._peer.patience_s(self._bytes - before):
                    break
                found = look(block=True)
            return found

        provider.get_msg = types.MethodType(get_msg, provider)

    def on_store(self, event: Any) -> int:
        """Take one instance, and return the status of its C-STORE."""
        self._bytes_before = self._bytes
        uid = _series_uid(event.request.DataSet, event.context.transfer_syntax)
        if uid is None:
            self._refuse("sends what is no DICOM image")
            return _CANNOT_UNDERSTAND
        if uid != self._series_uid:
            self._refuse("sends instances of another series than was asked for")
            return _NOT_AUTHORISED
        status = self._keep(event)
        self.taken += status == _SUCCESS
        return status

    def _refuse(self, why: str) -> None:
        refusal: NodeError = RequestFailed(f"{self._peer.ae_title} {why}")
        self.error = self.error or refusal


def get_series(
    peer: Peer,
    series: SeriesOfStudy,
    inbox: Inbox,
    *,
    sop_class_uids: Sequence[str] = MR_IMAGES,
    sop_instance_uids: Sequence[str] = (),
) -> None:
    """Take a series into `inbox`, or the instances of it that are named; of the classes that are named.

    Raises what `associate` raises, PeerUnreachable, ContextsRefused where the peer knows no C-GET or does not let the
    caller be SCP of storage (PS3.7 D.3.3.4), RequestFailed where it did not send all that it counts, or more classes
    than one association can offer; and the error of the inbox.
    """
    if len(sop_class_uids) > _MOST_CLASSES:
        raise RequestFailed(f"a series of {len(sop_class_uids)} SOP Classes is more than one C-GET can take")
    with _association(peer, inbox, sop_class_uids) as association:
        _get(peer, association, series_identifier(series, sop_instance_uids), inbox)


@contextlib.contextmanager
def _association(peer: Peer, inbox: Inbox, sop_class_uids: Sequence[str]) -> Iterator[Any]:
    """Open an association for a C-GET: each encoding has a context of its own, so the archive need not convert."""
    contexts: list[_Context] = [(_GET, ENCODINGS), (_MOVE, ENCODINGS)]
    contexts += [(image, (syntax,)) for image in sop_class_uids for syntax in TRANSFER_SYNTAXES]
    handlers = [(evt.EVT_CONN_OPEN, inbox.on_open), (evt.EVT_C_STORE, inbox.on_store)]
    with contextlib.ExitStack() as stack:
        try:
            association = stack.enter_context(associate(peer, contexts, as_scp=sop_class_uids, handlers=handlers))
        except ContextsRefused as error:
            raise ContextsRefused(f"{peer.who} knows no C-GET") from error
        accepted = {str(context.abstract_syntax) for context in association.accepted_contexts}
        if _GET not in accepted:
            instead = "; it knows C-MOVE" if _MOVE in accepted else ""
            raise ContextsRefused(f"{peer.who} knows no C-GET{instead}")
        if not any(context.as_scp for context in association.accepted_contexts):
            raise ContextsRefused(f"{peer.who} sends no images over an association that the node asked for")
        inbox.wait_while_bytes_come(association)
        yield association


class _Counts(NamedTuple):
    """Sub-operations of a C-GET (PS3.4 C.4.3.1.4); None where the peer says nothing."""

    completed: int | None
    failed: int
    warning: int


def _get(peer: Peer, association: Any, identifier: Any, inbox: Inbox) -> None:
    """Ask for the series and take it, up to the final answer."""
    status = None
    try:
        for status, _failed in association.send_c_get(identifier, _GET):
            if "Status" not in status:
                raise inbox.error or PeerUnreachable(f"{peer.who} did not finish a C-GET")
    except RuntimeError as error:  # pynetdicom: the association has ended
        raise inbox.error or PeerUnreachable(f"{peer.who} ended the association") from error
    if inbox.error is not None:
        raise inbox.error
    if status is None or status.Status in _PENDING:
        raise PeerUnreachable(f"{peer.who} did not finish a C-GET")
    counts = _Counts(
        completed=status.get("NumberOfCompletedSuboperations"),
        failed=status.get("NumberOfFailedSuboperations") or 0,
        warning=status.get("NumberOfWarningSuboperations") or 0,
    )
    _check(peer, int(status.Status), counts, inbox.taken)


def _check(peer: Peer, status: int, counts: _Counts, received: int) -> None:
    """Raise RequestFailed for a series that did not come as a whole."""
    if counts.failed or counts.warning:
        text = f"{counts.failed} failed and {counts.warning} with a warning"
        raise RequestFailed(f"{peer.ae_title} did not send all of a series: of its sub-operations {text}")
    if status != _SUCCESS:
        raise RequestFailed(f"{peer.ae_title} answered a C-GET with 0x{status:04X}")
    if counts.completed is not None and counts.completed != received:
        raise RequestFailed(f"{peer.ae_title} says that it sent {counts.completed} instances, and {received} came")
    if not received:
        raise RequestFailed(f"{peer.ae_title} sent no instance of a series")


def _series_uid(data_set: BytesIO, transfer_syntax_uid: str) -> str | None:
    """Return the Series Instance UID of an encoded data set, None where it cannot be read; nothing behind it is."""
    syntax = UID(transfer_syntax_uid)
    data_set.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's warnings quote element values
        try:
            head = read_dataset(
                data_set,
                syntax.is_implicit_VR,
                syntax.is_little_endian,
                stop_when=lambda tag, _vr, _length: tag > _SERIES_INSTANCE_UID,
                specific_tags=[BaseTag(_SERIES_INSTANCE_UID)],
            )
            return str(head.SeriesInstanceUID)
        except _UNPARSEABLE:
            return None
