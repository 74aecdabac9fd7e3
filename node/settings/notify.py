"""`[[notify]]`: whom to tell when something fails, is quarantined, or works again."""

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from node.settings.destinations import ClientTlsSettings
from node.settings.values import Port, PositiveSeconds, Seconds, SecretFile, Section

#: One address, as it stands between < and > (RFC 5321 4.1.2), in ASCII.
Mailbox = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$", max_length=254)]


class Topic(Enum):
    """What somebody may be told of."""

    #: A case that did not reach every destination; a destination or a pull that fails for long.
    FAILURE = "failure"
    #: A case that cannot be segmented; received bytes that are no instance.
    QUARANTINE = "quarantine"
    #: The series of such a case is delivered after all; such a destination or pull works again.
    RECOVERY = "recovery"


class Notifying(Section):
    """What every way of telling has."""

    #: How it is called here, in logs and in the file that holds how far it was told.
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    #: What it is told of.
    on: frozenset[Topic] = Field(default=frozenset(Topic), min_length=1)
    #: After something happened, wait for more so long, and tell of all of it at once.
    group_wait_s: Seconds = 30
    #: Between two messages at least so long.
    group_interval_s: Seconds = 300
    #: A destination or a pull is told of when it has failed for so long without a success.
    failing_s: Seconds = 600
    #: The other side must have taken a message within so long.
    timeout_s: PositiveSeconds = 30
    #: Where other authorities than the system's have signed its certificate.
    tls: ClientTlsSettings | None = None


class WebhookSettings(Notifying):
    """A POST of JSON, signed as Standard Webhooks has it."""

    #: A POST of JSON to an address.
    kind: Literal["webhook"] = "webhook"
    #: Either this, or a file that holds it, where the address is itself a secret.
    url: Annotated[str, Field(pattern=r"^(https?://[^\s@]+)?$")] = ""
    #: File with the address.
    url_file: SecretFile | None = None
    #: File with the key of the signatures, "whsec_" and base64, or any text; without it nothing is signed.
    secret_file: SecretFile | None = None

    @model_validator(mode="after")
    def _one_address(self) -> "WebhookSettings":
        if bool(self.url) == (self.url_file is not None):
            raise ValueError("either url or url_file is needed, and not both")
        return self


class MailSettings(Notifying):
    """A message over SMTP."""

    #: A message over SMTP.
    kind: Literal["mail"]
    #: The mail server.
    host: Annotated[str, Field(min_length=1)]
    port: Port = 587
    #: "starttls" (RFC 3207), "tls" from the first byte (RFC 8314), or "none" for a relay on this machine.
    security: Literal["starttls", "tls", "none"] = "starttls"
    #: Empty: it is not signed in.
    username: str = ""
    #: File with the password of `username`.
    password_file: SecretFile | None = None
    #: Address that the messages come from.
    sender: Mailbox
    #: Addresses that they go to.
    to: Annotated[tuple[Mailbox, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _can_sign_in(self) -> "MailSettings":
        if bool(self.username) != (self.password_file is not None):
            raise ValueError("username and password_file come together")
        if self.username and self.security == "none":
            raise ValueError("security: a password is sent over TLS only")
        if self.tls is not None and self.security == "none":
            raise ValueError('security: "none" takes no tls')
        return self


def _kind(value: Any) -> str:
    kind = value.get("kind", "webhook") if isinstance(value, dict) else value.kind
    return kind if isinstance(kind, str) else ""


NotifySettings = Annotated[
    Annotated[WebhookSettings, Tag("webhook")] | Annotated[MailSettings, Tag("mail")],
    Discriminator(_kind, custom_error_type="kind", custom_error_message='kind must be "webhook" or "mail"'),
]
