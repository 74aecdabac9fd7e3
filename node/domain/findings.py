"""What was found in a volume: structures with their measurements, and how they came about."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import Level, StructureKind


class Origin(Enum):
    """Where the classes of a volume come from."""

    #: The node's own networks answered.
    NETWORKS = "networks"
    #: A mask that somebody else's networks made, published as it is.
    AUTOMATIC_MASK = "automatic mask"
    #: A mask that people outlined or corrected, published as it is.
    MANUAL_MASK = "manual mask"

    @property
    def is_mask(self) -> bool:
        """Whether every voxel is to stay what it is: a published mask is not the node's to mend."""
        return self is not Origin.NETWORKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What produced a result: the software, the bundle and the members that ran.

    Of a published mask `name` and `version` are the node's, which converted it, and the bundle is the mask: what it is
    called, the release that it is of, the digest of its voxels. No member ran; the engine is who published it.
    """

    name: str
    version: str
    bundle_name: str
    bundle_version: str
    #: SHA-256 over the bundle's manifest.
    bundle_digest: str
    #: One line each, such as "2d fold 0".
    members: tuple[str, ...]
    #: Libraries with versions, device and threads: another engine may round otherwise.
    engine: str
    #: What the makers of the bundle say it may be used for.
    intended_use: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How one answer came about. It changes from run to run and goes into no DICOM object."""

    #: "fast" or "reference"; "mask" where nothing ran.
    mode: str
    #: Such as "cpu" or "cuda:0 NVIDIA H200".
    device: str
    #: What the networks were computed in: "float32", or "float16" by autocast.
    precision: str
    #: The members that ran, one line each, such as "2d fold 0".
    members: tuple[str, ...]
    #: Seconds by stage: "preprocess", "network" (forward passes alone), "windows" (tiles in and out), "combine" (back
    #: onto the image's grid, softmax, mean, classes). In reference mode "network" holds the windows, "back" is apart.
    stages_s: Mapping[str, float]
    #: The same in seconds of the engine's CPU time, over all threads.
    cpu_s: Mapping[str, float]
    #: Largest resident memory of the engine's process since it began, in bytes.
    peak_host_bytes: int
    #: Largest memory taken on the device for this answer, in bytes; None on the CPU.
    peak_device_bytes: int | None
    #: What was given up on the way, such as "out of memory: 4 tiles at a time"; empty when nothing was.
    fallbacks: tuple[str, ...]
    #: Voxels per million that differed from the official functions when the engine tested itself at its start; None in
    #: reference mode.
    self_test_ppm: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """The ensemble's answer on the source grid.

    `classes`: uint8 `(slices, rows, columns)`, 0 = background. `meanings`: class value -> kind. `probabilities`: for
    each kind the ensemble's softmax, uint8 `(slices, rows, columns)`, 255 = 1; background has what the kinds leave. In
    fast mode it is 0 outside the box around all that any member is unsure of: what is left there is not told.
    `opinions`: what single members answered, uint8 `(slices, rows, columns)` as `classes`, by configuration such as
    "2d", and, where several folds ran, by fold such as "2d fold 0"; empty where there is one network only.
    """

    classes: NDArray[np.uint8]
    meanings: Mapping[int, StructureKind]
    probabilities: Mapping[StructureKind, NDArray[np.uint8]]
    opinions: Mapping[str, NDArray[np.uint8]]
    algorithm: Algorithm
    run: Run
    origin: Origin = Origin.NETWORKS


class Quantity(Enum):
    """A measured quantity: its key in tables, and its unit in UCUM. `node.measure.metrics` defines each."""

    VOLUME = "volume", "mm3"
    HEIGHT_ANTERIOR = "height_anterior", "mm"
    HEIGHT_MIDDLE = "height_middle", "mm"
    HEIGHT_POSTERIOR = "height_posterior", "mm"
    #: From the front wall to the back wall.
    DEPTH = "depth", "mm"
    #: Of a body: positive where the front is higher than the back.
    WEDGE_ANGLE = "wedge_angle", "deg"
    DISC_HEIGHT_INDEX = "disc_height_index", "1"
    #: T2 signal of a disc over that of its neighbours' bodies.
    T2_RATIO_MEAN = "t2_ratio_mean", "1"
    T2_RATIO_MEDIAN = "t2_ratio_median", "1"
    #: Of a body against the one below: positive toward the front.
    SLIP = "slip", "mm"
    #: C2 to C7, positive where the neck is hollow toward the back.
    LORDOSIS_COBB = "lordosis_cobb", "deg"
    LORDOSIS_POSTERIOR_TANGENT = "lordosis_posterior_tangent", "deg"

    def __init__(self, key: str, unit: str) -> None:
        self.key = key
        self.unit = unit


