"""Archives that misbehave, one scenario each: in the end everything is there once, or refused with a named reason.

Beside the archive of each scenario a sound one is served, and must have everything while the other makes trouble.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faults.archives import Archive, Break, Line, breaks
from faults.rig import SOP_CLASSES, Rig, all_delivered, dicom, in_thread, rig

from node.deliver.destination import Answer, Destination, Parcel
from node.domain.commitment import CommitmentReport, Reference

BAD, GOOD = "archive", "good"
_CASES = 2
_QUARTER_S, _HOUR_S = 900.0, 3600.0
_DAY_S = 24 * _HOUR_S


@dataclass(slots=True)
class Stage:
    """A rig before a bad and a good archive."""

    rig: Rig
    archive: Archive
    line: Line
    good: Archive
    complaints: list[str] = field(default_factory=list)
    #: Reports of commitment that the archive has made and not told.
    reports: list[tuple[str, list[Reference]]] = field(default_factory=list)

    def demand(self, is_so: bool, complaint: str) -> None:
        if not is_so:
            self.complaints.append(f"{complaint}: {self.rig.states(BAD)}, {self.rig.codes(BAD)}")

    def run(self, for_s: float = _DAY_S, until: Callable[[], bool] = lambda: False) -> None:
        self.rig.run(BAD, for_s, until)

    def keep_reports(self, transaction_uid: str, references: list[Reference]) -> None:
        self.reports.append((transaction_uid, references))

    def tell(self, transaction_uid: str, references: Sequence[Reference]) -> bool:
        """Tell the node the truth about `references`."""
        return self.rig.outbox.told(self.archive.report(transaction_uid, references))

    def end(self, codes: frozenset[str] = frozenset()) -> None:
        """All has come, once and with its bytes; or, with `codes`, nothing is left but what was refused for these."""
        self.run()
        if codes:
            self.demand(not self.rig.unsettled(BAD), "something is still on its way")
            self.demand(self.rig.codes(BAD) == codes, f"not refused for {set(codes)}")
        else:
            self.demand(all_delivered(self.rig, [BAD]), "not everything is delivered")


Play = Callable[[Stage], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One misbehaviour. `play` brings it about and says what has to come of it."""

    name: str
    play: Play
    keys: dict[str, Any] = field(default_factory=dict)
    classes: Sequence[str] = SOP_CLASSES
    #: The archive listens from the start.
    up: bool = True


def played(scenario: Scenario, folder: Path, wrap: Callable[[Destination], Destination] = lambda way: way) -> list[str]:
    """Play a scenario and return what went wrong."""
    archive, good = Archive(sop_classes=scenario.classes), Archive(sop_classes=SOP_CLASSES)
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(Line(archive_port=0).open())
        if scenario.up:
            stack.enter_context(archive.listening())
            line.archive_port = archive.port
        stack.enter_context(good.listening())
        made = stack.enter_context(rig(folder, wrap, archive=dicom(line.port, **scenario.keys), good=dicom(good.port)))
        stage = Stage(rig=made, archive=archive, line=line, good=good)
        scenario.play(stage)
        for name, peer in ((BAD, archive), (GOOD, good)):
            stage.complaints += [f"{name}: {wrong}" for wrong in made.wrong_at(peer.stored, name)]
        stage.demand(all_delivered(made, [GOOD]), "the good destination has not everything")
    return stage.complaints


def _served(stage: Stage, cases: int = _CASES) -> None:
    """Take cases, try the bad destination once, and see that the good one is served meanwhile."""
    for _ in range(cases):
        stage.rig.add_case()
    trying = in_thread(lambda: stage.rig.step(BAD))
    stage.rig.step(GOOD)
    stage.demand(all_delivered(stage.rig, [GOOD]), "the good destination was held up")
    trying.join()


def _simple(prepare: Callable[[Stage], None], codes: frozenset[str] = frozenset()) -> Play:
    def play(stage: Stage) -> None:
        prepare(stage)
        _served(stage)
        stage.end(codes)

    return play


def _statuses(*statuses: int) -> Play:
    return _simple(lambda stage: stage.archive.statuses.extend(statuses))


def _always(status: int, *codes: str) -> Play:
    def prepare(stage: Stage) -> None:
        stage.archive.always = status

    return _simple(prepare, frozenset(codes))


