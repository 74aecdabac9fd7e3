"""Findings that no network and no measurement made, for tests of what is written and drawn of them."""

from dataclasses import replace
from typing import Any

import numpy as np
from oracle import ALGORITHM, RUN

from node.domain.anatomy import StructureKind, body, disc_below
from node.domain.findings import (
    Doubt,
    Evidence,
    Findings,
    Missing,
    Objection,
    Pair,
    Presence,
    Quality,
    Quantity,
    Structure,
    Verdict,
)

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC

C4 = Structure(
    label=1,
    kind=BODY,
    ordinal=1,
    level=body("C4"),
    level_confidence=0.98765,
    truncated=False,
    volume_mm3=3000.1234567890124,
    centroid_lps_mm=(1.00049, -2.0, 3.5),
    measures={Quantity.HEIGHT_MIDDLE: 12.5, Quantity.DEPTH: 16.25},
)
C4_C5 = Structure(
    label=2,
    kind=DISC,
    ordinal=1,
    level=disc_below("C4"),
    level_confidence=0.97,
    truncated=False,
    volume_mm3=900.0,
    centroid_lps_mm=(1.0, -2.0, -8.0),
    measures={Quantity.DISC_HEIGHT_INDEX: 0.41},
)
C5_C6 = replace(
    C4, label=3, ordinal=2, level=body("C5", "C6"), level_confidence=0.9, truncated=True, volume_mm3=5000.5, measures={}
)
NAMELESS = replace(C4_C5, label=4, ordinal=2, level=None, level_confidence=0.4, volume_mm3=700.0, measures={})


def findings(labels: Any = None, *structures: Structure, verdict: Verdict = Verdict.GOOD, **changes: Any) -> Findings:
    """Return findings of `structures` in `labels`, nothing else said of them but `changes`."""
    made = Findings(
        labels=np.zeros((1, 1, 1), np.uint16) if labels is None else labels.astype(np.uint16),
        structures=structures,
        missing=(),
        pairs=(),
        curvature={},
        class_volume_mm3={},
        quality=quality(verdict),
        algorithm=ALGORITHM,
        run=RUN,
    )
    return replace(made, **changes)


def quality(verdict: Verdict, *objections: Objection) -> Quality:
    return Quality(verdict=verdict, objections=objections, evidence={}, member_agreement={}, specks_mm3=0.0)


def doubtful(*, labels: Any = None, verdict: Verdict = Verdict.REVIEW) -> Findings:
    """Return two bodies, the lower a block that the picture cuts, a disc between and one that has no name."""
    objection = Objection(doubt=Doubt.TRUNCATED, verdict=verdict, text="C5-C6 is cut.", labels=(3, 4))
    return findings(
        labels,
        *(C4, C4_C5, C5_C6, NAMELESS),
        missing=(
            Missing(level=body("C2"), presence=Presence.NOT_IN_VIEW),
            Missing(level=disc_below("C6"), presence=Presence.ABSENT),
        ),
        pairs=(Pair(upper=1, lower=3, measures={Quantity.SLIP: -1.5}),),
        curvature={Quantity.LORDOSIS_COBB: 18.5},
        class_volume_mm3={BODY: 8000.623456789012, DISC: 1600.0},
        quality=replace(
            quality(verdict, objection),
            evidence={1: Evidence(member_agreement=0.912345, fold_agreement=None, entropy=0.05)},
            member_agreement={BODY: 0.912345, DISC: None},
            specks_mm3=4.00001,
        ),
    )
