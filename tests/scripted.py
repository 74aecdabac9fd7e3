"""An engine that follows a script, in a child process of the real kind; and the script, in the hands of a test.

A volume's first voxel is the number of its case. `Script` says what the engine does with each, hears in which order
things happen, and opens gates: all over named pipes in one folder.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from oracle import ALGORITHM, RUN

from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Segmentation
from node.domain.geometry import Grid, Volume
from node.errors import BundleError, EngineError, ImageRefused, SelfTestFailed, SettingsError
from node.segment.bundle import STARTER, Bundle, load_bundle
from node.segment.process.child import serve
from node.segment.process.messages import Start
from node.segment.process.pool import EnginePool
from node.segment.process.remote import RemoteEngine
from node.settings import ModelSettings

PATIENCE_S = 60.0

_ERRORS = {kind.code: kind for kind in (BundleError, EngineError, ImageRefused, SelfTestFailed, SettingsError)}


def volume(number: int, shape: tuple[int, int, int] = (2, 3, 4), dtype: str = "int16") -> Volume:
    """Return the volume of a case."""
    voxels = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    voxels[0, 0, 0] = number
    affine = np.array([[3.3, 0.1 / 3, 0, -14.2], [0, 0.43, 1e-17, -10.0], [0, -1, 0.43, 1 / 3], [0, 0, 0, 1]])
    return Volume(grid=Grid(shape=shape, affine=affine), voxels=voxels, sources=(), acquired_in_3d=False)


class Script:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        os.mkfifo(folder / "events")
        self._events = os.open(folder / "events", os.O_RDWR | os.O_NONBLOCK)
        self._gates: dict[int, int] = {}
        self._heard: list[str] = []
        self._rest = ""
        self.write(load=[], answer={}, prepare={}, devices=1)

    @property
    def command(self) -> tuple[str, ...]:
        """What the pool starts."""
        return (sys.executable, __file__, str(self.folder))

    def pool(self, *, timeout_s: float = 1800, device: str = "auto", bundle: Bundle | None = None) -> EnginePool:
        settings = ModelSettings(timeout_s=timeout_s, device=device)
        return EnginePool(bundle or load_bundle(STARTER), settings, command=self.command, pauses_s=(0.0, 0.0))

    def write(self, **changes: Any) -> None:
        """Change the script. `load`: one word a load; `prepare`, `answer`: case number -> word; a word is an error's
        code, "kill", "stop", "spin", "exit 3", "gate", "foreign", "cut" (its answer lacks a slice) or, by default,
        nothing special.
        """
        path = self.folder / "script.json"
        script = json.loads(path.read_text()) if path.exists() else {}
        for number in changes.get("answer", {}):
            if not (self.folder / f"gate {number}").exists():
                os.mkfifo(self.folder / f"gate {number}")
                self._gates[number] = os.open(self.folder / f"gate {number}", os.O_RDWR)
        path.write_text(json.dumps({**script, **changes}))

    def open_gate(self, number: int) -> None:
        """Let the case go on that waits at its gate, or will."""
        os.write(self._gates[number], b"!")

    def wait_for(self, event: str) -> None:
        """Wait until something has happened, such as "answer 1"; each happening counts once."""
        while event not in self._heard:
            ready, _, _ = select.select([self._events], [], [], PATIENCE_S)
            assert ready, f"{event} did not happen: {self._heard}"
            *lines, self._rest = (self._rest + os.read(self._events, 65536).decode()).split("\n")
            self._heard += lines
        self._heard.remove(event)

    def close(self) -> None:
        for descriptor in (self._events, *self._gates.values()):
            os.close(descriptor)


@contextmanager
def scripted(folder: Path) -> Iterator[Script]:
    script = Script(folder / "script")
    try:
        yield script
    finally:
        script.close()


def segmenting(pool: EnginePool | RemoteEngine, number: int) -> "Future[Segmentation]":
    """Segment in a thread of its own."""
    future: Future[Segmentation] = Future()

    def call() -> None:
        try:
            future.set_result(pool.segment(volume(number)))
        except Exception as error:  # noqa: BLE001 - handed to who waits
            future.set_exception(error)

    threading.Thread(target=call, daemon=True).start()
    return future


class ScriptedEngine:
    """The child's side."""

    def __init__(self, folder: Path, start: Start) -> None:
        self._folder = folder
        self._events = os.open(folder / "events", os.O_WRONLY)
        self._loads = len(list(folder.glob("load *")))
        (folder / f"load {self._loads} {os.getpid()}").touch()
        script = self._script()
        word = script["load"][self._loads] if self._loads < len(script["load"]) else ""
        self.devices = script["devices"]
        self.device = start.device if start.device != "auto" else "cpu" if self.devices == 1 else "cuda:0"
        self._do("load", 0, word)

    @property
    def algorithm(self) -> Algorithm:
        return replace(ALGORITHM, engine=f"scripted on {self.device}")

    def prepare(self, voxels: Any, grid: Grid) -> Any:
        number = int(voxels[0, 0, 0])
        self._do("prepare", number, self._script()["prepare"].get(str(number), ""))
        return number, voxels, grid

    def answer(self, prepared: Any) -> Segmentation:
        number, voxels, grid = prepared
        word = self._script()["answer"].get(str(number), "")
        self._do("answer", number, word)
        told = (voxels.dtype.str, *map(repr, grid.affine.ravel().tolist()))
        classes = (voxels % 251).astype(np.uint8)[1 if word == "cut" else 0 :]
        return Segmentation(
            classes=classes,
            meanings={1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC},
            probabilities={
                StructureKind.VERTEBRAL_BODY: 255 - classes,
                StructureKind.INTERVERTEBRAL_DISC: classes // 2,
            },
            opinions={"2d": classes % 3, "3d_fullres": classes % 2},
            algorithm=self.algorithm,
            run=replace(RUN, device=self.device, fallbacks=told),
        )

    def _script(self) -> Any:
        return json.loads((self._folder / "script.json").read_text())

    def _do(self, what: str, number: int, word: str) -> None:
        os.write(self._events, f"{what} {number}\n".encode())
        match word.split():
            case ["kill"]:
                os.kill(os.getpid(), signal.SIGKILL)
            case ["stop"]:
                os.kill(os.getpid(), signal.SIGSTOP)
            case ["exit", code]:
                os._exit(int(code))
            case ["gate"]:
                with (self._folder / f"gate {number}").open("rb", buffering=0) as gate:
                    gate.read(1)
            case ["spin"]:
                while True:
                    pass
            case ["foreign"]:
                raise ZeroDivisionError("ZZSECRET^NAME")
            case [code] if code != "cut":
                raise _ERRORS[code]("as the test asks")


def main(arguments: Sequence[str]) -> None:
    folder, descriptor = arguments
    serve(socket.socket(fileno=int(descriptor)), lambda start: ScriptedEngine(Path(folder), start))


if __name__ == "__main__":
    main(sys.argv[1:])
