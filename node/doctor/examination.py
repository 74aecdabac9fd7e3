"""The whole examination: every specialist in turn. What one cannot find out is a finding, and ends no other's work."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from node.doctor import clock, engine, folders, listening, network, records, secrets, sense, units
from node.doctor.clock import KernelClock, kernel_clock
from node.doctor.finding import Finding, fault, fine, warning
from node.errors import JournalDamaged, JournalError, NodeError, SettingsError, SystemFailed
from node.journal.store import Store
from node.journal.trail import newest_place
from node.monitor.figures import Figures, read_figures
from node.receive.headroom import Space, space_of
from node.segment.bundle import Bundle
from node.segment.devices import Device, Devices
from node.settings import ModelSettings, Settings

_MOUNTS = Path("/proc/self/mountinfo")

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the doctor looks with."""

    #: The journal, read only; raises SettingsError where the node has never run, JournalError.
    open_journal: Callable[[Settings], Store]
    #: Raises BundleError.
    open_bundle: Callable[[ModelSettings], Bundle]
    #: Raises BundleError.
    open_engine: engine.OpenEngine
    #: Asks the running node, None where none runs; raises SystemFailed.
    ask: Ask
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic: Callable[[], float] = time.monotonic
    kernel: Callable[[], KernelClock] = kernel_clock
    space: Callable[[Path], Space] = space_of
    devices: Callable[[], tuple[Device, ...]] = field(default_factory=Devices)


def examine(settings: Settings, means: Means, *, self_test: bool | None = None) -> Iterator[Finding]:
    """Yield every finding as it is made.

    `self_test`: load the engine to try it; None does so where no node runs, which has tried it at its start.
    """
    begun, begun_s = means.now(), means.monotonic()
    node_runs, figures = _running(means)
    newest: list[datetime] = []
    yield from _guarded("settings", lambda: sense.look(settings))
    yield from _guarded("state folder", lambda: _folders(settings, means, node_runs=node_runs))
    yield from _guarded("journal", lambda: _journal(settings, means, newest))
    yield from _guarded("model", lambda: engine.look_at_bundle(settings.model, means.open_bundle))
    yield from _guarded(
        "engine", lambda: _engine(settings, means, figures, self_test=not node_runs if self_test is None else self_test)
    )
    yield from _guarded("files of the settings", lambda: secrets.look(settings, means.now()))
    yield from _guarded("running node", lambda: listening.look_at_node(figures, node_runs=node_runs))
    yield from _guarded("ports", lambda: listening.look_at_ports(settings, node_runs=node_runs))
    yield from _guarded("network", lambda: network.look(settings))
    yield from _guarded("systemd units", lambda: units.look(settings))
    drift_s = (means.now() - begun).total_seconds() - (means.monotonic() - begun_s)
    last = newest[0] if newest else None
    yield from _guarded("clock", lambda: clock.look(means.now(), means.kernel(), last, drift_s))


def _folders(settings: Settings, means: Means, *, node_runs: bool) -> Iterator[Finding]:
    return folders.look(settings, means.space, _MOUNTS.read_text(encoding="utf-8"), node_runs=node_runs)


def _journal(settings: Settings, means: Means, newest: list[datetime]) -> Iterator[Finding]:
    """Look at the journal, and leave the time of its newest event."""
    try:
        store = means.open_journal(settings)
    except SettingsError as error:
        yield warning("journal", str(error), "nothing, if the node has never run: it makes the journal")
        return
    try:
        if at := newest_place(store).at:
            newest.append(datetime.fromisoformat(at))
        yield from records.look(settings, store)
    finally:
        store.close()


def _running(means: Means) -> tuple[bool, Figures | None]:
    """Return whether a node runs, and what it says of itself."""
    try:
        answer = means.ask({"do": "figures"})
        return answer is not None, None if answer is None else read_figures(answer)
    except SystemFailed:
        return True, None


def _engine(settings: Settings, means: Means, figures: Figures | None, *, self_test: bool) -> Iterator[Finding]:
    if self_test:
        yield from engine.look_at_engine(settings.model, means.open_engine, means.devices())
    elif figures is not None and figures.engine_ready:
        yield fine("engine", "the node that runs has passed its self-test")
    else:
        yield warning("engine", "was not tried", "cspine-node doctor --self-test loads it and tries it")


def _guarded(area: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield what a specialist finds, and what kept it from finding more."""
    try:
        yield from look()
    except JournalDamaged as error:
        yield records.damaged(error)
    except JournalError as error:
        yield fault(area, f"cannot be read: {error}", "bring it up by starting the node; docs/troubleshooting.md")
    except NodeError as error:
        yield fault(area, f"{error.code}: {error}", "docs/troubleshooting.md knows the code")
    except OSError as error:
        yield fault(area, f"cannot be looked at: {error.strerror}", "run the doctor as the user of the node")
