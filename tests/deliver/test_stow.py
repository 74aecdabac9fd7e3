"""Delivery over STOW-RS, against a small server in a thread and Orthanc's DICOMweb plugin."""

import base64
import logging
import ssl
import threading
from pathlib import Path

import pytest
from certificates import Authority
from fakes import CANARY, mr_image, save
from peers import program
from pydicom.uid import RLELossless
from webserver import Reply, web_server

from node.deliver.encoding import read_parcel
from node.deliver.stow.destination import StowRsDestination
from node.demo.archive import free_port, running_orthanc
from node.errors import (
    CannotUnderstand,
    DestinationMisconfigured,
    OutOfResources,
    PeerUnreachable,
    RequestFailed,
    StoreFailed,
    StoreRefused,
)
from node.settings import ClientTlsSettings, StowDestination

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@pytest.fixture
def parcel(tmp_path: Path):
    return read_parcel(save(mr_image(), tmp_path / "1.dcm"))


def destination(url: str, **more) -> StowRsDestination:
    return StowRsDestination(StowDestination(name="web", kind="stow", url=url, **{"timeout_s": 20, **more}))


def item(reason: tuple[str, int] | None = None):
    made = {"00081155": {"vr": "UI", "Value": ["1.2.3.1"]}}
    if reason:
        made[reason[0]] = {"vr": "US", "Value": [reason[1]]}
    return made


def response(*, stored=None, failed=None):
    document = {}
    if stored is not None:
        document["00081199"] = {"vr": "SQ", "Value": [stored]}
    if failed is not None:
        document["00081198"] = {"vr": "SQ", "Value": [failed]}
    return document


def refused(reason: int):
    return response(failed=item(("00081197", reason)))


def answer(reply: Reply, parcel):
    with web_server(lambda request: reply) as url:
        (said,) = destination(url).deliver([parcel])
    return said


def test_the_file_is_sent_as_it_is(parcel):
    requests = []

    def take(request):
        requests.append(request)
        return Reply(200, response(stored=item()))

    with web_server(take) as url:
        answers = list(destination(url).deliver([parcel, parcel]))
    assert [(said.error, said.note, said.unsure) for said in answers] == [(None, None, False)] * 2
    assert [(request.method, request.path) for request in requests] == [("POST", "/dicom-web/studies")] * 2
    assert requests[0].part == parcel.path.read_bytes()
    assert requests[0].headers["Accept"] == "application/dicom+json"


def test_an_object_of_some_megabytes_goes_in_one_piece(tmp_path):
    ds = mr_image()
    ds.PixelData = bytes(range(256)) * 20_000
    parcel, bodies = read_parcel(save(ds, tmp_path / "large.dcm")), []

    def take(request):
        bodies.append((request.headers.get("Transfer-Encoding"), request.part == parcel.path.read_bytes()))
        return Reply(200, response(stored=item()))

    with web_server(take) as url:
        assert [said.error for said in destination(url).deliver([parcel])] == [None]
    assert bodies == [(None, True)]


@pytest.mark.parametrize(
    ("reply", "error", "note", "unsure"),
    [
        (Reply(200), None, None, False),
        (Reply(200, b"<html>"), None, None, False),
        (Reply(202, response(stored=item(("00081196", 0xB000)))), None, "warning 0xB000", False),
        (Reply(202, b"<html>"), None, "202 without a readable account of the object", True),
        (Reply(200, refused(0x0122)), StoreRefused, None, False),
        (Reply(200, [refused(0x0122)]), StoreRefused, None, False),
        (Reply(409, refused(0x0110)), StoreFailed, None, False),
        (Reply(409, refused(0x0111)), None, "0x0111: the destination had this object already", True),
        (Reply(409, refused(0xA700)), OutOfResources, None, False),
        (Reply(409, refused(0xA900)), StoreRefused, None, False),
        (Reply(409, refused(0xC000)), CannotUnderstand, None, False),
        (Reply(409, refused(0xC122)), StoreRefused, None, False),
        (Reply(409, response(failed=item())), StoreFailed, None, False),
        (Reply(409, b"<html>"), StoreFailed, None, False),
        (Reply(400), CannotUnderstand, None, False),
        (Reply(415), CannotUnderstand, None, False),
        (Reply(408), StoreFailed, None, False),
        (Reply(413), StoreFailed, None, False),
        (Reply(500), StoreFailed, None, False),
        (Reply(429), OutOfResources, None, False),
        (Reply(503), OutOfResources, None, False),
        (Reply(507), OutOfResources, None, False),
    ],
)
def test_the_answer_decides(parcel, reply, error, note, unsure):
    said = answer(reply, parcel)
    assert (type(said.error), said.note, said.unsure) == (error or type(None), note, unsure)


