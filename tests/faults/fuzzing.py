"""Sends mutated sessions at a listener from several threads, and looks after each batch what they have done to it."""

import contextlib
import hashlib
import itertools
import queue
import random
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from faults import mutations, wire
from faults.processes import Listening, until

#: Limits under which a session of the fuzz that goes silent is ended soon, and in which many at once find room.
LIMITS = {
    "maximum_associations": 64,
    "maximum_connections": 128,
    "maximum_connections_per_address": 128,
    "network_timeout_s": 3,
    "pdu_timeout_s": 2,
}
_THREADS = 8
#: A session that is left to itself has to be ended by the listener within its time-outs.
_SILENCE_S = 20.0


@dataclass(slots=True)
class Fuzz:
    """What came of the sessions so far; `faults` names what was wrong, with the sessions of its batch."""

    listener: Listening
    seed: int
    #: How long threads and descriptors may take to go back.
    patience_s: float = 30.0
    sessions: int = 0
    faults: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)
    _threads: int = 0
    _descriptors: int = 0
    _stores: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def begin(self) -> None:
        """Send every valid session, several at a time, and remember how much the listener holds when it is idle."""
        numbers = list(range(64))
        for number in numbers[:8]:
            assert self._valid(number), f"the valid session {number} is not answered"
        self._spread(numbers, lambda number: "valid" if self._valid(number) else "fault")
        assert self.endings == {"valid": 64}
        assert until(lambda: self._is_idle_since() > 0.5)
        self._threads, self._descriptors = self.listener.threads(), self.listener.descriptors()

    def _valid(self, number: int) -> bool:
        """Send a recorded session as it is: every message is answered, and the release too."""
        steps = mutations.recorded(number, number)
        messages = sum(step.kind == wire.P_DATA and any(item[1] == 3 for item in step.pdvs) for step in steps)
        with contextlib.suppress(OSError, EOFError), wire.Line(self.listener.port) as line:
            if line.associate() and line.accepted == {1, 3, 5}:
                line.send(b"".join(step.encoded() for step in steps))
                answers = [line.answer().field & 0x8000 for _ in range(messages)]
                return all(answers) and line.receive()[0] == wire.RELEASE_RP
        return False

    def _is_idle_since(self) -> float:
        before = self.listener.threads(), self.listener.descriptors()
        threading.Event().wait(0.6)
        return 1.0 if before == (self.listener.threads(), self.listener.descriptors()) else 0.0

    def after_handshake(self, first: int, count: int) -> None:
        """Send sessions `first` to `first + count - 1` after a handshake, then look."""
        self._spread(range(first, first + count), self._session)
        self._look(f"sessions {first} to {first + count - 1} of seed {self.seed}")

    def before_handshake(self, first: int, count: int) -> None:
        """Send mutated requests for an association, then look."""
        self._spread(range(first, first + count), self._request)
        self._look(f"requests {first} to {first + count - 1} of seed {self.seed}")

    def _spread(self, numbers: "range | list[int]", act: "object") -> None:
        waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in numbers:
            waiting.put(number)
        lock = threading.Lock()

        def work() -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    number = waiting.get_nowait()
                    ending = act(number)  # type: ignore[operator]
                    with lock:
                        self.endings[ending] += 1
                        self.sessions += 1
                        if ending == "hang":
                            self.faults.append(f"the listener holds session {number} of seed {self.seed} for ever")

        threads = [threading.Thread(target=work) for _ in range(_THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _session(self, number: int) -> str:
        content = mutations.session(self.seed, number)
        for _ in range(50):
            try:
                with wire.Line(self.listener.port, patience_s=_SILENCE_S) as line:
                    if line.associate():
                        return self._end(line, content, random.Random(number))
            except (OSError, EOFError):
                pass
            threading.Event().wait(0.1)
        return "no association"

    def _request(self, number: int) -> str:
        try:
            with wire.Line(self.listener.port, patience_s=_SILENCE_S) as line:
                return self._end(line, mutations.request(self.seed, number), random.Random(number))
        except OSError:
            return "no connection"

    def _end(self, line: wire.Line, content: bytes, chance: random.Random) -> str:
        """Send, then end the connection in one of the ways in which peers do."""
        way = chance.random()
        try:
            line.send(content)
            if way < 0.2:
                line.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return "reset"
            if way < 0.98:
                line.socket.shutdown(socket.SHUT_WR)
            while line.socket.recv(65536):
                pass
        except TimeoutError:
            return "hang"
        except OSError:
            return "closed on us"
        return "half-closed" if way < 0.98 else "left to the listener"

    def _look(self, what: str) -> None:
        """An echo, a store, and nothing left of what was there before."""
        complaints = []
        if not self.listener.alive():
            complaints.append("the listener has died")
        else:
            if not wire.echo(self.listener.port):
                complaints.append("no answer to a C-ECHO")
            complaints += self._stores_right()
            if not until(lambda: self.listener.threads() <= self._threads, self.patience_s):
                complaints.append(f"{self.listener.threads()} threads, {self._threads} at first")
            if not until(lambda: self.listener.descriptors() <= self._descriptors, self.patience_s):
                complaints.append(f"{self.listener.descriptors()} descriptors, {self._descriptors} at first")
            if not until(lambda: not self.listener.leftovers(), 5):
                complaints.append(f"{len(self.listener.leftovers())} temporary files left")
        self.faults += [f"after {what}: {complaint}" for complaint in complaints]

    def _stores_right(self) -> list[str]:
        """Store an instance and find its bytes in the spool."""
        uid = f"1.2.826.0.1.3680043.9.3811.9.{next(self._stores)}"
        series = f"{uid}.1"
        content = mutations.data_set(uid.encode(), series.encode())
        status = wire.store(self.listener.port, uid, content)
        if status != 0:
            return [f"a valid C-STORE got {status}"]
        folder = self.listener.state_dir / "spool" / hashlib.sha256(series.encode()).hexdigest()[:32]
        kept = [path.read_bytes() for path in folder.glob("*.dcm")] if folder.is_dir() else []
        return (
            []
            if [item.endswith(content) for item in kept] == [True]
            else ["an acknowledged instance is not in the spool"]
        )


def crashes(log: Path) -> list[str]:
    """Return the lines of a process's output that tell of an error nobody caught."""
    return [
        line for line in log.read_text(errors="replace").splitlines() if "Traceback" in line or "Exception in" in line
    ]


def rate(fuzz: Fuzz, begun_s: float) -> float:
    """Return sessions a second."""
    return round(fuzz.sessions / (time.monotonic() - begun_s), 1)
