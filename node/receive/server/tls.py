"""TLS of the listener (PS3.15 B.12, B.13): 1.2 at least, and peers show a certificate."""

import hashlib
import socket
import ssl
from typing import Any

from node.errors import SettingsError
from node.receive.admission import Certificate
from node.settings import ListenerTlsSettings

#: What BCP 195 (RFC 9325) leaves of TLS 1.2; the suites of TLS 1.3 are all sound.
_CIPHERS_OF_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


def server_context(tls: ListenerTlsSettings) -> ssl.SSLContext:
    """Return the context of the TLS listener. Raises SettingsError for a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS_OF_1_2)
    context.verify_mode = ssl.CERT_REQUIRED
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0
    try:
        context.load_verify_locations(cafile=tls.authorities)
    except OSError as error:
        raise SettingsError(f"receive.tls.authorities: {_why(error)}") from error
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except OSError as error:
        raise SettingsError(f"receive.tls.certificate, receive.tls.key: {_why(error)}") from error
    return context


def certificate_of(sock: socket.socket) -> Certificate | None:
    """Return what the verified certificate of the peer says; None without TLS."""
    if not isinstance(sock, ssl.SSLSocket):
        return None
    known, encoded = sock.getpeercert(), sock.getpeercert(binary_form=True)
    if not known or encoded is None:
        return None
    subject: Any = known.get("subject", ())
    alternative: Any = known.get("subjectAltName", ())
    return Certificate(
        names=frozenset(
            [str(value) for relative in subject for key, value in relative if key == "commonName"]
            + [str(value) for kind, value in alternative if kind in {"DNS", "IP Address"}]
        ),
        fingerprint=hashlib.sha256(encoded).hexdigest(),
    )


def _why(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error.strerror or type(error).__name__)
