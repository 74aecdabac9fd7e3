"""What each segment of a SEG stands for (PS3.3 C.8.20.2): numbers, names, codes, colours."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import dicom_sr
from node.domain.anatomy import Level, StructureKind, colour
from node.domain.case import SegmentsOf
from node.domain.findings import Findings, Origin, Structure
from node.encode.concepts import property_type, sites
from node.errors import EncodingError

_SINGULAR = {
    StructureKind.VERTEBRAL_BODY: "vertebral body",
    StructureKind.INTERVERTEBRAL_DISC: "intervertebral disc",
}
_PLURAL = {
    StructureKind.VERTEBRAL_BODY: "Vertebral bodies",
    StructureKind.INTERVERTEBRAL_DISC: "Intervertebral discs",
}

LabelMap = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One segment: a named structure, or all those of a class that share it, whose `level` is None then.

    `name` is its label and its tracking identifier; `key` tells it apart within its kind when UIDs are derived.
    """

    number: int
    kind: StructureKind
    level: Level | None
    #: Whether it has no level because nobody knows it, rather than because nobody asked.
    uncertain: bool
    name: str
    key: str
    structures: tuple[Structure, ...]

    @property
    def volume_mm3(self) -> float:
        """The sum over its structures, in mm3."""
        return sum(structure.volume_mm3 for structure in self.structures)


def structure_name(level: Level) -> str:
    """Return what a segment or a group about a level is called.

    >>> from node.domain.anatomy import body, disc_below
    >>> structure_name(body("C5")), structure_name(disc_below("C5"))
    ('C5 vertebral body', 'C5/C6 intervertebral disc')
    >>> structure_name(body("C5", "C6"))
    'C5-C6 vertebral bodies (fused)'
    """
    if level.kind is StructureKind.VERTEBRAL_BODY and level.first != level.last:
        return f"{level.name} vertebral bodies (fused)"
    return f"{level.name} {_SINGULAR[level.kind]}"


def class_name(kind: StructureKind) -> str:
    """Return what all structures of a class are called, such as "Vertebral bodies"."""
    return _PLURAL[kind]


def divide(findings: Findings, segments_of: SegmentsOf) -> tuple[Part, ...]:
    """Return the segments, numbered from 1 without gaps: the named structures from the head, then shared segments.

    A structure without a level is never given a name: those of a class share one segment.
    """
    one_each = segments_of is SegmentsOf.STRUCTURES
    parts = [
        Part(
            number=number,
            kind=structure.kind,
            level=level,
            uncertain=False,
            name=structure_name(level),
            key=level.name,
            structures=(structure,),
        )
        for number, (structure, level) in enumerate(_named(findings) if one_each else (), start=1)
    ]
    for kind in StructureKind:
        shared = tuple(found for found in findings.structures if found.kind is kind and not (one_each and found.level))
        if shared:
            ending = ", level uncertain" if one_each else ""
            parts.append(
                Part(
                    number=len(parts) + 1,
                    kind=kind,
                    level=None,
                    uncertain=one_each,
                    name=f"{_PLURAL[kind]}{ending}",
                    key=f"all{ending}",
                    structures=shared,
                )
            )
    return tuple(parts)


def segment_numbers(findings: Findings, segments_of: SegmentsOf) -> dict[int, int]:
    """Return the number of the segment that each structure is in, by its label in `findings.labels`."""
    return {found.label: part.number for part in divide(findings, segments_of) for found in part.structures}


def _named(findings: Findings) -> list[tuple[Structure, Level]]:
    return [(found, found.level) for found in findings.structures if found.level is not None]


def label_map(findings: Findings, parts: Sequence[Part]) -> LabelMap:
    """Return `findings.labels` with the segment numbers: `(slices, rows, columns)`, 0 = background.

    Raises EncodingError when a voxel carries the label of no structure.
    """
    places = np.flatnonzero(findings.labels)
    found = findings.labels.ravel()[places]
    known = [structure.label for part in parts for structure in part.structures]
    size = max(0, int(found.max(initial=0)), *known) + 1
    lookup = np.zeros(size, dtype=np.uint8 if len(parts) < 256 else np.uint16)
    for part in parts:
        lookup[[structure.label for structure in part.structures]] = part.number
    numbers = lookup[found]
    if not numbers.all():
        raise EncodingError("the label map holds a structure that the findings do not")
    labels = np.zeros(findings.labels.shape, dtype=lookup.dtype)
    labels.ravel()[places] = numbers
    return labels


def spec(part: Part, findings: Findings, identity: dicom_sr.ResultIdentity) -> dicom_sr.SegmentSpec:
    """Return the segment as the library writes it. Its tracking UID is the same in every form of SEG and SR."""
    return dicom_sr.SegmentSpec(
        number=part.number,
        label=part.name,
        property_type=property_type(part.kind, part.level),
        color=dicom_sr.CIELab.from_srgb(*colour(part.kind, part.level)),
        tracking_id=part.name,
        tracking_uid=tracking_uid(identity, part.kind, part.key),
        algorithm=algorithm_identity(findings),
        algorithm_type=algorithm_type(findings),
        anatomic_regions=sites(part.level),
    )


def tracking_uid(identity: dicom_sr.ResultIdentity, kind: StructureKind, key: str) -> str:
    """Return the Tracking UID (0062,0021) of a structure; `key` is the name of its level, or of what it shares."""
    return identity.uid("tracking", kind.value, key)


def algorithm_identity(findings: Findings) -> dicom_sr.AlgorithmIdentity | None:
    """Return the model that answered, as PS3.3 10.16 names it; None where people did."""
    algorithm = findings.algorithm
    if findings.origin is Origin.MANUAL_MASK:
        return None
    source = algorithm.engine if findings.origin is Origin.AUTOMATIC_MASK else None
    return dicom_sr.AlgorithmIdentity(name=algorithm.bundle_name, version=algorithm.bundle_version, source=source)


def algorithm_type(findings: Findings) -> dicom_sr.AlgorithmType:
    """Return how the outlines came about: Segment Algorithm Type (PS3.3 C.8.20.4)."""
    manual = findings.origin is Origin.MANUAL_MASK
    return dicom_sr.AlgorithmType.MANUAL if manual else dicom_sr.AlgorithmType.AUTOMATIC
