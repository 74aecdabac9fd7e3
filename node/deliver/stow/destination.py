"""Delivery over STOW-RS (PS3.18 10.5), confirmed by QIDO-RS (PS3.18 10.6). One request an object, its file as it is.

Nothing that the server wrote goes into an error or a log: a status, a Failure Reason and our own words only.
"""

import contextlib
from collections.abc import Generator, Iterator, Sequence
from urllib.parse import urlsplit

import requests
from requests.exceptions import JSONDecodeError, SSLError, TooManyRedirects

from node.deliver.destination import Answer, Confirmation, Parcel
from node.deliver.encoding import UNCOMPRESSED, uncompressed
from node.deliver.stow.answers import NOT_FOUND, answer_of, response_of, wants_another_encoding, way_error
from node.deliver.stow.session import Client, open_session
from node.domain.commitment import CommitmentReport
from node.errors import (
    DeliveryError,
    DestinationMisconfigured,
    PeerUnreachable,
    RequestFailed,
    StoreFailed,
    StoreRefused,
)
from node.scu.tls import ClientContext, client_context
from node.settings import StowDestination

#: No study has this UID (PS3.5 B.2): an answer to it names nobody.
_NO_STUDY = "2.25.0"


class StowRsDestination:
    """A DICOMweb server."""

    def __init__(self, settings: StowDestination) -> None:
        self._settings = settings
        self._who = urlsplit(settings.url).netloc

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        """Send `parcels` in one session. Raises PeerUnreachable, or DestinationMisconfigured for who we are."""
        with self._session() as (session, tls):
            for parcel in parcels:
                yield self._deliver(session, tls, parcel)

    def confirm(self, parcels: Sequence[Parcel]) -> Generator[Confirmation, None, None]:
        """Ask by QIDO-RS. Raises PeerUnreachable, DestinationMisconfigured or RequestFailed."""
        with self._session() as (session, tls):
            for parcel in parcels:
                with self._contained(tls):
                    found = self._is_there(session, parcel)
                yield Confirmation(parcel=parcel, found=found)

    def ask_commitment(self, _transaction_uid: str, _parcels: Sequence[Parcel], /) -> CommitmentReport | None:
        """Raise DestinationMisconfigured: this way has QIDO-RS only."""
        raise DestinationMisconfigured(f"{self._who} is not asked for storage commitment")

    def reach(self) -> None:
        """Ask for a study that does not exist. Raises PeerUnreachable, DestinationMisconfigured or RequestFailed."""
        with self._session() as (session, tls), self._contained(tls):
            self._client(session).search_for_studies(search_filters={"StudyInstanceUID": _NO_STUDY}, limit=1)

    @contextlib.contextmanager
    def _session(self) -> Iterator[tuple[requests.Session, ClientContext | None]]:
        tls = client_context(self._settings.tls) if self._settings.url.startswith("https://") else None
        with contextlib.closing(open_session(self._settings, tls)) as session:
            yield session, tls

    def _client(self, session: requests.Session, size: int = 0) -> Client:
        answer_s = self._settings.timeout_s + size / (1000.0 * self._settings.minimum_kb_per_s)
        return Client(self._settings.url.rstrip("/"), session, (self._settings.timeout_s, answer_s))

    def _deliver(self, session: requests.Session, tls: ClientContext | None, parcel: Parcel) -> Answer:
        try:
            content = parcel.path.read_bytes()
        except FileNotFoundError:
            return Answer(parcel=parcel, error=StoreRefused("the file of this object is gone"), note=None)
        except OSError as error:
            text = f"the file of this object cannot be read now: {type(error).__name__}"
            return Answer(parcel=parcel, error=StoreFailed(text), note=None)
        response = self._post(session, tls, content)
        note = None
        if parcel.transfer_syntax_uid not in UNCOMPRESSED and wants_another_encoding(response):
            try:
                content = uncompressed(parcel.path, UNCOMPRESSED[0])
            except StoreRefused as error:
                return Answer(parcel=parcel, error=error, note=None)
            response, note = self._post(session, tls, content), "sent uncompressed"
        return answer_of(response, parcel, self._who, note)

    def _post(self, session: requests.Session, tls: ClientContext | None, content: bytes) -> requests.Response:
        with self._contained(tls):
            try:
                return self._client(session, len(content)).store_file(content)
            except requests.HTTPError as error:
                return response_of(error)

    def _is_there(self, session: requests.Session, parcel: Parcel) -> bool:
        filters = {"SOPInstanceUID": parcel.sop_instance_uid}
        try:
            found = self._client(session).search_for_instances(
                parcel.study_uid or None, parcel.series_uid or None, search_filters=filters
            )
            return any(item["00080018"]["Value"][0] == parcel.sop_instance_uid for item in found)
        except requests.HTTPError as error:
            if response_of(error).status_code in NOT_FOUND:
                return False
            raise
        except (KeyError, IndexError, TypeError):
            raise RequestFailed(f"{self._who} answered a query with what is no DICOM JSON") from None

    @contextlib.contextmanager
    def _contained(self, tls: ClientContext | None) -> Iterator[None]:
        """Turn what the HTTP libraries raise into errors of ours, without their words."""
        try:
            yield
        except requests.HTTPError as error:
            raise way_error(response_of(error), self._who) from None
        except (JSONDecodeError, ValueError):
            raise RequestFailed(f"{self._who} answered what cannot be read") from None
        except TooManyRedirects:
            text = f"{self._who} redirects; the url of the destination must be the final one"
            raise DestinationMisconfigured(text) from None
        except (requests.RequestException, OSError) as error:
            raise self._unreachable(error, tls) from None

    def _unreachable(self, error: Exception, tls: ClientContext | None) -> DeliveryError:
        if tls is not None and tls.objection is not None:
            return DestinationMisconfigured(f"{self._who}: TLS failed: {tls.objection}")
        if isinstance(error, SSLError):
            return DestinationMisconfigured(f"{self._who}: TLS failed")
        return PeerUnreachable(f"{self._who} does not answer: {type(error).__name__}")
