"""Who may speak to the node, as tables."""

import pytest

from node.receive.admission import Caller, Certificate, Grant, Rejection, admit, is_within, shows
from node.settings import parse_settings

CALLING = Rejection.CALLING_AE_TITLE_NOT_RECOGNISED
CALLED = Rejection.CALLED_AE_TITLE_NOT_RECOGNISED
TLS = {"certificate": "c", "key": "k", "authorities": "a"}
PEERS = [
    {"ae_title": "ANY"},
    {"ae_title": "NEAR", "networks": ["10.1.2.0/24", "2001:db8::/32"]},
    {"ae_title": "PROVEN", "certificate": "pacs.hospital"},
    {"ae_title": "BOTH", "networks": ["10.1.2.3"], "certificate": "sha256:AB:CD"},
    {"ae_title": "ASKS", "may": ["store", "commit"], "host": "h", "port": 1},
    {"ae_title": "NOTHING", "may": []},
]
ARCHIVES = [
    {"name": "a", "host": "h", "port": 104, "ae_title": "ARCHIVE", "confirm": "commitment"},
    {"name": "b", "host": "h", "port": 104, "ae_title": "OTHER", "confirm": "query"},
    {"name": "c", "kind": "folder", "path": "x"},
]
STORE = Grant(store=True, commit=False, report=False)


def settings(peers=PEERS):
    return parse_settings(
        {"node": {"state_dir": "x"}, "receive": {"tls": TLS}, "peer": peers, "destination": ARCHIVES}, name="test"
    )


def caller(calling: str, address: str = "10.1.2.3", certificate: Certificate | None = None, called: str = "CSPINE"):
    return Caller(calling_ae=calling, called_ae=called, address=address, certificate=certificate)


def shown(*names: str, fingerprint: str = "abcd") -> Certificate:
    return Certificate(names=frozenset(names), fingerprint=fingerprint)


@pytest.mark.parametrize(
    ("who", "verdict"),
    [
        (caller("ANY"), STORE),
        (caller("any"), CALLING),
        (caller("STRANGER"), CALLING),
        (caller(""), CALLING),
        (caller("ANY", called="OTHER"), CALLED),
        (caller("STRANGER", called="OTHER"), CALLING),
        (caller("NEAR", "10.1.2.255"), STORE),
        (caller("NEAR", "10.1.3.0"), CALLING),
        (caller("NEAR", "::ffff:10.1.2.9"), STORE),
        (caller("NEAR", "2001:db8::1%eth0"), STORE),
        (caller("NEAR", "2001:db9::1"), CALLING),
        (caller("NEAR", "nonsense"), CALLING),
        (caller("PROVEN"), CALLING),
        (caller("PROVEN", certificate=shown("other")), CALLING),
        (caller("PROVEN", certificate=shown("x", "PACS.hospital")), STORE),
        (caller("BOTH", certificate=shown()), STORE),
        (caller("BOTH", "10.1.2.4", certificate=shown()), CALLING),
        (caller("BOTH", certificate=shown(fingerprint="abce")), CALLING),
        (caller("ASKS"), Grant(store=True, commit=True, report=False)),
        (caller("NOTHING"), Grant(store=False, commit=False, report=False)),
        (caller("ARCHIVE", "192.0.2.1"), Grant(store=False, commit=False, report=True)),
        (caller("ARCHIVE", called="OTHER"), CALLED),
        (caller("OTHER"), CALLING),
    ],
)
def test_ae_title_address_and_certificate_must_all_fit(who, verdict):
    assert admit(settings(), who) == verdict


@pytest.mark.parametrize(
    ("who", "verdict"),
    [
        (caller("STRANGER"), STORE),
        (caller("STRANGER", called="WHATEVER"), STORE),
        (caller("ARCHIVE"), Grant(store=True, commit=False, report=True)),
    ],
)
def test_without_peers_everybody_may_store_under_any_called_ae_title(who, verdict):
    assert admit(settings(peers=[]), who) == verdict


def test_an_archive_that_is_a_peer_too_may_do_both():
    peers = [{"ae_title": "ARCHIVE", "networks": ["10.0.0.0/8"]}]
    assert admit(settings(peers), caller("ARCHIVE")) == Grant(store=True, commit=False, report=True)
    assert admit(settings(peers), caller("ARCHIVE", "192.0.2.1")) == Grant(store=False, commit=False, report=True)


@pytest.mark.parametrize(
    ("certificate", "wanted", "fits"),
    [
        (shown("10.1.2.3"), "10.1.2.3", True),
        (shown("2001:DB8:0:0:0:0:0:1"), "2001:db8::1", True),
        (shown("10.1.2.3"), "10.1.2.4", False),
        (shown("a", fingerprint="00ff"), "SHA256:00:FF", True),
        (shown("sha256:00ff", fingerprint="11"), "sha256:00ff", False),
        (shown("*.hospital"), "pacs.hospital", False),
        (None, "a", False),
    ],
)
def test_a_certificate_is_known_by_a_name_an_address_or_its_fingerprint(certificate, wanted, fits):
    assert shows(certificate, wanted) is fits


def test_no_network_holds_no_address():
    assert not is_within("10.1.2.3", [])
