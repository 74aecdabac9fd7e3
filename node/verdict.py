"""Whether a route takes a complete series, and if not, why."""

import errno
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.assemble.headers import Unreadable, gather
from node.domain.case import CaseState, Reason
from node.domain.series import Series
from node.errors import NotAnImage, SystemFailed, unexpected
from node.select import Accepted, select
from node.settings import RouteSettings

#: Shortages of the machine: they pass, and say nothing of the file that was to be opened.
_SHORTAGES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOTCONN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What becomes of a series: queued on a route, or no route and the reasons."""

    route: str | None = None
    state: CaseState
    reasons: tuple[Reason, ...] = ()


#: Of a series that this software made.
OWN_RESULT = Judgement(
    state=CaseState.REJECTED,
    reasons=(Reason(code="own-result", text="this software made the object itself; it is not segmented again"),),
)


def judge(paths: Sequence[Path], routes: Sequence[RouteSettings]) -> Judgement:
    """Return the judgement on a series of files. Raises OSError when one is there and cannot be read: that is the
    machine's fault, and may be over soon.
    """
    try:
        return _judge(paths, routes)
    except FileNotFoundError as error:
        return unread(error)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a series does, the next one is judged
        return Judgement(state=CaseState.QUARANTINED, reasons=(Reason.of(unexpected(error)),))


def is_shortage(error: OSError) -> bool:
    """Say whether the machine lacks something for a while, so that the failure costs a case nothing."""
    return error.errno in _SHORTAGES


def unread(error: OSError) -> Judgement:
    """Return the judgement on a series of which a file cannot be read, however often it is tried."""
    return Judgement(state=CaseState.QUARANTINED, reasons=(Reason.of(damaged(error)),))


def read_back(paths: Sequence[Path]) -> Series:
    """Return an accepted series from its files. Raises InputError, or OSError for a file that cannot be read."""
    found, unreadable = gather(paths)
    if unreadable:
        raise unreadable[0].error
    return found[0]


def _judge(paths: Sequence[Path], routes: Sequence[RouteSettings]) -> Judgement:
    found, unreadable = gather(paths)
    if unreadable:
        sound = all(isinstance(item.error, NotAnImage) for item in unreadable)
        state = CaseState.REJECTED if sound else CaseState.QUARANTINED
        return Judgement(state=state, reasons=_reasons(unreadable))
    verdict = select(found[0].header, routes)
    if isinstance(verdict, Accepted):
        return Judgement(route=verdict.route.name, state=CaseState.QUEUED)
    return Judgement(state=CaseState.REJECTED, reasons=verdict.reasons)


def _reasons(unreadable: Sequence[Unreadable]) -> tuple[Reason, ...]:
    """Return one reason for each kind of fault, with the number of instances that have it."""
    counts = Counter((item.error.code, str(item.error)) for item in unreadable)
    return tuple(Reason(code=code, text=f"{count} x {text}") for (code, text), count in counts.items())


def damaged(error: OSError) -> SystemFailed:
    """Return a file of the spool that cannot be read as an error of the machine."""
    return SystemFailed(f"a received file cannot be read back: {error.strerror}")
