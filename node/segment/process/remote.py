"""The engine of a node whose networks a worker holds: the same seam as the pool, over a Unix socket.

A node goes on receiving while no worker is there. Nobody claims a case then, and one that was sent and had not begun
costs nothing: both say so with an OSError, as of a machine that lacks something for a while. The cases that a worker
was running when it died cost one attempt each.
"""

import contextlib
import errno
import itertools
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from node import __version__
from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Volume
from node.errors import EngineDied, EngineError, NodeError, unexpected
from node.log import get_logger
from node.segment.devices import Device
from node.segment.process.channel import Array, Channel
from node.segment.process.door import knocked
from node.segment.process.job import Job
from node.segment.process.line import CASES_PER_PROCESS
from node.segment.process.messages import Alive, Answer, Failure, Message, Serving
from node.segment.process.place import closed

#: How long `loaded` waits for a worker before it says that none is there.
_WAIT_S = 2.0
#: Seconds between two knocks, and without a sign of life after which a worker is given up.
_PAUSE_S = 1.0
_SILENCE_S = 60.0


class RemoteEngine:
    """A worker behind a Unix socket. Safe to use from several threads.

    `digest`: of the one bundle that may answer; empty takes any. `wait_s`, `pause_s`, `silence_s`: see above.
    """

    def __init__(
        self,
        path: Path,
        *,
        digest: str = "",
        wait_s: float = _WAIT_S,
        pause_s: float = _PAUSE_S,
        silence_s: float = _SILENCE_S,
    ) -> None:
        self._path = path
        self._digest = digest
        self._wait_s = wait_s
        self._pause_s = pause_s
        self._silence_s = silence_s
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        #: One case is sent at a time, so that the worker gets them in the order in which they are held here.
        self._sending = threading.Lock()
        self._closed = threading.Event()
        self._serving: Serving | None = None
        self._devices: tuple[Device, ...] = ()
        self._link: _Link | None = None
        #: What was said last of why no worker is there; it is not said twice.
        self._why_away = ""
        self._thread = threading.Thread(name="worker's answers", target=self._keep, daemon=True)

    def loaded(self) -> "RemoteEngine":
        """Return the engine when a worker is ready. Raises OSError while none is, EngineDied when it was closed."""
        with self._changed:
            if self._closed.is_set():
                raise closed()
            if self._thread.ident is None:
                self._thread.start()
            self._changed.wait_for(lambda: self._takes_cases or self._closed.is_set(), self._wait_s)
            if self._closed.is_set():
                raise closed()
            if not self._takes_cases:
                raise away()
        return self

    @property
    def is_ready(self) -> bool:
        """Whether a worker takes cases; it does not wait for one."""
        return self._takes_cases

    @property
    def algorithm(self) -> Algorithm:
        """What answers there."""
        return self._told().algorithm

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of the worker's machine, as it last told of them."""
        return self._devices

    @property
    def capacity(self) -> int:
        """How many cases the worker can hold at a time, running ones and ones that are made ready."""
        return CASES_PER_PROCESS * self._told().devices

    def segment(self, volume: Volume) -> Segmentation:
        """Return the classes on the grid of `volume`.

        Raises EngineError as the pool does, EngineDied also when the worker ended under the case; OSError when no
        worker has begun with it.
        """
        job = Job.of(next(self._numbers), volume)
        with self._sending:
            with self._changed:
                if self._closed.is_set():
                    raise closed()
                link = self._link
                if link is None or not self._takes_cases:
                    raise away()
                link.jobs[job.case.number] = job
            self._send(link, job)
        return job.answer.result()

    def close(self) -> None:
        """Let go of the worker; whoever waits for an answer gets EngineDied. A second time does nothing."""
        with self._changed:
            self._closed.set()
            self._changed.notify_all()
            started = self._thread.ident is not None
            if self._link is not None:
                self._link.hang_up()
        if started:
            self._thread.join()

    def __enter__(self) -> Self:
        """Return the engine; no worker is asked yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()

    @property
    def _takes_cases(self) -> bool:
        link = self._link
        return link is not None and link.takes_cases

    def _told(self) -> Serving:
        if self._serving is None:
            self.loaded()
        assert self._serving is not None  # noqa: S101 - a worker that takes cases has said it
        return self._serving

    def _send(self, link: "_Link", job: Job) -> None:
        try:
            link.channel.send(job.case, job.voxels)
        except BrokenPipeError as error:  # it is draining: what it has it answers, and it has not got this one
            with self._changed:
                link.takes_cases = False
                if link.jobs.pop(job.case.number, None) is not None:
                    raise away() from error
        except OSError:
            link.hang_up()  # half a message is there; the thread that listens settles this case with the others

    def _keep(self) -> None:
        """Knock again and again, and listen to who opens."""
        while not self._closed.is_set():
            why = self._listened()
            if why != self._why_away and not self._closed.is_set():
                get_logger().warning("no worker", text=why)
            self._why_away = why
            self._closed.wait(self._pause_s)

    def _listened(self) -> str:
        """Connect to the worker and listen until it ends; return why there is none any more."""
        try:
            link = _Link(knocked(self._path, self._silence_s))
        except OSError as error:
            return f"model.worker: {error.strerror or error}"
        with self._changed:
            self._link = link
            if self._closed.is_set():
                link.hang_up()
        why = "the worker ended"
        try:
            self._greet(link)
            while True:
                self._hear(link, *link.channel.receive())
        except TimeoutError:
            why = f"the worker gave no sign of life for {self._silence_s:g} s"
        except NodeError as error:
            why = str(error)
        except EOFError:
            pass
        except Exception as error:  # noqa: BLE001 - a thread that ends in silence would let its callers wait for ever
            why = str(unexpected(error))
        finally:
            self._part(link, why)
        return why

    def _greet(self, link: "_Link") -> None:
        """Wait until the networks are in its memory. Raises EngineError for a worker that may not answer."""
        link.connection.settimeout(None)  # loading takes minutes, and nobody has sent anything yet
        serving, _ = link.channel.receive()
        if not isinstance(serving, Serving):
            raise EngineError("what listens there is no worker")
        if serving.version != __version__:
            raise EngineError(f"the worker is of version {serving.version}, the node of {__version__}: restart both")
        if self._digest and serving.algorithm.bundle_digest != self._digest:
            raise EngineError("model.digest: the worker holds another bundle")
        link.connection.settimeout(self._silence_s)
        with self._changed:
            self._serving, link.takes_cases = serving, True
            self._changed.notify_all()
        self._why_away = ""
        get_logger().info("worker ready", devices=serving.devices)

    def _hear(self, link: "_Link", message: Message, array: Array | None) -> None:
        match message:
            case Alive(devices=devices):
                self._devices = devices
            case Answer() as answer if array is not None:
                job = self._held(link, answer.number)
                if job.case.shape != answer.shape:
                    raise EngineError("the worker answered on another grid than the case's")
                found = answer.segmentation(array)
                del link.jobs[answer.number]
                job.answer.set_result(found)
            case Failure(number=int(number)) as failure:
                job = self._held(link, number)
                del link.jobs[number]
                job.answer.set_exception(failure.error())
            case _:
                raise EngineError("the worker said something that makes no sense")

    def _held(self, link: "_Link", number: int) -> Job:
        job = link.jobs.get(number)
        if job is None:
            raise EngineError("the worker answered a case that it does not have")
        return job

    def _part(self, link: "_Link", why: str) -> None:
        """Let go of a worker: the oldest case on each of its devices ran, the others had not begun."""
        with self._changed:
            self._link = None
            self._devices = ()
            jobs = list(link.jobs.values())
            link.jobs.clear()
        link.connection.close()
        running = self._serving.devices if self._serving is not None else 0
        for place, job in enumerate(jobs):
            if self._closed.is_set():
                job.answer.set_exception(closed())
            else:
                job.answer.set_exception(EngineDied(f"{why} while it held the case") if place < running else away())


class _Link:
    """A connection to a worker, and the cases that were sent there, oldest first."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.channel = Channel(connection)
        self.jobs: dict[int, Job] = {}
        self.takes_cases = False

    def hang_up(self) -> None:
        """End the connection; who listens to it hears its end."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


def away() -> OSError:
    """Return the error of who asks for a worker while none is there."""
    return OSError(errno.ENOTCONN, "no worker holds the networks now")
