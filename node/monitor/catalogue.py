"""Every metric of the node: its name, kind, labels and meaning (prometheus.io/docs/practices/naming).

`docs/monitoring.md`, the dashboard and the alert rules are held against this table by tests.
"""

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What Prometheus makes of a metric."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. A counter's name ends in "_total"; a histogram has the samples "_bucket", "_sum" and "_count"."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    #: Upper bounds of a histogram's buckets, in seconds.
    bounds: tuple[float, ...] = ()


_STAGE_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_TURNAROUND_S = (15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 4 * 3600, 12 * 3600, 24 * 3600)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"cspine_node_{name}", Kind.GAUGE, text, labels)


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"cspine_node_{name}_total", Kind.COUNTER, text, labels)


def _histogram(name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Metric:
    return Metric(f"cspine_node_{name}_seconds", Kind.HISTOGRAM, text, labels, bounds)


#: What stands now, by the journal.
STANDING = (
    _gauge("journal_readable", "1 where the journal could be read for this answer."),
    _gauge("cases", "Cases in the journal, by the state in which they are.", "state"),
    _gauge("oldest_age_seconds", "Since the oldest case came into a state that somebody must end; 0: none.", "state"),
    _gauge("series_receiving", "Series that are not complete yet."),
    _gauge("last_arrival_timestamp_seconds", "When the newest instance was received, be it deleted since."),
    _gauge("files_in_quarantine", "Received files that are no usable instance."),
    _gauge("promises_due", "Storage commitments that peers asked for and have not been told of."),
    _gauge("deliveries_waiting", "Objects that a destination has yet to take or to confirm.", "destination", "state"),
    _gauge("deliveries_oldest_age_seconds", "Since the oldest of those came up; 0: none.", "destination", "state"),
    _gauge("commitments_open", "Storage commitments that a destination was asked for and owes.", "destination"),
)

#: What has happened, counted from the trail of the journal: no restart sets these back.
HISTORY = (
    _counter("cases_accepted", "Revisions of series that a route took.", "route"),
    _counter("cases_ended", "Cases that ended, by the state they came into.", "state"),
    _counter("series_rejected", "Series that no route took, once for each kind of reason.", "reason"),
    _counter("results", "Results by their quality verdict.", "verdict"),
    _counter("case_failures", "Tries of a case that failed, and whether it is tried again.", "code", "outcome"),
    _counter("files_quarantined", "Received files that were no usable instance.", "code"),
    _counter("deliveries", "Objects that a destination has, or has refused for good.", "destination", "outcome"),
    _counter("delivery_failures", "Tries to deliver or to confirm that failed.", "destination", "code"),
    _counter("events_damaged", "Events of the trail that are not what was written, and were passed over."),
    _gauge("destination_last_success_timestamp_seconds", "When a destination last took something.", "destination"),
    _gauge("destination_failing_seconds", "Since the first failure after its last success; 0: none.", "destination"),
    _counter("pulls", "Pulls that ended, and how; no dry runs.", "pull", "outcome"),
    _counter("pull_series", "Series that a pull asked for, and whether all of what lacked came.", "pull", "outcome"),
    _gauge("pull_last_success_timestamp_seconds", "When a pull last ended without a failure.", "pull"),
    _gauge("pull_failing_seconds", "Since the first failure of a pull after its last success; 0: none.", "pull"),
    _histogram("stage", "Seconds of a case by stage.", _STAGE_S, "stage"),
    _histogram("work", "From a worker's claim of a case to its results on the disk.", _STAGE_S),
    _histogram("turnaround", "From a complete series to all its destinations.", _TURNAROUND_S),
)

#: What the running node says of itself; all but the first are absent while none answers. A restart begins anew.
RUNNING = (
    _gauge("up", "1 where the node answered for this scrape."),
    _gauge("info", "1; the version that runs.", "version"),
    _gauge("start_timestamp_seconds", "When the node was started."),
    _gauge("engine_ready", "1 once the networks are in memory."),
    _gauge("intake_closed", "1 while no instance is taken for that reason.", "reason"),
    _gauge("connections", "Open connections to the listener."),
    _counter("associations_accepted", "Associations that were accepted."),
    _counter("associations_rejected", "Associations that were rejected.", "reason"),
    _counter("connections_refused", "Connections closed before an association was asked for.", "reason"),
    _counter("instances", "Instances answered with Success.", "outcome"),
    _counter("instances_refused", "Instances answered with a failure.", "reason"),
    _counter("received_bytes", "Bytes of data sets that arrived."),
    _counter("process_cpu_seconds", "User and system time of the node's process, without the engine."),
    _gauge("process_resident_memory_bytes", "Resident memory of the node's process, without the engine."),
    _gauge("process_open_fds", "Open file descriptors of the node's process."),
    _gauge("process_max_fds", "Most file descriptors that it may open."),
    _gauge("device_memory_used_bytes", "Memory in use on a device, by anybody.", "device", "name"),
    _gauge("device_memory_size_bytes", "Memory of a device.", "device", "name"),
    _gauge("device_utilization_ratio", "Part of the last moment in which the device computed.", "device", "name"),
)

#: The machine and the settings, read where the page runs.
MACHINE = (
    _gauge("disk_free_bytes", "Free space on the disk of the state folder."),
    _gauge("disk_size_bytes", "Size of that disk."),
    _gauge("disk_minimum_free_bytes", "With less free space nothing is taken: receive.minimum_free_mb."),
    _gauge("journal_bytes", "Size of a SQLite journal with its write-ahead log."),
)

METRICS: tuple[Metric, ...] = (*STANDING, *HISTORY, *RUNNING, *MACHINE)
