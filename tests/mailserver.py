"""A small SMTP server in a thread, which takes mail as the test says (RFC 5321, RFC 3207, RFC 4954)."""

import socketserver
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class Mailbox:
    """What arrived. `says`: a reply to a command in place of 250, such as {"RCPT": "550 no such user"}."""

    says: Mapping[str, str] = field(default_factory=dict)
    starttls: ssl.SSLContext | None = None
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    #: What was said to sign in, in base64, and whether over TLS.
    signed_in: list[tuple[str, bool]] = field(default_factory=list)


class _Session(socketserver.StreamRequestHandler):
    server: "_Server"

    def handle(self) -> None:
        self.secure = False
        self.say("220 test")
        while line := self.rfile.readline():
            verb, _, rest = line.decode().strip().partition(" ")
            if verb.upper() == "QUIT":
                self.say("221 bye")
                return
            self.command(verb.upper(), rest)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.request.close()

    def command(self, verb: str, rest: str) -> None:
        box = self.server.box
        if verb in box.says:
            self.say(box.says[verb])
        elif verb == "EHLO":
            more = ["STARTTLS"] if box.starttls and not self.secure else ["AUTH PLAIN"]
            self.say(*(f"250-{word}" for word in ["test", *more]), "250 8BITMIME")
        elif verb == "STARTTLS" and box.starttls is not None:
            self.say("220 go on")
            self.request = box.starttls.wrap_socket(self.request, server_side=True)
            self.setup()
            self.secure = True
        elif verb == "AUTH":
            box.signed_in.append((rest, self.secure))
            self.say("235 in")
        elif verb == "DATA":
            self.say("354 go on")
            lines = iter(self.rfile.readline, b".\r\n")
            box.letters.append(message_from_bytes(b"".join(lines), policy=policy.default))
            self.say("250 taken")
        else:
            if verb == "RCPT":
                box.recipients.append(rest.removeprefix("TO:").strip("<>"))
            self.say("250 ok")

    def say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    box: Mailbox

    def handle_error(self, *_args: object) -> None:
        """Say nothing: a client that refuses our certificate is what the test asked for."""


@contextmanager
def mail_server(says: Mapping[str, str] | None = None, *, starttls: ssl.SSLContext | None = None) -> Iterator[Mailbox]:
    """Take mail until the block ends."""
    with _Server(("127.0.0.1", 0), _Session) as server:
        server.box = Mailbox(says=says or {}, starttls=starttls, port=server.server_address[1])
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        try:
            yield server.box
        finally:
            server.shutdown()
