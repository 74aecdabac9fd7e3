"""What was found in a volume: structures with their measurements, and how they came about."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.anatomy import StructureKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """What produced a result: the software, the bundle and the members that ran."""

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

    #: "fast" or "reference".
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

    `classes`: uint8 `(slices, rows, columns)`, 0 = background. `meanings`: class value -> kind.
    `member_agreement`: for each kind the lowest Dice overlap between the answers of two members, None where the bundle
    has one member only or none found the kind.
    """

    classes: NDArray[np.uint8]
    meanings: Mapping[int, StructureKind]
    member_agreement: Mapping[StructureKind, float | None]
    algorithm: Algorithm
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """One body or disc. `level` is its anatomical name, None when unnamed."""

    #: Its value in the label map, and its segment number in the SEG.
    label: int
    kind: StructureKind
    #: Its place among the structures of its kind, from the head, from 1.
    ordinal: int
    level: str | None
    volume_mm3: float
    centroid_lps_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is known about how far a result can be trusted.

    `member_agreement`: for each kind the lowest Dice between two members, None where there is no pair.
    `specks_mm3`: volume of the pieces too small to be a structure, which were dropped.
    """

    member_agreement: Mapping[StructureKind, float | None]
    specks_mm3: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """All structures of a volume, head to feet.

    `labels`: uint16 `(slices, rows, columns)` on the source grid, 0 = background, else `Structure.label`.
    `class_volume_mm3`: sum over the structures of each kind that the model knows.
    """

    labels: NDArray[np.uint16]
    structures: tuple[Structure, ...]
    class_volume_mm3: Mapping[StructureKind, float]
    quality: Quality
    algorithm: Algorithm
    run: Run
