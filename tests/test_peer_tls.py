"""A `[[peer]]` with `tls`: whoever of the node calls it speaks TLS, to nobody else than the peer."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from pullrig import node_beside, run
from tlsarchive import FIND, GET, HELD, tls_archive
from webforms import forms, opened
from wired import Node

from node.batch.sources.query import peer_named
from node.deliver.build import peer_of
from node.doctor import network
from node.errors import DestinationMisconfigured, PeerUnreachable
from node.pull.build import archive_of
from node.scu.association import echo
from node.scu.catalogue import Catalogue
from node.scu.source import SeriesOfStudy, count_instances
from node.settings import ClientTlsSettings, Settings, load_settings, parse_settings

SERIES = SeriesOfStudy("1.2.1", "1.2.1.1")
TLS_FAILED = "TLS failed: CERTIFICATE_VERIFY_FAILED"


@pytest.fixture
def pki(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki", "ca")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "stranger", "stranger")


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "state")
    yield node
    node.journal.close()


def settings(port: int, tls: ClientTlsSettings | None, **more: Any) -> Settings:
    """Settings with an archive that is a peer, and nothing else."""
    peer = {"ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port, "ask_count": True}
    pull = {"name": "nightly", "archive": "ARCHIVE", "retrieve": "get", "pause_s": 0}
    shown = {"tls": tls.model_dump(mode="json", exclude_none=True)} if tls else {}
    return parse_settings(
        {"node": {"state_dir": "s"}, "peer": [{**peer, **shown}], "pull": [pull], **more}, name="test"
    )


def test_a_pull_from_a_peer_asks_and_fetches_over_tls(tmp_path: Path, pki: Authority) -> None:
    (tmp_path / "state").mkdir()
    with tls_archive(pki) as (port, tls), node_beside(tmp_path / "state") as node:
        told = settings(port, tls)
        archive = archive_of(told.pull[0], told)
        pull = replace(node, settings=node.settings.model_copy(update={"pull": told.pull})).pull(asked=archive)
        outcome, _ = run(pull)
        assert (outcome.document()["fetched"], node.arrivals()) == (1, sorted(held.SOPInstanceUID for held in HELD))


def test_the_doctor_asks_a_peer_over_tls_and_says_what_to_do_where_nobody_trusts_it(
    pki: Authority, stranger: Authority
) -> None:
    with tls_archive(pki) as (port, tls):
        (fine, *others) = network.look(settings(port, tls))
        assert (fine.level.name, fine.text) == ("OK", f"ARCHIVE at 127.0.0.1:{port} answers C-ECHO")
        assert others == []
        (fault,) = network.look(settings(port, tls.model_copy(update={"authorities": stranger.file})))
    assert fault.text == f"destination-misconfigured: ARCHIVE at 127.0.0.1:{port}: {TLS_FAILED}"
    assert fault.advice.startswith("authorities must have signed its certificate")


def test_a_peer_whose_key_only_a_service_is_given_is_not_asked_by_the_doctor(pki: Authority) -> None:
    with_credential = ClientTlsSettings(authorities=pki.file, certificate=Path("c"), key=Path("credential:key"))
    (found,) = network.look(settings(1, with_credential))
    assert (found.area, found.level.name) == ("peer ARCHIVE", "OK")
    assert found.text.startswith("was not asked")


def test_the_page_shows_that_a_peer_is_called_over_tls_and_echoes_it_so(
    wired: Node, pki: Authority, stranger: Authority
) -> None:
    with tls_archive(pki) as (port, tls):
        for shown, answer in ((tls, "answers"), (tls.model_copy(update={"authorities": stranger.file}), TLS_FAILED)):
            peers = settings(port, shown).model_dump()["peer"]
            with opened(wired, settings={"peer": peers}) as client:
                assert f"127.0.0.1:{port}, TLS" in client.get("/peers").text
                assert answer in client.post("/peers/ARCHIVE/echo", headers=forms(client)).text


ASKED: dict[str, Callable[[Settings], object]] = {
    "echo": lambda told: echo(peer_of(told.peer[0], told.node)),
    "count": lambda told: count_instances(peer_of(told.peer[0], told.node), [SERIES]),
    "pull": lambda told: archive_of(told.pull[0], told).studies([], [], ["1.2.1"]),
    "batch": lambda told: Catalogue(peer_named(told, "ARCHIVE")).studies([], [], ["1.2.1"]),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=ASKED)
def test_whoever_asks_a_peer_trusts_only_whom_its_authorities_have_signed(
    pki: Authority, stranger: Authority, ask: Callable[[Settings], object]
) -> None:
    with tls_archive(pki) as (port, tls):
        ask(settings(port, tls))
        with pytest.raises(DestinationMisconfigured, match=f"^ARCHIVE at 127.0.0.1:{port}: {TLS_FAILED}$"):
            ask(settings(port, tls.model_copy(update={"authorities": stranger.file})))
        with pytest.raises(DestinationMisconfigured, match="TLS failed"):  # the archive demands a certificate
            ask(settings(port, ClientTlsSettings(authorities=pki.file)))
        with pytest.raises(PeerUnreachable):
            ask(settings(port, None))


def test_the_answer_over_tls_is_that_of_the_archive(pki: Authority) -> None:
    with tls_archive(pki) as (port, tls):
        told = settings(port, tls)
        assert count_instances(peer_of(told.peer[0], told.node), [SERIES]) == {"1.2.1.1": 2}
        assert network.accepted_of(peer_of(told.peer[0], told.node), [FIND, GET]) == {FIND, GET}  # type: ignore[list-item]


def test_files_of_a_peer_start_at_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/c")
    (tmp_path / "node.toml").write_text(
        '[node]\nstate_dir = "s"\n[[peer]]\nae_title = "PACS"\nhost = "pacs"\nport = 104\n'
        '[peer.tls]\nauthorities = "ca.pem"\ncertificate = "/etc/c.pem"\nkey = "credential:key"\nserver_name = "pacs"\n'
    )
    (peer,) = load_settings(tmp_path / "node.toml").peer
    assert peer.tls == ClientTlsSettings(
        authorities=tmp_path / "ca.pem", certificate=Path("/etc/c.pem"), key=Path("/run/c/key"), server_name="pacs"
    )
