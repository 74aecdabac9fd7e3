"""Who may speak to the node, and about what: AE title, address and certificate have to fit together.

An AE title alone proves nothing, since anybody can write it. With TLS the certificate does (PS3.15 B.12).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from node.settings import DicomDestination, PeerSettings, Settings

_FINGERPRINT = "sha256:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What a verified certificate says of its holder."""

    #: DNS names and IP addresses of the Subject Alternative Name, and the Common Name.
    names: frozenset[str]
    #: SHA-256 of the certificate in DER, in hexadecimal.
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks for an association, and how."""

    calling_ae: str
    called_ae: str
    #: IP address that the connection comes from.
    address: str
    #: None without TLS.
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What an association may be used for; C-ECHO always."""

    #: C-STORE.
    store: bool
    #: Ask for storage commitment: N-ACTION.
    commit: bool
    #: Report on storage commitment that the node has asked for: N-EVENT-REPORT.
    report: bool


class Rejection(Enum):
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)
    CALLED_AE_TITLE_NOT_RECOGNISED = (1, 1, 7)
    #: Transient: the caller may try again.
    LOCAL_LIMIT_EXCEEDED = (2, 3, 2)


def admit(settings: Settings, caller: Caller) -> Grant | Rejection:
    """Return what the caller may do, or why it may do nothing.

    Without any [[peer]] everybody may store, under whatever AE title they call the node. With peers the called AE
    title must be the node's. An archive that is to confirm by storage commitment may always report.
    """
    reports = caller.calling_ae in reporters(settings)
    if not settings.peer:
        return Grant(store=True, commit=False, report=reports)
    peer = next((peer for peer in settings.peer if is_it(peer, caller)), None)
    if peer is None and not reports:
        return Rejection.CALLING_AE_TITLE_NOT_RECOGNISED
    if caller.called_ae != settings.node.ae_title:
        return Rejection.CALLED_AE_TITLE_NOT_RECOGNISED
    may = peer.may if peer is not None else frozenset()
    return Grant(store="store" in may, commit="commit" in may, report=reports)


def reporters(settings: Settings) -> frozenset[str]:
    """Return the AE titles of the destinations that the node asks for storage commitment."""
    return frozenset(
        destination.ae_title
        for destination in settings.destination
        if isinstance(destination, DicomDestination) and destination.confirm == "commitment"
    )


def is_it(peer: PeerSettings, caller: Caller) -> bool:
    """Say whether AE title, address and certificate are all those of `peer`."""
    return (
        caller.calling_ae == peer.ae_title
        and (not peer.networks or is_within(caller.address, peer.networks))
        and (not peer.certificate or shows(caller.certificate, peer.certificate))
    )


def is_within(address: str, networks: Collection[str]) -> bool:
    """Say whether an address lies in one of the networks; an IPv4 address within IPv6 is the IPv4 address.

    >>> is_within("::ffff:10.1.2.3", ["10.1.2.0/24"])
    True
    """
    source = parsed_address(address)
    return source is not None and any(source in ip_network(network) for network in networks)


def parsed_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an IP address without the zone that it may carry; None for what is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def shows(certificate: Certificate | None, wanted: str) -> bool:
    """Say whether a certificate is the wanted one, by one of its names or by its fingerprint."""
    if certificate is None:
        return False
    if wanted.lower().startswith(_FINGERPRINT):
        return wanted[len(_FINGERPRINT) :].replace(":", "").strip().lower() == certificate.fingerprint.lower()
    address = parsed_address(wanted)
    if address is not None:
        return any(parsed_address(name) == address for name in certificate.names)
    return wanted.lower() in {name.lower() for name in certificate.names}
