"""HTTP towards a DICOMweb server: who we are, whom we trust, and two requests that dicomweb-client lacks."""

import base64
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakSet

import requests
import urllib3
from dicomweb_client.web import DICOMwebClient
from requests.adapters import HTTPAdapter
from requests.exceptions import JSONDecodeError, SSLError, TooManyRedirects

from node.deliver.stow.answers import response_of, way_error
from node.errors import DeliveryError, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.scu.tls import ClientContext, client_context
from node.settings import StowDestination

_MULTIPART = 'multipart/related; type="application/dicom"; boundary="0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"'
#: PS3.18 8.7.3.3.2: in whatever transfer syntax it is stored.
_AS_IT_IS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_PIECE = 1 << 18
#: Larger than any object: with a Content-Length, since not every server takes chunks.
_ONE_CHUNK = 1 << 32


class Client(DICOMwebClient):
    """dicomweb-client, for one request: our back-off is the only one that tries again."""

    def __init__(self, url: str, session: requests.Session, timeout_s: tuple[float, float]) -> None:
        """`timeout_s`: for connecting, and for the answer."""
        super().__init__(url, session=session, timeout=timeout_s, chunk_size=_ONE_CHUNK)
        self.set_http_retry_params(retry=False)

    def store_file(self, content: bytes) -> requests.Response:
        """Send the bytes of a DICOM file: `store_instances` would encode them anew. Raises what requests raises."""
        return self._http_post(
            f"{self.base_url}/studies",
            self._encode_multipart_message([content], _MULTIPART),
            {"Content-Type": _MULTIPART, "Accept": "application/dicom+json"},
        )

    def retrieve_file(self, path: str, most_bytes: int, look: Callable[[int], None]) -> bytes:
        """Return the one DICOM file behind `path`, as the server keeps it: `retrieve_instance` would parse it.

        `look` is told how many bytes have come, whenever more do, and may raise. Raises what it and requests raise, and
        ValueError for more than `most_bytes`, or for what is no such answer.
        """
        with self._http_get(f"{self.base_url}{path}", headers={"Accept": _AS_IT_IS}, stream=True) as response:
            content = bytearray()
            try:
                while piece := response.raw.read1(_PIECE, decode_content=True):
                    content += piece
                    look(len(content))
                    if len(content) > most_bytes:
                        raise ValueError("the answer is too long")
            except urllib3.exceptions.HTTPError as error:
                raise requests.ConnectionError(error) from error
            return _only_part(response.headers.get("Content-Type", ""), bytes(content))


class Connections:
    """The connections of some sessions, for who has to end them from another thread."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._open: WeakSet[socket.socket] = WeakSet()
        self.ended = False

    def end(self) -> None:
        """End them, and each that is opened later: whoever waits for an answer gets PeerUnreachable at once."""
        with self._changing:
            self.ended = True
            for opened in self._open:
                _shut(opened)

    def watching(self, base: type) -> type:
        """Return a class of connections of urllib3's that are known here."""

        class Connection(base):  # type: ignore[misc]
            def connect(connection) -> None:  # noqa: N805 - `self` are the connections
                super(Connection, connection).connect()
                self._add(connection.sock)

        return Connection

    def _add(self, opened: socket.socket) -> None:
        with self._changing:
            self._open.add(opened)
            if self.ended:
                _shut(opened)


class _Adapter(HTTPAdapter):
    def __init__(self, tls: ClientContext | None, server_name: str, connections: Connections) -> None:
        self._more: dict[str, Any] = {} if tls is None else {"ssl_context": tls}
        if server_name:
            self._more |= {"server_hostname": server_name, "assert_hostname": server_name}
        self._connections = connections
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **{**more, **self._more})

    def get_connection_with_tls_context(self, *args: Any, **more: Any) -> Any:
        pool = super().get_connection_with_tls_context(*args, **more)
        pool.ConnectionCls = self._connections.watching(type(pool).ConnectionCls)
        return pool


class Line:
    """A session with one DICOMweb server: what is asked over it, and what its failures mean."""

    def __init__(self, settings: StowDestination, session: requests.Session, tls: ClientContext | None) -> None:
        self._settings = settings
        self._session = session
        self._tls = tls
        self._who = host_of(settings)

    def client(self, size: int = 0) -> Client:
        """Return a client for one request, which answers after `size` bytes have been sent to it at most."""
        timeout_s = (self._settings.timeout_s, self.patience_s(size))
        return Client(self._settings.url.rstrip("/"), self._session, timeout_s)

    def patience_s(self, size: int) -> float:
        """Return how long an answer may take of which so many bytes have been sent, or come."""
        return self._settings.timeout_s + size / (1000.0 * self._settings.minimum_kb_per_s)

    @contextlib.contextmanager
    def contained(self) -> Iterator[None]:
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
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> DeliveryError:
        if self._tls is not None and self._tls.objection is not None:
            return DestinationMisconfigured(f"{self._who}: TLS failed: {self._tls.objection}")
        if isinstance(error, SSLError):
            return DestinationMisconfigured(f"{self._who}: TLS failed")
        return PeerUnreachable(f"{self._who} does not answer: {type(error).__name__}")


def host_of(settings: StowDestination) -> str:
    """Return how the server is called in messages."""
    return urlsplit(settings.url).netloc


@contextlib.contextmanager
def connected(settings: StowDestination, connections: Connections | None = None) -> Iterator[Line]:
    """Open a session with the server; its `connections` can be ended from another thread.

    Raises DestinationMisconfigured where a file of the settings cannot be used.
    """
    tls = client_context(settings.tls) if settings.url.startswith("https://") else None
    with contextlib.closing(open_session(settings, tls, connections or Connections())) as session:
        yield Line(settings, session, tls)


def open_session(settings: StowDestination, tls: ClientContext | None, connections: Connections) -> requests.Session:
    """Return a session with the credentials of `settings`, read from their files now.

    It follows no redirect, and takes no proxy and no password from the environment. Raises DestinationMisconfigured.
    """
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    if settings.password_file is not None:
        password = _secret("password_file", settings.password_file)
        basic = base64.b64encode(f"{settings.username}:{password}".encode())  # RFC 7617, in UTF-8
        session.headers["Authorization"] = f"Basic {basic.decode()}"
    if settings.token_file is not None:
        token = _secret("token_file", settings.token_file).strip()
        if not (token.isascii() and token.isprintable()):
            raise DestinationMisconfigured("token_file: holds no bearer token")
        session.headers["Authorization"] = f"Bearer {token}"
    server_name = settings.tls.server_name if settings.tls and tls else ""
    session.mount("https://" if tls else "http://", _Adapter(tls, server_name, connections))
    if tls is not None:
        session.verify = str(settings.tls.authorities) if settings.tls else True
    return session


def _shut(connection: socket.socket) -> None:
    """Let a connection end under whoever uses it; TLS is not asked, which may be in use by another thread."""
    with contextlib.suppress(OSError):  # it has ended
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _secret(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationMisconfigured(f"{key}: cannot be read: {type(error).__name__}") from None


def _only_part(content_type: str, body: bytes) -> bytes:
    """Return the body part of a multipart answer that has one (PS3.18 8.6.1.2); some servers send it bare.

    Raises ValueError for what is neither.
    """
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == "application/dicom":
        return body
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/related" or not boundary:
        raise ValueError("neither a DICOM file nor a multipart answer")
    begins, ends = body.find(b"\r\n\r\n"), body.rfind(b"\r\n--" + boundary.encode())
    if not -1 < begins < ends:
        raise ValueError("a multipart answer without a part")
    return body[begins + 4 : ends]
