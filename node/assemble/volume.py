"""Frames to one regular grid in the patient's space, or a refusal that says which rule they break.

The grid comes from ImagePositionPatient, ImageOrientationPatient and PixelSpacing alone (PS3.3 C.7.6.2, C.7.6.16.2.3).
SliceThickness and SpacingBetweenSlices are never used: vendors disagree on what they mean. Slices are ordered by their
position along the normal, so neither file names nor InstanceNumber matter.
"""

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from node.assemble.pixels import decode
from node.assemble.planes import SAME_PLACE_MM, axes_of
from node.domain.geometry import FrameSource, Grid, Volume
from node.domain.series import Frame, FrameTraits, Series
from node.errors import (
    DuplicatePosition,
    InvalidIdentifier,
    MissingGeometry,
    MixedOrientation,
    MixedSize,
    MixedSpacing,
    ShearedStack,
    SliceGap,
    TooFewSlices,
    TwoAcquisitions,
)

FloatArray = NDArray[np.float64]

#: Relative difference of pixel spacing between frames: less than one pixel over 768 columns.
SPACING_TOLERANCE = 1e-3
#: How far a slice may lie from its place on the regular grid, as a part of the slice step.
JITTER_TOLERANCE = 0.05
#: Positions rounded to a tenth of a millimetre on three axes err by this much, however thin the slices are.
ROUNDING_MM = 0.1
#: Sideways drift of the slices per mm along the normal: cosines rounded to three decimals, or half a degree.
SHEAR_TOLERANCE = 0.01
#: Echo times that differ by less than this part are one echo, written with different rounding.
ECHO_TIME_TOLERANCE = 0.01


def build_volume(series: Series) -> Volume:
    """Return the frames of `series` as one volume: voxels `(slices, rows, columns)`, affine from index to LPS mm.

    Slice index grows along row cosines x column cosines. The slice step is (last position - first) / (n - 1). Raises a
    VolumeRefused, InvalidIdentifier where two objects claim one SOP Instance UID, or what `pixels.decode` raises.
    """
    frames, grid = lay_out(series)
    return Volume(
        grid=grid,
        voxels=decode(frames),
        sources=tuple(
            FrameSource(
                sop_class_uid=frame.sop_class_uid,
                sop_instance_uid=frame.sop_instance_uid,
                frame_number=frame.frame_number,
            )
            for frame in frames
        ),
        acquired_in_3d=series.header.mr_acquisition_type == "3D",
        lowest_is_white=frames[0].lowest_is_white,
    )


def lay_out(series: Series) -> tuple[tuple[Frame, ...], Grid]:
    """Return the frames in the order of the slices, and the grid they make; no pixel is read.

    Raises VolumeRefused or InvalidIdentifier as `build_volume` does.
    """
    frames = series.frames
    _check_identity(frames)
    _check_planes(frames)
    axes = axes_of(frames)
    if axes is None:
        raise MixedOrientation("the frames are not parallel")
    frames = _sorted(frames, axes)
    _check_one_stack(frames, axes)
    shape = (len(frames), frames[0].rows, frames[0].columns)
    return frames, Grid(shape=shape, affine=_affine(frames, axes))


def _check_identity(frames: Sequence[Frame]) -> None:
    if len({(frame.sop_instance_uid, frame.frame_number) for frame in frames}) < len(frames):
        raise InvalidIdentifier("two different objects of the series claim one SOP Instance UID (PS3.5 9.1)")


def _check_planes(frames: Sequence[Frame]) -> None:
    """Refuse frames that lack geometry, or that cannot share one in-plane grid."""
    lacking = sum(not (f.position_lps_mm and f.row_cosines and f.pixel_spacing_mm) for f in frames)
    if lacking:
        raise MissingGeometry(f"{lacking} of {len(frames)} frames lack a valid position, orientation or pixel spacing")
    if any("MOSAIC" in frame.traits.image_type for frame in frames):
        raise MissingGeometry("mosaics: each picture holds many slices, and its position is none of theirs")
    if not frames:
        raise TooFewSlices("a series without frames")
    if axes_of(frames) is None:
        raise MixedOrientation("the frames are not parallel")
    if len({(frame.rows, frame.columns) for frame in frames}) > 1:
        raise MixedSize("Rows or Columns differ between frames")
    spacing = _spacings(frames)
    if np.any(np.ptp(spacing, axis=0) > SPACING_TOLERANCE * spacing.mean(axis=0)):
        raise MixedSpacing("PixelSpacing differs between frames")
    if len({frame.frame_of_reference_uid for frame in frames}) > 1:
        raise TwoAcquisitions("the frames belong to different Frames of Reference")


