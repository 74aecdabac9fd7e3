"""The clock: whether something keeps it right, and whether it has gone back. Times of results and TLS stand on it."""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from node.doctor.finding import Finding, fault, fine, warning

_AREA = "clock"
#: adjtimex(2): the kernel is told by nobody what time it is.
_STA_UNSYNC = 0x0040
_TIME_ERROR = 5
#: Before this software there was no such time.
_EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
#: Seconds that the journal may be ahead: NTP steps by less.
_AHEAD_S = 60.0
_SYNCHRONISE = "let chrony or systemd-timesyncd run: timedatectl set-ntp true; in a container, on its host"


class _Timex(ctypes.Structure):
    """`struct timex` of Linux, up to what is read here, with room for the rest (adjtimex(2))."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelClock:
    """What the kernel knows of its clock."""

    synchronised: bool
    #: Seconds that it may be off by at most, as the kernel estimates.
    maximum_error_s: float


def kernel_clock() -> KernelClock:
    """Ask the kernel, changing nothing. Raises OSError."""
    known = _Timex()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(known))
    if state < 0:
        raise OSError(ctypes.get_errno(), "adjtimex")
    return KernelClock(
        synchronised=state != _TIME_ERROR and not known.status & _STA_UNSYNC, maximum_error_s=known.maxerror / 1e6
    )


def look(now: datetime, kernel: KernelClock, newest_event: datetime | None, drift_s: float) -> Iterator[Finding]:
    """Yield what is wrong with the clock.

    `newest_event`: of the journal. `drift_s`: by how much wall and monotonic clock parted during the examination.
    """
    found = [*_set_wrong(now, newest_event, drift_s)]
    if not kernel.synchronised:
        found.append(warning(_AREA, "nothing keeps it right: no time service has set it", _SYNCHRONISE))
    yield from found or [fine(_AREA, f"is kept by a time service, to {1000 * kernel.maximum_error_s:.0f} ms")]


def _set_wrong(now: datetime, newest_event: datetime | None, drift_s: float) -> Iterator[Finding]:
    if now < _EARLIEST:
        yield fault(_AREA, f"says {now:%Y-%m-%d}, which is long ago", _SYNCHRONISE)
    if newest_event is not None and (newest_event - now).total_seconds() > _AHEAD_S:
        yield warning(
            _AREA,
            f"the journal tells of {newest_event:%Y-%m-%d %H:%M} UTC, and now it is {now:%Y-%m-%d %H:%M}: it went back",
            "find out who set it; times of events are out of order until it has caught up",
        )
    if abs(drift_s) > 1.0:
        yield warning(_AREA, f"it was set by {drift_s:.1f} s while the doctor looked", _SYNCHRONISE)
