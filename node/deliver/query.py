"""Asking an archive which instances it has (C-FIND, PS3.4 C.4.1)."""

from collections.abc import Generator, Sequence
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind  # type: ignore[attr-defined]

from node.deliver.destination import Confirmation, Parcel
from node.errors import PeerUnreachable, RequestFailed
from node.scu.association import Peer, associate

_STUDY_ROOT = str(StudyRootQueryRetrieveInformationModelFind)
_PENDING = frozenset({0xFF00, 0xFF01})
#: More answers than this to a question about one object never end.
_MOST_ANSWERS = 10_000


def find_instances(peer: Peer, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
    """Ask for each of `parcels` by its UIDs, over one association.

    An answer counts only for the UID that was asked for: some archives ignore a key and return the whole series.
    Raises what `associate` raises, PeerUnreachable, or RequestFailed for a failure status.
    """
    contexts = [(_STUDY_ROOT, [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)])]
    with associate(peer, contexts) as association:
        for parcel in parcels:
            yield Confirmation(parcel=parcel, found=_is_there(peer, association, parcel))


def _is_there(peer: Peer, association: Any, parcel: Parcel) -> bool:
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE"
    query.StudyInstanceUID = parcel.study_uid
    query.SeriesInstanceUID = parcel.series_uid
    query.SOPInstanceUID = parcel.sop_instance_uid
    found = False
    try:
        for number, (status, identifier) in enumerate(association.send_c_find(query, _STUDY_ROOT)):
            if "Status" not in status:
                raise PeerUnreachable(f"{peer.who} did not answer a C-FIND")
            if status.Status not in {0x0000, *_PENDING}:
                raise RequestFailed(f"{peer.ae_title} answered a C-FIND with 0x{status.Status:04X}")
            if number >= _MOST_ANSWERS:
                association.abort()
                raise RequestFailed(f"{peer.ae_title} does not end its answer to a C-FIND")
            if identifier is not None and identifier.get("SOPInstanceUID") == parcel.sop_instance_uid:
                found = True
    except RuntimeError as error:  # pynetdicom: the association has ended
        raise PeerUnreachable(f"{peer.who} ended the association") from error
    return found
