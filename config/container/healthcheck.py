"""Whether what runs in a container answers: exit code 0, or 1 with the reason.

    healthcheck.py node STATE_DIR       the node, at its control socket
    healthcheck.py worker SOCKET        the engine, by a connection that asks nothing
    healthcheck.py web HOST:PORT        the page, at /livez

Imports little: it runs twice a minute.
"""

import socket
import sys
import urllib.request
from pathlib import Path

_PATIENCE_S = 8.0


def node(state_dir: str) -> str | None:
    """Return what is wrong with the node over a state folder, or None."""
    from node.control import ask  # noqa: PLC0415 - the other two need nothing of the node
    from node.errors import NodeError  # noqa: PLC0415

    try:
        said = ask(Path(state_dir), {"do": "figures"}, patience_s=_PATIENCE_S)
    except (NodeError, OSError) as error:
        return str(error)
    if said is None:
        return "no node runs over this state folder"
    return str(said["error"]["message"]) if "error" in said else None


def worker(path: str) -> str | None:
    """Return what is wrong with the worker at a socket, or None."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.settimeout(_PATIENCE_S)
        try:
            door.connect(path)
        except OSError as error:
            return f"the worker does not answer: {error.strerror}"
    return None


def web(place: str) -> str | None:
    """Return what is wrong with the page at a host and port, or None."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment is for elsewhere
    try:
        with opener.open(f"http://{place}/livez", timeout=_PATIENCE_S):
            return None
    except (OSError, ValueError) as error:
        return f"the page does not answer: {error}"


def main(arguments: list[str]) -> int:
    """Print what is wrong, if anything, and return the exit code."""
    what, where = arguments
    wrong = {"node": node, "worker": worker, "web": web}[what](where)
    if wrong is None:
        return 0
    sys.stderr.write(f"{wrong}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
