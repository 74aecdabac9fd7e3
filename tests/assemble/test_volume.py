"""Frames become one regular grid, or the refusal that fits."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.assemble.volume import build_volume
from node.domain.geometry import FrameSource
from node.errors import (
    DuplicatePosition,
    MissingGeometry,
    MixedOrientation,
    MixedSize,
    MixedSpacing,
    ShearedStack,
    SliceGap,
    TooFewSlices,
    TwoAcquisitions,
    UndecodablePixels,
)

MR = "1.2.840.10008.5.1.4.1.1.4"
UID = "1.2.826.0.1.3680043.8.498.7"


def shifted(kit, ds, **axes):
    place = dict(zip("xyz", map(float, ds.ImagePositionPatient), strict=True))
    ds.ImagePositionPatient = kit.decimals(place[axis] + axes.get(axis, 0.0) for axis in "xyz")


def test_slices_are_stacked_along_their_normal_whatever_the_header_says_of_thickness(kit, volume_of):
    stack = kit.stack()
    volume = volume_of(stack.datasets()[::-1])
    assert volume.grid.shape == (7, 40, 36)
    expected = [[-4, 0, 0, 20], [0, 0, 0.5, -50.5], [0, -0.75, 0, 61.25], [0, 0, 0, 1]]
    assert np.allclose(volume.grid.affine, expected, atol=1e-9)
    assert np.array_equal(volume.voxels, stack.voxels)
    assert volume.voxels.dtype == np.int16
    assert volume.sources[1] == FrameSource(sop_class_uid=MR, sop_instance_uid=f"{UID}.1.2", frame_number=None)
    assert volume.acquired_in_3d is False
    assert volume.grid.orientation() == "RIP"


def test_frames_of_an_enhanced_object_keep_their_numbers(kit, volume_of):
    stack = kit.stack(acquisition="3D")
    volume = volume_of([kit.enhanced(stack.datasets()[::-1])])
    assert [source.frame_number for source in volume.sources] == [7, 6, 5, 4, 3, 2, 1]
    assert np.array_equal(volume.voxels, stack.voxels)
    assert volume.acquired_in_3d is True


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tilt=st.tuples(st.floats(-80, 80), st.floats(-80, 80)),
    step=st.floats(0.5, 8),
    order=st.permutations(range(5)),
    origin=st.tuples(*[st.floats(-300, 300)] * 3),
)
def test_every_voxel_lies_where_its_own_header_puts_it(kit, tmp_path_factory, tilt, step, order, origin):
    voxels = np.arange(5 * 4 * 3, dtype=np.uint16).reshape(5, 4, 3)
    stack = kit.stack(cosines=kit.turned((0, 1, 0, 0, 0, -1), *tilt), step=step, origin=origin, voxels=voxels)
    frames = stack.datasets()
    folder = kit.write(tmp_path_factory.mktemp("grid"), [frames[index] for index in order])
    volume = build_volume(kit.series_in(folder))
    for index, ds in enumerate(frames):
        row, column = np.reshape([float(v) for v in ds.ImageOrientationPatient], (2, 3))
        corner = np.array([float(v) for v in ds.ImagePositionPatient]) + column * 0.75 * 3 + row * 0.5 * 2
        assert np.allclose(volume.grid.to_lps_mm(np.array([index, 3, 2])), corner, atol=1e-4)
        assert volume.voxels[index, 3, 2] == voxels[index, 3, 2]


def missing_position(kit, frames):
    del frames[2].ImagePositionPatient


def missing_orientation(kit, frames):
    frames[2].ImageOrientationPatient = None


def zero_orientation(kit, frames):
    frames[2].ImageOrientationPatient = [0, 0, 0, 0, 0, 0]


def missing_spacing(kit, frames):
    del frames[2].PixelSpacing


def a_position_beyond_any_scanner(kit, frames):
    frames[2].ImagePositionPatient = ["1e308", "-1e308", "0"]


def a_spacing_of_nothing(kit, frames):
    frames[2].PixelSpacing = ["1e-320", "1e-320"]


def a_spacing_beyond_any_scanner(kit, frames):
    for ds in frames:
        ds.PixelSpacing = ["1e308", "1e308"]


def a_mosaic(kit, frames):
    for ds in frames:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]


def one_slice(kit, frames):
    del frames[1:]


def a_missing_slice(kit, frames):
    del frames[3]


def a_missing_slice_beside_the_end(kit, frames):
    del frames[1]


def a_slice_out_of_step(kit, frames):
    shifted(kit, frames[3], x=0.5)


def a_copy_with_a_new_uid(kit, frames):
    twin = kit.stack().datasets()[2]
    twin.SOPInstanceUID = f"{UID}.99"
    frames.append(twin)


def another_size(kit, frames):
    frames[4] = kit.stack(voxels=np.ones((7, 20, 72), np.uint16)).datasets()[4]


def a_localizer_in_another_plane(kit, frames):
    frames[4].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]


def a_slice_tilted_by_one_degree(kit, frames):
    frames[4].ImageOrientationPatient = kit.decimals(kit.turned((0, 1, 0, 0, 0, -1), 0, 1))


def another_spacing(kit, frames):
    frames[4].PixelSpacing = ["0.75", "0.51"]


def a_shear(kit, frames):
    for index, ds in enumerate(frames):
        shifted(kit, ds, z=0.3 * index)


def a_slice_moved_sideways(kit, frames):
    shifted(kit, frames[3], y=2.0)


def another_frame_of_reference(kit, frames):
    frames[3].FrameOfReferenceUID = f"{UID}.5"


def second(kit, frames, **changes):
    again = kit.stack(series=2).datasets()
    for ds in again:
        ds.SeriesInstanceUID = frames[0].SeriesInstanceUID
        for keyword, value in changes.items():
            setattr(ds, keyword, value)
    frames.extend(again)


def two_echoes(kit, frames):
    second(kit, frames, EchoTime="20")


def two_times(kit, frames):
    second(kit, frames, TemporalPositionIdentifier=2)


def two_acquisitions(kit, frames):
    second(kit, frames, AcquisitionNumber=2)


def magnitude_and_phase(kit, frames):
    second(kit, frames, ImageType=["ORIGINAL", "PRIMARY", "P"])


def two_b_values(kit, frames):
    second(kit, frames, DiffusionBValue=1000.0)


def two_stations_side_by_side(kit, frames):
    second(kit, frames)
    for ds in frames[7:]:
        shifted(kit, ds, z=-200)


def every_other_slice_of_two_echoes(kit, frames):
    for ds in frames[::2]:
        ds.EchoTime = "20"


def colour(kit, frames):
    for ds in frames:
        ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Columns = 3, "RGB", 12


def impossible_bits(kit, frames):
    frames[0].HighBit = 3


@pytest.mark.parametrize(
    ("fault", "refusal", "says"),
    [
        (missing_position, MissingGeometry, "1 of 7 frames"),
        (missing_orientation, MissingGeometry, "1 of 7 frames"),
        (zero_orientation, MissingGeometry, "1 of 7 frames"),
        (missing_spacing, MissingGeometry, "1 of 7 frames"),
        (a_position_beyond_any_scanner, MissingGeometry, "1 of 7 frames"),
        (a_spacing_of_nothing, MissingGeometry, "1 of 7 frames"),
        (a_spacing_beyond_any_scanner, MissingGeometry, "7 of 7 frames"),
        (a_mosaic, MissingGeometry, "mosaics"),
        (one_slice, TooFewSlices, "fewer than two slices"),
        (a_missing_slice, SliceGap, "off a step of 4.80 mm"),
        (a_missing_slice_beside_the_end, SliceGap, "off a step of 4.80 mm"),
        (a_slice_out_of_step, SliceGap, "0.50 mm off a step of 4.00 mm"),
        (a_copy_with_a_new_uid, DuplicatePosition, "1 places hold more than one frame"),
        (another_size, MixedSize, "Rows or Columns differ"),
        (a_localizer_in_another_plane, MixedOrientation, "not parallel"),
        (a_slice_tilted_by_one_degree, MixedOrientation, "not parallel"),
        (another_spacing, MixedSpacing, "PixelSpacing differs"),
        (a_shear, ShearedStack, "do not stack"),
        (a_slice_moved_sideways, ShearedStack, "do not stack"),
        (another_frame_of_reference, TwoAcquisitions, "Frames of Reference"),
        (two_echoes, TwoAcquisitions, "echo_time_ms"),
        (two_times, TwoAcquisitions, "temporal_position"),
        (two_acquisitions, TwoAcquisitions, "acquisition_number"),
        (magnitude_and_phase, TwoAcquisitions, "image_type"),
        (two_b_values, TwoAcquisitions, "diffusion_b_value"),
        (two_stations_side_by_side, TwoAcquisitions, "side by side"),
        (every_other_slice_of_two_echoes, TwoAcquisitions, "echo time differs"),
        (colour, UndecodablePixels, "colour"),
        (impossible_bits, UndecodablePixels, "HighBit"),
    ],
)
def test_a_series_with_a_fault_is_refused_by_its_name(kit, volume_of, fault, refusal, says):
    frames = kit.stack().datasets()
    fault(kit, frames)
    with pytest.raises(refusal, match=says) as raised:
        volume_of(frames)
    assert raised.type is refusal


def test_jitter_and_rounding_of_positions_are_the_mean_step(kit, volume_of):
    frames = kit.stack().datasets()
    shifted(kit, frames[2], x=0.12)
    shifted(kit, frames[3], x=-0.12, y=0.05)
    assert volume_of(frames).grid.spacing_mm == pytest.approx((4.0, 0.75, 0.5), abs=1e-9)


def test_thin_oblique_slices_with_positions_rounded_to_a_tenth_make_a_volume(kit, volume_of):
    stack = kit.stack(cosines=kit.turned((0, 1, 0, 0, 0, -1), 12, -9), step=0.9, count=40)
    frames = stack.datasets()
    for ds in frames:
        ds.ImagePositionPatient = kit.decimals(round(float(v), 1) for v in ds.ImagePositionPatient)
    assert volume_of(frames).grid.spacing_mm == pytest.approx((0.9, 0.75, 0.5), abs=2e-3)


def test_slices_numbered_as_acquisitions_of_their_own_are_one_volume(kit, volume_of):
    frames = kit.stack().datasets()
    for index, ds in enumerate(frames):
        ds.AcquisitionNumber, ds.InstanceNumber = index, 1
    assert volume_of(frames).grid.shape == (7, 40, 36)