def _plan(*plan: Break) -> Play:
    return _simple(lambda stage: stage.line.plan.extend(plan))


def _rejections(*rejections: tuple[int, int, int]) -> Play:
    return _simple(lambda stage: stage.archive.rejections.extend(rejections))


def _down(stage: Stage) -> None:
    """Nobody listens for six hours."""
    _served(stage)
    stage.run(6 * _HOUR_S)
    stage.demand(stage.rig.states(BAD) == {"pending": 2 * _CASES}, "given up while nobody listened")
    with stage.archive.listening() as archive:
        stage.line.archive_port = archive.port
        stage.end()


def _restarts(stage: Stage) -> None:
    """The node starts anew after every answer of an archive whose line breaks."""
    stage.line.plan.extend(breaks(5, 6, 2500))
    _served(stage)
    for _ in range(6):
        stage.rig.restart()
        stage.rig.step(BAD)
    stage.end()


def _slow(stage: Stage) -> None:
    stage.archive.delay_s = 0.3
    _served(stage)
    stage.end()


def _duplicate_kept(stage: Stage) -> None:
    """0x0111 for objects that are there: a former try came through, and its answer did not."""
    stage.line.plan.append(Break(after_answered=0, associates=True, reset=True))
    _served(stage)
    stage.archive.always = 0x0111
    stored = set(stage.archive.stored)
    stage.run(_HOUR_S)
    stage.demand(
        {uid for uid, item in stage.rig.deliveries(BAD).items() if item["state"] == "delivered"} == stored,
        "what is there is not exactly what is called delivered",
    )
    stage.archive.always = 0x0000
    stage.end()


def _duplicate_not_kept(stage: Stage) -> None:
    """0x0111 for objects that are not there."""
    stage.archive.always = 0x0111
    _served(stage)
    stage.run(_QUARTER_S)
    stage.demand("delivered" not in stage.rig.states(BAD), "0x0111 was believed")
    stage.archive.always = 0x0000
    stage.end()


def _lies(stage: Stage) -> None:
    """Success, and the object is not there."""
    stage.archive.lies = True
    _served(stage)
    stage.run(_QUARTER_S)
    stage.demand("delivered" not in stage.rig.states(BAD), "a lie was believed")
    stage.archive.lies = False
    stage.end()


# --- storage commitment ----------------------------------------------------------------------------------------------


def _told_at_once(stage: Stage) -> None:
    """The report comes before the answer to the N-ACTION."""
    stage.archive.on_commitment = lambda transaction, references: stage.tell(transaction, references) and None
    _served(stage)
    stage.end()


def _asked(stage: Stage, times: int) -> None:
    """Run until commitment was asked for so often."""
    stage.archive.on_commitment = stage.keep_reports
    stage.run(_HOUR_S, until=lambda: len(stage.reports) >= times)
    stage.demand(len(stage.reports) >= times, f"commitment was not asked for {times} times")


def _lost(stage: Stage) -> None:
    """The first reports never come: it is asked again, under another Transaction UID, and not too often."""
    _served(stage)
    _asked(stage, 3)
    stage.demand(len({uid for uid, _ in stage.reports}) == len(stage.reports), "a Transaction UID was used twice")
    stage.demand("delivered" not in stage.rig.states(BAD), "delivered without a report")
    begun, before = stage.rig.clock.now, len(stage.reports)
    stage.run(_HOUR_S)
    asked = (len(stage.reports) - before) / (stage.rig.clock.now - begun) * 60
    stage.demand(asked <= 2 * _CASES, f"commitment is asked for {asked:.1f} times a minute")
    for transaction_uid, references in stage.reports[-2 * _CASES :]:
        stage.tell(transaction_uid, references)
    _told_from_now_on(stage)
    stage.end()


def _told_from_now_on(stage: Stage) -> None:
    stage.archive.on_commitment = lambda transaction, references: stage.tell(transaction, references) and None


def _late(stage: Stage) -> None:
    """The report on the first request comes after it was asked again."""
    _served(stage)
    _asked(stage, _CASES + 1)
    asked = list(stage.reports)
    for transaction_uid, references in asked:
        stage.demand(stage.tell(transaction_uid, references), "a late report was not known")
    stage.demand(all_delivered(stage.rig, [BAD]), "a late report was not believed")
    stage.end()


