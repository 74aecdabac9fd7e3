"""A procedural neck as a sagittal T2 series shows it, with the truth beside it.

The anatomy is three-dimensional: a random centre-line carries spine coordinates (`anatomy`), every plane between the
slices is painted in them (`vertebrae`, `neck`), and a slice is the mean of the planes across its thickness, so that
edges at the side of a body are blurred as in a picture of 3 to 5 mm slices. No patient's data are used anywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid
from node.train.acquisition.framing import Framing, draw_affine, draw_framing
from node.train.acquisition.scanner import acquire, draw_scanner, sensitivity
from node.train.acquisition.texture import Texture
from node.train.acquisition.tones import Tones, draw_tones
from node.train.anatomy.neck import NeckPainter, draw_neck
from node.train.anatomy.plane import Map, Plane
from node.train.anatomy.spine import Spine, SpineField, draw_spine, field_of
from node.train.anatomy.vertebrae import SpinePainter

#: Label values and names, spelt as in the dataset.json of CSpineSeg.
LABELS = {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2}

_PLANES_A_SLICE = 3
_LARGEST = 32767


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Phantom:
    """A generated series: arrays (slices, rows, columns) on a grid whose orientation is "LIP".

    `image`: int16, 0 or more, arbitrary units. `labels`: uint8, values of `LABELS`. `structures`: uint8, 0 background,
    2n - 1 the n-th body counted from C2 (C2 is 1), 2n the disc below it (C2/C3 is 2), also where the picture begins
    below C2. The grid's affine leads from the index to LPS mm.
    """

    grid: Grid
    image: NDArray[np.int16]
    labels: NDArray[np.uint8]
    structures: NDArray[np.uint8]


def generate(
    seed: int, *, shape: tuple[int, int, int] | None = None, spacing_mm: tuple[float, float, float] | None = None
) -> Phantom:
    """Return the phantom of `seed`: the same seed, shape and spacing always give the same voxels.

    `shape` is (slices, rows, columns), `spacing_mm` their distances; both are drawn when not given, within what
    clinical series have (11 to 21 slices of 3.3 to 4.8 mm, pixels of 0.5 to 1 mm).
    """
    rng = np.random.default_rng(seed)
    framing = draw_framing(rng, shape, spacing_mm)
    spine, tones, scanner = draw_spine(rng), draw_tones(rng), draw_scanner(rng)
    _, rows, columns = framing.shape
    y = (np.arange(columns) - framing.anchor_column * columns) * framing.spacing_mm[2]
    z = ((rows - 1) / 2 - np.arange(rows)) * framing.spacing_mm[1]
    plane_y, plane_z = np.broadcast_arrays(y[None, :].astype(np.float32), z[:, None].astype(np.float32))
    field = field_of(spine, plane_y, plane_z, framing.anchor_s)
    clean, labels = _slabs(rng, framing, spine, field, tones)
    clean *= sensitivity(scanner, field.s, field.t)
    image = acquire(clean, scanner, rng)
    grid = Grid(shape=framing.shape, affine=draw_affine(rng, framing))
    return Phantom(
        grid=grid,
        image=np.clip(np.rint(image), 0, _LARGEST).astype(np.int16),
        labels=labels,
        structures=_structures(framing, spine, field, labels),
    )


def _slabs(
    rng: np.random.Generator, framing: Framing, spine: Spine, field: SpineField, tones: Tones
) -> tuple[Map, NDArray[np.uint8]]:
    """Return noise-free picture and labels (slices, rows, columns): each slice the mean of planes across it."""
    grain = Texture(rng, field.s, field.t, (2.6, 2.6))
    streaks = Texture(rng, field.s, field.t, (16.0, 4.5))
    spine_painter = SpinePainter(rng, spine, field, tones)
    neck_painter = NeckPainter(draw_neck(rng), field, tones)
    picture = np.zeros(framing.shape, dtype=np.float32)
    labels = np.zeros(framing.shape, dtype=np.uint8)
    offsets = (np.arange(_PLANES_A_SLICE) - (_PLANES_A_SLICE - 1) / 2) / _PLANES_A_SLICE
    count = framing.shape[0]
    for k in range(count):
        body, disc = np.zeros(framing.shape[1:], np.float32), np.zeros(framing.shape[1:], np.float32)
        for offset in offsets:
            place = k - (count - 1) / 2 + offset * framing.gap
            lateral = place * framing.spacing_mm[0] + framing.lateral_mm
            phase = min(max((k + 0.5 + offset) / count, 0.0), 1.0)
            plane = Plane(
                picture=np.full(framing.shape[1:], tones.air, dtype=np.float32),
                r=np.float32(lateral) - field.drift,
                grain=grain.at(phase),
                streaks=streaks.at(phase),
                pixel_mm=framing.spacing_mm[2],
            )
            bone_cover, disc_cover = _paint(plane, spine_painter, neck_painter, lateral)
            body += bone_cover
            disc += disc_cover
            picture[k] += plane.picture / _PLANES_A_SLICE
        half = _PLANES_A_SLICE / 2
        labels[k][body >= half] = LABELS["vertebrae"]
        labels[k][(disc >= half) | ((body + disc >= half) & (disc > body))] = LABELS["inter-vetebral disc"]
    return picture, labels


def _structures(framing: Framing, spine: Spine, field: SpineField, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return which structure each voxel of `labels` belongs to, as in `Phantom.structures`.

    A body ends at the mid-plane of a disc: sloped, leaning with the drift, bent to the head at the sides, as painted.
    """
    discs, index = spine.discs, field.disc
    middle = discs.centre_s.astype(np.float32)[index] + discs.slope.astype(np.float32)[index] * field.t
    uncus = discs.uncus_mm.astype(np.float32)[index]
    found = np.zeros(framing.shape, dtype=np.uint8)
    for k in range(framing.shape[0]):
        lateral = (k - (framing.shape[0] - 1) / 2) * framing.spacing_mm[0] + framing.lateral_mm
        r = np.float32(lateral) - field.drift
        side = np.abs(r) / np.maximum(field.width, 1.0)
        bent = uncus * np.clip(side - 0.45, 0.0, 0.6) ** 2 * 4.0
        below = field.s - middle - field.tilt * r + bent > 0.0
        found[k] = np.where(labels[k] == LABELS["vertebrae"], 2 * (index + below) + 1, 2 * index + 2)
    found[labels == LABELS["background"]] = 0
    return found


def _paint(plane: Plane, spine: SpinePainter, neck: NeckPainter, lateral_mm: float) -> tuple[Map, Map]:
    neck.soft_tissue(plane, lateral_mm)
    neck.head(plane)
    neck.throat(plane)
    neck.chest(plane, lateral_mm)
    spine.posterior(plane)
    spine.canal(plane)
    spine.pedicles(plane)
    spine.atlas(plane)
    outside = neck.skin(lateral_mm)
    covers = spine.bodies(plane)
    plane.paint(-outside, 0.02)
    return covers
