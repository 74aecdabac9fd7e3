"""A child as the node holds it: started, spoken to, ended."""

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from node.errors import EngineDied, EngineError
from node.segment.process.channel import Array, Channel
from node.segment.process.job import Job
from node.segment.process.messages import Message, Start

#: `-P`: nothing is imported from the folder that the node was started in.
COMMAND = (sys.executable, "-P", "-m", "node.segment.process.child")

#: A child that is told to end does so at once; one that cannot is killed.
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Said:
    """The child said something."""

    message: Message
    array: Array | None


class Ended:
    """The line to the child has ended, or what came over it was no message."""


class Close:
    """The node wants no more of this child."""


Event = Job | Said | Ended | Close


class EngineProcess:
    """One child. What happens to it comes in by `events`, in order; one thread reads them, sends and ends it."""

    def __init__(self, command: Sequence[str], *, stuck_s: float) -> None:
        """Start a child. One that takes nothing off the line for `stuck_s` seconds is stuck. Raises EngineDied."""
        self.events: SimpleQueue[Event] = SimpleQueue()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own, so that Ctrl-C in a terminal reaches the node alone.
                self._process = subprocess.Popen(  # noqa: S603 - this very program
                    [*command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                )
            except OSError as error:
                ours.close()
                raise EngineDied(f"the engine's process cannot be started: {error.strerror}") from error
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(stuck_s) + 1, 0))
        self._connection = ours
        self._channel = Channel(ours)
        self._reader = threading.Thread(name="engine's answers", target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def next_event(self, wait_s: float | None) -> Event | None:
        """Return what happens next, None when nothing does within `wait_s`; None waits without end."""
        try:
            return self.events.get(timeout=wait_s)
        except Empty:
            return None

    def start(self, message: Start) -> None:
        """Tell the child what to load. Raises OSError when it is gone."""
        self._channel.send(message)

    def send(self, job: Job) -> None:
        """Send a case. Raises OSError when the child is gone, BlockingIOError when it is stuck."""
        self._channel.send(job.case, job.voxels)

    def kill(self) -> str:
        """End the child with SIGKILL unless it has ended; return how it ended."""
        self._process.kill()  # does nothing to one that has ended
        return self._end(None)

    def close(self) -> str:
        """Let the child end by closing the line; return how it ended."""
        with contextlib.suppress(OSError):  # the other end may be closed already
            self._connection.shutdown(socket.SHUT_RDWR)
        return self._end(_PATIENCE_S)

    def _end(self, patience_s: float | None) -> str:
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        self._reader.join()
        self._channel.close()
        return f"ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"

    def _read(self) -> None:
        try:
            while True:
                message, array = self._channel.receive()
                self.events.put(Said(message=message, array=array))
                del message, array
        except (EOFError, EngineError):
            self.events.put(Ended())


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
