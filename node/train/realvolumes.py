"""Real volumes of 1 mm, scanned again as thick slices in many ways, and the figures of a model on them.

A volume is sampled on the grid that a scanner would have used: the points that were placed in it stay where they are.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates, spline_filter
from scipy.spatial.transform import Rotation

from node.domain.findings import Findings, Quantity, Segmentation
from node.domain.geometry import FloatArray, Grid, Volume, turn
from node.domain.overlap import dice
from node.measure.measure import measure
from node.train.landmarks import (
    BODY,
    DISC,
    Landmarks,
    LevelFound,
    as_answered,
    as_found,
    kind_of,
    levels_found,
    outside_share,
    strays,
)
from node.train.plans import Json

#: The signal that noise is measured by: that of fluid, nearly the brightest.
_FLUID_PERCENTILE = 99.0


class Engine(Protocol):
    """What answers."""

    def segment(self, volume: Volume) -> Segmentation:
        """Return the classes on the grid of `volume`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One way to scan a neck again: sagittal slices as thick as they lie apart, square pixels.

    `shift_mm`: how far the field of view is moved to the feet and to the back; what it leaves is cut off, what it gains
    is air. `turn_deg`: how far it is turned about the axes to the left, to the back and to the head. `noise`: standard
    deviation in each of two channels as a share of the fluid's signal (Rician).
    """

    slice_mm: float = 4.0
    pixel_mm: float = 1.0
    shift_mm: tuple[float, float] = (0.0, 0.0)
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)
    noise: float = 0.0


#: As a clinical series has it.
PLAIN = Scan()
#: What a model should not mind, by name.
SCANS: Mapping[str, Scan] = {
    "slices of 3 mm": Scan(slice_mm=3.0),
    "slices of 5 mm": Scan(slice_mm=5.0),
    "pixels of 0.6 mm": Scan(pixel_mm=0.6),
    "pixels of 0.8 mm": Scan(pixel_mm=0.8),
    "moved 7 mm down, 6 mm forward": Scan(shift_mm=(7.3, -5.6)),
    "moved 10 mm back": Scan(shift_mm=(0.0, 10.4)),
    "moved 12 mm down": Scan(shift_mm=(12.0, 0.0)),
    "turned 3 degrees in the plane": Scan(turn_deg=(3.0, 0.0, 0.0)),
    "turned 3 degrees back in the plane": Scan(turn_deg=(-3.0, 0.0, 0.0)),
    "tilted 3 degrees to a side": Scan(turn_deg=(0.0, 3.0, 0.0)),
    "twisted 3 degrees": Scan(turn_deg=(0.0, 0.0, 3.0)),
    "noise of 2 %": Scan(noise=0.02),
    "noise of 4 %": Scan(noise=0.04),
    "noise of 8 %": Scan(noise=0.08),
}


def read_volume(path: Path) -> tuple[NDArray[np.float32], Grid]:
    """Read a NIfTI image: float32 `(slices, rows, columns)`, slices to the right, rows to the feet, columns back."""
    image: Any = nib.load(path)
    grid = Grid(shape=image.shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    voxels, turned = turn(np.asarray(image.dataobj, dtype=np.float32), grid, "RIP")
    return voxels.astype(np.float32, copy=False), turned


def part(
    voxels: NDArray[np.float32], grid: Grid, rows: slice = slice(None), columns: slice = slice(None)
) -> tuple[NDArray[np.float32], Grid]:
    """Return the rows and columns of a volume that a smaller field of view would have."""
    cut = voxels[:, rows, columns]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps_mm(np.array([0, rows.start or 0, columns.start or 0]))
    return cut, Grid(shape=(cut.shape[0], cut.shape[1], cut.shape[2]), affine=affine)


def scanned(voxels: NDArray[np.float32], grid: Grid, scan: Scan, seed: int = 0) -> Volume:
    """Return `voxels`, `(slices, rows, columns)` to the right, the feet and the back on `grid`, as `scan` has them.

    A slice is the mean of planes as far apart as those of `voxels`; within them values are cubic splines. Outside of
    what was scanned is air.
    """
    target = _target(grid, scan)
    planes = max(1, round(scan.slice_mm / grid.spacing_mm[0]))
    offsets = (np.arange(planes) - (planes - 1) / 2) / planes
    to_index = np.linalg.inv(grid.affine) @ target.affine
    smooth = spline_filter(voxels.astype(np.float32), order=3, output=np.float32, mode="mirror")
    rows, columns = np.mgrid[: target.shape[1], : target.shape[2]].astype(np.float32)
    image = np.empty(target.shape, dtype=np.float32)
    for number in range(target.shape[0]):
        slab = [_plane(smooth, to_index, number + offset, rows, columns) for offset in offsets]
        image[number] = np.mean(slab, axis=0)
    image = np.clip(image, 0.0, None)
    if scan.noise:
        random = np.random.default_rng(seed)
        sigma = scan.noise * float(np.percentile(voxels, _FLUID_PERCENTILE))
        channels = random.normal(0.0, sigma, (2, *image.shape)).astype(np.float32)
        image = np.hypot(image + channels[0], channels[1])
    pixels = np.rint(image).astype(np.int16)
    return Volume(grid=target, voxels=pixels, sources=(), acquired_in_3d=False)


def _target(grid: Grid, scan: Scan) -> Grid:
    """Return the grid of a scan with the centre and the extent of `grid`, moved and turned."""
    size_mm = np.array(grid.shape) * grid.spacing_mm
    spacing = np.array([scan.slice_mm, scan.pixel_mm, scan.pixel_mm])
    shape = np.floor(size_mm / spacing + 1e-6).astype(np.int64)
    directions = grid.affine[:3, :3] / grid.spacing_mm
    # the first slab and the first pixel begin where the volume does
    corner = grid.to_lps_mm(np.array([-0.5, -0.5, -0.5])) + directions @ (np.array([0.0, *scan.shift_mm]))
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = corner + affine[:3, :3] @ np.array([0.5, 0.5, 0.5])
    centre = grid.to_lps_mm((np.array(grid.shape) - 1) / 2)
    rotation = Rotation.from_euler("xyz", scan.turn_deg, degrees=True).as_matrix()
    affine[:3, :3] = rotation @ affine[:3, :3]
    affine[:3, 3] = rotation @ (affine[:3, 3] - centre) + centre
    return Grid(shape=(int(shape[0]), int(shape[1]), int(shape[2])), affine=affine)


def _plane(
    smooth: NDArray[np.float32],
    to_index: FloatArray,
    number: float,
    rows: NDArray[np.float32],
    columns: NDArray[np.float32],
) -> NDArray[np.float32]:
    places = np.stack(
        [to_index[axis, 0] * number + to_index[axis, 1] * rows + to_index[axis, 2] * columns for axis in range(3)]
    ) + to_index[:3, 3].reshape(3, 1, 1)
    # half a voxel around the outermost centres still belongs to the volume
    inside = np.all((places >= -0.5) & (places <= np.array(smooth.shape).reshape(3, 1, 1) - 0.5), axis=0)
    values = map_coordinates(smooth, places, output=np.float32, order=3, mode="mirror", prefilter=False)
    return np.asarray(np.where(inside, values, np.float32(0.0)))


def measured(segmentation: Segmentation, findings: Findings, grid: Grid, landmarks: Landmarks) -> Json:
    """Return the figures of one answer on `grid` against the points of its neck.

    `answered` is before, `summary` and `levels` are after the clean-up; heights (in the middle, mm) and volumes (mm3)
    are those of the structures at the points. Shares are of voxels.
    """
    found, answered = as_found(findings, grid), as_answered(segmentation.classes, segmentation.meanings, grid)
    levels = levels_found(found, landmarks)
    sizes = {
        structure.label: {
            "height_mm": structure.measures.get(Quantity.HEIGHT_MIDDLE),
            "volume_mm3": structure.volume_mm3,
            "truncated": structure.truncated,
        }
        for structure in findings.structures
    }
    return {
        "summary": _summary(levels),
        "answered": _summary(levels_found(answered, landmarks)),
        "levels": {
            level.level: {**asdict(level), **({} if level.label is None else sizes[level.label])} for level in levels
        },
        "strays": len(strays(found, landmarks)),
        "outside_share": outside_share(findings.labels > 0, grid, landmarks),
        "outside_share_answered": outside_share(segmentation.classes > 0, grid, landmarks),
        "members": {kind.value: value for kind, value in findings.quality.member_agreement.items()},
        "verdict": findings.quality.verdict.value,
        "doubts": [objection.doubt.value for objection in findings.quality.objections],
    }


def measured_scan(engine: Engine, volume: Volume, landmarks: Landmarks) -> tuple[Json, Segmentation]:
    """Segment `volume` and measure the answer."""
    segmentation = engine.segment(volume)
    return measured(segmentation, measure(segmentation, volume), volume.grid, landmarks), segmentation


def agreement(one: tuple[Segmentation, Grid], other: tuple[Segmentation, Grid]) -> dict[str, float | None]:
    """Return for each kind the Dice of two answers about one neck on two grids, on that of `one`, in both views."""
    (found, grid), (stored, stored_grid) = one, other
    index = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)
    there = np.rint((grid.to_lps_mm(index) - stored_grid.affine[:3, 3]) @ np.linalg.inv(stored_grid.affine[:3, :3]).T)
    inside = np.all((there >= 0) & (there < stored_grid.shape), axis=1)
    expected = stored.classes[tuple(there[inside].astype(np.int64).T)]
    seen = found.classes.reshape(-1)[inside]
    return {kind.value: dice(seen == label, expected == label) for label, kind in found.meanings.items()}


def _summary(levels: tuple[LevelFound, ...]) -> Json:
    """Return counts by kind: of how many levels how many were found once, and named rightly."""
    result: Json = {}
    for kind in (BODY, DISC):
        own = [level for level in levels if kind_of(level.level) is kind]
        result[kind.value] = {
            "levels": len(own),
            "once": sum(level.once for level in own),
            "slices": sum(level.slices for level in own),
            "once_across": sum(level.once_across for level in own),
            "named_rightly": sum(level.named == level.level for level in own),
            "named_wrongly": sum(level.named not in {None, level.level} for level in own),
        }
    return result
