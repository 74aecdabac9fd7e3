"""The node's words as coded concepts (PS3.16): one table for each question."""

from collections.abc import Mapping
from dataclasses import dataclass

from dicom_sr import Code, codes
from node.domain.anatomy import Level, StructureKind
from node.domain.findings import Doubt, Presence, Quantity, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """How a quantity is coded (TID 300): what it is, its unit, how it was measured, how derived, and where."""

    name: Code
    unit: Code
    method: Code
    derivation: Code | None = None
    #: Value of a topographical modifier.
    place: Code | None = None


def _height(place: Code) -> Concept:
    return Concept(name=codes.HEIGHT, unit=codes.MM, method=codes.MID_SAGITTAL_ENDPLATE_METHOD, place=place)


def _t2_ratio(derivation: Code) -> Concept:
    return Concept(
        name=codes.RELATIVE_T2_SIGNAL, unit=codes.RATIO, method=codes.SIGNAL_RATIO_METHOD, derivation=derivation
    )


QUANTITIES: Mapping[Quantity, Concept] = {
    Quantity.VOLUME: Concept(name=codes.VOLUME, unit=codes.MM3, method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES),
    Quantity.HEIGHT_ANTERIOR: _height(codes.ANTERIOR),
    Quantity.HEIGHT_MIDDLE: _height(codes.MIDDLE),
    Quantity.HEIGHT_POSTERIOR: _height(codes.POSTERIOR),
    Quantity.DEPTH: Concept(name=codes.DEPTH, unit=codes.MM, method=codes.MID_SAGITTAL_ENDPLATE_METHOD),
    Quantity.WEDGE_ANGLE: Concept(
        name=codes.VERTEBRAL_WEDGE_ANGLE, unit=codes.DEGREE, method=codes.ENDPLATE_COBB_METHOD
    ),
    Quantity.DISC_HEIGHT_INDEX: Concept(
        name=codes.DISC_HEIGHT_INDEX, unit=codes.RATIO, method=codes.MID_SAGITTAL_ENDPLATE_METHOD
    ),
    Quantity.T2_RATIO_MEAN: _t2_ratio(codes.MEAN),
    Quantity.T2_RATIO_MEDIAN: _t2_ratio(codes.MEDIAN),
    Quantity.SLIP: Concept(name=codes.VERTEBRAL_SLIP, unit=codes.MM, method=codes.POSTERIOR_WALL_OFFSET_METHOD),
    Quantity.LORDOSIS_COBB: Concept(name=codes.COBB_ANGLE, unit=codes.DEGREE, method=codes.ENDPLATE_COBB_METHOD),
    Quantity.LORDOSIS_POSTERIOR_TANGENT: Concept(
        name=codes.POSTERIOR_TANGENT_ANGLE, unit=codes.DEGREE, method=codes.POSTERIOR_TANGENT_METHOD
    ),
}

VERDICTS: Mapping[Verdict, Code] = {
    Verdict.GOOD: codes.GOOD,
    Verdict.REVIEW: codes.REVIEW,
    Verdict.REJECT: codes.REJECT,
}

DOUBTS: Mapping[Doubt, Code] = {
    Doubt.MEMBER_DISAGREEMENT: codes.MEMBER_DISAGREEMENT,
    Doubt.FOLD_DISAGREEMENT: codes.FOLD_DISAGREEMENT,
    Doubt.HIGH_ENTROPY: codes.HIGH_ENTROPY,
    Doubt.IMPLAUSIBLE_VOLUME: codes.IMPLAUSIBLE_VOLUME,
    Doubt.IMPLAUSIBLE_HEIGHT: codes.IMPLAUSIBLE_HEIGHT,
    Doubt.IMPLAUSIBLE_ORDER: codes.IMPLAUSIBLE_ORDER,
    Doubt.LEVEL_UNCERTAIN: codes.LEVEL_UNCERTAIN,
    Doubt.TRUNCATED: codes.TRUNCATED_FIELD_OF_VIEW,
    Doubt.MOTION: codes.MOTION,
    Doubt.LOW_SIGNAL: codes.LOW_SIGNAL,
    Doubt.SPECKS: codes.SPECKS,
    Doubt.NOTHING_FOUND: codes.NOTHING_FOUND,
}

PRESENCES: Mapping[Presence, Code] = {
    Presence.ABSENT: codes.ABSENT,
    Presence.NOT_IN_VIEW: codes.NOT_IN_FIELD_OF_VIEW,
}

#: From here on a level's name is called as good as certain.
HIGH_CONFIDENCE = 0.95


def confidence(level: Level | None, certainty: float) -> Code:
    """Return how sure the name of a level is; `certainty` 0 to 1.

    >>> confidence(None, 0.99).meaning
    'Uncertain'
    """
    if level is None:
        return codes.UNCERTAIN_CONFIDENCE
    return codes.HIGH_CONFIDENCE if certainty >= HIGH_CONFIDENCE else codes.MODERATE_CONFIDENCE


def property_type(kind: StructureKind, level: Level | None) -> Code:
    """Return what a structure is: a named disc of CID 7604 where it has one, else a body or disc of any level.

    A body is coded as a body, not by its vertebra's CID 7603 code, which means the whole vertebra.
    """
    if kind is StructureKind.VERTEBRAL_BODY:
        return codes.VERTEBRAL_BODY
    return codes.DISCS.get(level.name, codes.INTERVERTEBRAL_DISC) if level is not None else codes.INTERVERTEBRAL_DISC


def sites(level: Level | None) -> tuple[Code, ...]:
    """Return where a structure lies: each vertebra of a body or block (CID 7603), the level of a disc (CID 1003).

    The cervical spine where there is no name; the sacrum has no code in CID 7603, and stays without.
    """
    if level is None:
        return (codes.CERVICAL_SPINE,)
    if level.kind is StructureKind.INTERVERTEBRAL_DISC:
        return (codes.DISC_LEVELS.get(level.name, codes.CERVICAL_SPINE),)
    return tuple(codes.VERTEBRAE[name] for name in level.vertebrae if name in codes.VERTEBRAE)
