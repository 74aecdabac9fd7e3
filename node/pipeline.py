"""The order of the stages, known here alone: series in, findings and objects out."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from node import __version__
from node.assemble.volume import build_volume
from node.deliver.folder import findings_document
from node.deliver.overlay import overlay_png
from node.domain.case import EncodedObject, ObjectKind, ResultKey
from node.domain.findings import Algorithm, Findings, Segmentation
from node.domain.geometry import Volume
from node.domain.identifiers import Digest
from node.domain.series import Series
from node.encode import encode
from node.measure.metrics import measure


class Segmenter(Protocol):
    """The seam of the engine."""

    @property
    def algorithm(self) -> Algorithm:
        """What answers here."""

    def segment(self, volume: Volume) -> Segmentation:
        """Return the classes on the grid of `volume`."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseResult:
    """Everything that came of one series."""

    volume: Volume
    findings: Findings
    objects: tuple[EncodedObject, ...]
    #: `findings.json`.
    document: Mapping[str, Any]
    #: `overlay.png`.
    overlay: bytes
    #: Seconds by stage.
    timings_s: Mapping[str, float]

    def contents(self) -> dict[ObjectKind, bytes]:
        """Return the bytes of each object."""
        return {made.kind: made.content for made in self.objects}


class Stages:
    """Times the stages of a case and tells `progress` when one begins."""

    def __init__(self, progress: Callable[[str], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._progress = progress
        self._clock = clock
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as stage `name`."""
        self._progress(name)
        begun = self._clock()
        yield
        self.seconds[name] = self._clock() - begun


def run_case(
    series: Series,
    content_digest: Digest,
    segmenter: Segmenter,
    progress: Callable[[str], None] = lambda _stage: None,
) -> CaseResult:
    """Run one accepted series through every stage. Raises the NodeError of the stage that failed."""
    stages = Stages(progress)
    with stages.stage("volume"):
        volume = build_volume(series)
    with stages.stage("segment"):
        segmentation = segmenter.segment(volume)
    with stages.stage("measure"):
        findings = measure(segmentation, volume.grid)
    with stages.stage("encode"):
        objects = encode(series, volume, findings, result_key(content_digest, findings.algorithm))
    with stages.stage("overlay"):
        overlay = overlay_png(volume, findings)
    return CaseResult(
        volume=volume,
        findings=findings,
        objects=objects,
        document=findings_document(findings, stages.seconds),
        overlay=overlay,
        timings_s=stages.seconds,
    )


def result_key(content_digest: Digest, algorithm: Algorithm) -> ResultKey:
    """Return what the results of a set of instances follow from; the engine that answered says how it was set up."""
    engine = f"{algorithm.engine}, members {', '.join(algorithm.members)}"
    return ResultKey(
        content_digest=content_digest,
        bundle_digest=algorithm.bundle_digest,
        settings_digest=hashlib.sha256(engine.encode()).hexdigest(),
        software_version=__version__,
    )
