"""`[web]`: the page."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, StrictBool, model_validator

from node.settings.values import Port, PositiveSeconds, SecretFile, Section

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]
#: A host as a browser names it, without a port.
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,253}$")]
RoleName = Literal["viewer", "operator"]


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, seen from itself.

    >>> is_loopback("127.0.0.7"), is_loopback("localhost"), is_loopback("0.0.0.0"), is_loopback("cspine.hospital")
    (True, True, False, False)
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class WebTlsSettings(Section):
    """`[web.tls]`: the page over https. PEM files; a relative path starts at the settings file."""

    #: The certificate, and after it those between it and the authority.
    certificate: SecretFile
    key: SecretFile


class UserSettings(Section):
    """`[[web.user]]`: somebody who signs in with a password."""

    name: Name
    #: File with what `cspine-node web hash-password` printed; read at every sign-in.
    password_file: SecretFile
    role: RoleName = "viewer"
    #: Whether patient names, identifiers and UIDs are shown.
    sees_identifiers: StrictBool = False


class TokenSettings(Section):
    """`[[web.token]]`: a program that comes with "Authorization: Bearer ...". "metrics" may read /metrics alone."""

    name: Name
    token_file: SecretFile
    role: Literal["metrics", "viewer", "operator"] = "metrics"
    sees_identifiers: StrictBool = False


class OidcSettings(Section):
    """`[web.oidc]`: sign-in at an OpenID provider (OpenID Connect Core 1.0, authorization code flow)."""

    #: Its name as it stands in its tokens; "/.well-known/openid-configuration" is found below it.
    issuer: Annotated[str, Field(pattern=r"^https?://\S+$")]
    client_id: Annotated[str, Field(min_length=1)]
    client_secret_file: SecretFile
    scopes: tuple[str, ...] = ("openid", "profile")
    #: The claim with somebody's name, and the one with the groups.
    name_claim: str = "preferred_username"
    groups_claim: str = "groups"
    #: Groups that may look, that may also change, and that may see who the patient is.
    viewers: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    see_identifiers: tuple[str, ...] = ()
    #: Who may have signed the provider's certificate, where it is not one of the system's authorities.
    authorities: Path | None = None

    @model_validator(mode="after")
    def _somebody_may(self) -> "OidcSettings":
        if urlsplit(self.issuer).scheme == "http" and not is_loopback(urlsplit(self.issuer).hostname or ""):
            raise ValueError("issuer: is asked over https only")
        if not (self.viewers or self.operators):
            raise ValueError("viewers or operators: without a group nobody may do anything")
        if "openid" not in self.scopes:
            raise ValueError("scopes: openid is one of them (OpenID Connect Core 1.0, 3.1.2.1)")
        return self


class WebSettings(Section):
    """`[web]`: who may look, and where."""

    #: Address to listen on. On loopback nobody has to sign in, unless users, an OpenID provider or a foreign `url` are
    #: configured; elsewhere everybody has to.
    host: str = "127.0.0.1"
    port: Port = 8080
    #: What people type, such as "https://cspine.hospital"; links in notices start with it.
    url: Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9._:\[\]-]+)?$")] = ""
    #: Other hosts under which it answers, such as the name under which Prometheus knows it.
    names: tuple[HostName, ...] = ()
    #: Networks of proxies before it, whose word on the client's address and on https is taken.
    proxies: tuple[IPv4Address | IPv6Address | IPv4Network | IPv6Network, ...] = ()
    #: Where nobody has to sign in.
    loopback_role: RoleName = "operator"
    loopback_sees_identifiers: StrictBool = False
    #: Whoever does nothing for so long signs in again; what the page asks for by itself does not count.
    idle_s: PositiveSeconds = 1800
    #: Nobody stays signed in for longer.
    session_s: PositiveSeconds = 43200
    #: The largest file that the tester of the routes takes.
    maximum_upload_mb: Annotated[int, Field(strict=True, ge=1)] = 512
    tls: WebTlsSettings | None = None
    oidc: OidcSettings | None = None
    user: tuple[UserSettings, ...] = ()
    token: tuple[TokenSettings, ...] = ()

    @property
    def signs_in(self) -> bool:
        """Whether everybody has to sign in."""
        reached = (self.host, self._url_host, *self.names)
        return bool(self.user or self.oidc) or not all(is_loopback(name) for name in reached if name)

    @property
    def secure(self) -> bool:
        """Whether browsers reach the page over https."""
        return self.tls is not None or self.url.startswith("https://")

    @property
    def origin(self) -> str:
        """What addresses of pages start with."""
        if self.url:
            return self.url
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"

    @property
    def hosts(self) -> frozenset[str]:
        """The hosts under which the page answers, in lower case."""
        named = (*LOOPBACK_NAMES, self.host, self._url_host, *self.names)
        return frozenset(name.lower() for name in named if name and not _is_every_address(name))

    @property
    def _url_host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @model_validator(mode="after")
    def _nobody_gets_in_unasked(self) -> "WebSettings":
        complaints = _doubled("user", [user.name for user in self.user])
        complaints += _doubled("token", [token.name for token in self.token])
        if self.signs_in and not (self.user or self.oidc):
            complaints.append("beyond loopback people sign in: [[web.user]] or [web.oidc] is needed")
        if not is_loopback(self.host) and not self.url:
            complaints.append("url is needed beyond loopback: what people type, such as https://cspine.hospital")
        if self.url and not self.secure and not is_loopback(self._url_host):
            complaints.append("url: people sign in over https only; give [web.tls], or https:// with a proxy before it")
        if self.url.startswith("http://") and self.tls is not None:
            complaints.append("url: starts with https:// where there is [web.tls]")
        if self.oidc is not None and not self.url:
            complaints.append("url is needed with [web.oidc]: the provider sends people back to it")
        if complaints:
            raise ValueError("; ".join(complaints))
        return self


def _doubled(key: str, names: Sequence[str]) -> list[str]:
    return [f"{key}[{n}].name: {name!r} stands there twice" for n, name in enumerate(names) if name in names[:n]]


def _is_every_address(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False
