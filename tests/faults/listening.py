"""The listener, its spool and a journal in a process of their own: `python listening.py STATE_DIR JSON`.

Prints its ports as JSON and listens until its standard input ends. JSON: {"receive": {...}, "flaw": ""}; a flaw is a
negative control, see `FLAWS`.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from node import log
from node.domain.arrivals import Arrival, Quarantined
from node.domain.commitment import CommitmentReport, CommitmentRequest
from node.journal.arrivals import Outcome
from node.journal.journal import Journal
from node.receive.listener import Listener
from node.receive.spool import Incoming, Spool
from node.receive.traffic import Traffic
from node.settings import Settings, parse_settings


class JournalOfCommitments:
    """Keeps what is asked and what is told, in the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def asked(self, request: CommitmentRequest) -> None:
        self._journal.commitments.ask(request)

    def told(self, report: CommitmentReport) -> bool:
        return self._journal.commitments.settle(report)


def settings_of(state_dir: Path, receive: dict[str, Any]) -> Settings:
    """Return settings in which every harness of the network is a peer with all rights."""
    return parse_settings(
        {
            "node": {"state_dir": str(state_dir), "port": 0},
            "receive": {"minimum_free_mb": 0, **receive},
            "peer": [{"ae_title": "TEST", "may": ["store", "commit"], "host": "127.0.0.1", "port": 1}],
        },
        name="listening",
    )


def leak() -> None:
    """Leave the temporary file of an instance that is thrown away."""
    Incoming.discard = lambda self: None  # type: ignore[method-assign]


def forget() -> None:
    """Acknowledge what is not kept."""
    Incoming.keep = lambda self: self.discard()  # type: ignore[method-assign]


def hoard() -> None:
    """Keep a descriptor of every instance that is thrown away."""
    discard = Incoming.discard

    def discard_and_hoard(self: Incoming) -> None:
        os.dup(0)
        discard(self)

    Incoming.discard = discard_and_hoard  # type: ignore[method-assign]


FLAWS = {"leak": leak, "forget": forget, "hoard": hoard, "": lambda: None}


def main(arguments: list[str]) -> None:
    state_dir, document = Path(arguments[0]), json.loads(arguments[1])
    settings = settings_of(state_dir, document["receive"])
    log.configure(level="info", key=b"a key for tests")
    journal = Journal(state_dir / "journal.sqlite")

    def report(taken: Arrival | Quarantined) -> bool:
        if isinstance(taken, Quarantined):
            return journal.arrivals.record_quarantined(taken)
        return journal.arrivals.record(taken) is not Outcome.DUPLICATE

    spool = Spool(state_dir, report)
    FLAWS[document["flaw"]]()
    listener = Listener(settings, spool, Traffic(time.monotonic), lambda: None, JournalOfCommitments(journal))
    listener.start()
    print(json.dumps(dict(listener.ports)), flush=True)
    sys.stdin.read()
    listener.stop()
    journal.close()


if __name__ == "__main__":
    main(sys.argv[1:])
