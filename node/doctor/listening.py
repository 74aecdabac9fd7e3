"""Ports and processes: whether the node runs and is well; where it does not, whether its ports are free."""

import errno
import socket
from collections.abc import Iterator, Mapping

from node import __version__
from node.doctor.finding import Finding, fault, fine, warning
from node.monitor.figures import Figures
from node.settings import Settings

_RUNNING = "running node"
_PATIENCE_S = 5.0
#: What to do about each reason for which nothing is taken (`node.receive.headroom`).
_CLOSED: Mapping[str, str] = {
    "disk": "make room on the disk of the state folder: cspine-node purge",
    "backlog": "wait until cases are done, or raise receive.maximum_backlog; cspine-node status shows what runs",
    "journal": "the journal cannot be asked: cspine-node journal check",
}
_HOW: Mapping[int, tuple[str, str]] = {
    errno.EADDRINUSE: ("another program listens there", "ss -ltnp shows which; stop it, or take another port"),
    errno.EACCES: (
        "may not be listened on",
        "take a port above 1023, or open lower ones by sysctl net.ipv4.ip_unprivileged_port_start; docs/units.md",
    ),
    errno.EADDRNOTAVAIL: ("is no address of this machine", 'ip address shows them; "0.0.0.0" is all of them'),
}


def look_at_node(figures: Figures | None, *, node_runs: bool) -> Iterator[Finding]:
    """Yield how the node is that runs over the state folder; `figures` are None where it does not tell them."""
    if figures is None and node_runs:
        yield fault(
            _RUNNING,
            "one runs, and does not say how it is",
            "is it of another version, or stuck? its log says more; systemctl restart cspine-node-receiver",
        )
        return
    if figures is None:
        yield warning(
            _RUNNING, "none runs over this state folder", "systemctl start cspine-node.target, or cspine-node serve"
        )
        return
    found = [*_unwell(figures)]
    yield from found or [fine(_RUNNING, f"version {figures.version} answers and takes series")]


def _unwell(figures: Figures) -> Iterator[Finding]:
    if figures.version != __version__:
        yield warning(
            _RUNNING,
            f"it has version {figures.version}, installed is {__version__}",
            "restart it: systemctl restart cspine-node-receiver cspine-node-worker cspine-node-web",
        )
    if not figures.engine_ready:
        yield warning(
            _RUNNING,
            "its engine is not loaded: series are taken, and wait",
            "wait a minute; if it stays so, its log says why: journalctl -u 'cspine-node-*'",
        )
    if figures.closed is not None:
        why = str(figures.closed)
        yield fault(_RUNNING, f"it refuses instances: {why}", _CLOSED.get(why, "its log says why"))


def look_at_ports(settings: Settings, *, node_runs: bool) -> Iterator[Finding]:
    """Yield whether somebody listens on each port where the node runs, and whether each is free where it does not."""
    node, tls = settings.node, settings.receive.tls
    if settings.receive.plain:
        yield from _port("node.port", node.host, node.port, node_runs=node_runs)
    if tls is not None:
        yield from _port("receive.tls.port", node.host, tls.port, node_runs=node_runs)
    web = settings.web
    if answers(web.host, web.port):
        yield fine("web.port", f"somebody listens on {web.host}:{web.port}")
        return
    yield from _free("web.port", web.host, web.port)
    if node_runs:
        yield warning("web page", "does not run", "systemctl start cspine-node-web, or cspine-node web")


def _port(area: str, host: str, port: int, *, node_runs: bool) -> Iterator[Finding]:
    if not port:
        yield fine(area, "0: the system chooses one")
    elif not node_runs:
        yield from _free(area, host, port)
    elif answers(host, port):
        yield fine(area, f"the node listens on {host}:{port}")
    else:
        yield fault(area, f"nobody listens on {host}:{port}, and the node runs", "restart the node with these settings")


def _free(area: str, host: str, port: int) -> Iterator[Finding]:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except OSError as error:
        text, advice = _HOW.get(error.errno or 0, (f"cannot be listened on: {error.strerror}", "look at host and port"))
        yield fault(area, f"{host}:{port} {text}", advice)
        return
    yield fine(area, f"{host}:{port} is free")


def answers(host: str, port: int) -> bool:
    """Return whether somebody takes connections there."""
    try:
        with socket.create_connection((_seen_from_here(host), port), timeout=_PATIENCE_S):
            return True
    except OSError:
        return False


def _seen_from_here(host: str) -> str:
    """Return where something that listens on every address is reached on this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound
