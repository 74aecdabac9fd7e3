"""Published masks for tests: spines drawn on a series, and their masks as NIfTI in any order of the axes."""

from pathlib import Path

import numpy as np
from spines import LabelledSpine, draw

from node.assemble.nifti import NiftiImage, read_nifti
from node.batch.masks.segmenter import MEANINGS, MaskSegmenter
from node.batch.midrc.exam import Annotation
from node.demo.source import write_series
from node.domain.findings import Findings
from node.domain.geometry import Grid, Volume, turn
from node.measure.measure import measure
from node.output.nifti import nifti_bytes_as_stored

RELEASE = "20250321"

#: As dcm2niix leaves a 2D acquisition, and one in 3D, seen from LPS mm.
PSR, RAS = "PSR", "RAS"


def volume_of(classes: np.ndarray, grid: Grid) -> Volume:
    """Return a picture in which every voxel of a class is brighter than those without, and no two rows are alike."""
    noise = np.random.default_rng(3).integers(0, 40, classes.shape)
    voxels = (150 + 200 * classes.astype(np.int16) + noise).astype(np.int16)
    return Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)


def segmenter_of(classes: np.ndarray, grid: Grid, annotation: Annotation = Annotation.EXPERT) -> MaskSegmenter:
    """Return the mask in the place of the networks."""
    return MaskSegmenter(NiftiImage(grid=grid, voxels=classes), annotation, RELEASE)


def measured(classes: np.ndarray, grid: Grid, annotation: Annotation = Annotation.EXPERT) -> Findings:
    """Return what is found in a mask."""
    volume = volume_of(classes, grid)
    return measure(segmenter_of(classes, grid, annotation).segment(volume), volume)


def classes_of(findings: Findings) -> np.ndarray:
    """Return the classes that the structures of the findings are of, voxel by voxel."""
    values = {kind: value for value, kind in MEANINGS.items()}
    lookup = np.zeros(max((found.label for found in findings.structures), default=0) + 1, np.uint8)
    for found in findings.structures:
        lookup[found.label] = values[found.kind]
    return lookup[findings.labels]


def stored(classes: np.ndarray, grid: Grid, orientation: str, path: Path) -> NiftiImage:
    """Write the mask as NIfTI with its axes in the order `orientation`, and return what is read."""
    turned, its_grid = turn(classes, grid, orientation)
    path.write_bytes(nifti_bytes_as_stored(its_grid, turned))
    return read_nifti(path)


def spine_series(folder: Path, seed: int = 5) -> tuple[LabelledSpine, list[Path]]:
    """Write a spine as a DICOM series, and return it with the files."""
    spine = draw(seed)
    picture = volume_of(spine.classes, spine.grid)
    return spine, write_series(picture.voxels, spine.grid, folder, name=f"spine {seed}")
