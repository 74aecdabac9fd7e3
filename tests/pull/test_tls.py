"""A pull over TLS: questions, C-GET, and C-MOVE to the node's own TLS listener; nothing where somebody is not whom the
other trusts.
"""

from pathlib import Path

import pytest
from certificates import Authority
from pullrig import node_beside, run
from tlsarchive import HELD, Mover, tls_archive

from node.errors import DestinationMisconfigured
from node.scu.association import Peer
from node.settings import ClientTlsSettings


def asked(port: int, tls: ClientTlsSettings) -> Peer:
    return Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20, tls=tls)


def test_a_pull_asks_and_fetches_over_tls(tmp_path: Path) -> None:
    pki = Authority(tmp_path / "pki", "ca")
    (tmp_path / "state").mkdir()
    with tls_archive(pki) as (port, tls), node_beside(tmp_path / "state") as node:
        peer = asked(port, tls)
        node.receive(HELD[:1])
        node.close_all()
        outcome, _ = run(node.pull(peer=peer, retrieve="get"))
        assert (outcome.document()["fetched"], node.arrivals()) == (1, ["1.2.1.1.2"])


@pytest.mark.parametrize("trusted", [True, False])
def test_an_archive_moves_into_the_tls_listener_with_a_certificate_that_is_trusted_there(
    tmp_path: Path, trusted: bool
) -> None:
    pki, other = Authority(tmp_path / "pki", "ca"), Authority(tmp_path / "other", "other")
    (tmp_path / "state").mkdir()
    own = pki.signs("own", ips=("127.0.0.1",))
    mover = Mover(pki, (pki if trusted else other).signs("mover"))
    tls = {"certificate": str(own.certificate), "key": str(own.key), "authorities": str(pki.file), "port": 0}
    with tls_archive(pki, mover) as (port, shown), node_beside(tmp_path / "state", tls=tls) as node:
        mover.port = node.tls_port
        outcome, [item] = run(node.pull(peer=asked(port, shown), retrieve="move"))
        arrived = node.arrivals()
    if trusted:
        assert (outcome.document()["fetched"], arrived) == (1, ["1.2.1.1.1", "1.2.1.1.2"])
    else:
        assert (outcome.document()["failed"], arrived) == (1, [])
        assert item.reason.text.endswith("where the AE title CSPINE listens, or cannot reach it there")


def test_an_archive_that_another_authority_has_signed_is_asked_nothing(tmp_path: Path) -> None:
    pki, other = Authority(tmp_path / "pki", "ca"), Authority(tmp_path / "other", "other")
    (tmp_path / "state").mkdir()
    with tls_archive(pki) as (port, tls), node_beside(tmp_path / "state") as node:
        peer = asked(port, tls.model_copy(update={"authorities": other.file}))
        with pytest.raises(DestinationMisconfigured, match="TLS failed"):
            run(node.pull(peer=peer, retrieve="get"))
