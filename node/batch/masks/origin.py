"""What a mask of the dataset is called in the objects that are made of it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from node import __version__
from node.batch.midrc.exam import Annotation
from node.domain.findings import Algorithm, Origin, Run
from node.domain.identifiers import Digest
from node.domain.product import MODEL_NAME

#: The release that the tables of the download are named after.
RELEASE = "20250321"

_PUBLISHED_BY = "Duke CSpineSeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    origin: Origin
    name: str
    #: In the remarks of a report; ASCII.
    told: str


_KINDS: Mapping[Annotation, _Kind] = {
    Annotation.EXPERT: _Kind(
        origin=Origin.MANUAL_MASK,
        name=f"{_PUBLISHED_BY} expert mask",
        told="Outlined or corrected by people",
    ),
    Annotation.WEAK: _Kind(
        origin=Origin.AUTOMATIC_MASK,
        name=f"{_PUBLISHED_BY} weak labels",
        told="The answer of the dataset's own networks, not corrected by people",
    ),
}

#: Nothing ran.
RUN = Run(
    mode="mask",
    device="none",
    precision="none",
    members=(),
    stages_s={},
    cpu_s={},
    peak_host_bytes=0,
    peak_device_bytes=None,
    fallbacks=(),
    self_test_ppm=None,
)


def origin_of(annotation: Annotation) -> Origin:
    """Return how the outlines of such a mask came about: by people, or by networks."""
    return _KINDS[annotation].origin


def algorithm_of(annotation: Annotation, release: str, digest: Digest) -> Algorithm:
    """Return what stands for the model: the mask, of a release of the dataset, its voxels of SHA-256 `digest`.

    The digest of the whole changes with the voxels and with what is said of them, so that UIDs do.
    """
    kind = _KINDS[annotation]
    whole = hashlib.sha256(f"{kind.name}, release {release}: {digest}".encode()).hexdigest()
    return Algorithm(
        name=MODEL_NAME,
        version=__version__,
        bundle_name=kind.name,
        bundle_version=release,
        bundle_digest=whole,
        members=(),
        engine=_PUBLISHED_BY,
        intended_use=(
            f"{kind.name}, release {release}, kept voxel for voxel. {kind.told}; levels and measurements by "
            f"{MODEL_NAME}. For research, not for diagnosis."
        ),
    )
