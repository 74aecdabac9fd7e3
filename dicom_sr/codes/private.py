"""Concepts that PS3.16 has no code for, under a private coding scheme (PS3.3 8.2), each with its definition.

A value keeps its meaning for good: what changes its meaning gets a new value. Measured quantities begin with M, methods
with P (procedure), questions of an evaluation with Q, answers and findings with A.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pydicom.sr.coding import Code

#: Coding Scheme Designator (0008,0102).
PRIVATE_SCHEME: Final = "99CSPINE"

_DEFINITIONS: dict[Code, str] = {}


def _define(value: str, meaning: str, definition: str) -> Code:
    code = Code(value, PRIVATE_SCHEME, meaning)
    _DEFINITIONS[code] = definition
    return code


DISC_HEIGHT_INDEX: Final = _define(
    "M001",
    "Disc height index",
    "Mean of the anterior and the posterior height of an intervertebral disc over its depth, mid-sagittal (Farfan); "
    "no unit.",
)
VERTEBRAL_WEDGE_ANGLE: Final = _define(
    "M002",
    "Vertebral wedge angle",
    "Angle between the upper and the lower endplate of one vertebral body in the mid-sagittal plane; "
    "positive where the front is higher than the back.",
)
VERTEBRAL_SLIP: Final = _define(
    "M003",
    "Vertebral slip",
    "Anteroposterior translation of a vertebra against the one below it; positive toward the front.",
)
POSTERIOR_TANGENT_ANGLE: Final = _define(
    "M004",
    "Posterior tangent angle C2-C7",
    "Angle between the tangents to the posterior walls of C2 and C7 in the mid-sagittal plane; "
    "positive where the neck is hollow toward the back.",
)
RELATIVE_T2_SIGNAL: Final = _define(
    "M005",
    "T2 signal relative to adjacent vertebral bodies",
    "T2 weighted signal intensity of an intervertebral disc over that of the vertebral bodies beside it; no unit.",
)

MID_SAGITTAL_ENDPLATE_METHOD: Final = _define(
    "P001",
    "Mid-sagittal endplate measurement",
    "Distances between the endplates, or the walls, of a structure in a slab about its mid-sagittal plane.",
)
ENDPLATE_COBB_METHOD: Final = _define(
    "P002",
    "Endplate Cobb method",
    "Angle between lines fitted to two endplates in the mid-sagittal plane.",
)
POSTERIOR_TANGENT_METHOD: Final = _define(
    "P003",
    "Posterior tangent method",
    "Angle between lines fitted to the posterior walls of two vertebral bodies in the mid-sagittal plane (Harrison).",
)
POSTERIOR_WALL_OFFSET_METHOD: Final = _define(
    "P004",
    "Posterior wall corner offset",
    "Distance, along the endplate of the lower body, between the posterior corners of neighbouring vertebral bodies.",
)
SIGNAL_RATIO_METHOD: Final = _define(
    "P005",
    "Ratio of signal in segmented regions",
    "Signal intensity statistic within one segmented region over the same statistic within the reference regions.",
)

QUALITY_VERDICT: Final = _define("Q001", "Result quality verdict", "Whether an automatic result can be used as it is.")
QUALITY_REASON: Final = _define("Q002", "Result quality reason", "What speaks against an automatic result.")
LEVEL_CONFIDENCE: Final = _define("Q003", "Vertebral level confidence", "How sure the anatomical name of a level is.")
PRESENCE: Final = _define("Q004", "Presence in image", "Whether a structure that is expected was found in the images.")
TRUNCATED_BY_FIELD_OF_VIEW: Final = _define(
    "Q005", "Truncated by field of view", "Whether the field of view cuts a structure (Yes or No)."
)

GOOD: Final = _define("A001", "Good", "The result can be used as it is.")
REVIEW: Final = _define("A002", "Review", "The result is to be looked at before it is used.")
REJECT: Final = _define("A003", "Reject", "The result is not to be used.")

MEMBER_DISAGREEMENT: Final = _define("A010", "Member disagreement", "Network configurations answer differently.")
FOLD_DISAGREEMENT: Final = _define(
    "A011", "Fold disagreement", "Folds of one network configuration answer differently."
)
HIGH_ENTROPY: Final = _define("A012", "High entropy", "The class probabilities of an ensemble are close together.")
IMPLAUSIBLE_VOLUME: Final = _define("A013", "Implausible volume", "A volume lies outside what occurs in anatomy.")
IMPLAUSIBLE_HEIGHT: Final = _define("A014", "Implausible height", "A height lies outside what occurs in anatomy.")
IMPLAUSIBLE_ORDER: Final = _define(
    "A015", "Implausible order", "Vertebral bodies and discs do not alternate, or something lies where no spine is."
)
TRUNCATED_FIELD_OF_VIEW: Final = _define(
    "A016", "Truncated field of view", "The field of view ends within what is to be measured."
)
LOW_SIGNAL: Final = _define("A017", "Low signal", "The signal is low against the noise or the contrast is poor.")
MOTION: Final = _define("A018", "Motion", "The images show motion between or within slices.")
LEVEL_UNCERTAIN: Final = _define("A019", "Level uncertain", "The evidence is too weak to name the anatomical level.")
NOTHING_FOUND: Final = _define(
    "A020", "Nothing found", "No vertebral body was found, or no intervertebral disc, or neither."
)
SPECKS: Final = _define("A021", "Specks", "Pieces that belong to no structure were dropped.")

HIGH_CONFIDENCE: Final = _define("A030", "High confidence", "The name of the level is as good as certain.")
MODERATE_CONFIDENCE: Final = _define("A031", "Moderate confidence", "The name of the level is likely.")
UNCERTAIN_CONFIDENCE: Final = _define("A032", "Uncertain", "The name of the level may well be another.")

NOT_IN_FIELD_OF_VIEW: Final = _define("A040", "Not in field of view", "The images do not cover the structure.")

#: Every private code with its definition, in the order of the conformance statement.
PRIVATE: Final[Mapping[Code, str]] = MappingProxyType(_DEFINITIONS)
