"""Measures of whole necks drawn from anatomy, against what a ruler reads on them."""

import numpy as np
import pytest
from spines import LabelledSpine, draw

from node.domain.anatomy import StructureKind, body, disc_below
from node.domain.findings import Quantity
from node.domain.geometry import Volume
from node.measure.metrics import Measured, measures
from node.measure.parts import Part
from node.measure.spine import fit_curve

SEEDS = range(5)
#: mm: between what a neck of any size, collapsed bodies included, may have.
PLAUSIBLE = {
    StructureKind.VERTEBRAL_BODY: {"height": (6.0, 20.0), "depth": (10.0, 25.0)},
    StructureKind.INTERVERTEBRAL_DISC: {"height": (0.8, 9.0), "depth": (10.0, 27.0)},
}


def parts_of(spine: LabelledSpine) -> list[Part]:
    found = []
    for truth in spine.structures:
        if truth.kind is StructureKind.VERTEBRAL_BODY:
            level = body(truth.level.split("-")[0], truth.level.split("-")[-1])
        else:
            level = disc_below(truth.level.split("/")[0])
        found.append(Part(label=truth.label, kind=truth.kind, level=level, confidence=1.0, truncated=truth.truncated))
    return found


def measured(spine: LabelledSpine) -> Measured:
    voxels = np.where(spine.classes == 2, 150, 100).astype(np.int16)
    volume = Volume(grid=spine.grid, voxels=voxels, sources=(), acquired_in_3d=False)
    curve = fit_curve(spine.grid.to_lps_mm(np.argwhere(spine.labels)), spine.grid)
    return measures(spine.labels, parts_of(spine), volume, curve)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_whole_body_and_disc_is_measured_and_plausible(seed):
    spine = draw(seed)
    found = measured(spine)
    for part in parts_of(spine):
        own = found.by_label[part.label]
        # C2 has no height; a disc thinner than two pixels may have none
        if part.kind is StructureKind.VERTEBRAL_BODY and not part.truncated and part.level.first != "C2":
            assert len(own) == 5, part
        for quantity, value in own.items():
            for word, (least, most) in PLAUSIBLE[part.kind].items():
                if quantity.key.startswith(word) and "-" not in part.level.name:
                    assert least < value < most, (part, quantity)
    assert all(abs(pair.measures[Quantity.SLIP]) < 5 for pair in found.pairs)


def test_heights_agree_with_the_drawn_ones_to_a_third_of_a_millimetre():
    errors = []
    for seed in SEEDS:
        spine = draw(seed, plain=True)
        names = {part.label: part.level.name for part in parts_of(spine)}
        errors += [
            own[Quantity.HEIGHT_MIDDLE] - spine.sizes[names[label]].height_mm
            for label, own in measured(spine).by_label.items()
            if Quantity.HEIGHT_MIDDLE in own and names[label] in spine.sizes
        ]
    assert len(errors) > 50
    assert abs(np.mean(errors)) < 0.15
    assert np.quantile(np.abs(errors), 0.95) < 0.4


def test_a_drawn_neck_s_lordosis_is_found():
    for asked in (-10.0, 15.0, 30.0):
        spine = draw(3, plain=True, lordosis_deg=asked, cobb_deg=0.0)
        ups = [np.array(spine.sizes[level].up) for level in ("C2", "C7")]
        angles = [np.degrees(np.arctan2(-up[1], up[2])) for up in ups]
        # what is turned to the back at C2 and to the front at C7 is lordosis
        truth = angles[1] - angles[0]
        assert measured(spine).curvature[Quantity.LORDOSIS_POSTERIOR_TANGENT] == pytest.approx(truth, abs=6.0)
