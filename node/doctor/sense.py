"""Settings that can be read, and make little sense."""

from collections.abc import Iterator

from node.doctor.finding import Finding, fault, fine, warning
from node.settings import DicomDestination, Settings
from node.settings.web import is_loopback

_AREA = "settings"


def look(settings: Settings) -> Iterator[Finding]:
    """Yield what somebody may not have meant."""
    found = [*_routes(settings), *_listener(settings), *_loops(settings), *_habits(settings)]
    yield from found or [fine(_AREA, "make sense")]


def _routes(settings: Settings) -> Iterator[Finding]:
    for route in settings.route:
        if not route.destinations:
            yield warning(
                _AREA,
                f"results of route {route.name} go nowhere: they stay in the state folder",
                f'name a [[destination]] in destinations of [[route]] "{route.name}"',
            )
    used = {name for route in settings.route for name in route.destinations}
    pulled = {pull.archive for pull in settings.pull}
    for destination in settings.destination:
        if destination.name not in used | pulled:
            yield warning(
                _AREA,
                f"no route sends anything to destination {destination.name}",
                f'add "{destination.name}" to destinations of a [[route]], or remove the destination',
            )


def _listener(settings: Settings) -> Iterator[Finding]:
    if is_loopback(settings.node.host):
        return
    if not settings.peer:
        yield warning(
            _AREA,
            f"everybody who reaches port {settings.node.port} may store images here",
            "give a [[peer]] with ae_title and networks for each sender; an AE title alone proves nothing",
        )
    for peer in settings.peer:
        if not peer.networks and not peer.certificate:
            yield warning(
                _AREA,
                f"peer {peer.ae_title} may call from any address",
                "give its networks, or its certificate with [receive.tls]",
            )


def _loops(settings: Settings) -> Iterator[Finding]:
    for destination in settings.destination:
        if not isinstance(destination, DicomDestination):
            continue
        here = is_loopback(destination.host) or destination.host == settings.node.host
        if here and destination.port == settings.node.port:
            yield fault(
                _AREA,
                f"destination {destination.name} is this node itself",
                "give the host and port of the archive; results must not come back here",
            )


def _habits(settings: Settings) -> Iterator[Finding]:
    if settings.log.identifiers == "plain":
        yield warning(
            _AREA,
            "the logs show UIDs as they are: with an archive at hand they name a patient",
            'set log.identifiers = "hashed" when the search for a fault is over',
        )
    if not settings.notify:
        yield warning(
            _AREA,
            "nobody is told when something fails",
            "add a [[notify]] (webhook or mail), or let Prometheus watch /metrics (docs/monitoring.md)",
        )
