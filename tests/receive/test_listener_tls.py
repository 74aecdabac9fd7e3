"""The TLS port: who shows no certificate is not heard, and who says nothing disturbs nobody."""

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from certificates import Authority, Pair
from fakes import mr_image, save
from faults import wire
from faults.wire import Line
from peers import program
from pynetdicom import dsutils

from node.errors import SettingsError
from node.receive.listener import Listener

MR = dsutils.encode(mr_image(), False, True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ca", "hospital")


def listens(authority: Authority, **more: object) -> dict[str, object]:
    own = authority.signs("node", dns=("localhost",), ips=("127.0.0.1",))
    files = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(authority.file)}
    return {"tls": {**files, "port": 0}, **more}


def shows(authority: Authority, pair: Pair | None, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    if version is not None:
        context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("server", ["hardened", "stock"])
def test_instances_are_taken_over_tls(open_desk, authority, version, server):
    desk = open_desk(server=server, **listens(authority, plain=False))
    assert desk.listener.ports == {"tls": desk.port}
    context = shows(authority, authority.signs("pacs"), version)
    with Line(desk.port, tls=context) as line:
        assert line.associate()
        for number in (1, 2):
            data_set = (
                dsutils.encode(mr_image(number), False, True) + b"\xfc\xff\xfc\xffOB\0\0\0\x00\x10\0" + bytes(1 << 20)
            )
            assert line.ask(wire.message(3, wire.store_command(b"1.2.3.1"), data_set, 60_000)).status == 0x0000
        assert line.ask(wire.message(1, wire.echo_command())).status == 0x0000
        line.release()
    assert len(desk.files()) == 2


def test_both_ports_are_heard_and_share_the_seats(open_desk, authority):
    desk = open_desk(maximum_associations=1, **listens(authority))
    assert set(desk.listener.ports) == {"plain", "tls"}
    assert desk.port == desk.listener.ports["plain"]
    context = shows(authority, authority.signs("pacs"))
    with Line(desk.port) as plain, Line(desk.listener.ports["tls"], tls=context) as secure:
        assert plain.associate()
        assert not secure.associate()


def no_certificate(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return shows(authority, None)


def foreign_certificate(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    return shows(authority, Authority(tmp_path / "other", "other").signs("pacs"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def old_version(authority: Authority, tmp_path: Path) -> ssl.SSLContext:
    context = shows(authority, authority.signs("pacs"))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.parametrize("context", [no_certificate, foreign_certificate, old_version])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_who_has_no_certificate_of_the_authority_is_not_heard(open_desk, authority, tmp_path, context):
    desk = open_desk(**listens(authority))
    with (
        pytest.raises((OSError, EOFError)),
        Line(desk.listener.ports["tls"], tls=context(authority, tmp_path)) as line,
    ):
        line.associate()
    assert wire.echo(desk.listener.ports["tls"], tls=shows(authority, authority.signs("pacs")))


def test_silent_and_babbling_clients_of_tls_hold_nobody_up(open_desk, authority):
    desk = open_desk(**listens(authority))
    port, context = desk.listener.ports["tls"], shows(authority, authority.signs("pacs"))
    silent = [Line(port) for _ in range(3)]
    silent[1].send(b"\x16\x03\x01\x02\0\x01")
    silent[2].send(wire.associate_rq())
    assert wire.echo(port, tls=context)
    desk.listener.stop()
    for line in silent:
        line.close()


def test_a_handshake_that_takes_too_long_is_ended(open_desk, authority):
    desk = open_desk(**listens(authority, pdu_timeout_s=0.2))
    with Line(desk.listener.ports["tls"]) as line:
        line.send(b"\x16\x03\x01")
        assert line.socket.recv(99) == b""


@pytest.mark.parametrize(
    ("ae_title", "pair", "plain", "accepted"),
    [
        ("PACS", {"dns": ("pacs.hospital",)}, False, True),
        ("PACS", {"dns": ("other.hospital",)}, False, False),
        ("PACS", {"dns": ("pacs.hospital",)}, True, False),
        ("IP", {"ips": ("10.9.8.7",)}, False, True),
        ("NAME", {}, False, True),
        ("OTHER", {"dns": ("pacs.hospital",)}, False, False),
    ],
)
def test_ae_title_and_certificate_belong_together(open_desk, authority, ae_title, pair, plain, accepted):
    peers = [
        {"ae_title": "PACS", "certificate": "pacs.hospital"},
        {"ae_title": "IP", "certificate": "10.9.8.7"},
        {"ae_title": "NAME", "certificate": "some name"},
    ]
    desk = open_desk({"peer": peers}, **listens(authority))
    context = shows(authority, authority.signs("some name", **pair))
    port = desk.port if plain else desk.listener.ports["tls"]
    with Line(port, tls=None if plain else context) as line:
        assert line.associate(wire.associate_rq(calling=ae_title.encode())) is accepted


@pytest.mark.parametrize(
    ("key", "content"), [("certificate", b"no certificate"), ("key", b""), ("authorities", b"nonsense"), ("key", None)]
)
def test_a_file_that_cannot_be_used_is_named_by_its_key(desk, authority, tmp_path, key, content):
    wrong = tmp_path / "wrong.pem"
    if content is not None:
        wrong.write_bytes(content)
    tls = desk.settings.receive.model_validate(listens(authority)).tls.model_copy(update={key: wrong})
    receive = desk.settings.receive.model_copy(update={"tls": tls})
    settings = desk.settings.model_copy(update={"receive": receive})
    listener = Listener(settings, desk.spool, desk.traffic, lambda: None, desk.commitments)
    with pytest.raises(SettingsError, match=rf"receive\.tls.*{key}"):
        listener.start()
    assert listener.ports == {}


@pytest.mark.peer("dcmtk")
def test_dcmtk_stores_over_tls(open_desk, authority, tmp_path):
    desk = open_desk(**listens(authority))
    own = authority.signs("dcmtk")
    command: Callable[..., list[str]] = lambda *files: [  # noqa: E731 - the order of its arguments matters
        str(program("storescu")), "-xe", "-aec", "CSPINE", "+tls", str(own.key), str(own.certificate),
        "+cf", str(authority.file), "localhost", str(desk.listener.ports["tls"]), *files,
    ]  # fmt: skip
    done = subprocess.run(
        command(str(save(mr_image(), tmp_path / "1.dcm"))), check=False, timeout=60, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert len(desk.files()) == 1
