"""A webhook: one POST of JSON a message, signed as the Standard Webhooks specification 1.0 has it.

    webhook-id: <the same for the same content>
    webhook-timestamp: <seconds since 1970>
    webhook-signature: v1,<base64 of HMAC-SHA256(key, "id.timestamp.body")>

It follows no redirect and takes no proxy and no password from the environment. An answer of 2xx has taken the message.
"""

import base64
import binascii
import hashlib
import hmac
import socket
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from node.domain.product import MODEL_NAME
from node.errors import DeliveryError, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.notify.channel import secret
from node.notify.message import Message
from node.notify.patience import Patience
from node.scu.tls import ClientContext, client_context
from node.settings import WebhookSettings

#: In front of a key in base64, by the specification.
_KEY_PREFIX = "whsec_"
#: Answers that say that the address or the secret is wrong (RFC 9110 15.5).
_WRONG = frozenset({401, 403, 404, 405, 410})


class Webhook:
    """An address that takes notices. `clock`: seconds since 1970, for the signature."""

    def __init__(self, settings: WebhookSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._patience = Patience()

    def send(self, message: Message) -> None:
        """Post a message. Raises PeerUnreachable, RequestFailed or DestinationMisconfigured."""
        url = self._url()
        headers = {"Content-Type": "application/json", "User-Agent": MODEL_NAME, **self._signature(message)}
        context = self._context(url)
        try:
            status = self._status(url, message.body, headers, context)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self._unreachable(error, context) from None
        if not 200 <= status < 300:
            raise self._refusal(status)

    def reach(self) -> None:
        """Open a connection, with TLS for https, and close it. Raises PeerUnreachable or DestinationMisconfigured."""
        url = self._url()
        parts = urlsplit(url)
        context = self._context(url)
        name = self._server_name() or parts.hostname or ""
        place = (parts.hostname or "", parts.port or (443 if context else 80))
        try:
            with socket.create_connection(place, timeout=self._settings.timeout_s) as plain:
                if context is not None:
                    context.wrap_socket(plain, server_hostname=name).close()
        except OSError as error:
            raise self._unreachable(error, context) from None

    def hang_up(self) -> None:
        """End the request under way, and each that is begun later."""
        self._patience.end()

    def _status(self, url: str, body: bytes, headers: Mapping[str, str], context: ClientContext | None) -> int:
        """Post a body, and return the status of the answer, of which nothing more is read. Raises what httpx raises."""
        timeout_s, streams = self._settings.timeout_s, _Streams()
        extensions = {**self._extensions(), "trace": streams.note}
        with (
            self._patience.within(timeout_s, streams.newest),
            httpx.Client(verify=context or True, trust_env=False, follow_redirects=False, timeout=timeout_s) as client,
            client.stream("POST", url, content=body, headers=headers, extensions=extensions) as answer,
        ):
            return answer.status_code

    def _url(self) -> str:
        if self._settings.url_file is None:
            return self._settings.url
        url = secret("url_file", self._settings.url_file).strip()
        if not url.startswith(("https://", "http://")):
            raise DestinationMisconfigured("url_file: holds no http or https address")
        return url

    def _context(self, url: str) -> ClientContext | None:
        return client_context(self._settings.tls) if url.startswith("https://") else None

    def _server_name(self) -> str:
        return self._settings.tls.server_name if self._settings.tls else ""

    def _extensions(self) -> dict[str, str]:
        name = self._server_name()
        return {"sni_hostname": name} if name else {}

    def _signature(self, message: Message) -> Mapping[str, str]:
        at = str(int(self._clock()))
        headers = {"webhook-id": message.identity, "webhook-timestamp": at}
        if self._settings.secret_file is None:
            return headers
        key = signing_key(secret("secret_file", self._settings.secret_file).strip())
        return {**headers, "webhook-signature": signature(key, message.identity, at, message.body)}

    def _unreachable(self, error: Exception, context: ClientContext | None) -> DeliveryError:
        """Return what went wrong, without the address: it may be a secret."""
        if context is not None and context.objection is not None:
            return DestinationMisconfigured(f"the webhook: TLS failed: {context.objection}")
        return PeerUnreachable(f"the webhook does not answer: {type(error).__name__}")

    def _refusal(self, status: int) -> DeliveryError:
        text = f"the webhook answered {status}"
        if status in _WRONG or 300 <= status < 400:
            return DestinationMisconfigured(text)
        return RequestFailed(text)


class _Streams:
    """The connection of one request, as httpcore tells of it (its trace extension)."""

    def __init__(self) -> None:
        self._stream: Any = None

    def note(self, name: str, told: Mapping[str, Any]) -> None:
        """Take down what was connected."""
        if name in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._stream = told["return_value"]

    def newest(self) -> socket.socket | None:
        """Return the socket, None before there is one."""
        opened = None if self._stream is None else self._stream.get_extra_info("socket")
        return opened if isinstance(opened, socket.socket) else None


def signing_key(text: str) -> bytes:
    """Return the key of a secret: what stands in base64 after "whsec_", or else the text itself.

    Raises DestinationMisconfigured for what is no base64.
    """
    if not text.startswith(_KEY_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_KEY_PREFIX), validate=True)
    except binascii.Error:
        raise DestinationMisconfigured("secret_file: after whsec_ stands no base64") from None


def signature(key: bytes, identity: str, at: str, body: bytes) -> str:
    """Return the value of `webhook-signature`."""
    signed = hmac.new(key, f"{identity}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
