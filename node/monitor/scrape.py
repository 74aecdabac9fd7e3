"""One scrape: the journal, its trail, the running node and the machine, onto one sheet."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from node.domain.case import UNSETTLED
from node.errors import JournalError, SystemFailed
from node.journal.pulls import PullEnd
from node.journal.store import Store
from node.monitor.figures import REQUEST, Figures, read_figures
from node.monitor.sheet import Sheet
from node.monitor.standing import Standing, Waiting, read_standing, seconds_of
from node.monitor.tally import Tally, Way
from node.receive.headroom import Shortage, space_of
from node.settings import Settings

Document = Mapping[str, Any]

_NOTHING = Waiting()
#: So much of a scrape's time may go into counting the trail; the next scrape goes on from there.
_COUNTING_S = 5.0


class Scraper:
    """Answers scrapes for one node. Safe to use from many threads.

    `store`: the journal, which may be read only. `ask`: returns the running node's answer, None where none runs.
    """

    def __init__(self, settings: Settings, store: Store, ask: Callable[[Document], Document | None]) -> None:
        self._settings = settings
        self._store = store
        self._ask = ask
        self._tally = Tally(store)

    def scrape(self) -> Sheet | None:
        """Return the sheet of this moment; None while the trail of a large journal is still being counted.

        Nothing that fails keeps the rest from being told: without the journal, the node or the disk their metrics are
        absent, but for those that say so.
        """
        sheet = Sheet()
        try:
            if not self._tally.catch_up(patience_s=_COUNTING_S):
                return None
            standing = read_standing(self._store)
        except JournalError:
            sheet.set("cspine_node_journal_readable", 0)
        else:
            sheet.set("cspine_node_journal_readable", 1)
            pulls = [pull.name for pull in self._settings.pull]
            _fill_pulls(sheet, self._tally.pulls(), pulls, self._store.age_s)
            self._tally.fill(sheet)
            _fill_standing(sheet, standing)
            names = [destination.name for destination in self._settings.destination]
            _fill_destinations(sheet, standing, self._tally.ways(), names, self._store.age_s)
        self._fill_running(sheet)
        self._fill_machine(sheet)
        return sheet

    def _fill_running(self, sheet: Sheet) -> None:
        figures = figures_of(self._ask)
        sheet.set("cspine_node_up", figures is not None)
        if figures is not None:
            _fill_figures(sheet, figures)

    def _fill_machine(self, sheet: Sheet) -> None:
        minimum = self._settings.receive.minimum_free_mb << 20
        sheet.set("cspine_node_disk_minimum_free_bytes", minimum)
        try:
            space = space_of(self._settings.node.state_dir)
            sheet.set("cspine_node_disk_free_bytes", space.free)
            sheet.set("cspine_node_disk_size_bytes", space.total)
            if self._store.path is not None:
                sheet.set("cspine_node_journal_bytes", _journal_bytes(self._store.path))
        except OSError:
            return  # a disk that cannot be asked is told by the absence of its figures


def figures_of(ask: Callable[[Document], Document | None]) -> Figures | None:
    """Return what the running node says of itself; None where none answers."""
    try:
        answer = ask(REQUEST)
        return None if answer is None else read_figures(answer)
    except SystemFailed:
        return None


def _fill_standing(sheet: Sheet, standing: Standing) -> None:
    for state, count in standing.cases.items():
        sheet.set("cspine_node_cases", count, state.value)
    for state, age_s in standing.oldest_s.items():
        sheet.set("cspine_node_oldest_age_seconds", age_s, state.value)
    sheet.set("cspine_node_oldest_age_seconds", standing.oldest_receiving_s, "receiving")
    sheet.set("cspine_node_series_receiving", standing.receiving)
    if standing.last_arrival_at is not None:
        sheet.set("cspine_node_last_arrival_timestamp_seconds", standing.last_arrival_at)
    sheet.set("cspine_node_files_in_quarantine", standing.quarantined)
    sheet.set("cspine_node_promises_due", standing.promises_due)


def _fill_destinations(
    sheet: Sheet,
    standing: Standing,
    ways: Mapping[str, Way],
    configured: Sequence[str],
    age_s: Callable[[str], float],
) -> None:
    """Write what is known of each destination: those of the settings, and others that something still waits for."""
    for name in sorted({*configured, *(name for name, _ in standing.deliveries)}):
        waits = False
        for state in sorted(UNSETTLED, key=lambda state: state.value):
            waiting = standing.deliveries.get((name, state), _NOTHING)
            waits |= waiting.count > 0
            sheet.set("cspine_node_deliveries_waiting", waiting.count, name, state.value)
            sheet.set("cspine_node_deliveries_oldest_age_seconds", waiting.oldest_s, name, state.value)
        sheet.set("cspine_node_commitments_open", standing.commitments.get(name, 0), name)
        way = ways.get(name, Way())
        if way.last_success_at is not None:
            at = seconds_of(way.last_success_at)
            sheet.set("cspine_node_destination_last_success_timestamp_seconds", at, name)
        failing_s = age_s(way.failing_since) if waits and way.failing_since is not None else 0.0
        sheet.set("cspine_node_destination_failing_seconds", failing_s, name)


def _fill_pulls(
    sheet: Sheet, ways: Mapping[str, Way], configured: Sequence[str], age_s: Callable[[str], float]
) -> None:
    """Write how each pull of the settings does; its counters begin at zero, so that the first failure shows a rise."""
    for name in configured:
        for end in PullEnd:
            sheet.set("cspine_node_pulls_total", 0, name, end.value)
        way = ways.get(name, Way())
        if way.last_success_at is not None:
            sheet.set("cspine_node_pull_last_success_timestamp_seconds", seconds_of(way.last_success_at), name)
        failing_s = age_s(way.failing_since) if way.failing_since is not None else 0.0
        sheet.set("cspine_node_pull_failing_seconds", failing_s, name)


def _fill_figures(sheet: Sheet, figures: Figures) -> None:
    sheet.set("cspine_node_info", 1, figures.version)
    sheet.set("cspine_node_start_timestamp_seconds", figures.started_at)
    sheet.set("cspine_node_engine_ready", figures.engine_ready)
    for reason in get_args(Shortage):
        sheet.set("cspine_node_intake_closed", figures.closed == reason, reason)
    sheet.set("cspine_node_connections", figures.connections)
    counts = figures.intake
    sheet.set("cspine_node_associations_accepted_total", counts.associations_accepted)
    sheet.set_all("cspine_node_associations_rejected_total", counts.associations_rejected)
    sheet.set_all("cspine_node_connections_refused_total", counts.connections_refused)
    sheet.set_all("cspine_node_instances_total", counts.instances)
    sheet.set_all("cspine_node_instances_refused_total", counts.instances_refused)
    sheet.set("cspine_node_received_bytes_total", counts.bytes_received)
    process = figures.process
    for name, value in (
        ("cspine_node_process_cpu_seconds_total", process.cpu_s),
        ("cspine_node_process_resident_memory_bytes", process.resident_bytes),
        ("cspine_node_process_open_fds", process.open_fds),
        ("cspine_node_process_max_fds", process.max_fds),
    ):
        if value is not None:
            sheet.set(name, value)
    for device in figures.devices:
        labels = (str(device.index), device.name)
        sheet.set("cspine_node_device_memory_used_bytes", device.used, *labels)
        sheet.set("cspine_node_device_memory_size_bytes", device.size, *labels)
        if device.utilization is not None:
            sheet.set("cspine_node_device_utilization_ratio", device.utilization, *labels)


def _journal_bytes(journal: Path) -> int:
    """Return the size of a SQLite journal with its write-ahead log. Raises OSError."""
    log = journal.with_name(f"{journal.name}-wal")
    return journal.stat().st_size + (log.stat().st_size if log.exists() else 0)
