"""The process that takes mutated files the way a received file goes: `python -m faults.file_worker JSON`.

It prints one line of JSON for each file, and one for what it holds at the end. A file must end in a sound volume or in
an error that is named under the data's faults; everything else is a fault of the node, a warning too.
"""

import contextlib
import gc
import io
import json
import logging
import os
import random
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fakes import CANARY
from faults.file_mutations import mutated
from faults.file_seeds import Seed, seeds
from faults.processes import Watched

from node import log
from node.assemble.codec.process import CODECS
from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.domain.arrivals import Arrival, Quarantined
from node.domain.geometry import Volume
from node.errors import InputError
from node.receive.spool import Received, Spool
from node.select import Accepted, select
from node.settings import Settings, parse_settings

#: Beyond what warm processes have: a leak of a few kB a file is seen after some ten thousand files.
_GROWTH_MB = 120


class Fault(Exception):
    """What a file did to the node that no file may do."""


class Way:
    """The way of a received file, from the spool to the volume."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._settings: Settings = parse_settings({"node": {"state_dir": str(state_dir)}}, name="fuzz")
        self._reported: list[Arrival | Quarantined] = []
        self._spool = Spool(state_dir, self._report)

    def _report(self, taken: Arrival | Quarantined) -> bool:
        self._reported.append(taken)
        return True

    def go(self, raw: bytes, beside: tuple[Path, ...]) -> str:
        """Return how it ended, such as "volume" or the code of an error. Raises Fault, and what nobody foresaw."""
        self._reported.clear()
        self._spool.take(Received(file_meta=b"", data_set=raw, calling_ae="FUZZ"))
        (taken,) = self._reported
        path = self._state_dir / taken.path
        try:
            _discreet(taken.path, *([taken.code, taken.text] if isinstance(taken, Quarantined) else []))
            ends = self._assembled([path, *beside], path)
        finally:
            path.unlink()
        return f"{'quarantined' if isinstance(taken, Quarantined) else 'spooled'}, {ends}"

    def _assembled(self, paths: list[Path], path: Path) -> str:
        found, unreadable = gather(paths)
        for item in unreadable:
            _discreet(str(item.error), item.error.code)
        ends = {item.path: item.error.code for item in unreadable}
        for series in found:
            verdict = select(series.header, self._settings.route)
            if not isinstance(verdict, Accepted):
                _discreet(*(reason.text for reason in verdict.reasons), *(reason.code for reason in verdict.reasons))
            try:
                _sound(build_volume(series))
                end = "volume"
            except InputError as error:
                _discreet(str(error), error.code)
                end = error.code
            ends |= {frame.path: end for frame in series.frames}
        return ends[path]


def _discreet(*texts: str) -> None:
    if any(CANARY[:8] in text for text in texts):
        raise Fault("the canary was seen in what is stored or said")
    if any(len(text) > 500 or not text.isprintable() for text in texts):
        raise Fault("a message holds what came from the file")


def _sound(volume: Volume) -> None:
    voxels, affine = volume.voxels, volume.grid.affine
    if voxels.shape != volume.grid.shape or voxels.dtype not in (np.int16, np.uint16, np.int32, np.float32):
        raise Fault("the voxels are not those of the grid")
    if not (np.isfinite(voxels).all() and np.isfinite(affine).all() and abs(np.linalg.det(affine)) > 1e-12):
        raise Fault("a volume of numbers that are none, or on no grid")


def mutant(seed: int, number: int, found: list[Seed]) -> tuple[Seed, bytes]:
    """Return file `number` of `seed`, always the same bytes, and the series that it was made of."""
    rng = random.Random(f"{seed}:{number}")
    chosen = rng.choices(found, weights=[one.weight for one in found])[0]
    small = [one.raw for one in found if len(one.raw) < 50_000]
    return chosen, mutated(chosen.raw, small, rng)


def _leak(kept: list[Any], make: Callable[[], Any]) -> None:
    kept.append(make())


def _thread() -> threading.Thread:
    thread = threading.Thread(target=threading.Event().wait, daemon=True)
    thread.start()
    return thread


def _refuse() -> None:
    raise InputError(f"no such patient: {CANARY}")


_KEPT: list[Any] = []
#: The negative controls: what each does at every file, or at the tenth.
FLAWS: dict[str, Callable[[int], Any]] = {
    "": lambda index: None,
    "crash": lambda index: index == 10 and os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda index: index == 10 and threading.Event().wait(),
    "stranger": lambda index: index == 10 and int("x"),
    "warning": lambda index: index == 10 and warnings.warn("odd", stacklevel=1),
    "canary": lambda index: index == 10 and _discreet(f"no such patient: {CANARY}"),
    "log": lambda index: index == 10 and logging.getLogger("node").warning("%s", CANARY),
    "descriptor": lambda index: _leak(_KEPT, lambda: os.open(os.devnull, os.O_RDONLY)),
    "thread": lambda index: _leak(_KEPT, _thread),
    "memory": lambda index: _leak(_KEPT, lambda: b"x" * (32 << 20)),
}


@contextlib.contextmanager
def _listening() -> Iterator[io.StringIO]:
    """Yield all that is logged, by whomever."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger().addHandler(handler)
    yield said
    logging.getLogger().removeHandler(handler)