def _check_one_stack(frames: Sequence[Frame], axes: FloatArray) -> None:
    """Refuse frames at one place, and stacks of which each echo or kind of image holds only a part."""
    along = _positions(frames) @ axes[:, 0]
    places = np.cumsum(np.concatenate([[0], np.diff(along) > SAME_PLACE_MM]))
    groups = [[frame for frame, at in zip(frames, places, strict=True) if at == place] for place in set(places)]
    shared = [group for group in groups if len(group) > 1]
    if shared:
        raise _why_shared(shared, axes)
    if len(frames) < 2:
        raise TooFewSlices("fewer than two slices make no volume")
    echoes = [frame.traits.echo_time_ms for frame in frames if frame.traits.echo_time_ms is not None]
    if echoes and max(echoes) - min(echoes) > ECHO_TIME_TOLERANCE * max(echoes):
        raise TwoAcquisitions("the echo time differs between slices")
    if len({frame.traits.image_type[2:3] for frame in frames}) > 1:
        raise TwoAcquisitions("magnitude and other kinds of image lie in one stack")
    if len({frame.lowest_is_white for frame in frames}) > 1:
        raise TwoAcquisitions(
            "in one stack the lowest value is black in some images, and white in others (MONOCHROME1, INVERSE)"
        )


def _why_shared(shared: Sequence[Sequence[Frame]], axes: FloatArray) -> TwoAcquisitions | DuplicatePosition:
    for group in shared:
        spread = np.ptp(_positions(group) @ axes[:, 1:], axis=0)
        if spread.max() > max(_spacings(group).mean(), ROUNDING_MM):
            return TwoAcquisitions("stacks lie side by side in one series")
        for trait in fields(FrameTraits):
            if len({getattr(frame.traits, trait.name) for frame in group}) > 1:
                return TwoAcquisitions(f"frames at one place differ in {trait.name}")
    return DuplicatePosition(f"{len(shared)} places hold more than one frame, and nothing says why")


def _affine(frames: Sequence[Frame], axes: FloatArray) -> FloatArray:
    """Return the 4 x 4 affine from (slice, row, column) to LPS mm of frames sorted along the normal."""
    positions = _positions(frames)
    count = len(frames)
    step = (positions[-1] - positions[0]) / (count - 1)
    offsets = (positions - positions[0]) @ axes
    length = float(step @ axes[:, 0])
    drift = np.linalg.norm(offsets[:, 1:], axis=1)
    if np.any(drift > ROUNDING_MM + SHEAR_TOLERANCE * offsets[:, 0]):
        raise ShearedStack("the slices do not stack along their normal")
    jitter = np.abs(offsets[:, 0] - length * np.arange(count))
    if jitter.max() > max(JITTER_TOLERANCE * length, min(ROUNDING_MM, length / 4)):
        raise SliceGap(
            f"a slice is missing or the distance varies: {jitter.max():.2f} mm off a step of {length:.2f} mm"
        )
    affine = np.eye(4)
    between_rows, between_columns = _spacings(frames).mean(axis=0)
    affine[:3, 0] = step
    affine[:3, 1] = axes[:, 1] * between_rows
    affine[:3, 2] = axes[:, 2] * between_columns
    affine[:3, 3] = positions[0]
    return affine


def _sorted(frames: Sequence[Frame], axes: FloatArray) -> tuple[Frame, ...]:
    along = _positions(frames) @ axes[:, 0]
    return tuple(frames[index] for index in np.argsort(along, kind="stable"))


def _positions(frames: Sequence[Frame]) -> FloatArray:
    return np.array([frame.position_lps_mm for frame in frames], dtype=np.float64)


def _spacings(frames: Sequence[Frame]) -> FloatArray:
    return np.array([frame.pixel_spacing_mm for frame in frames], dtype=np.float64)
