"""The system: whether the node runs, what waits and since when, how pulls end, the disk, the devices, and what came in
and is no case.

/system        the page
/system/live   what of it changes, asked for every few seconds by htmx
"""

import platform
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from node import __version__
from node.errors import SystemFailed
from node.journal.pulls import last_ends
from node.journal.standstill import receiving_now, unusable
from node.monitor.figures import Figures
from node.monitor.scrape import figures_of
from node.monitor.standing import OPEN_STATES, Standing, read_standing
from node.receive.headroom import Space, space_of
from node.settings import Settings
from node.web.access import Viewer
from node.web.render import page
from node.web.site import Site, TheSite

router = APIRouter()

#: Rows of a list; more are counted, not shown.
_MOST = 50
_MB = 1 << 20
#: What a fault is mostly asked about first.
_LIBRARIES = ("pydicom", "pynetdicom", "highdicom", "SQLAlchemy", "fastapi", "nnunetv2", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The disk of the state folder. `minimum_free`: with less, nothing is taken. In bytes."""

    total: int
    free: int
    minimum_free: int

    @property
    def used_part(self) -> float:
        """How much of it is taken, 0 to 1."""
        return 1 - self.free / self.total if self.total else 1.0

    @property
    def is_short(self) -> bool:
        """Whether nothing is taken for want of space."""
        return self.free < self.minimum_free


@router.get("/system")
def system(request: Request, site: TheSite, _user: Viewer) -> HTMLResponse:
    """Return the page."""
    return page(request, "system.html.j2", versions=_versions(), places=_places(site.settings), **_changing(site))


@router.get("/system/live")
def live(request: Request, site: TheSite, _user: Viewer) -> HTMLResponse:
    """Return what changes."""
    return page(request, "system_live.html.j2", **_changing(site))


def _changing(site: Site) -> dict[str, Any]:
    standing = read_standing(site.store)
    figures = figures_of(site.ask)
    return {
        "figures": figures,
        "closed": None if figures is None else figures.closed,
        "disk": _disk(site.settings),
        "queues": [(state.value, standing.cases[state], standing.oldest_s[state]) for state in OPEN_STATES],
        "standing": standing,
        "deliveries": _deliveries(standing),
        "pulls": _pulls(site),
        "receiving": receiving_now(site.store, most=_MOST),
        "quarantine": unusable(site.store, most=_MOST),
        "refused": _refused(figures),
    }


def _disk(settings: Settings) -> Disk:
    try:
        space: Space = space_of(settings.node.state_dir)
    except OSError as error:
        raise SystemFailed(f"the disk of the state folder cannot be asked: {error.strerror}") from error
    return Disk(total=space.total, free=space.free, minimum_free=settings.receive.minimum_free_mb * _MB)


def _deliveries(standing: Standing) -> Sequence[tuple[str, str, int, float]]:
    """Return destination, state, how many objects, and the age of the oldest in seconds."""
    return [
        (destination, state.value, waiting.count, waiting.oldest_s)
        for (destination, state), waiting in sorted(
            standing.deliveries.items(), key=lambda item: (item[0][0], item[0][1].value)
        )
    ]


def _pulls(site: Site) -> Sequence[tuple[str, str, Mapping[str, Any] | None]]:
    """Return each pull of the settings with its archive, and how it has ended last; None: not of late."""
    if not site.settings.pull:
        return ()
    ends = {end["pull"]: end for end in last_ends(site.store)}
    return [(pull.name, pull.archive, ends.get(pull.name)) for pull in site.settings.pull]


def _refused(figures: Figures | None) -> Sequence[tuple[str, str, int]]:
    """Return what was refused at the door since the node was started: what, why, how often."""
    if figures is None:
        return ()
    counts: tuple[tuple[str, Mapping[str, int]], ...] = (
        ("connections", figures.intake.connections_refused),
        ("associations", figures.intake.associations_rejected),
        ("instances", figures.intake.instances_refused),
    )
    return [(what, why, count) for what, found in counts for why, count in found.items() if count]


def _versions() -> Sequence[tuple[str, str]]:
    return [
        ("cspine-node", __version__),
        ("Python", platform.python_version()),
        ("SQLite", sqlite3.sqlite_version),
        *((name, version(name)) for name in _LIBRARIES),
        ("System", f"{platform.system()} {platform.release()}, {platform.machine()}"),
    ]


def _places(settings: Settings) -> Sequence[tuple[str, str]]:
    return [
        ("state folder", str(settings.node.state_dir)),
        ("journal", "PostgreSQL" if settings.journal.url else "SQLite in the state folder"),
        ("models", str(settings.node.models_dir)),
        ("received files of delivered cases", _kept(settings.retention.delivered_days)),
        ("received files that no route took", _kept(settings.retention.rejected_days)),
    ]


def _kept(days: float) -> str:
    return f"kept for {days:g} days" if days else "kept for ever"
