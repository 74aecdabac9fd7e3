"""Delivery over STOW-RS (PS3.18 10.5), confirmed by QIDO-RS (PS3.18 10.6). One request an object, its file as it is.

Nothing that the server wrote goes into an error or a log: a status, a Failure Reason and our own words only.
"""

from collections.abc import Generator, Sequence

import requests

from node.deliver.destination import Answer, Confirmation, Parcel
from node.deliver.encoding import UNCOMPRESSED, uncompressed
from node.deliver.stow.answers import NOT_FOUND, answer_of, response_of, wants_another_encoding
from node.deliver.stow.session import Connections, Line, connected, host_of
from node.domain.commitment import CommitmentReport
from node.errors import DestinationMisconfigured, RequestFailed, StoreFailed, StoreRefused
from node.settings import StowDestination

#: No study has this UID (PS3.5 B.2): an answer to it names nobody.
_NO_STUDY = "2.25.0"


class StowRsDestination:
    """A DICOMweb server."""

    def __init__(self, settings: StowDestination) -> None:
        self._settings = settings
        self._connections = Connections()
        self._who = host_of(settings)

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        """Send `parcels` in one session. Raises PeerUnreachable, or DestinationMisconfigured for who we are."""
        with connected(self._settings, self._connections) as line:
            for parcel in parcels:
                yield self._deliver(line, parcel)

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        """Ask by QIDO-RS. Raises PeerUnreachable, DestinationMisconfigured or RequestFailed."""
        with connected(self._settings, self._connections) as line:
            for parcel in parcels:
                with line.contained():
                    found = self._is_there(line, parcel)
                yield Confirmation(parcel=parcel, found=found)

    def ask_commitment(self, _transaction_uid: str, _parcels: Sequence[Parcel], /) -> CommitmentReport | None:
        """Raise DestinationMisconfigured: this way has QIDO-RS only."""
        raise DestinationMisconfigured(f"{self._who} is not asked for storage commitment")

    def reach(self) -> None:
        """Ask for a study that does not exist. Raises PeerUnreachable, DestinationMisconfigured or RequestFailed."""
        with connected(self._settings, self._connections) as line, line.contained():
            line.client().search_for_studies(search_filters={"StudyInstanceUID": _NO_STUDY}, limit=1)

    def hang_up(self) -> None:
        """End its connections, and each that is opened later."""
        self._connections.end()

    def _deliver(self, line: Line, parcel: Parcel) -> Answer:
        try:
            content = parcel.path.read_bytes()
        except FileNotFoundError:
            return Answer(parcel=parcel, error=StoreRefused("the file of this object is gone"), note=None)
        except OSError as error:
            text = f"the file of this object cannot be read now: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreFailed(text), note=None)
        response = _post(line, content)
        note = None
        if parcel.transfer_syntax_uid not in UNCOMPRESSED and wants_another_encoding(response):
            try:
                content = uncompressed(parcel.path, UNCOMPRESSED[0])
            except StoreRefused as error:
                return Answer(parcel=parcel, error=error, note=None)
            response, note = _post(line, content), "sent uncompressed"
        return answer_of(response, parcel, self._who, note)

    def _is_there(self, line: Line, parcel: Parcel) -> bool:
        filters = {"SOPInstanceUID": parcel.sop_instance_uid}
        try:
            found = line.client().search_for_instances(
                parcel.study_uid or None, parcel.series_uid or None, search_filters=filters
            )
            return any(item["00080018"]["Value"][0] == parcel.sop_instance_uid for item in found)
        except requests.HTTPError as error:
            if response_of(error).status_code in NOT_FOUND:
                return False
            raise
        except (KeyError, IndexError, TypeError):
            raise RequestFailed(f"{self._who} answered a query with what is no DICOM JSON") from None


def _post(line: Line, content: bytes) -> requests.Response:
    with line.contained():
        try:
            return line.client(len(content)).store_file(content)
        except requests.HTTPError as error:
            return response_of(error)
