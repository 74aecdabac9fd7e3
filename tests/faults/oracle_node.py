"""`cspine-node serve` with the oracle of the tests for an engine; everything else is as the command line wires it.

    python oracle_node.py serve ...        one node
    python oracle_node.py template FLAW    reads lines "CONFIG OUTPUT", forks a node for each and prints its pid

The template has imported everything already: a node that is killed two hundred times need not import for minutes.
FLAW: "", or "early" for a negative control, a node that acknowledges instances three seconds before it stores them.
"""

import os
import signal
import sys
import threading

from oracle import OracleSegmenter

from node.bootstrap import live
from node.cli import main
from node.receive.spool import Incoming
from node.settings import ModelSettings

_EARLY_S = 3.0


class OracleEngine:
    """What the service takes for an engine; loaded at once."""

    capacity = 1
    is_ready = True
    devices = ()

    def __init__(self) -> None:
        self._segmenter = OracleSegmenter()

    def loaded(self) -> OracleSegmenter:
        return self._segmenter

    def close(self) -> None:
        """Nothing to end."""


def open_engine(model: ModelSettings) -> OracleEngine:
    """Stand in for the engine of `node.bootstrap.live`."""
    return OracleEngine()


def acknowledge_early() -> None:
    """Break the spool: it says that it has kept what it will keep later."""
    keep = Incoming.keep

    def keep_later(self: Incoming) -> None:
        later = threading.Timer(_EARLY_S, keep, [self])
        later.daemon = True
        later.start()

    Incoming.keep = keep_later  # type: ignore[assignment, method-assign]
    Incoming.discard = lambda self: None  # type: ignore[method-assign]


def template(flaw: str) -> None:
    if flaw == "early":
        acknowledge_early()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the killed
    print("ready", flush=True)
    for line in sys.stdin:
        config, output = line.split()
        pid = os.fork()
        if pid == 0:
            become(config, output)
        print(pid, flush=True)


def become(config: str, output: str) -> None:
    """Be a node of its own session, with its output in a file."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    told = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for source, target in ((nothing, 0), (told, 1), (told, 2)):
        os.dup2(source, target)
    sys.argv[1:] = ["serve", "--config", config, "--json"]
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    live.open_engine = open_engine  # type: ignore[assignment]
    if sys.argv[1] == "template":
        template(sys.argv[2])
    else:
        sys.exit(main())
