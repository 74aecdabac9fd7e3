"""Delivery over C-STORE (PS3.4 B). The file's own bytes are sent: a retry sends the same ones."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydicom.errors import InvalidDicomError
from pynetdicom import _config

from node.deliver.destination import Answer, Parcel
from node.deliver.scu import Peer, associate
from node.errors import DeliveryError, PeerUnreachable, StoreFailed, StoreRefused

_config.STORE_SEND_CHUNKED_DATASET = True

#: Refused: SOP Class not supported; Error: Data Set does not match SOP Class (PS3.4 B.2.3,
#: PS3.7 C).
_FOR_GOOD = frozenset({0x0122, *range(0xA900, 0xAA00)})
#: Duplicate SOP Instance (PS3.7 C.4.5): the peer has an object of this UID, and ours never changes under its UID.
_DUPLICATE = 0x0111
_WARNINGS = frozenset({0x0001, *range(0xB000, 0xC000)})


class CStoreDestination:
    """A Storage SCP."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Answer]:
        """Send `parcels` over one association. Raises PeerUnreachable or AssociationRefused."""
        offered = dict.fromkeys((parcel.sop_class_uid, parcel.transfer_syntax_uid) for parcel in parcels)
        with associate(self._peer, [(abstract, [transfer]) for abstract, transfer in offered]) as association:
            accepted = {
                (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                for context in association.accepted_contexts
            }
            for parcel in parcels:
                if (parcel.sop_class_uid, parcel.transfer_syntax_uid) not in accepted:
                    refused = StoreRefused(
                        f"{self._peer.ae_title} does not accept SOP Class {parcel.sop_class_uid} "
                        f"in transfer syntax {parcel.transfer_syntax_uid}"
                    )
                    yield Answer(parcel=parcel, error=refused, note=None)
                else:
                    yield self._store(association, parcel)

    def _store(self, association: Any, parcel: Parcel) -> Answer:
        try:
            status = association.send_c_store(parcel.path)
        except RuntimeError as error:  # pynetdicom: the association has ended
            raise PeerUnreachable(f"{self._peer.ae_title} ended the association") from error
        except (FileNotFoundError, InvalidDicomError, AttributeError, ValueError) as error:
            text = f"the file of this object is gone or damaged: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreRefused(text), note=None)
        except OSError as error:
            text = f"the file of this object cannot be read now: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreFailed(text), note=None)
        if "Status" not in status:
            raise PeerUnreachable(f"{self._peer.ae_title} did not answer a C-STORE")
        return Answer(parcel=parcel, error=self._error(status.Status), note=_note(status.Status))

    def _error(self, status: int) -> DeliveryError | None:
        if status in {0x0000, _DUPLICATE} or status in _WARNINGS:
            return None
        text = f"{self._peer.ae_title} answered 0x{status:04X}"
        return StoreRefused(text) if status in _FOR_GOOD else StoreFailed(text)


def _note(status: int) -> str | None:
    if status == _DUPLICATE:
        return "0x0111: the destination had this object already"
    return f"warning 0x{status:04X}" if status in _WARNINGS else None
