"""The wall clock set by an hour or ten years, either way: nothing fires early, nothing stalls."""

import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from faults import scorecard
from oracle import write_blocks
from wired import Node

from node.errors import PeerUnreachable

HOUR_S = 3600.0
YEARS_S = 10 * 365.25 * 24 * HOUR_S
STEPS_S = (HOUR_S, -HOUR_S, YEARS_S, -YEARS_S)

#: Of the default settings.
_QUIET_S, _QUIET_AFTER_RESTART_S, _LEASE_S, _RETRY_CAP_S = 30.0, 120.0, 60.0, 900.0


@dataclass(slots=True)
class _Scene:
    """A node in memory whose clocks the scene turns."""

    folder: Path
    files: Sequence[Path]
    step_s: float
    #: Turns the wrong clock: the control.
    both: bool = False

    def node(self, clock: object = None) -> Node:
        """Return the node, or the node after a restart."""
        return Node(self.folder / "state", clock=clock)  # type: ignore[arg-type]

    def step(self, node: Node) -> None:
        """Set the wall clock; as a control also the one that should be monotonic."""
        node.clock.set_by_s += self.step_s
        if self.both:
            node.clock.now += self.step_s


def waiting(scene: _Scene) -> list[str]:
    """Step while a series waits to be complete."""
    node = scene.node()
    node.receive(scene.files)
    node.flow.close()
    scene.step(node)
    node.clock.now += _QUIET_S - 1
    early = node.flow.close().cases
    node.clock.now += 2
    late = node.flow.close().cases
    node.journal.close()
    return _told("a case", early, late)


def restarted(scene: _Scene) -> list[str]:
    """Step while the node is down and a series waits."""
    node = scene.node()
    node.receive(scene.files)
    node.flow.close()
    node.journal.close()
    scene.step(node)
    again = scene.node(node.clock)
    again.clock.now += _QUIET_AFTER_RESTART_S - 1
    early = again.flow.close().cases
    again.clock.now += 2
    late = again.flow.close().cases
    again.journal.close()
    return _told("a case after a restart", early, late)


def leased(scene: _Scene) -> list[str]:
    """Step while a worker holds a case."""
    node = scene.node()
    node.receive(scene.files)
    node.close()
    claim = node.journal.cases.claim("worker", _LEASE_S)
    assert claim is not None
    scene.step(node)
    node.clock.now += _LEASE_S - 1
    early = node.journal.cases.release_expired(10)
    node.clock.now += 2
    late = node.journal.cases.release_expired(10)
    node.journal.close()
    return _told("the end of a lease", early, late)


def backing_off(scene: _Scene) -> list[str]:
    """Step while a destination that does not answer is left alone."""
    node = scene.node()
    node.receive(scene.files)
    node.shelf.faults = [PeerUnreachable("as the test asks")]
    node.settle()
    wait_s = node.outbox.deliver("archive")
    assert wait_s is not None
    scene.step(node)
    node.clock.now += wait_s * 0.9
    node.outbox.deliver("archive")
    early = len(node.shelf.taken)
    node.clock.now += wait_s * 0.1 + 0.001
    node.outbox.deliver("archive")
    late = len(node.shelf.taken)
    node.journal.close()
    return _told("a delivery", early, late)


def going_on(scene: _Scene) -> list[str]:
    """Step before every stage; the case comes to its end all the same."""
    node = scene.node()
    for act in (lambda: node.receive(scene.files), node.close, node.flow.work, lambda: node.outbox.deliver("archive")):
        scene.step(node)
        act()
    states = [case["state"] for case in node.cases()]
    node.journal.close()
    return [] if states == ["delivered"] else [f"a case stalls: {states}"]


#: Those in which something waits on the process's own clock.
_TIMED = (waiting, leased, backing_off)
SCENES: tuple[Callable[[_Scene], list[str]], ...] = (waiting, restarted, leased, backing_off, going_on)


def _told(what: str, early: int, late: int) -> list[str]:
    wrong = [f"{what} comes early"] if early else []
    return wrong if late or early else [f"{what} does not come"]


def play(scene: Callable[[_Scene], list[str]], step_s: float, *, both: bool = False) -> list[str]:
    """Play one scene with one step of the clock, and return what is wrong."""
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        files = write_blocks(folder / "series")
        return [f"{scene.__name__}, {step_s:+.0f} s: {line}" for line in scene(_Scene(folder, files, step_s, both))]
    finally:
        shutil.rmtree(folder)


def caught() -> list[str]:
    """Return the scenes that notice a monotonic clock that is none."""
    return [scene.__name__ for scene in _TIMED if any(play(scene, step_s, both=True) for step_s in STEPS_S[:2])]


def run(_work: Path | None, seed: int, _number: int = 0) -> list[str]:
    """Play every scene with every step, record the figures, and return what is wrong."""
    begun = time.monotonic()
    wrong = [line for scene, step_s in itertools.product(SCENES, STEPS_S) for line in play(scene, step_s)]
    noticed = caught()
    scorecard.record(
        "clocks",
        title="The wall clock set by an hour and by ten years, either way",
        points=len(SCENES) * len(STEPS_S),
        unit="steps",
        faults=len(wrong),
        controls=f"{len(noticed)} of {len(_TIMED)}",
        seed=seed,
        duration_s=time.monotonic() - begun,
        command="PYTHONPATH=.:tests python -m faults --only clocks",
        proves="No case, lease or delivery comes before its time, and none stays away, when the wall clock"
        " steps while a series waits, while the node is down, while a worker holds a case, while a"
        " destination is left alone, or before every stage.",
        limits="The clocks are injected, not the machine's; the scheduler's own jobs and retention are"
        " tested elsewhere.",
        scenes=[scene.__name__ for scene in SCENES],
        what_was_wrong=wrong,
    )
    return wrong if len(noticed) == len(_TIMED) else [*wrong, f"the control was caught by {noticed} only"]
