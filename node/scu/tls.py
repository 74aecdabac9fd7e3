"""TLS towards a destination (PS3.15 B.12, B.13): version 1.2 or 1.3, its certificate and its name are verified."""

import contextlib
import ssl
from typing import Any

from node.errors import DestinationMisconfigured
from node.settings import ClientTlsSettings


class _WatchedSocket(ssl.SSLSocket):
    """Keeps what OpenSSL objects to: pynetdicom drops it, and a failed handshake would look like a silent peer."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except ssl.SSLError as error:
            self._keep(error)
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        try:  # in TLS 1.3 the peer refuses our certificate after the handshake
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            self._keep(error)
            raise

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:
        try:
            return super().recv_into(buffer, nbytes, flags)
        except ssl.SSLError as error:
            self._keep(error)
            raise

    def shutdown(self, how: int) -> None:
        """Never raise: pynetdicom would then not close the socket of a connection that failed."""
        with contextlib.suppress(OSError):
            super().shutdown(how)

    def _keep(self, error: ssl.SSLError) -> None:
        context = self.context
        if isinstance(context, ClientContext) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            context.objection = error.reason or type(error).__name__


class ClientContext(ssl.SSLContext):
    """A context for one association; `objection` is OpenSSL's own word for why TLS failed, such as
    CERTIFICATE_VERIFY_FAILED, None while it has not.
    """

    sslsocket_class = _WatchedSocket
    objection: str | None = None


def client_context(settings: ClientTlsSettings | None) -> ClientContext:
    """Return a context that verifies the peer; without settings by the authorities of the system.

    Raises DestinationMisconfigured when a file cannot be used.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings is None:
        context.load_default_certs()
        return context
    _load("authorities", context.load_verify_locations, str(settings.authorities))
    if settings.certificate is not None and settings.key is not None:
        _load("certificate, key", context.load_cert_chain, str(settings.certificate), str(settings.key))
    return context


def _load(key: str, load: Any, *paths: str) -> None:
    try:
        load(*paths)
    except OSError as error:  # an ssl.SSLError, too
        raise DestinationMisconfigured(f"tls: {key}: cannot be used: {type(error).__name__}") from None