Measures = Mapping[Quantity, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One body, block of fused bodies, or disc."""

    #: Its value in the label map.
    label: int
    kind: StructureKind
    #: Its place among the structures of its kind, from the head, from 1.
    ordinal: int
    #: Its anatomical name; None where the evidence is too weak for one.
    level: Level | None
    #: How sure the name is, 0 to 1; of the name that was not given where `level` is None.
    level_confidence: float
    #: Whether the field of view cuts it.
    truncated: bool
    volume_mm3: float
    centroid_lps_mm: tuple[float, float, float]
    #: All but the volume; what cannot be measured, as the height of a truncated body, is left out.
    measures: Measures


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two neighbouring bodies or blocks, by their labels, and what is measured between them."""

    upper: int
    lower: int
    measures: Measures


class Presence(Enum):
    """Why a structure that a report speaks of is not among the findings."""

    #: Its neighbours are there and it is not.
    ABSENT = "absent"
    NOT_IN_VIEW = "not in the field of view"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """A level of C2 to T1 without a structure. A vertebra or disc inside a fused block is not missing."""

    level: Level
    presence: Presence


class Verdict(Enum):
    """Whether a result can be used as it is."""

    GOOD = "good"
    #: To be looked at before it is used.
    REVIEW = "review"
    #: Not to be used.
    REJECT = "reject"


class Doubt(Enum):
    """What can speak against a result."""

    MEMBER_DISAGREEMENT = "member-disagreement"
    FOLD_DISAGREEMENT = "fold-disagreement"
    HIGH_ENTROPY = "high-entropy"
    IMPLAUSIBLE_VOLUME = "implausible-volume"
    IMPLAUSIBLE_HEIGHT = "implausible-height"
    #: Bodies and discs do not alternate, or something lies where no spine is.
    IMPLAUSIBLE_ORDER = "implausible-order"
    LEVEL_UNCERTAIN = "level-uncertain"
    TRUNCATED = "truncated-field-of-view"
    MOTION = "motion"
    LOW_SIGNAL = "low-signal"
    SPECKS = "specks"
    NOTHING_FOUND = "nothing-found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One thing that speaks against a result, with a sentence for a reader and the structures that it is about."""

    doubt: Doubt
    verdict: Verdict
    text: str
    labels: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How far the networks agree about one structure; None where there is nothing to compare.

    `member_agreement`, `fold_agreement`: lowest Dice between two configurations, between two folds of one.
    `entropy`: mean entropy of the ensemble's softmax over its voxels, 0 to 1 (1 = all classes alike).
    """

    member_agreement: float | None
    fold_agreement: float | None
    entropy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How far a result can be trusted.

    `verdict` is the worst of the objections'. `evidence` by label. `member_agreement`: for each kind the lowest Dice
    between two configurations over the whole volume, None where there is no pair. `specks_mm3`: volume of the pieces
    that were taken for no structure and dropped.
    """

    verdict: Verdict
    objections: tuple[Objection, ...]
    evidence: Mapping[int, Evidence]
    member_agreement: Mapping[StructureKind, float | None]
    specks_mm3: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """All structures of a volume, head to feet.

    `labels`: uint16 `(slices, rows, columns)` on the source grid, 0 = background, else `Structure.label`; of a
    published mask every voxel of a class is in a structure of its kind, and no other is in any.
    `class_volume_mm3`: sum over the structures of each kind that the model knows. `curvature`: of the whole neck.
    """

    labels: NDArray[np.uint16]
    structures: tuple[Structure, ...]
    missing: tuple[Missing, ...]
    pairs: tuple[Pair, ...]
    curvature: Measures
    class_volume_mm3: Mapping[StructureKind, float]
    quality: Quality
    algorithm: Algorithm
    run: Run
    origin: Origin = Origin.NETWORKS