def _holds() -> dict[str, float]:
    gc.collect()
    here = Watched(pid=os.getpid())
    children = Path(f"/proc/{here.pid}/task/{here.pid}/children").read_text().split()
    held = {"threads": here.threads(), "descriptors": here.descriptors(), "memory_mb": round(here.memory_mb(), 1)}
    return {**held, "children": len(children), "peak_mb": round(here.peak_mb(), 1)}


def _grown(before: dict[str, float], after: dict[str, float]) -> list[str]:
    limits = {"threads": 0, "descriptors": 0, "memory_mb": _GROWTH_MB, "children": 0}
    return [
        f"{name} grew from {before[name]} to {after[name]}"
        for name, more in limits.items()
        if after[name] > before[name] + more
    ]


def _one(way: Way, seed: Seed, raw: bytes, said: io.StringIO, flaw: Callable[[], Any]) -> tuple[str, str | None]:
    """Return how a file ended, and what was wrong with that."""
    try:
        ends = way.go(raw, seed.beside)
        flaw()
        if CANARY[:8] in said.getvalue():
            return "fault", "the canary was seen in the log"
    except Fault as fault:
        return "fault", str(fault)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        last = traceback.extract_tb(error.__traceback__)[-1]
        return "fault", f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {error}"
    finally:
        said.seek(0)
        said.truncate()
    return ends, None


def _tell(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Run the files that the argument names."""
    order = json.loads(sys.argv[1])
    folder = Path(order["folder"])
    log.configure(level="warning", key=None)  # as the node does; without it pydicom's logger quotes values
    warnings.simplefilter("error")
    found = seeds(folder, Path(order["real"]) if order["real"] else None)
    way = Way(folder / "state")
    before: dict[str, float] = {}
    with _listening() as said:
        for seed in found:
            ends, fault = _one(way, seed, seed.raw, said, lambda: None)
            if ends != "spooled, volume":
                raise SystemExit(f"the seed {seed.name} is not sound: {ends} {fault}")
        _tell({"ready": True})
        for index in range(order["count"]):
            if index == order["warm"]:
                before = _holds()
            number = order["first"] + index
            seed, raw = mutant(order["seed"], number, found)
            begun = time.monotonic()
            ends, fault = _one(way, seed, raw, said, lambda index=index: FLAWS[order["flaw"]](index))
            told = {"number": number, "ends": ends, "fault": fault, "from": seed.name, "s": time.monotonic() - begun}
            _tell(told)
    after = _holds()
    CODECS.close()
    _tell({"before": before, "after": after, "grown": _grown(before or after, after)})


if __name__ == "__main__":
    main()
