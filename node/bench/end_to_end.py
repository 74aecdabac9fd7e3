"""R2: a live node, from the last C-STORE answered until the archive holds SEG and SR, against the networks alone."""

import http.client
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom

from node.bench.figures import median, summaries, summary
from node.bench.subject import TIMEOUT_S, Subject
from node.demo.archive import Archive, instances_of_study, running_archive
from node.demo.livenode import LiveNode, running_node
from node.demo.source import write_series
from node.errors import DeliveryError, EngineError

_POLL_S = 0.02

#: A wait on purpose, not work: a series is taken as complete as soon as its association has ended.
QUIET_S = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """One series through the node."""

    seconds: float
    #: Seconds of the networks alone, and of each stage of the case, as `findings.json` has them.
    network_s: float
    stages_s: Mapping[str, float]


def measure(subject: Subject) -> dict[str, Any]:
    """Return R2 over fresh copies of the volume. Raises NothingToSegment, EngineError, DeliveryError."""
    scratch = subject.scratch / "end_to_end"
    with running_archive(scratch / "archive", with_rest=True) as archive:
        watch, watched_by = _watch(archive, scratch / "archive")
        with watch as held, running_node(scratch / "node", archive, settings(subject)) as node:
            subject.step("R2: one series, untimed")
            results = _warm_up(subject, node)
            trips = []
            for number in range(1, subject.repetitions + 1):
                trips.append(_timed(subject, node, archive, held, results))
                subject.step(f"R2: {number} of {subject.repetitions}: {trips[-1].seconds:.2f} s")
    ratios = [trip.seconds / trip.network_s for trip in trips]
    return {
        "ratio": round(median(ratios), 4),
        "ratios": summary(ratios),
        "seconds": summary([trip.seconds for trip in trips]),
        "network_s": summary([trip.network_s for trip in trips]),
        "stages_s": summaries([trip.stages_s for trip in trips]),
        "results": results,
        "archive": archive.name.partition(" at ")[0].partition(",")[0],
        "watched_by": watched_by,
        "quiet_s": QUIET_S,
    }


def settings(subject: Subject) -> str:
    """Return the sections of the node's settings file that say how it computes and that it waits for nothing."""
    model = subject.model("fast")
    return (
        f"[completeness]\nquiet_s = {QUIET_S}\n"
        f'[model]\nbundle = {json.dumps(model.bundle)}\nmode = "{model.mode}"\ndevice = "{model.device}"\n'
        f"folds = {model.folds}\nmirroring = {str(model.mirroring).lower()}\ntimeout_s = {model.timeout_s}\n"
        f"tolerance_ppm = {model.tolerance_ppm}\n"
        f"[model.cpu]\nfolds = {model.cpu.folds}\nmirroring = {str(model.cpu.mirroring).lower()}\n"
    )


def _timed(subject: Subject, node: LiveNode, archive: Archive, held: Callable[[], int], results: int) -> Trip:
    """Send the volume once; `held` counts what the archive holds, of which `results` more are awaited."""
    before = held()
    series_uid, files = _fresh(subject)
    node.send(files)
    begun = time.perf_counter()
    while held() < before + results:
        if not node.alive() or time.perf_counter() - begun > TIMEOUT_S:
            raise EngineError("the node ended, or gave no result in time; its log on standard error says why")
        time.sleep(_POLL_S)
    seconds = time.perf_counter() - begun
    case = node.delivered(subject.step, series_uid=series_uid)
    _confirm(archive, case["study_uid"], node.sent(case))
    document = node.findings(case)
    return Trip(seconds=seconds, network_s=document["run"]["stages_s"]["network"], stages_s=document["timings_s"])


def _warm_up(subject: Subject, node: LiveNode) -> int:
    """Send the volume once and return how many results it has."""
    series_uid, files = _fresh(subject)
    node.send(files)
    return len(node.sent(node.delivered(lambda _text: None, series_uid=series_uid, within_s=TIMEOUT_S)))


def _fresh(subject: Subject) -> tuple[str, list[Path]]:
    """Return the volume as a series with UIDs that the node does not know yet: Series Instance UID and files."""
    volume = subject.volume
    files = write_series(volume.voxels, volume.grid, subject.scratch / "sent", name=f"bench {uuid.uuid4()}")
    return str(pydicom.dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID), files


def _confirm(archive: Archive, study_uid: str, sent: frozenset[str]) -> None:
    """Raise DeliveryError unless the archive lists every result that was sent."""
    listed = {made["sop_instance_uid"] for made in instances_of_study(archive.peer, study_uid)}
    if not sent <= listed:
        raise DeliveryError("the archive does not list all results")


def _watch(archive: Archive, folder: Path) -> tuple[Any, str]:
    """Return what counts the archive's instances, cheaply enough to be asked every 20 ms, and its name."""
    if archive.rest_url:
        return _orthanc_count(archive.rest_url), "Orthanc's own count of instances, asked every 20 ms"
    return _file_count(folder), "files in the archive's folder, counted every 20 ms"


@contextmanager
def _orthanc_count(url: str) -> Iterator[Callable[[], int]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT_S)

    def count() -> int:
        connection.request("GET", "/statistics")
        return int(json.loads(connection.getresponse().read())["CountInstances"])

    try:
        yield count
    finally:
        connection.close()


@contextmanager
def _file_count(folder: Path) -> Iterator[Callable[[], int]]:
    yield lambda: sum(1 for _ in folder.glob("*.dcm"))
