"""What a forked process does: takes commands over its channel until a fault or the command to end."""

import gc
import json
import os
import socket
import threading
from pathlib import Path
from typing import Any

from faults import controls, subject

from node import durable, log
from node.errors import NodeError


def run(channel: socket.socket) -> None:
    """Obey until the channel closes. Every answer is one line of JSON."""
    actor = _Actor()
    with channel.makefile("r") as lines:
        for line in lines:
            command = json.loads(line)
            try:
                answer = {"answer": getattr(actor, command.pop("do"))(**command)}
            except Exception as error:  # noqa: BLE001 - the harness judges which of them are clean
                answer = {
                    "raised": type(error).__name__,
                    "clean": isinstance(error, OSError | NodeError),
                    "text": str(error),
                }
            channel.send(json.dumps(answer).encode() + b"\n")


class _Actor:
    """The commands."""

    def __init__(self) -> None:
        self._node: subject.Subject | None = None
        self._ended: list[str] = []
        threading.excepthook = lambda told: self._ended.append(told.exc_type.__name__)

    def open(
        self, state_dir: str, archive_port: int, variant: str = "", listen: bool = True, gate: bool = False
    ) -> int:
        """Open the node, and return the port that it listens on."""
        durable._DURABLE.clear()
        log.configure(level="info", key=None)
        os.umask(0o077)
        broken = controls.break_node(variant)
        self._node = subject.Subject(Path(state_dir), archive_port, gate=gate, **broken)
        return self._node.listen() if listen else 0

    def hello(self) -> bool:
        """Be there."""
        return True

    def finish(self) -> list[str]:
        """Close, work and deliver; return the errors that were met."""
        assert self._node is not None
        return self._node.finish()

    def purge(self) -> int:
        """Purge; return how many series."""
        assert self._node is not None
        return self._node.purge()

    def threads(self) -> list[str]:
        """Return what ended a thread that should have gone on."""
        return self._ended

    def retry(self) -> bool:
        """Be the operator who tries again what is quarantined."""
        assert self._node is not None
        self._node.retry()
        return True

    def check(self, state_dir: str, acknowledged: list[list[Any]], data_sets: dict[str, list[Any]]) -> list[str]:
        """Return what is wrong with what was acknowledged, and which files are torn."""
        where = Path(state_dir)
        return subject.held(where, acknowledged) + subject.torn(where, data_sets)

    def dump(self, state_dir: str) -> dict[str, str]:
        """Return a digest of all rows of each table of the journal."""
        return subject.dump(Path(state_dir))

    def judge_journal(self, state_dir: str, sound: dict[str, str], acknowledged: list[list[Any]]) -> str:
        """Return what the node makes of a journal that somebody has changed; `sound`: the dump of the unchanged one."""
        return subject.judge_journal(Path(state_dir), sound, acknowledged)

    def rebuild(self, state_dir: str, acknowledged: list[list[Any]]) -> list[str]:
        """Make the journal anew, and return what it lacks."""
        subject.rebuild(Path(state_dir))
        return subject.held(Path(state_dir), acknowledged)

    def sweep_later(self, state_dir: str, acknowledged: list[list[Any]]) -> list[str]:
        """Sweep two days later, and return what the journal lacks."""
        subject.sweep_later(Path(state_dir))
        return subject.held(Path(state_dir), acknowledged)

    def states(self, state_dir: str) -> list[str]:
        """Return the states of all cases."""
        return subject.states(Path(state_dir))

    def close(self) -> bool:
        """End the node in order."""
        assert self._node is not None
        self._node.close()
        self._node = None
        gc.collect()
        return True
