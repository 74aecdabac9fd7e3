"""E-mail over SMTP (RFC 5321): submission with STARTTLS or TLS, or a relay on this machine."""

import contextlib
import smtplib
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from node.errors import DeliveryError, DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.log import get_logger
from node.notify.channel import secret
from node.notify.message import Message
from node.notify.patience import Patience
from node.scu.tls import ClientContext, client_context
from node.settings import MailSettings

#: Replies from here on are for good (RFC 5321 4.2.1).
_PERMANENT = 500


class Mail:
    """A mail server that takes notices for some addresses. `clock`: seconds since 1970, for the Date."""

    def __init__(self, settings: MailSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._patience = Patience()

    def send(self, message: Message) -> None:
        """Send a message to all addresses. Raises PeerUnreachable, RequestFailed or DestinationMisconfigured.

        Where the server takes it for some addresses only it is sent: the others are logged, by their number.
        """
        with self._session() as server:
            refused = server.send_message(self._letter(message), self._settings.sender, self._settings.to)
        if refused:
            get_logger().warning("notice refused for some", notify=self._settings.name, addresses=len(refused))

    def reach(self) -> None:
        """Connect, sign in and leave. Raises what `send` raises."""
        with self._session() as server:
            server.noop()

    def hang_up(self) -> None:
        """End the session under way, and each that is begun later."""
        self._patience.end()

    def _letter(self, message: Message) -> EmailMessage:
        letter = EmailMessage()
        letter["Subject"] = message.subject
        letter["From"] = self._settings.sender
        letter["To"] = ", ".join(self._settings.to)
        letter["Date"] = formatdate(self._clock())
        letter["Message-ID"] = f"<{message.identity}@{self._settings.sender.rpartition('@')[2]}>"
        letter["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation message is to answer
        letter.set_content("\n".join(message.lines) + "\n")
        return letter

    @contextlib.contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """Give a session that is signed in. Errors of smtplib become ours, without words of the server."""
        context = None if self._settings.security == "none" else client_context(self._settings.tls)
        made: list[smtplib.SMTP] = []
        try:
            with (
                self._patience.within(self._settings.timeout_s, lambda: made[0].sock if made else None),
                self._connected(context, made) as server,
            ):
                if self._settings.security == "starttls":
                    server.starttls(context=context)
                if self._settings.username and self._settings.password_file is not None:
                    server.login(self._settings.username, secret("password_file", self._settings.password_file))
                yield server
        except smtplib.SMTPException as error:
            raise self._refusal(error) from None
        except OSError as error:
            raise self._unreachable(error, context) from None

    def _connected(self, context: ClientContext | None, made: list[smtplib.SMTP]) -> smtplib.SMTP:
        """Return a session whose server has greeted; it is in `made` before."""
        place, timeout_s = (self._settings.host, self._settings.port), self._settings.timeout_s
        name = socket.gethostname() or "localhost"
        if self._settings.security == "tls":
            return _TlsSession(made, *place, local_hostname=name, timeout=timeout_s, context=context)
        return _Session(made, *place, local_hostname=name, timeout=timeout_s)

    def _refusal(self, error: smtplib.SMTPException) -> DeliveryError:
        who = self._settings.host
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return PeerUnreachable(f"{who} ended the connection")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            return DestinationMisconfigured(f"{who} offers no STARTTLS, or no way to sign in")
        code = _reply_code(error)
        text = f"{who} answered {code}" if code else f"{who} refused: {type(error).__name__}"
        return DestinationMisconfigured(text) if code >= _PERMANENT else RequestFailed(text)

    def _unreachable(self, error: OSError, context: ClientContext | None) -> DeliveryError:
        if context is not None and context.objection is not None:
            return DestinationMisconfigured(f"{self._settings.host}: TLS failed: {context.objection}")
        return PeerUnreachable(f"{self._settings.host} does not answer: {type(error).__name__}")


class _Session(smtplib.SMTP):
    """A session that is known while its server has still to greet."""

    def __init__(self, made: list[smtplib.SMTP], *place: Any, **more: Any) -> None:
        made.append(self)
        super().__init__(*place, **more)


class _TlsSession(smtplib.SMTP_SSL):
    """The same over TLS."""

    def __init__(self, made: list[smtplib.SMTP], *place: Any, **more: Any) -> None:
        made.append(self)
        super().__init__(*place, **more)


def _reply_code(error: smtplib.SMTPException) -> int:
    """Return the reply of the server (RFC 5321 4.2), 0 where it gave none."""
    if isinstance(error, smtplib.SMTPResponseException):
        return int(error.smtp_code)
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return max((code for code, _ in error.recipients.values()), default=0)
    return 0
