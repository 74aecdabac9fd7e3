"""HTTP towards a DICOMweb server: who we are, whom we trust, and one request that dicomweb-client lacks."""

import base64
from pathlib import Path
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from requests.adapters import HTTPAdapter

from node.errors import DestinationMisconfigured
from node.scu.tls import ClientContext
from node.settings import StowDestination

_MULTIPART = 'multipart/related; type="application/dicom"; boundary="0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"'
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


class _TlsAdapter(HTTPAdapter):
    def __init__(self, context: ClientContext, server_name: str) -> None:
        self._more: dict[str, Any] = {"ssl_context": context}
        if server_name:
            self._more |= {"server_hostname": server_name, "assert_hostname": server_name}
        super().__init__()

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **more: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **{**more, **self._more})


def open_session(settings: StowDestination, tls: ClientContext | None) -> requests.Session:
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
    if tls is not None:
        session.mount("https://", _TlsAdapter(tls, settings.tls.server_name if settings.tls else ""))
        session.verify = str(settings.tls.authorities) if settings.tls else True
    return session


def _secret(key: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DestinationMisconfigured(f"{key}: cannot be read: {type(error).__name__}") from None
