"""Delivery over C-STORE (PS3.4 B). The file's own bytes are sent, so a retry sends the same ones.

A peer that takes the SOP Class, but not the encoding of the file (a compressed label map), gets the object
decompressed: every value and the UID stay the same, and the file stays as it is. A SOP Class is never changed on the
way: another form of the result is another object, made where the settings of the destination ask for it.
"""

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from pydicom.errors import InvalidDicomError
from pydicom.uid import UID
from pynetdicom import _config

from node.deliver.destination import Answer, Confirmation, Parcel
from node.deliver.encoding import UNCOMPRESSED, as_data_set, uncompressed
from node.deliver.query import find_instances
from node.deliver.statuses import Meaning, error_of, meaning_of, note_of
from node.domain.commitment import CommitmentReport, Reference
from node.errors import ContextsRefused, PeerUnreachable, StoreFailed, StoreRefused
from node.scu.association import Calls, Peer, associate, echo
from node.scu.commitment import ask_commitment

_config.STORE_SEND_CHUNKED_DATASET = True

#: What would fit a peer that lacks the class.
_HINTS = {
    "1.2.840.10008.5.1.4.1.1.66.7": 'segmentation = "binary"',
    "1.2.840.10008.5.1.4.1.1.88.34": 'report = "comprehensive"',
    "1.2.840.10008.5.1.4.1.1.88.33": 'report = "enhanced"',
    "1.2.840.10008.5.1.4.1.1.7": "key_images = false",
}

#: (SOP Class, transfer syntax).
_Context = tuple[str, str]


class CStoreDestination:
    """A Storage SCP, which may also be asked by C-FIND and for storage commitment."""

    def __init__(self, peer: Peer) -> None:
        self._calls = Calls()
        self._peer = replace(peer, calls=self._calls)

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        """Send `parcels` over one association. Raises PeerUnreachable, AssociationRefused, DestinationMisconfigured."""
        try:
            with associate(self._peer, _offer(parcels)) as association:
                accepted = {
                    (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                    for context in association.accepted_contexts
                }
                for parcel in parcels:
                    yield self._send(association, parcel, accepted)
        except ContextsRefused:
            for parcel in parcels:
                yield Answer(parcel=parcel, error=self._refused(parcel), note=None)

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        """Ask by C-FIND. Raises what `find_instances` raises; ContextsRefused where the peer takes no query."""
        return find_instances(self._peer, parcels)

    def ask_commitment(self, transaction_uid: str, parcels: Sequence[Parcel]) -> CommitmentReport | None:
        """Send an N-ACTION. Raises what `node.scu.commitment.ask_commitment` raises."""
        references = [
            Reference(sop_class_uid=parcel.sop_class_uid, sop_instance_uid=parcel.sop_instance_uid)
            for parcel in parcels
        ]
        return ask_commitment(self._peer, transaction_uid, references)

    def reach(self) -> None:
        """Send a C-ECHO. Raises what `echo` raises."""
        echo(self._peer)

    def hang_up(self) -> None:
        """End its associations, and each that is opened later."""
        self._calls.end()

    def _send(self, association: Any, parcel: Parcel, accepted: set[_Context]) -> Answer:
        if (parcel.sop_class_uid, parcel.transfer_syntax_uid) in accepted:
            return self._store(association, parcel)
        for syntax in UNCOMPRESSED:
            if (parcel.sop_class_uid, syntax) in accepted:
                return self._store(association, parcel, syntax)
        return Answer(parcel=parcel, error=self._refused(parcel), note=None)

    def _store(self, association: Any, parcel: Parcel, syntax: str | None = None) -> Answer:
        """Send the file, or in the transfer syntax `syntax` what is in it."""
        try:
            content = as_data_set(uncompressed(parcel.path, syntax)) if syntax else parcel.path
            association.dimse_timeout = self._peer.patience_s(_size(parcel, content))
            status = association.send_c_store(content)
        except StoreRefused as error:
            return Answer(parcel=parcel, error=error, note=None)
        except RuntimeError as error:  # pynetdicom: the association has ended
            raise PeerUnreachable(f"{self._peer.who} ended the association") from error
        except (FileNotFoundError, InvalidDicomError, AttributeError, ValueError) as error:
            text = f"the file of this object is gone or damaged: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreRefused(text), note=None)
        except OSError as error:
            text = f"the file of this object cannot be read now: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreFailed(text), note=None)
        if "Status" not in status:  # unknown: it is sent again, and then the peer may call it a duplicate
            raise PeerUnreachable(f"{self._peer.who} did not answer a C-STORE")
        return self._answer(parcel, status.Status, f"sent as {UID(syntax).name}" if syntax else None)

    def _answer(self, parcel: Parcel, status: int, how: str | None) -> Answer:
        return Answer(
            parcel=parcel,
            error=error_of(status, self._peer.ae_title),
            note="; ".join(filter(None, (how, note_of(status)))) or None,
            unsure=meaning_of(status)[0] is Meaning.DUPLICATE,
        )

    def _refused(self, parcel: Parcel) -> StoreRefused:
        """Return the refusal of a class: whether another encoding would do, only the peer knows."""
        hint = _HINTS.get(parcel.sop_class_uid)
        return StoreRefused(
            f"{self._peer.ae_title} does not accept SOP Class {parcel.sop_class_uid} "
            f"({UID(parcel.sop_class_uid).name}), neither as {UID(parcel.transfer_syntax_uid).name} nor uncompressed"
            + (f"; {hint} would fit" if hint else "")
        )


def _offer(parcels: Sequence[Parcel]) -> list[tuple[str, list[str]]]:
    """Return what is proposed: each class in the encoding of its file, and beside it uncompressed.

    Each transfer syntax has a context of its own: of several in one the peer picks one, and not always the file's.
    """
    wanted = dict.fromkeys((parcel.sop_class_uid, parcel.transfer_syntax_uid) for parcel in parcels)
    spare = dict.fromkeys((parcel.sop_class_uid, syntax) for parcel in parcels for syntax in UNCOMPRESSED)
    return [(abstract, [transfer]) for abstract, transfer in wanted | spare]


def _size(parcel: Parcel, content: Any) -> int:
    """Return about how many bytes are sent."""
    size = parcel.path.stat().st_size
    return size if content is parcel.path else max(size, len(content.get("PixelData", b"")))
