"""What findings and their DICOM objects cost, read back and compared included; CPU time of this process."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.bench.figures import summary
from node.bench.subject import SEED, SHAPE, SPACING_MM, Subject
from node.demo.source import write_series
from node.domain.anatomy import StructureKind
from node.domain.case import Order
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Volume
from node.domain.identifiers import Digest
from node.encode import Case, encode
from node.measure.measure import measure as findings_of
from node.pipeline import result_key
from node.train.phantom import LABELS, Phantom, generate

_MEANINGS = {
    LABELS["vertebrae"]: StructureKind.VERTEBRAL_BODY,
    LABELS["inter-vetebral disc"]: StructureKind.INTERVERTEBRAL_DISC,
}


def measure(subject: Subject) -> dict[str, Any]:
    """Return CPU seconds of measuring a generated neck's own labels, and of writing SEG and SR about it."""
    phantom = generate(SEED, shape=SHAPE, spacing_mm=SPACING_MM)
    [series] = gather(write_series(phantom.image, phantom.grid, subject.scratch / "results", name="results"))[0]
    volume = build_volume(series)
    segmentation = _truth(phantom, volume, subject)
    findings = findings_of(segmentation, volume)
    case = Case(series=series, volume=volume, segmentation=segmentation, findings=findings, pictures=())
    key = result_key(Digest("0" * 64), segmentation.algorithm, Order())
    count = max(3, subject.repetitions)
    subject.step(f"results: {count} times findings, SEG and SR")
    return {
        "structures": len(findings.structures),
        "named": sum(structure.level is not None for structure in findings.structures),
        "measure_cpu_s": summary([_spent(lambda: findings_of(segmentation, volume)) for _ in range(count)]),
        "encode_cpu_s": summary([_spent(lambda: encode(case, key, Order())) for _ in range(count)]),
    }


def _spent(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _truth(phantom: Phantom, volume: Volume, subject: Subject) -> Segmentation:
    """Return the labels that the phantom was drawn with as if a network had answered."""
    if phantom.labels.shape != volume.grid.shape:
        raise ValueError("the phantom was not written as it was drawn")
    bundle = subject.bundle
    return Segmentation(
        classes=phantom.labels,
        meanings=_MEANINGS,
        probabilities={
            kind: np.where(phantom.labels == label, 255, 0).astype(np.uint8) for label, kind in _MEANINGS.items()
        },
        opinions={},
        algorithm=Algorithm(
            name="cspine-node",
            version="bench",
            bundle_name=bundle.name,
            bundle_version=bundle.version,
            bundle_digest=bundle.digest,
            members=("labels",),
            engine="labels as drawn",
            intended_use=bundle.intended_use,
        ),
        run=Run(
            mode="labels",
            device="cpu",
            precision="uint8",
            members=("labels",),
            stages_s={},
            cpu_s={},
            peak_host_bytes=0,
            peak_device_bytes=None,
            fallbacks=(),
            self_test_ppm=None,
        ),
    )
