"""What was found: how bad it is, and what to do about it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad something is."""

    OK = 0
    #: It works, and somebody should see to it.
    WARNING = 1
    #: It does not work.
    FAULT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. No name, no identifier of a person in it."""

    #: What was looked at, such as "clock" or "destination archive".
    area: str
    level: Level
    text: str
    #: What to do; empty where all is well.
    advice: str = ""


def fine(area: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(area=area, level=Level.OK, text=text)


def warning(area: str, text: str, advice: str) -> Finding:
    """Return what somebody should see to."""
    return Finding(area=area, level=Level.WARNING, text=text, advice=advice)


def fault(area: str, text: str, advice: str) -> Finding:
    """Return what does not work."""
    return Finding(area=area, level=Level.FAULT, text=text, advice=advice)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of all.

    >>> worst([fine("clock", "right"), warning("disk", "nearly full", "make room")]).name
    'WARNING'
    """
    return max((finding.level for finding in findings), default=Level.OK)
