"""Processes by the dozen: one template imports the node once, and each process under test is forked off it."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Nothing that a harness waits for takes longer, on the slowest machine.
PATIENCE_S = 60.0

_TESTS = Path(__file__).resolve().parents[1]


class Gone(Exception):
    """The process ended, by the fault or by itself, before it had answered."""


class Raised(Exception):
    """The command ended with an exception; `clean`: one that the service takes for a failing machine, or ends with."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__(f"{told['raised']}: {told['text']}")
        self.clean: bool = told["clean"]


class Process:
    """One forked process under test."""

    def __init__(self, pid: int, channel: socket.socket) -> None:
        self.pid = pid
        self._life = os.pidfd_open(pid)
        self._channel = channel
        self._channel.settimeout(PATIENCE_S)
        self._lines = channel.makefile("r")

    def begin(self, do: str, **arguments: Any) -> None:
        """Give a command without waiting for its answer. Raises Gone."""
        try:
            self._channel.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
        except OSError as error:
            raise Gone(str(error)) from error

    def answer(self) -> Any:
        """Wait for the answer. Raises Gone when the process ends first, Raised for the exception that it met."""
        try:
            line = self._lines.readline()
        except TimeoutError as error:
            raise AssertionError(f"process {self.pid} neither answers nor ends") from error
        except OSError as error:
            raise Gone(str(error)) from error
        if not line.endswith("\n"):
            raise Gone("the channel is closed")
        told = json.loads(line)
        if "raised" in told:
            raise Raised(told)
        return told["answer"]

    def ask(self, do: str, **arguments: Any) -> Any:
        """Give a command and return its answer. Raises Gone or Raised."""
        self.begin(do, **arguments)
        return self.answer()

    def end(self) -> None:
        """Kill the process, which may be dead already, and wait until it is."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._life, signal.SIGKILL)
        gone, _, _ = select.select([self._life], [], [], PATIENCE_S)  # its last thread, and with it every lock of files
        os.close(self._life)
        assert gone, f"process {self.pid} does not end"
        self._lines.close()
        self._channel.close()


class Template:
    """The process that all others are forked from."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE_S)
        self._socket = ours
        path = (str(_TESTS.parent), str(_TESTS), os.environ.get("PYTHONPATH"))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            environment[name] = "1"
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", "faults.forks", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        assert self._socket.recv(1) == b"+", "the template did not start"

    def fork(self) -> Process:
        """Return a new process."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [b"f"], [theirs.fileno()])
            pid = int(self._socket.recv(32))
        return Process(pid, ours)

    def close(self) -> None:
        """End the template. Its children have been ended by those who asked for them."""
        self._socket.close()
        self._popen.wait(PATIENCE_S)

    @contextlib.contextmanager
    def process(self) -> Iterator[Process]:
        """Fork a process for the length of the block."""
        process = self.fork()
        try:
            yield process
        finally:
            process.end()


def _serve(control: socket.socket) -> None:
    from faults import actor, warming  # noqa: PLC0415 - in the template alone

    warming.warm()
    control.send(b"+")
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1, 1)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            with socket.socket(fileno=descriptors[0]) as channel:
                actor.run(channel)
            os._exit(0)
        os.close(descriptors[0])
        control.send(str(pid).encode())
        _reap()


def _reap() -> None:
    """Take leave of the children that have ended; one that a tracer holds waits for the next time."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        _serve(given)
