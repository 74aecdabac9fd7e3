"""Destinations and peers: who is configured, how it goes with each, and whether each answers.

    /peers                                     the page
    /peers/destinations/{name}/echo  POST      ask a destination whether it is there and knows the node
    /peers/{ae_title}/echo           POST      ask a peer the same by C-ECHO

Asked is from this process, under the AE title and with the certificates of the node. htmx gets the answer alone, a
browser without JavaScript the page with the answer in it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse

from node.deliver.build import destination_of, peer_of
from node.errors import NodeError
from node.journal.neighbours import Sender, Way, senders, ways
from node.scu.association import echo
from node.settings import DestinationSettings, DicomDestination, FolderDestination, PeerSettings, Settings
from node.web.access import Operator, Viewer
from node.web.render import page
from node.web.site import Site, TheSite

router = APIRouter()

#: Seconds that an answer may take while somebody waits for it at a page.
_PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What came of asking: `error` is None where the other side answered as it should."""

    took_ms: float
    error: NodeError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDestination:
    """A destination on the page. `address`: where it is, a line each."""

    settings: DestinationSettings
    address: Sequence[str]
    way: Way
    routes: Sequence[str]
    echo: Echo | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPeer:
    """A peer on the page. `callable`: whether it has an address to be called at."""

    settings: PeerSettings
    callable: bool
    seen: Sender | None
    echo: Echo | None = None


@router.get("/peers")
def peers(request: Request, site: TheSite, _user: Viewer) -> HTMLResponse:
    """Return the page."""
    return _page(request, site)


@router.post("/peers/destinations/{name}/echo")
def echo_destination(request: Request, name: str, site: TheSite, _user: Operator) -> HTMLResponse:
    """Ask a destination whether it is there."""
    settings = next((one for one in site.settings.destination if one.name == name), None)
    if settings is None:
        raise HTTPException(404, "no destination has this name")
    answer = _asked(lambda: destination_of(_hurried(settings), site.settings.node).reach())
    return _answer(request, site, answer, ("destination", name))


@router.post("/peers/{ae_title:path}/echo")  # an AE title may hold a slash
def echo_peer(request: Request, ae_title: str, site: TheSite, _user: Operator) -> HTMLResponse:
    """Ask a peer whether it is there."""
    settings = next((one for one in site.settings.peer if one.ae_title == ae_title), None)
    if settings is None or not _is_callable(settings):
        raise HTTPException(404, "no peer of this AE title has an address to be called at")
    answer = _asked(lambda: echo(replace(peer_of(settings, site.settings.node), timeout_s=_PATIENCE_S)))
    return _answer(request, site, answer, ("peer", ae_title))


def _hurried(settings: DestinationSettings) -> DestinationSettings:
    """Return the destination with no more patience than somebody at a page has."""
    if isinstance(settings, FolderDestination):
        return settings
    return settings.model_copy(update={"timeout_s": min(settings.timeout_s, _PATIENCE_S)})


def _asked(ask: Callable[[], None]) -> Echo:
    begun = time.perf_counter()
    error: NodeError | None = None
    try:
        ask()
    except NodeError as raised:
        error = raised
    return Echo(took_ms=1000 * (time.perf_counter() - begun), error=error)


def _answer(request: Request, site: Site, answer: Echo, asked: tuple[str, str]) -> HTMLResponse:
    if "hx-request" in request.headers:
        return page(request, "echo.html.j2", echo=answer)
    return _page(request, site, {asked: answer})


def _page(request: Request, site: Site, echoes: dict[tuple[str, str], Echo] | None = None) -> HTMLResponse:
    asked = echoes or {}
    settings = site.settings
    found, seen = ways(site.store), {sender.calling_ae: sender for sender in senders(site.store)}
    shown: dict[str, Any] = {
        "destinations": [
            ShownDestination(
                settings=one,
                address=_address(one),
                way=found.get(one.name, Way()),
                routes=[route.name for route in settings.route if one.name in route.destinations],
                echo=asked.get(("destination", one.name)),
            )
            for one in settings.destination
        ],
        "gone": {name: way for name, way in found.items() if name not in {one.name for one in settings.destination}},
        "peers": [
            ShownPeer(
                settings=one,
                callable=_is_callable(one),
                seen=seen.get(one.ae_title),
                echo=asked.get(("peer", one.ae_title)),
            )
            for one in settings.peer
        ],
        "strangers": [one for one in seen.values() if one.calling_ae not in {peer.ae_title for peer in settings.peer}],
        "listener": _listener(settings),
    }
    return page(request, "peers.html.j2", **shown)


def _address(settings: DestinationSettings) -> Sequence[str]:
    if isinstance(settings, FolderDestination):
        return (str(settings.path),)
    if isinstance(settings, DicomDestination):
        return settings.ae_title, f"{settings.host}:{settings.port}{', TLS' if settings.tls else ''}"
    return (settings.url,)


def _is_callable(settings: PeerSettings) -> bool:
    return bool(settings.host) and settings.port is not None


def _listener(settings: Settings) -> Sequence[tuple[str, str]]:
    """Return what others must know to send to the node."""
    node, receive = settings.node, settings.receive
    doors = [f"{node.host}:{node.port}"] if receive.plain else []
    doors += [f"{node.host}:{receive.tls.port}, TLS with a certificate of the peer"] if receive.tls else []
    return (("AE title", node.ae_title), ("listens at", "; ".join(doors)))