def _twice(stage: Stage) -> None:
    _served(stage)
    _asked(stage, 1)
    for _ in range(2):
        for transaction_uid, references in list(stage.reports):
            stage.demand(stage.tell(transaction_uid, references), "a second report was not known")
    _told_from_now_on(stage)
    stage.end()


def _partial(stage: Stage) -> None:
    """A report an object."""
    _served(stage)
    _asked(stage, 1)
    transaction_uid, references = stage.reports[0]
    stage.demand(len(references) > 1, "there is nothing to split")
    stage.tell(transaction_uid, references[:1])
    stage.demand(stage.rig.states(BAD).get("delivered", 0) == 1, "half a report is not half")
    stage.tell(transaction_uid, references[1:])
    stage.demand(stage.rig.states(BAD).get("delivered", 0) == len(references), "two halves are not the whole")
    _told_from_now_on(stage)
    stage.end()


def _failed(stage: Stage) -> None:
    """The archive has lost an object: it says so, and gets it again."""
    _served(stage)
    _asked(stage, 1)
    transaction_uid, references = stage.reports[0]
    lost = references[0].sop_instance_uid
    del stage.archive.stored[lost]
    stage.tell(transaction_uid, references)
    _told_from_now_on(stage)
    stage.end()
    stage.demand(stage.archive.stores[lost] == 2, "what was lost was not sent a second time")


def _failed_then_late(stage: Stage) -> None:
    """A report of failure that comes again, when the object has long been sent once more."""
    _served(stage)
    _asked(stage, 1)
    transaction_uid, references = stage.reports[0]
    lost = references[0].sop_instance_uid
    del stage.archive.stored[lost]
    old = stage.archive.report(transaction_uid, references)
    stage.rig.outbox.told(old)
    stage.run(_HOUR_S, until=lambda: lost in stage.archive.stored)
    stage.rig.outbox.told(old)
    _told_from_now_on(stage)
    stage.end()
    stage.demand(stage.archive.stores[lost] == 2, "an old report of failure was believed again")


def _unknown(stage: Stage) -> None:
    """A report on something that nobody asked."""
    _served(stage)
    _asked(stage, 1)
    _, references = stage.reports[0]
    stranger = CommitmentReport(transaction_uid="1.2.3.4", committed=tuple(references), failed=())
    stage.demand(not stage.rig.outbox.told(stranger), "an unknown transaction was taken")
    stage.demand("delivered" not in stage.rig.states(BAD), "an unknown transaction was believed")
    _told_from_now_on(stage)
    stage.end()


def _action_refused(stage: Stage) -> None:
    """0x0110 to the N-ACTION for an hour."""
    stage.archive.commitment_status = 0x0110
    _served(stage)
    stage.run(_HOUR_S)
    stage.demand("delivered" not in stage.rig.states(BAD), "delivered without a report")
    stage.archive.commitment_status = 0
    _told_from_now_on(stage)
    stage.end()


def _killed_while_asking(stage: Stage) -> None:
    """The node starts anew between the N-ACTION and the report, which comes then."""
    _served(stage)
    _asked(stage, 1)
    stage.rig.restart()
    stage.demand(stage.tell(*stage.reports[0]), "a transaction was forgotten over a restart")
    _told_from_now_on(stage)
    stage.end()


#: Longer than the second for which a report is awaited on the line of the question.
_COMMIT = {"confirm": "commitment", "timeout_s": 5.0}
_QUERY = {"confirm": "query"}
_NO_ANSWER = Break(after_answered=0, silent=True)
_NO_STORE_ANSWER = Break(after_answered=0, associates=True, silent=True)

