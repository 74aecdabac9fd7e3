"""The codecs' process as the node holds it: started when first asked for, kept warm, ended when it hangs.

A process that has served before may die of what came before, so the work is given to a fresh one once; a fresh one
dies of this work alone.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from node.assemble.codec.work import Answer, Work
from node.assemble.pixel_format import IntegerArray, PixelFormat
from node.errors import InputError, SystemFailed, UndecodablePixels
from node.framing import fill, receive_header, send_message

#: `-P`: nothing is imported from the folder that the node was started in.
COMMAND = (sys.executable, "-P", "-m", "node.assemble.codec.child")

#: A slow codec needs 0.2 s for a million voxels on a busy machine.
_FRAME_S = 20.0
_FRAME_S_PER_VOXEL = 1e-6
#: For the imports of a new process.
_START_S = 60.0
#: A process that closed its line has ended, or is about to.
_END_S = 5.0


class CodecProcess:
    """At most one process. Threads take turns.

    `command`: what starts it; the number of a file descriptor is added. `frame_s`: seconds for a frame, beyond which
    the codec is taken to hang; large frames get more.
    """

    def __init__(self, command: Sequence[str] = COMMAND, *, frame_s: float = _FRAME_S) -> None:
        self._command = command
        self._frame_s = frame_s
        self._turn = threading.Lock()
        self._held: _Held | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The process id; None while there is no process."""
        held = self._held
        return held.process.pid if held is not None and held.alive else None

    def decode(
        self, path: Path, place: tuple[int, int], pixel_format: PixelFormat, numbers: Sequence[int]
    ) -> list[IntegerArray]:
        """Return the cells `(rows, columns)` of the frames `numbers` (0-based) of the object at `path`.

        `place`: offset and length of its encapsulated pixel data. Raises UndecodablePixels, also when the codec hangs
        or brings its process down; UnsupportedTransferSyntax, TruncatedFile; SystemFailed where no process starts.
        """
        offset, length = place
        work = Work(pixel_format=pixel_format, numbers=tuple(numbers), length=length)
        with self._turn:
            held, fresh = self._process()
            try:
                return self._decoded(held, work, path, offset)
            except _Ended as ended:
                if fresh:
                    raise UndecodablePixels(f"the codec {ended} on the pixel data") from None
            held, _ = self._process()
            try:
                return self._decoded(held, work, path, offset)
            except _Ended as ended:
                raise UndecodablePixels(f"the codec {ended} on the pixel data") from None

    def close(self) -> None:
        """End the process, whatever it does, and start none any more. A second time does nothing."""
        self._closed = True
        held = self._held
        if held is not None:
            held.process.kill()
        with self._turn:
            self._kill()

    def _process(self) -> "tuple[_Held, bool]":
        """Return the process, and whether it has served nobody yet. Raises SystemFailed."""
        if self._held is not None and self._held.alive:
            return self._held, False
        self._drop()
        if self._closed:
            raise _closed()
        self._held = _Held(self._command)
        try:
            self._held.greet()
        except (EOFError, OSError, ValueError) as error:
            raise SystemFailed(f"the codecs' process {self._drop()} before it was ready") from error
        return self._held, True

    def _decoded(self, held: "_Held", work: Work, path: Path, offset: int) -> list[IntegerArray]:
        """Raises _Ended when the process has, and what the answers say."""
        limit_s = self._frame_s + _FRAME_S_PER_VOXEL * work.pixel_format.rows * work.pixel_format.columns
        try:
            return held.ask(work, path, offset, limit_s)
        except InputError:  # an answer, and the last one: the line is in order
            raise
        except TimeoutError:
            self._kill()
            raise UndecodablePixels(f"the codec took longer than {limit_s:.0f} s for one frame") from None
        except (EOFError, ConnectionError, LookupError, ValueError):
            ended = self._drop()
            if self._closed:
                raise _closed() from None
            raise _Ended(ended) from None
        except BaseException:  # the file, or Ctrl-C: what else is on the line belongs to nobody
            self._kill()
            raise

    def _kill(self) -> None:
        if self._held is not None:
            self._held.process.kill()
        self._drop()

    def _drop(self) -> str:
        """End the process there is; return how it ended."""
        held, self._held = self._held, None
        return "had ended" if held is None else held.end()


def _closed() -> SystemFailed:
    return SystemFailed("the codecs were closed")


class _Ended(Exception):
    """The process has ended, and how."""


class _Held:
    """A process and its line."""

    def __init__(self, command: Sequence[str]) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # A session of its own, so that Ctrl-C in a terminal reaches the node alone. What codecs print about
                # strangers' bytes is for nobody, and the pipe ends the process when the node dies.
                self.process = subprocess.Popen(  # noqa: S603 - this very program
                    [*command, str(theirs.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                )
            except OSError as error:
                ours.close()
                raise SystemFailed(f"the codecs' process cannot be started: {error.strerror}") from error
        self._line = ours

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def greet(self) -> None:
        """Wait until everything is imported."""
        self._line.settimeout(_START_S)
        receive_header(self._line)

    def ask(self, work: Work, path: Path, offset: int, limit_s: float) -> list[IntegerArray]:
        self._line.settimeout(limit_s)
        with path.open("rb") as file:
            send_message(self._line, work.header())
            if self._line.sendfile(file, offset, work.length) < work.length:
                raise EOFError
        return [self._cells(work.pixel_format) for _ in work.numbers]

    def _cells(self, pixel_format: PixelFormat) -> IntegerArray:
        answer = Answer(json.loads(receive_header(self._line))["answer"])
        if answer is not Answer.CELLS:
            raise answer.error()
        cells = np.empty((pixel_format.rows, pixel_format.columns), dtype=f"u{pixel_format.bits_allocated // 8}")
        fill(self._line, cells.reshape(-1).view(np.uint8).data)
        return cells

    def end(self) -> str:
        """End it; return how it ended. One that closed its line gets the time to say how."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._line.close()
        try:
            code = self.process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        return f"ended by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


#: The one of this process.
CODECS = CodecProcess()
atexit.register(CODECS.close)