@pytest.mark.parametrize(
    ("status", "error"),
    [(code, DestinationMisconfigured) for code in (301, 307, 401, 403, 404, 405, 501)]
    + [(502, PeerUnreachable), (504, PeerUnreachable)],
)
def test_what_is_wrong_with_the_way_is_raised(parcel, status, error):
    with pytest.raises(error):
        answer(Reply(status, headers={"Location": "http://127.0.0.1:1/elsewhere"}), parcel)


@pytest.mark.parametrize(("text", "seconds"), [("120", 120.0), ("", 0.0), ("soon", 0.0), ("-1", 0.0), ("9" * 30, 0.0)])
def test_a_server_may_say_when_to_come_back(parcel, text, seconds):
    assert answer(Reply(503, headers={"Retry-After": text}), parcel).error.retry_after_s == seconds


def test_nobody_listening_is_unreachable(parcel):
    where = destination(f"http://127.0.0.1:{free_port()}/dicom-web")
    for ask in (lambda: list(where.deliver([parcel])), lambda: list(where.confirm([parcel])), where.reach):
        with pytest.raises(PeerUnreachable, match=r"^127.0.0.1:\d+ does not answer: ConnectionError$"):
            ask()


def test_a_server_that_is_silent_is_unreachable(parcel):
    over = threading.Event()

    def silent(_request):
        over.wait(20)
        return Reply()

    with web_server(silent) as url:
        with pytest.raises(PeerUnreachable):
            list(destination(url, timeout_s=0.2).deliver([parcel]))
        over.set()


def test_a_server_that_takes_no_compressed_object_gets_it_decompressed(tmp_path):
    ds = mr_image()
    ds.PixelData = bytes(range(32))
    ds.compress(RLELossless, generate_instance_uid=False)
    parcel, parts = read_parcel(save(ds, tmp_path / "compressed.dcm")), []

    def take(request):
        parts.append(request.part)
        return Reply(200, response(stored=item())) if len(parts) == 2 else Reply(409, refused(0xC122))

    with web_server(take) as url:
        (said,) = destination(url).deliver([parcel])
    assert (said.error, said.note) == (None, "sent uncompressed")
    assert parts[0] == parcel.path.read_bytes()
    assert bytes(range(32)) in parts[1]


def test_the_credentials_are_read_for_every_session_and_named_nowhere(parcel, tmp_path, capsys, caplog):
    caplog.set_level(logging.DEBUG)
    authority = Authority(tmp_path / "pki", "ca")
    context = server_side(authority)
    seen = []

    def take(request):
        seen.append(request.headers.get("Authorization"))
        return Reply(401, CANARY.encode())

    password, token = tmp_path / "password", tmp_path / "token"
    password.write_text("gehe!m\n", encoding="utf-8")
    token.write_text("abc.def\n")
    tls = ClientTlsSettings(authorities=authority.file)
    said = []
    with web_server(take, context=context) as url:
        basic = destination(url, username="cspine", password_file=password, tls=tls)
        bearer = destination(url, token_file=token, tls=tls)
        for where, then in ((basic, None), (bearer, "new.token"), (bearer, None)):
            with pytest.raises(DestinationMisconfigured) as failure:
                list(where.deliver([parcel]))
            said.append(str(failure.value))
            if then:
                token.write_text(then)
    assert seen == [f"Basic {base64.b64encode(b'cspine:gehe!m').decode()}", "Bearer abc.def", "Bearer new.token"]
    assert said == [f"{url.split('/')[2]} answered 401"] * 3
    output = capsys.readouterr()
    everything = output.out + output.err + caplog.text
    assert not any(secret in everything for secret in ("gehe!m", "abc.def", CANARY, seen[0]))


def test_credentials_that_cannot_be_read_are_for_an_operator(parcel, tmp_path):
    missing, broken = tmp_path / "missing", tmp_path / "broken"
    broken.write_text("two\nlines")
    for more in ({"username": "cspine", "password_file": missing}, {"token_file": missing}, {"token_file": broken}):
        with pytest.raises(DestinationMisconfigured):
            list(destination("https://127.0.0.1:1/x", **more).deliver([parcel]))


