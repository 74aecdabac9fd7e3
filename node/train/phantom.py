"""A procedural neck as a sagittal T2 series shows it, with the truth beside it.

The anatomy is three-dimensional: a random centre-line carries spine coordinates (`anatomy`), every plane between the
slices is painted in them (`vertebrae`, `neck`), and a slice is the mean of the planes across its thickness, so that
edges at the side of a body are blurred as in a picture of 3 to 5 mm slices. No patient's data are used anywhere.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from node.domain.geometry import Grid
from node.train.acquisition.artefacts import add_ghosts, add_wrap, cut_corners, draw_ghosts, saturation, slice_steps
from node.train.acquisition.coil import draw_bias, draw_coil, sensitivity
from node.train.acquisition.framing import Framing, draw_affine, draw_framing
from node.train.acquisition.metal import add_metal, draw_metal
from node.train.acquisition.scanner import acquire, draw_scanner
from node.train.acquisition.texture import Texture
from node.train.acquisition.tones import Tones, draw_tones
from node.train.anatomy.neck import NeckPainter, draw_neck
from node.train.anatomy.plane import Map, Plane
from node.train.anatomy.spine import DiscPlanes, Spine, SpineField, draw_spine, field_of
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
    below C2; a block of fused bodies has the number of its uppermost body, and its discs are missing. The grid's
    affine leads from the index to LPS mm.
    affine leads from the index to LPS mm.
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
    clinical series have (11 to 25 slices of 3 to 5.2 mm, pixels of 0.4 to 1 mm, fields from 160 mm to 400 mm).
    """
    rng = np.random.default_rng(seed)
    framing = draw_framing(rng, shape, spacing_mm)
    spine, tones = draw_spine(rng), draw_tones(rng)
    _, rows, columns = framing.shape
    y = (np.arange(columns) - framing.anchor_column * columns) * framing.spacing_mm[2]
    z = ((rows - 1) / 2 - np.arange(rows)) * framing.spacing_mm[1]
    plane_y, plane_z = np.broadcast_arrays(y[None, :].astype(np.float32), z[:, None].astype(np.float32))
    field = field_of(spine, plane_y, plane_z, framing.anchor_s)
    turned_y, turned_z = np.float32(framing.turned[0]), np.float32(framing.turned[1])
    drift = (field.drift + turned_y * plane_y + turned_z * plane_z).astype(np.float32)
    field = replace(field, drift=drift, tilt=field.tilt - turned_z)
    clean, labels = _slabs(rng, framing, spine, field, tones)
    image, empty = _acquired(rng, framing, field, clean)
    if empty is not None:
        labels[:, empty] = LABELS["background"]
    grid = Grid(shape=framing.shape, affine=draw_affine(rng, framing))
    return Phantom(
        grid=grid,
        image=np.clip(np.rint(image), 0, _LARGEST).astype(np.int16),
        labels=labels,
        structures=_structures(framing, spine, field, labels),
    )


def _acquired(
    rng: np.random.Generator, framing: Framing, field: SpineField, clean: Map
) -> tuple[Map, NDArray[np.bool_] | None]:
    """Return the picture as a scanner shows it, stored units, and where (rows, columns) it is empty. Spoils `clean`."""
    scanner, ghosts = draw_scanner(rng), draw_ghosts(rng)
    _, tall, wide = framing.spacing_mm
    heard = sensitivity(draw_coil(rng), field.s, field.t)
    dark = saturation(rng, field.t, wide)
    factor = heard if dark is None else heard * dark
    clean *= factor
    clean *= slice_steps(rng, framing.shape[0])
    clean *= draw_bias(rng, framing.shape)
    add_ghosts(clean, field.t, ghosts)
    add_wrap(rng, clean)
    image = acquire(clean, heard, scanner, (tall, wide), rng)
    empty = cut_corners(rng, framing.shape[1:], framing.shape[2] * wide > 310.0)
    if empty is not None:
        image[:, empty] = 0.0
    return image, empty


def _slabs(
    rng: np.random.Generator, framing: Framing, spine: Spine, field: SpineField, tones: Tones
) -> tuple[Map, NDArray[np.uint8]]:
    """Return noise-free picture and labels (slices, rows, columns): each slice the mean of planes across it."""
    grain = Texture(rng, field.s, field.t, (2.6, 2.6))
    streaks = Texture(rng, field.s, field.t, (16.0, 4.5))
    painters = SpinePainter(rng, spine, field, tones), NeckPainter(draw_neck(rng), field, tones)
    metal = draw_metal(rng, spine)
    picture = np.empty(framing.shape, dtype=np.float32)
    labels = np.zeros(framing.shape, dtype=np.uint8)
    size, count = _PLANES_A_SLICE, framing.shape[0]
    for k in range(count):
        planes, covers = [], []
        for offset in (np.arange(size) - (size - 1) / 2) / size:
            lateral = (k - (count - 1) / 2 + offset * framing.gap) * framing.spacing_mm[0] + framing.lateral_mm
            phase = min(max((k + 0.5 + offset) / count, 0.0), 1.0)
            plane = Plane(
                picture=np.full(framing.shape[1:], tones.air, dtype=np.float32),
                r=np.float32(lateral) - field.drift,
                grain=grain.at(phase),
                streaks=streaks.at(phase),
                pixel_mm=framing.spacing_mm[2],
            )
            covers.append(_paint(plane, *painters, lateral))
            planes.append(plane.picture)
        picture[k] = sum(planes[1:], planes[0]) / size
        add_metal(picture[k], plane.r, field, metal)
        body, disc = (sum(parts[1:], parts[0]) for parts in zip(*covers, strict=True))
        found = labels[k]
        found[body >= size / 2] = LABELS["vertebrae"]
        found[(disc >= size / 2) | ((body + disc >= size / 2) & (disc > body))] = LABELS["inter-vetebral disc"]
    return picture, labels


def _structures(framing: Framing, spine: Spine, field: SpineField, labels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return which structure each voxel of `labels` belongs to, as in `Phantom.structures`."""
    planes = DiscPlanes(spine.discs, field)
    found = np.zeros(framing.shape, dtype=np.uint8)
    for k in range(framing.shape[0]):
        lateral = (k - (framing.shape[0] - 1) / 2) * framing.spacing_mm[0] + framing.lateral_mm
        body, disc = planes.structures(np.float32(lateral) - field.drift)
        found[k] = np.where(labels[k] == LABELS["vertebrae"], body, disc)
    found[labels == LABELS["background"]] = 0
    return found


def _paint(plane: Plane, spine: SpinePainter, neck: NeckPainter, lateral_mm: float) -> tuple[Map, Map]:
    neck.soft_tissue(plane, lateral_mm)
    neck.head(plane)
    neck.throat(plane)
    neck.chest(plane, lateral_mm)
    spine.posterior(plane)
    spine.canal(plane)
    neck.brain(plane)
    spine.pedicles(plane)
    spine.atlas(plane)
    outside = neck.skin(lateral_mm)
    covers = spine.bodies(plane)
    plane.paint(-outside, 0.0)
    return covers
