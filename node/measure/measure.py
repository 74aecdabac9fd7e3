"""From the network's classes to findings: structures, their names, their measures, how far to trust them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from node.domain.findings import Findings, Origin, Segmentation, Structure
from node.domain.geometry import Grid, Volume, turn
from node.measure import levels, metrics, quality
from node.measure.components import Column, Piece, split
from node.measure.cores import SPECK_MM3
from node.measure.head import settled
from node.measure.metrics import Measured
from node.measure.parts import Part
from node.measure.published import Kept, keep_all
from node.measure.result import Result
from node.measure.view import cut_by_view

#: How a volume lies here: slices to the left, rows to the feet, columns to the back.
_SAGITTAL = "LIP"


def measure(segmentation: Segmentation, volume: Volume) -> Findings:
    """Return the structures of a segmentation of `volume`, head to feet.

    Volume is the number of voxels times the volume of one, in mm3 (DCM 126030, Sum of segmented voxel volumes); a
    total per class is the sum over its structures. The centroid is the mean of the voxel centres, LPS in mm. The other
    measures are defined in `node.measure.metrics`.

    What a network finds beside the spine is dropped. Of a published mask (`Origin.is_mask`) nothing is: see
    `node.measure.published`.
    """
    turned, sagittal = turn(segmentation.classes, volume.grid, _SAGITTAL)
    classes = turned.astype(np.uint8, copy=False)
    column = split(classes, segmentation.meanings, sagittal)
    if column is None:
        result = Result(
            labels=np.zeros(volume.grid.shape, np.uint16), structures=(), missing=(), pairs=(), specks_mm3=0
        )
        return _findings(segmentation, volume, result, Measured(by_label={}, pairs=(), curvature={}))
    column = settled(column, sagittal, by_people=segmentation.origin is Origin.MANUAL_MASK)
    parts = _parts(column, sagittal)
    found = (
        keep_all(column, parts, classes, segmentation.meanings, sagittal)
        if segmentation.origin.is_mask
        else Kept(pieces=column.pieces, parts=parts)
    )
    labels = _labelled(found.pieces, sagittal, volume.grid)
    in_column = [part for part in found.parts if part.label not in found.loose]
    measured = metrics.measures(labels, in_column, volume, column.curve)
    kept = sum(len(piece.index) for piece in found.pieces)
    result = Result(
        labels=labels,
        structures=tuple(
            _structure(part, found.parts, piece, sagittal, measured)
            for part, piece in zip(found.parts, found.pieces, strict=True)
        ),
        missing=() if _may_be_named(found, sagittal) else levels.missing([part.level for part in parts]),
        pairs=measured.pairs,
        specks_mm3=(int(np.count_nonzero(classes)) - kept) * sagittal.voxel_volume_mm3,
        loose=found.loose,
    )
    return _findings(segmentation, volume, result, measured)


def _parts(column: Column, grid: Grid) -> tuple[Part, ...]:
    """Return the pieces of a column with their names."""
    cuts = [cut_by_view(piece, grid) for piece in column.pieces]
    names = levels.name(column.pieces, cuts)
    return tuple(
        Part(label=label, kind=piece.kind, level=name.level, confidence=name.confidence, truncated=cut.anywhere)
        for label, (piece, name, cut) in enumerate(zip(column.pieces, names, cuts, strict=True), start=1)
    )


def _may_be_named(found: Kept, grid: Grid) -> bool:
    """Return whether a loose piece is large enough for a structure: one that seems to be missing, perhaps."""
    return any(
        part.label in found.loose and len(piece.index) * grid.voxel_volume_mm3 >= SPECK_MM3[part.kind]
        for part, piece in zip(found.parts, found.pieces, strict=True)
    )


def _labelled(pieces: Sequence[Piece], sagittal: Grid, grid: Grid) -> NDArray[np.uint16]:
    """Return the label map on the source grid."""
    labels = np.zeros(sagittal.shape, dtype=np.uint16)
    for label, piece in enumerate(pieces, start=1):
        labels[tuple(piece.index.T)] = label
    return turn(labels, sagittal, grid.orientation())[0].astype(np.uint16, copy=False)


def _structure(part: Part, parts: Sequence[Part], piece: Piece, sagittal: Grid, measured: Measured) -> Structure:
    x, y, z = sagittal.to_lps_mm(piece.index.mean(axis=0))
    return Structure(
        label=part.label,
        kind=part.kind,
        ordinal=sum(other.kind is part.kind for other in parts[: part.label]),
        level=part.level,
        level_confidence=part.confidence,
        truncated=part.truncated,
        volume_mm3=len(piece.index) * sagittal.voxel_volume_mm3,
        centroid_lps_mm=(float(x), float(y), float(z)),
        measures=measured.by_label.get(part.label, {}),
    )


def _findings(segmentation: Segmentation, volume: Volume, result: Result, measured: Measured) -> Findings:
    return Findings(
        labels=result.labels,
        structures=result.structures,
        missing=result.missing,
        pairs=result.pairs,
        curvature=measured.curvature,
        class_volume_mm3={
            kind: sum(found.volume_mm3 for found in result.structures if found.kind is kind)
            for kind in segmentation.meanings.values()
        },
        quality=quality.judge(segmentation, volume, result),
        algorithm=segmentation.algorithm,
        run=segmentation.run,
        origin=segmentation.origin,
    )
