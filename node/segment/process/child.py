"""The engine's process: `python -m node.segment.process.child FD`, where FD is its end of the line to the node.

It loads one bundle onto one device and answers cases in the order in which they come, one at a time; the next one is
prepared meanwhile. It ends when the node closes the line or dies, and not before: SIGINT and SIGTERM are for the node,
which lets the running case end.
"""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Grid
from node.errors import BundleTampered, EngineError, NodeError, unexpected
from node.segment.bundle import load_bundle
from node.segment.process.channel import Array, Channel
from node.segment.process.messages import Answer, Begun, Case, Failure, Ready, Start

_PR_SET_PDEATHSIG = 1
#: When memory runs out the kernel is to take this process, not the one that listens (proc(5), oom_score_adj).
_FIRST_TO_GO = "500"

#: A case made ready, or why it could not be.
Prepared = tuple[int, Any, NodeError | None]


class Engine(Protocol):
    """What a child runs. `prepare` and `answer` are called in two threads, each in one at a time."""

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""

    @property
    def device(self) -> str:
        """Where it computes, such as "cpu" or "cuda:0"."""

    @property
    def devices(self) -> int:
        """How many devices of this kind the machine has."""

    def prepare(self, voxels: Any, grid: Grid) -> Any:
        """Make voxels ready for the networks. Raises EngineError."""

    def answer(self, prepared: Any) -> Segmentation:
        """Run the networks. Raises EngineError."""


def load_engine(start: Start) -> Engine:
    """Load what the node has verified. Raises BundleError, BundleTampered when it is another by now, SettingsError."""
    bundle = load_bundle(start.bundle)
    if bundle.digest != start.digest:
        raise BundleTampered(f"{start.bundle}: another bundle than the one that the node verified when it started")
    from node.segment.nnunet.engine import NnunetEngine  # noqa: PLC0415 - torch takes seconds to import

    return NnunetEngine(bundle, start.settings, start.device)


def serve(connection: socket.socket, load: Callable[[Start], Engine]) -> None:
    """Load an engine, then answer cases until the line is closed."""
    _outlive_signals()
    channel = Channel(connection)
    start, _ = channel.receive()
    if not isinstance(start, Start):
        return
    received: SimpleQueue[tuple[Case, Array]] = SimpleQueue()
    prepared: SimpleQueue[Prepared] = SimpleQueue()
    threading.Thread(name="receive", target=_receive, args=(channel, received), daemon=True).start()
    begun = time.monotonic()
    try:
        engine = load(start)
    except Exception as error:  # noqa: BLE001 - whatever it is, the node is told, and the process ends
        channel.send(Failure.of(_known(error), number=None, ends=True))
        return
    seconds = time.monotonic() - begun
    channel.send(
        Ready(algorithm=engine.algorithm, device=engine.device, devices=engine.devices, seconds=round(seconds, 2))
    )
    threading.Thread(name="prepare", target=_prepare, args=(engine, channel, received, prepared), daemon=True).start()
    while _answer(engine, channel, prepared.get()):
        pass


def _receive(channel: Channel, received: SimpleQueue[tuple[Case, Array]]) -> None:
    """Take cases off the line. At its end this process has nobody to work for, whatever it is doing.

    The queue needs no limit: the node sends one case beside the running one.
    """
    with contextlib.suppress(EOFError, EngineError):
        while True:
            message, array = channel.receive()
            if not isinstance(message, Case) or array is None:
                break
            received.put((message, array))
            del message, array
    os._exit(0)


def _prepare(
    engine: Engine, channel: Channel, received: SimpleQueue[tuple[Case, Array]], prepared: SimpleQueue[Prepared]
) -> None:
    while True:
        prepared.put(_prepared(engine, channel, *received.get()))


def _prepared(engine: Engine, channel: Channel, case: Case, voxels: Array) -> Prepared:
    try:
        channel.send(Begun(number=case.number))
        return case.number, engine.prepare(voxels, case.grid), None
    except Exception as error:  # noqa: BLE001 - it costs this case, not the next one
        return case.number, None, _known(error)


def _answer(engine: Engine, channel: Channel, prepared: Prepared) -> bool:
    """Answer one case; return whether another may follow."""
    number, work, error = prepared
    found: Segmentation | None = None
    if error is None:
        try:
            found = engine.answer(work)
        except Exception as caught:  # noqa: BLE001 - it costs this case, not the next one
            error = _known(caught)
    try:
        if found is not None:
            channel.send(*Answer.of(number, found))
            return True
        failed = error or EngineError("no answer")
        # A failed kernel leaves a CUDA context in which nothing works any more. What may not be tried again is the
        # case's own fault and says nothing of the device.
        ends = failed.retryable and engine.device != "cpu"
        channel.send(Failure.of(failed, number=number, ends=ends))
    except OSError:
        return False
    return not ends


def _known(error: Exception) -> NodeError:
    return error if isinstance(error, NodeError) else unexpected(error)


def _outlive_signals() -> None:
    """Leave the end to the line, and to the death of the node's thread that holds this process."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError, AttributeError):  # where there is no Linux, the line alone has to do
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)


def main() -> None:
    """Serve the node at the other end of the descriptor in the arguments."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    connection.set_inheritable(False)
    warnings.simplefilter("ignore")  # nnU-Net and torch warn of their own ways; the node's log is no place for it
    serve(connection, load_engine)


if __name__ == "__main__":
    main()
