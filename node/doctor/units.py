"""What the unit of the receiver keeps from it and the doctor, run by hand, is free to write."""

import os
from collections.abc import Iterator
from pathlib import Path

from node.doctor.finding import Finding, warning
from node.settings import FolderDestination, Settings

#: Where a machine keeps units of its own, and what its administrator adds to others (systemd.unit(5)).
_UNITS = Path("/etc/systemd/system")
_RECEIVER = "cspine-node-receiver.service"
#: Where the worker of the units listens (systemd/cspine-node-worker.service); only they have it.
_WORKER = Path("/run/cspine-node-worker")


def look(settings: Settings, units: Path = _UNITS) -> Iterator[Finding]:
    """Yield each folder for results that the receiver cannot write as long as no drop-in in `units` names it."""
    wanted = closed(settings)
    opened = _opened(units) if wanted else ()
    for name, folder in wanted.items():
        if not any(folder.is_relative_to(place) for place in opened):
            yield warning(
                f"destination {name}",
                f"{folder} is read-only for the receiver's unit, whatever its owner may do there",
                f'systemctl edit cspine-node-receiver, and there "[Service]" and "{drop_in(folder)}"; then restart it',
            )


def closed(settings: Settings) -> dict[str, Path]:
    """Return the folders for results, by destination, that the unit itself does not open; none without the units."""
    worker = settings.model.worker
    if worker is None or not worker.is_relative_to(_WORKER):
        return {}
    state = settings.node.state_dir.absolute()
    folders = {item.name: item.path.absolute() for item in settings.destination if isinstance(item, FolderDestination)}
    return {name: folder for name, folder in folders.items() if not folder.is_relative_to(state)}


def drop_in(folder: Path) -> str:
    """Return the line that opens a folder to the receiver; one that is not there keeps it from no start ("-")."""
    return f"ReadWritePaths=-{folder}"


def _opened(units: Path) -> tuple[Path, ...]:
    """Return what the unit and its drop-ins open; an empty value takes back what was said (systemd.exec(5))."""
    opened: list[Path] = []
    for file in [*units.glob(_RECEIVER), *sorted(units.glob(f"{_RECEIVER}.d/*.conf"))]:
        if not os.access(file, os.R_OK):
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition("=")
            if key.strip() == "ReadWritePaths":
                said = [Path(word.strip('"').lstrip("-+")) for word in value.split()]
                opened = [*opened, *said] if said else []
    return tuple(opened)
