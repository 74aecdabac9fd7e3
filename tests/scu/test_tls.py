"""DIMSE over TLS towards a destination, with certificates made here."""

import ssl
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import Authority
from fakes import mr_image, save
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from pynetdicom import AE, evt

from node.deliver.cstore import CStoreDestination
from node.deliver.encoding import read_parcel
from node.errors import DestinationMisconfigured, PeerUnreachable
from node.scu.association import Peer
from node.settings import ClientTlsSettings


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "ca")


def server_context(authority: Authority, pair, *, demands: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    return context


@contextmanager
def tls_scp(context: ssl.SSLContext):
    """Run a stock storage SCP over TLS; yields its port and what it has received."""
    received = []

    def store(event):
        received.append(str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(MRImageStorage, ExplicitVRLittleEndian)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, ssl_context=context, evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    try:
        yield server.server_address[1], received
    finally:
        server.shutdown()


def deliver(port: int, tmp_path: Path, tls: ClientTlsSettings | None, timeout_s: float = 20):
    peer = Peer(
        host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=timeout_s, tls=tls
    )
    parcel = read_parcel(save(mr_image(), tmp_path / "1.dcm"))
    return [answer.error for answer in CStoreDestination(peer).deliver([parcel])]


def test_an_object_is_delivered_to_a_server_whose_certificate_names_its_address(authority, tmp_path):
    context = server_context(authority, authority.signs("server", ips=("127.0.0.1",)))
    with tls_scp(context) as (port, received):
        assert deliver(port, tmp_path, ClientTlsSettings(authorities=authority.file)) == [None]
    assert received == ["1.2.3.1"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_node_shows_its_certificate_where_the_server_demands_one(authority, tmp_path, version):
    context = server_context(authority, authority.signs("server", dns=("pacs.hospital",)), demands=True)
    context.minimum_version = context.maximum_version = version
    own = authority.signs("node")
    settings = {"authorities": authority.file, "server_name": "pacs.hospital"}
    with tls_scp(context) as (port, received):
        shown = ClientTlsSettings(**settings, certificate=own.certificate, key=own.key)
        assert deliver(port, tmp_path, shown) == [None]
        with pytest.raises(DestinationMisconfigured, match=r"TLS failed: [A-Z0-9_]+$"):
            deliver(port, tmp_path, ClientTlsSettings(**settings))
    assert received == ["1.2.3.1"]


def test_a_certificate_of_another_name_is_not_trusted(authority, tmp_path):
    context = server_context(authority, authority.signs("server", dns=("pacs.hospital",)))
    with (
        tls_scp(context) as (port, received),
        pytest.raises(DestinationMisconfigured, match="TLS failed: CERTIFICATE_VERIFY_FAILED"),
    ):
        deliver(port, tmp_path, ClientTlsSettings(authorities=authority.file, server_name="another.hospital"))
    assert received == []


def test_a_certificate_of_a_stranger_is_not_trusted(authority, tmp_path):
    stranger = Authority(tmp_path / "stranger", "ca")
    context = server_context(stranger, stranger.signs("server", ips=("127.0.0.1",)))
    with (
        tls_scp(context) as (port, received),
        pytest.raises(DestinationMisconfigured, match="TLS failed: CERTIFICATE_VERIFY_FAILED"),
    ):
        deliver(port, tmp_path, ClientTlsSettings(authorities=authority.file))
    assert received == []


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(authority, tmp_path):
    context = server_context(authority, authority.signs("server", ips=("127.0.0.1",)))
    context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tls_scp(context) as (port, received), pytest.raises((DestinationMisconfigured, PeerUnreachable)):
        deliver(port, tmp_path, ClientTlsSettings(authorities=authority.file))
    assert received == []


def test_no_file_of_the_settings_is_missed_in_silence(authority, tmp_path):
    own = authority.signs("node")
    missing = tmp_path / "missing.pem"
    for tls, key in (
        (ClientTlsSettings(authorities=missing), "tls: authorities"),
        (ClientTlsSettings(authorities=own.key), "tls: authorities"),
        (ClientTlsSettings(authorities=authority.file, certificate=missing, key=own.key), "tls: certificate, key"),
    ):
        with pytest.raises(DestinationMisconfigured, match=key):
            deliver(104, tmp_path, tls)


def test_a_server_without_tls_is_never_spoken_to_in_the_clear(authority, tmp_path):
    ae = AE(ae_title="ARCHIVE")
    ae.add_supported_context(MRImageStorage, ExplicitVRLittleEndian)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        with pytest.raises((PeerUnreachable, DestinationMisconfigured)):
            deliver(server.server_address[1], tmp_path, ClientTlsSettings(authorities=authority.file), timeout_s=1)
    finally:
        server.shutdown()
