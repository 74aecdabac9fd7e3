"""A PACS that is dead for three days, with cases coming all the while; simulated clock, real associations."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.archives import Archive
from faults.rig import SOP_CLASSES, Rig, all_delivered, dicom, rig

from node.deliver.destination import Answer, Destination, Parcel
from node.demo.archive import free_port

HOURS = 72
_HOUR_S = 3600.0
_NAME = "archive"
#: More attempts in a minute than this is a storm: the settings' first pauses are 5, 10, 20 and 40 s.
BOUND_A_MINUTE = 8
#: Once the pauses have grown to their cap of 900 s (with jitter at least 450 s).
BOUND_AN_HOUR_LATER = 9


@dataclass(slots=True)
class Attempts:
    """When the outbox tried a destination, in simulated seconds."""

    clock: Callable[[], float] = lambda: 0.0
    times_s: list[float] = field(default_factory=list)

    def wrap(self, way: Destination) -> Destination:
        return _Counted(way, self)  # type: ignore[return-value]

    def most(self, within_s: float, since_s: float = 0.0) -> int:
        """Return the most attempts within any such time after `since_s`."""
        times = [time for time in self.times_s if time >= since_s]
        return max((sum(start <= time < start + within_s for time in times) for start in times), default=0)


class _Counted:
    def __init__(self, way: Destination, attempts: Attempts) -> None:
        self._way, self._attempts = way, attempts

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Answer]:
        self._attempts.times_s.append(self._attempts.clock())
        yield from self._way.deliver(parcels)

    def reach(self) -> None:
        self._attempts.times_s.append(self._attempts.clock())
        self._way.reach()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endured:
    """What came of it."""

    cases: int
    attempts: int
    most_a_minute: int
    most_an_hour_later: int
    #: Simulated seconds from the recovery until everything was there.
    recovery_s: float
    associations_after: int
    faults: list[str]


def endure(folder: Path, *, hours: int = HOURS, every_s: float = 600, seed: int = 1, **keys: Any) -> Endured:
    """Let the PACS be dead for so long while a case comes about `every_s` seconds, then let it recover."""
    port, attempts, chance = free_port(), Attempts(), random.Random(seed)
    with rig(folder, attempts.wrap, **{_NAME: dicom(port, **keys)}) as made:
        attempts.clock = made.clock
        cases = _dead(made, hours * _HOUR_S, every_s, chance)
        dead_s, tried = made.clock.now, len(attempts.times_s)
        faults = [] if made.states(_NAME) == {"pending": 2 * cases} else [f"while it was dead: {made.states(_NAME)}"]
        archive = Archive(sop_classes=SOP_CLASSES)
        with archive.listening(port):
            made.run(_NAME, 2 * _HOUR_S)
        recovery_s = made.clock.now - dead_s
        if not all_delivered(made, [_NAME]):
            faults.append(f"after: {made.states(_NAME)}, {made.codes(_NAME)}")
        faults += made.wrong_at(archive.stored, _NAME)
        faults += [f"{uid} was sent {count} times" for uid, count in archive.stores.items() if count != 1]
    return Endured(
        cases=cases,
        attempts=tried,
        most_a_minute=Attempts(times_s=attempts.times_s[:tried]).most(60),
        most_an_hour_later=Attempts(times_s=attempts.times_s[:tried]).most(3600, since_s=3600),
        recovery_s=round(recovery_s, 1),
        associations_after=archive.associations,
        faults=faults + _storm(attempts.times_s[:tried], archive, cases),
    )


def _storm(times_s: list[float], archive: Archive, cases: int) -> list[str]:
    tried = Attempts(times_s=times_s)
    told = []
    if tried.most(60) > BOUND_A_MINUTE:
        told.append(f"{tried.most(60)} attempts in a minute")
    if tried.most(3600, since_s=3600) > BOUND_AN_HOUR_LATER:
        told.append(f"{tried.most(3600, since_s=3600)} attempts in a later hour")
    if archive.associations > cases + 5:
        told.append(f"{archive.associations} associations for {cases} cases after the recovery")
    return told


def _dead(made: Rig, for_s: float, every_s: float, chance: random.Random) -> int:
    """Take cases at random times and ring the outbox for each, as the service does; return how many."""
    cases, next_s, due_s = 0, 0.0, 0.0
    while made.clock.now < for_s:
        if made.clock.now >= next_s:
            made.add_case()
            cases += 1
            next_s = made.clock.now + chance.expovariate(1 / every_s)
        wait_s = made.step(_NAME)  # rung for, due or only polled: whether it is time is for the outbox to know
        due_s = made.clock.now + max(0.25, 3600.0 if wait_s is None else wait_s)
        made.clock.now = min(next_s, due_s, made.clock.now + chance.uniform(20, 600), for_s)
    return cases


class Eager:
    """A negative control: an outbox that forgets its pauses at every step."""

    def __init__(self, made: Rig) -> None:
        self._step = made.step
        self._made = made

    def __call__(self, name: str) -> float | None:
        self._made.outbox = type(self._made.outbox)(
            self._made.settings, self._made.journal, self._made.destinations, self._made.clock
        )
        return self._step(name)


def control_storm(folder: Path) -> bool:
    """True when an outbox without pauses is caught."""
    attempts = Attempts()
    with rig(folder, attempts.wrap, **{_NAME: dicom(free_port())}) as made:
        attempts.clock = made.clock
        made.step = Eager(made)  # type: ignore[method-assign]
        cases = _dead(made, 60, 60, random.Random(1))
    return bool(_storm(attempts.times_s, Archive(sop_classes=()), cases))
