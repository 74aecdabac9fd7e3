"""Where frames lie in the patient: the Image Plane Module (PS3.3 C.7.6.2) and what follows from it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from node.assemble.values import Elements
from node.domain.series import Frame, FrameTraits, Vector

FloatArray = NDArray[np.float64]

#: Largest difference of a direction cosine between parallel frames: 0.1 degree, a quarter of a millimetre at the edge
#: of a 256 mm field of view. Vendors round cosines to 4 to 6 decimals.
PARALLEL_TOLERANCE = 2e-3
#: How far stored cosines may be from unit length and from a right angle before they mean nothing.
COSINE_TOLERANCE = 1e-2
#: No patient lies a hundred metres from the isocentre, no pixel is smaller than a micrometre or larger than a metre.
LARGEST_POSITION_MM = 1e5
SPACING_MM = (1e-3, 1e3)
#: Frames closer than this along the normal lie at one place; no scanner makes slices this thin.
SAME_PLACE_MM = 0.01


def classic_frames(elements: Elements, first: Frame, number_of_frames: int) -> tuple[Frame, ...]:
    """Return the frames of an object without functional groups; only a single frame can have a position."""
    traits = FrameTraits(
        echo_time_ms=elements.number("EchoTime"),
        echo_number=elements.whole("EchoNumbers"),
        inversion_time_ms=elements.number("InversionTime"),
        diffusion_b_value=elements.number("DiffusionBValue"),
        temporal_position=elements.whole("TemporalPositionIdentifier"),
        trigger_time_ms=elements.number("TriggerTime"),
        acquisition_number=elements.whole("AcquisitionNumber"),
        acquired_at="".join(filter(None, map(elements.text, ("AcquisitionDate", "AcquisitionTime")))) or None,
        image_type=elements.texts("ImageType"),
    )
    first = replace(with_rescale(first, elements), traits=traits)
    if number_of_frames > 1:
        return tuple(replace(first, frame_number=number + 1) for number in range(number_of_frames))
    return (with_plane(first, elements),)


def with_plane(frame: Frame, elements: Elements) -> Frame:
    """Return `frame` with whatever position, orientation and spacing `elements` hold in valid form."""
    position = elements.numbers("ImagePositionPatient")
    cosines = elements.numbers("ImageOrientationPatient")
    spacing = elements.numbers("PixelSpacing")
    if len(position) == 3 and max(map(abs, position)) <= LARGEST_POSITION_MM:
        frame = replace(frame, position_lps_mm=vector(position))
    if len(cosines) == 6 and _are_axes(cosines):
        frame = replace(frame, row_cosines=vector(cosines[:3]), column_cosines=vector(cosines[3:]))
    if len(spacing) == 2 and SPACING_MM[0] <= min(spacing) and max(spacing) <= SPACING_MM[1]:
        frame = replace(frame, pixel_spacing_mm=(spacing[0], spacing[1]))
    return frame


def with_rescale(frame: Frame, elements: Elements) -> Frame:
    """Return `frame` with RescaleSlope and RescaleIntercept where given (PS3.3 C.11.1, C.7.6.16.2.9).

    A slope of zero would erase the image: it is written by converters that mean "none".
    """
    slope, intercept = elements.number("RescaleSlope"), elements.number("RescaleIntercept")
    return replace(
        frame,
        rescale_slope=slope or frame.rescale_slope,
        rescale_intercept=frame.rescale_intercept if intercept is None else intercept,
    )


def vector(values: Sequence[float] | FloatArray) -> Vector:
    """Return three numbers as a Vector."""
    x, y, z = values
    return (float(x), float(y), float(z))


def axes_of(frames: Sequence[Frame]) -> FloatArray | None:
    """Return the common axes of parallel frames as unit columns (normal, column cosines, row cosines), 3 x 3, LPS.

    The columns belong to the array axes (slices, rows, columns). The cosines are taken as they are, not made exactly
    perpendicular, as the equation of PS3.3 C.7.6.2.1.1 has it; their mean over the frames, so that the order of these
    does not matter. None when a frame has no orientation or the frames are not parallel.
    """
    pairs = [(f.row_cosines, f.column_cosines) for f in frames if f.row_cosines and f.column_cosines]
    if not pairs or len(pairs) != len(frames):
        return None
    cosines = np.array(pairs, dtype=np.float64)
    if np.ptp(cosines, axis=0).max() > PARALLEL_TOLERANCE:
        return None
    rows, columns = cosines.mean(axis=0)
    axes = np.column_stack([np.cross(rows, columns), columns, rows])
    return np.asarray(axes / np.linalg.norm(axes, axis=0), dtype=np.float64)


def normal_of(frames: Sequence[Frame]) -> Vector | None:
    """Return the unit normal (LPS) that all frames share, None when they share none."""
    axes = axes_of(frames)
    return None if axes is None else vector(axes[:, 0])


def places_along(frames: Sequence[Frame], normal: Vector) -> int:
    """Return how many different places along `normal` the frames lie at."""
    positions = [frame.position_lps_mm for frame in frames if frame.position_lps_mm is not None]
    if len(positions) != len(frames):
        return len(frames)
    along = np.sort(np.array(positions, dtype=np.float64) @ np.array(normal))
    return 1 + int(np.count_nonzero(np.diff(along) > SAME_PLACE_MM))


def _are_axes(cosines: Sequence[float]) -> bool:
    rows, columns = cosines[:3], cosines[3:]
    lengths_fit = all(abs(math.hypot(*axis) - 1) <= COSINE_TOLERANCE for axis in (rows, columns))
    return lengths_fit and abs(sum(r * c for r, c in zip(rows, columns, strict=True))) <= COSINE_TOLERANCE