def server_side(authority: Authority, *, demands: bool = False, **names) -> ssl.SSLContext:
    pair = authority.signs("server", **(names or {"ips": ("127.0.0.1",)}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if demands:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    return context


def test_the_node_shows_its_certificate_and_looks_at_the_name(parcel, tmp_path):
    authority = Authority(tmp_path / "pki", "ca")
    own = authority.signs("node")
    shown = {"certificate": own.certificate, "key": own.key}
    context = server_side(authority, demands=True, dns=("pacs.hospital",))
    with web_server(lambda request: Reply(200, response(stored=item())), context=context) as url:

        def errors(**tls):
            where = destination(url, tls=ClientTlsSettings(authorities=authority.file, **tls))
            return [said.error for said in where.deliver([parcel])]

        assert errors(server_name="pacs.hospital", **shown) == [None]
        for wrong in ({"server_name": "another.hospital", **shown}, {**shown}, {"server_name": "pacs.hospital"}):
            with pytest.raises(DestinationMisconfigured, match="TLS failed"):
                errors(**wrong)


def test_a_certificate_of_a_stranger_is_not_trusted(parcel, tmp_path):
    authority, stranger = Authority(tmp_path / "pki", "ca"), Authority(tmp_path / "stranger", "ca")
    with web_server(lambda request: Reply(200), context=server_side(stranger)) as url:
        for tls in (ClientTlsSettings(authorities=authority.file), None):
            with pytest.raises(DestinationMisconfigured, match="TLS failed: CERTIFICATE_VERIFY_FAILED"):
                list(destination(url, tls=tls).deliver([parcel]))


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(200, [{"00080018": {"vr": "UI", "Value": ["1.2.3.1"]}}]), True),
        (Reply(200, [{"00080018": {"vr": "UI", "Value": ["1.2.3.9"]}}]), False),
        (Reply(200, []), False),
        (Reply(204), False),
        (Reply(404), False),
    ],
)
def test_an_object_is_asked_for_by_its_uids(parcel, reply, found):
    paths = []

    def take(request):
        paths.append(request.path)
        return reply

    with web_server(take) as url:
        assert [said.found for said in destination(url).confirm([parcel])] == [found]
    assert paths == ["/dicom-web/studies/1.2/series/1.2.3/instances?SOPInstanceUID=1.2.3.1"]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply(200, f"<html>{CANARY}".encode()), RequestFailed),
        (Reply(200, [{"unknown": CANARY}]), RequestFailed),
        (Reply(500, CANARY.encode()), RequestFailed),
        (Reply(401, CANARY.encode()), DestinationMisconfigured),
        (Reply(503, CANARY.encode()), OutOfResources),
    ],
)
def test_an_answer_that_cannot_be_read_is_no_absence_and_quoted_nowhere(parcel, reply, error):
    with web_server(lambda request: reply) as url, pytest.raises(error) as failure:
        list(destination(url).confirm([parcel]))
    assert "ZZSECRET" not in str(failure.value)


def test_nobody_is_named_by_asking_whether_the_server_is_there():
    paths = []

    def take(request):
        paths.append(request.path)
        return Reply(204)

    with web_server(take) as url:
        assert destination(url).reach() is None
    assert paths == ["/dicom-web/studies?StudyInstanceUID=2.25.0&limit=1"]


@pytest.mark.peer("orthanc")
@pytest.mark.skipif(not PLUGIN.exists(), reason="SKIPPED FOR WANT OF orthanc-dicomweb")
def test_orthanc_takes_an_object_and_is_asked_for_it(tmp_path: Path) -> None:
    orthanc = program("Orthanc")
    assert orthanc is not None
    there, missing = [read_parcel(save(mr_image(number), tmp_path / f"{number}.dcm")) for number in (1, 2)]
    more = {"Plugins": [str(PLUGIN)]}
    with running_orthanc(orthanc, tmp_path / "orthanc", with_rest=True, more=more) as archive:
        where = destination(f"{archive.rest_url}/dicom-web")
        where.reach()
        assert [(said.error, said.unsure) for said in where.deliver([there, there])] == [(None, False)] * 2
        assert [said.found for said in where.confirm([there, missing])] == [True, False]
