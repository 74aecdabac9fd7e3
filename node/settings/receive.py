"""`[receive]` and `[[peer]]`: the limits of the listener, and who may speak to it."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictBool, model_validator

from node.settings.destinations import ClientTlsSettings
from node.settings.values import AETitleText, Port, PositiveSeconds, SecretFile, Section


def _network(text: str) -> str:
    ip_network(text)  # raises ValueError, which says what is wrong
    return text


Network = Annotated[str, AfterValidator(_network)]
Megabytes = Annotated[int, Field(strict=True, ge=0)]


class ListenerTlsSettings(Section):
    """`[receive.tls]`: a second listener for TLS 1.2 and 1.3 (PS3.15 B.12, B.13). Client certificates are demanded.

    PEM files; a relative path starts at the settings file.
    """

    certificate: SecretFile
    key: SecretFile
    #: Who may sign the certificates of peers.
    authorities: Path
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] = 2762


class ReceiveSettings(Section):
    """`[receive]`: limits of the listener."""

    #: "stock": pynetdicom's own server, slower and without the limits on connections and PDUs.
    server: Literal["hardened", "stock"] = "hardened"
    #: Listen on `node.port` without TLS; false makes sense with `[receive.tls]` only.
    plain: StrictBool = True
    maximum_associations: Annotated[int, Field(strict=True, ge=1)] = 20
    #: Connections beyond this are closed at once; between the two an association is properly rejected.
    maximum_connections: Annotated[int, Field(strict=True, ge=1)] = 40
    maximum_connections_per_address: Annotated[int, Field(strict=True, ge=1)] = 10
    #: An association silent for so long is aborted.
    network_timeout_s: PositiveSeconds = 60
    #: A connection must ask for an association, and a PDU that has begun must end, within so long.
    pdu_timeout_s: PositiveSeconds = 30
    maximum_pdu_bytes: Annotated[int, Field(strict=True, ge=4096, le=1 << 20)] = 131072
    #: A larger object is answered 0xA700; 0: no limit.
    maximum_instance_mb: Megabytes = 4096
    #: With less free on the disk new associations are rejected as transient, and instances answered 0xA700.
    minimum_free_mb: Megabytes = 1024
    #: With so many cases waiting for the worker the same happens; 0: no limit.
    maximum_backlog: Annotated[int, Field(strict=True, ge=0)] = 0
    tls: ListenerTlsSettings | None = None

    @model_validator(mode="after")
    def _something_listens(self) -> "ReceiveSettings":
        if not self.plain and self.tls is None:
            raise ValueError("plain = false needs [receive.tls]")
        if self.maximum_connections < self.maximum_associations:
            raise ValueError("maximum_connections is smaller than maximum_associations")
        return self


class PeerSettings(Section):
    """`[[peer]]`: who may speak to the node; without any, everyone may. AE title, address and certificate must all fit.

    An AE title is no proof of anybody: give networks, or TLS with a certificate.
    """

    ae_title: AETitleText
    #: Addresses or networks that it calls from, such as "10.1.2.0/24"; empty: any.
    networks: tuple[Network, ...] = ()
    #: A name in its certificate (a DNS name or IP address of the Subject Alternative Name, or the Common Name), or
    #: "sha256:" and the fingerprint; where given, the peer is heard over TLS only.
    certificate: str = ""
    #: Everyone who is known may C-ECHO. "commit": ask for storage commitment.
    may: frozenset[Literal["store", "commit"]] = frozenset({"store"})
    #: Where the peer itself listens: for reports of storage commitment, for the two questions below and for pulls.
    host: str = ""
    port: Port | None = None
    #: Ask it by C-FIND how many instances a series has.
    ask_count: StrictBool = False
    #: Ask it by C-MOVE for the instances that a series lacks. It must know the node's AE title.
    ask_missing: StrictBool = False
    #: Over TLS, wherever the node calls it; without it in the clear.
    tls: ClientTlsSettings | None = None

    @model_validator(mode="after")
    def _can_be_called(self) -> "PeerSettings":
        called = self.ask_count or self.ask_missing or "commit" in self.may
        if called and not (self.host and self.port):
            raise ValueError('host and port are needed for ask_count, ask_missing and may = ["commit"]')
        if self.tls is not None and not (self.host and self.port):
            raise ValueError("tls is for calling it, and needs host and port")
        if self.ask_missing and not self.ask_count:
            raise ValueError("ask_missing needs ask_count: nobody else says what lacks")
        return self
