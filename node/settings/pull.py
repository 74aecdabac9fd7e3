"""`[[pull]]`: archives that are asked for what should have come."""

from collections.abc import Sequence
from typing import Annotated, Literal

from apscheduler.triggers.cron import CronTrigger
from pydantic import AfterValidator, Field, model_validator

from node.domain.timewindow import parse_window
from node.settings.destinations import DestinationSettings, DicomDestination, FolderDestination
from node.settings.receive import PeerSettings
from node.settings.routes import RouteSettings
from node.settings.values import PositiveSeconds, Seconds, Section


def _window(text: str) -> str:
    parse_window(text)
    return text


def _crontab(text: str) -> str:
    """Refuse what APScheduler reads otherwise than cron: its 0 is Monday, that of crontab(5) is Sunday."""
    if not text:
        return text
    fields = text.split()
    if len(fields) != 5:
        raise ValueError("a crontab has five fields: minute, hour, day of month, month, day of week")
    if any(character.isdigit() for character in fields[4]):
        raise ValueError("the day of the week is written by its name: mon, tue-fri, *")
    CronTrigger.from_crontab(text, timezone="UTC")  # raises ValueError, which says what is wrong
    return text


Window = Annotated[str, AfterValidator(_window)]
Crontab = Annotated[str, AfterValidator(_crontab)]


class PullSettings(Section):
    """One archive, when it is asked, and how much is taken at a time."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    #: Name of a [[destination]] of kind "dicom" (C-FIND) or "stow" (QIDO-RS), or AE title of a [[peer]] with host and
    #: port.
    archive: str
    #: By which a DICOM archive sends: "move" to the node's own listener (C-MOVE), "get" over the association that asks
    #: (C-GET). A DICOMweb server is always asked by WADO-RS.
    retrieve: Literal["move", "get"] = "move"
    #: How often it is asked, in minutes; 0: only when somebody says so, or by `cron`.
    every_min: Annotated[float, Field(strict=True, ge=0)] = 0
    #: At what times it is asked, as in crontab(5), local time, such as "30 1 * * mon-fri".
    cron: Crontab = ""
    #: Hours in which a pull may ask and fetch, local time, such as "20:00-06:00", "Sat-Sun 00:00-24:00"; empty: any.
    #: What is left when they end is left to the next time; a pull whose time comes outside of them begins when they do.
    windows: tuple[Window, ...] = ()
    #: Studies of so many days are looked at, today counted.
    days: Annotated[int, Field(strict=True, ge=1, le=36500)] = 3
    #: A study that began less than so many minutes ago may still be on its way; 0: it does not matter when.
    settle_min: Annotated[float, Field(strict=True, ge=0)] = 60
    #: Routes whose series are asked for; empty: every route.
    routes: tuple[str, ...] = ()
    #: A series of which the archive does not tell what a rule asks: "fetch" it and judge it here, or "skip" it.
    untold: Literal["fetch", "skip"] = "fetch"
    #: What is held against the archive of a series that is here: the "count" of its instances, which costs no question,
    #: or the "instances" themselves, one question a series, which finds what was corrected and sent under new UIDs.
    compare: Literal["count", "instances"] = "count"
    #: How many series one pull fetches at most; 0: no limit.
    maximum_series: Annotated[int, Field(strict=True, ge=0)] = 200
    #: Pause after each series that was fetched.
    pause_s: Seconds = 1
    #: How often a series is asked for that does not come as a whole; then once a day, as long as it is looked at.
    attempts: Annotated[int, Field(strict=True, ge=1)] = 3
    #: How long an archive may be silent while it sends a series.
    timeout_s: PositiveSeconds = 300

    @model_validator(mode="after")
    def _one_schedule(self) -> "PullSettings":
        if self.every_min and self.cron:
            raise ValueError("every_min and cron exclude each other")
        return self


def has_two_addresses(name: str, destinations: Sequence[DestinationSettings], peers: Sequence[PeerSettings]) -> bool:
    """Return whether an archive is a [[destination]] by its name, and by its AE title a [[peer]] elsewhere."""
    places = {
        (place.host, place.port, place.ae_title, place.tls) if isinstance(place, DicomDestination) else place.name
        for place in destinations
        if place.name == name and not isinstance(place, FolderDestination)
    }
    called = {(one.host, one.port, one.ae_title, one.tls) for one in peers if one.ae_title == name and one.host}
    return len(places | called) > 1


def pull_complaints(
    pulls: Sequence[PullSettings],
    routes: Sequence[RouteSettings],
    destinations: Sequence[DestinationSettings],
    peers: Sequence[PeerSettings],
) -> list[str]:
    """Return what is wrong between the pulls and the rest of the file, a line a fault."""
    askable = {place.name for place in destinations if not isinstance(place, FolderDestination)}
    askable |= {peer.ae_title for peer in peers if peer.host and peer.port}
    known = {route.name for route in routes}
    two = [
        f"pull[{number}].archive: {pull.archive!r} is a [[destination]], and a [[peer]] that is called otherwise"
        for number, pull in enumerate(pulls)
        if has_two_addresses(pull.archive, destinations, peers)
    ]
    complaints = [
        f"pull[{number}].archive: {pull.archive!r} is no [[destination]] that can be asked, and no [[peer]] with host "
        "and port"
        for number, pull in enumerate(pulls)
        if pull.archive not in askable
    ]
    return [*complaints, *two] + [
        f"pull[{number}].routes[{index}]: no [[route]] has the name {name!r}"
        for number, pull in enumerate(pulls)
        for index, name in enumerate(pull.routes)
        if name not in known
    ]