SCENARIOS = (
    Scenario(name="down", play=_down, up=False),
    Scenario(name="slow", play=_slow),
    Scenario(name="never answers an association", play=_plan(_NO_ANSWER, _NO_ANSWER)),
    Scenario(name="never answers a C-STORE", play=_plan(_NO_STORE_ANSWER, _NO_STORE_ANSWER)),
    Scenario(name="drops in mid-store", play=_plan(*(Break(after_sent=sent) for sent in (700, 900, 1100, 1300)))),
    Scenario(name="resets in mid-store", play=_plan(*(Break(after_sent=sent, reset=True) for sent in (10, 800, 1200)))),
    Scenario(
        name="closes after an answer",
        play=_plan(*(Break(after_answered=after, associates=True) for after in (0, 40, 160, 170))),
    ),
    Scenario(name="line breaks anywhere", play=_plan(*breaks(3, 20, 2500))),
    Scenario(name="line breaks anywhere, confirmed", play=_plan(*breaks(4, 20, 2500)), keys=_QUERY),
    Scenario(name="line breaks and the node starts anew", play=_restarts),
    Scenario(
        name="answers garbage",
        play=_plan(Break(garbage=b"HTTP/1.1 400 Bad Request\r\n\r\n"), Break(garbage=b"\xff" * 99)),
    ),
    Scenario(name="0xA7xx for a while", play=_statuses(0xA700, 0xA701, 0xA700, 0xA7FF)),
    Scenario(name="0xC000 for a while", play=_statuses(0xC000, 0xC001)),
    Scenario(name="0x0110 for a while", play=_statuses(0x0110, 0x0110, 0x0110)),
    Scenario(name="warnings", play=_statuses(0xB000, 0xB007, 0x0001, 0xB006)),
    Scenario(name="0x0122 for ever", play=_always(0x0122, "store-refused")),
    Scenario(name="0xA900 for ever", play=_always(0xA900, "store-refused")),
    Scenario(name="0xA700 for ever, five attempts", play=_always(0xA700, "attempts-spent"), keys={"attempts": 5}),
    Scenario(name="duplicate, kept", play=_duplicate_kept),
    Scenario(name="duplicate, not kept", play=_duplicate_not_kept),
    Scenario(name="Success and not kept, asked by C-FIND", play=_lies, keys=_QUERY),
    Scenario(name="rejects for now", play=_rejections((2, 3, 1), (2, 3, 2), (2, 3, 2))),
    Scenario(name="rejects for good, then knows the node", play=_rejections((1, 1, 7), (1, 1, 3))),
    Scenario(
        name="takes none of the contexts", play=_simple(lambda stage: None, frozenset({"store-refused"})), classes=()
    ),
    Scenario(
        name="takes one of the classes",
        play=_simple(lambda stage: None, frozenset({"store-refused"})),
        classes=SOP_CLASSES[:1],
    ),
    Scenario(name="commitment at once", play=_told_at_once, keys=_COMMIT),
    Scenario(name="commitment lost", play=_lost, keys={**_COMMIT, "confirm_timeout_s": 600}),
    Scenario(name="commitment late", play=_late, keys=_COMMIT),
    Scenario(name="commitment twice", play=_twice, keys=_COMMIT),
    Scenario(name="commitment in parts", play=_partial, keys=_COMMIT),
    Scenario(name="commitment failed", play=_failed, keys=_COMMIT),
    Scenario(name="commitment failed, told again late", play=_failed_then_late, keys=_COMMIT),
    Scenario(name="commitment of an unknown transaction", play=_unknown, keys=_COMMIT),
    Scenario(name="N-ACTION refused", play=_action_refused, keys=_COMMIT),
    Scenario(name="N-ACTION, then the node starts anew", play=_killed_while_asking, keys=_COMMIT),
)


class Trusting:
    """A negative control: a destination that takes 0x0111 for proof."""

    def __init__(self, way: Destination) -> None:
        self._way = way

    def deliver(self, parcels: Sequence[Parcel]) -> Iterator[Answer]:
        for answer in self._way.deliver(parcels):
            yield replace(answer, unsure=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._way, name)


def control_duplicate(folder: Path) -> bool:
    """True when an outbox that counts 0x0111 as delivered without asking is caught."""
    return bool(played(scenario("duplicate, not kept"), folder, Trusting))


def control_lies(folder: Path) -> bool:
    """True when it is seen that an archive has not what the journal calls delivered, where nothing is confirmed."""
    return bool(played(replace(scenario("Success and not kept, asked by C-FIND"), keys={}), folder))


def scenario(name: str) -> Scenario:
    """Return a scenario by its name."""
    (found,) = [item for item in SCENARIOS if item.name == name]
    return found
