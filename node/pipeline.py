"""The order of the stages, known here alone: series in, findings and objects out."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from node import __version__
from node.assemble.volume import build_volume
from node.domain.case import EncodedObject, Order, ResultKey
from node.domain.findings import Algorithm, Findings, Segmentation
from node.domain.geometry import Volume
from node.domain.identifiers import Digest
from node.domain.picture import Picture
from node.domain.series import Series
from node.draw.keyimage import key_pictures
from node.draw.overlay import overlay_png
from node.encode import Case, encode, segment_numbers
from node.measure.measure import measure
from node.output.document import findings_document
from node.output.table import measurements_tsv

_DEFAULT_ORDER = Order()


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
    #: The answer before clean-up.
    segmentation: Segmentation
    findings: Findings
    #: Empty where the volume is of no DICOM series.
    objects: tuple[EncodedObject, ...]
    #: `findings.json`.
    document: Mapping[str, Any]
    #: `measurements.tsv`.
    measurements: str
    #: `overlay.png`.
    overlay: bytes
    #: Seconds by stage.
    timings_s: Mapping[str, float]

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of each object by the name of its file."""
        return {made.name: made.content for made in self.objects}


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
        self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - begun


def run_case(
    series: Series,
    content_digest: Digest,
    segmenter: Segmenter,
    order: Order = _DEFAULT_ORDER,
    progress: Callable[[str], None] = lambda _stage: None,
) -> CaseResult:
    """Run one accepted series through every stage, and make of it what `order` asks for.

    Raises the NodeError of the stage that failed.
    """
    stages = Stages(progress)
    with stages.stage("volume"):
        volume = build_volume(series)
    segmentation, findings, overlay = _examined(volume, segmenter, stages)
    pictures: Sequence[Picture] = ()
    if any(form.key_images for form in order.wanted):
        with stages.stage("draw"):
            pictures = key_pictures(volume, findings)
    with stages.stage("encode"):
        case = Case(series=series, volume=volume, segmentation=segmentation, findings=findings, pictures=pictures)
        objects = encode(case, result_key(content_digest, findings.algorithm, order), order)
    return CaseResult(
        volume=volume,
        segmentation=segmentation,
        findings=findings,
        objects=objects,
        document=findings_document(findings, segment_numbers(findings, order.segments), stages.seconds),
        measurements=measurements_tsv(findings),
        overlay=overlay,
        timings_s=stages.seconds,
    )


def run_volume(
    volume: Volume, segmenter: Segmenter, progress: Callable[[str], None] = lambda _stage: None
) -> CaseResult:
    """Run a volume that is of no DICOM series through the stages that need none: there are no objects then.

    Raises the NodeError of the stage that failed.
    """
    stages = Stages(progress)
    segmentation, findings, overlay = _examined(volume, segmenter, stages)
    return CaseResult(
        volume=volume,
        segmentation=segmentation,
        findings=findings,
        objects=(),
        document=findings_document(findings, None, stages.seconds),
        measurements=measurements_tsv(findings),
        overlay=overlay,
        timings_s=stages.seconds,
    )


def _examined(volume: Volume, segmenter: Segmenter, stages: Stages) -> tuple[Segmentation, Findings, bytes]:
    """Return the classes, what they are, and `overlay.png`."""
    with stages.stage("segment"):
        segmentation = segmenter.segment(volume)
    with stages.stage("measure"):
        findings = measure(segmentation, volume)
    with stages.stage("draw"):
        overlay = overlay_png(volume, findings)
    return segmentation, findings, overlay


def result_key(content_digest: Digest, algorithm: Algorithm, order: Order) -> ResultKey:
    """Return what the results of a set of instances follow from; the engine that answered says how it was set up.

    The forms of the order are left out: each has UIDs of its own, and is the same beside whatever others.
    """
    engine = f"{algorithm.engine}, members {', '.join(algorithm.members)}"
    made = f"segments {order.segments.value}, on reject {order.on_reject.value}"
    return ResultKey(
        content_digest=content_digest,
        bundle_digest=algorithm.bundle_digest,
        settings_digest=hashlib.sha256(f"{engine}; {made}".encode()).hexdigest(),
        software_version=__version__,
    )
