"""Stored pixels become modality values, or the refusal that fits."""

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless

from node.assemble.volume import build_volume
from node.errors import (
    TwoAcquisitions,
    UndecodablePixels,
    UnsupportedTransferSyntax,
)


@pytest.mark.parametrize(
    ("slope", "intercept", "dtype", "expected"),
    [
        ("1", "0", np.int16, 1000),
        ("2", "-5", np.int16, 1995),
        ("60", "0", np.uint16, 60000),
        ("100", "0", np.int32, 100000),
        ("0.5", "0", np.float32, 500),
        ("1", "0.25", np.float32, 1000.25),
        ("0", "0", np.int16, 1000),
        ("1e9", "0", np.float32, 1e12),
    ],
)
def test_a_rescale_keeps_integers_where_it_can(kit, volume_of, slope, intercept, dtype, expected):
    frames = kit.stack(voxels=np.full((3, 4, 4), 1000, np.uint16)).datasets()
    for ds in frames:
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    voxels = volume_of(frames).voxels
    assert (voxels.dtype, voxels[1, 2, 3]) == (dtype, expected)


def test_an_enhanced_object_is_rescaled_frame_by_frame(kit, volume_of):
    frames = kit.stack(voxels=np.full((3, 4, 4), 10, np.uint16)).datasets()
    for index, ds in enumerate(frames):
        ds.RescaleSlope, ds.RescaleIntercept = str(index + 1), "-1"
    assert volume_of([kit.enhanced(frames)]).voxels[:, 0, 0].tolist() == [9, 19, 29]


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ((12, 11, 0), 0x234),
        ((12, 15, 0), 0xF23),
        ((12, 11, 1), 0x234),
        ((12, 15, 1), 0xF23 - 0x1000),
        ((16, 15, 1), -0xDCC),
    ],
)
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ExplicitVRBigEndian, "1.2.840.10008.1.2.5"])
def test_bits_beyond_those_stored_are_no_part_of_the_value(kit, tmp_path, bits, expected, syntax):
    frames = kit.stack(voxels=np.full((2, 4, 4), 0xF234, np.uint16)).datasets()
    for ds in frames:
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits
    volume = build_volume(kit.series_in(kit.write(tmp_path / "in", frames, syntax)))
    assert volume.voxels[1, 3, 3] == expected


def test_monochrome1_is_a_way_to_show_values_and_does_not_change_them(kit, volume_of):
    frames = kit.stack(voxels=np.full((2, 4, 4), 7, np.uint16)).datasets()
    for ds in frames:
        ds.PhotometricInterpretation = "MONOCHROME1"
    volume = volume_of(frames)
    assert volume.voxels.max() == 7
    assert volume.lowest_is_white


@pytest.mark.parametrize(
    ("interpretation", "shape", "white"),
    [
        ("MONOCHROME1", None, True),
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
    ],
)
@pytest.mark.parametrize("multi_frame", [False, True])
def test_the_header_says_whether_the_lowest_value_is_white(kit, volume_of, interpretation, shape, white, multi_frame):
    frames = kit.stack().datasets()
    objects = [kit.enhanced(frames)] if multi_frame else frames
    for ds in objects:
        ds.PhotometricInterpretation = interpretation
        if shape:
            ds.PresentationLUTShape = shape
    assert volume_of(objects).lowest_is_white is white


def test_slices_to_be_shown_the_other_way_round_than_their_neighbours_make_no_volume(kit, volume_of):
    frames = kit.stack().datasets()
    frames[1].PhotometricInterpretation = "MONOCHROME1"
    with pytest.raises(TwoAcquisitions, match="the lowest value is black in some images, and white in others"):
        volume_of(frames)


def test_a_broken_code_stream_is_refused(kit, tmp_path):
    folder = kit.write(tmp_path / "in", kit.stack().datasets(), JPEG2000Lossless)
    raw = (folder / "003.dcm").read_bytes()
    at = raw.index(b"\xff\x93") + 2
    (folder / "003.dcm").write_bytes(raw[: at - 40] + bytes(60) + raw[at + 20 :])
    with pytest.raises(UndecodablePixels, match="codec gave up"):
        build_volume(kit.series_in(folder))


def test_eight_bit_pixels_in_big_endian_are_refused(kit, tmp_path):
    frames = kit.stack(voxels=np.ones((2, 4, 4), np.uint8)).datasets()
    with pytest.raises(UnsupportedTransferSyntax, match="big endian"):
        build_volume(kit.series_in(kit.write(tmp_path / "in", frames, ExplicitVRBigEndian)))


@pytest.mark.parametrize(("slope", "intercept"), [("1e308", "0"), ("1", "1e40"), ("-1e308", "1e308")])
def test_a_rescale_that_no_number_holds_is_refused(kit, volume_of, slope, intercept):
    frames = kit.stack(voxels=np.full((2, 4, 4), 60000, np.uint16)).datasets()
    for ds in frames:
        ds.RescaleSlope, ds.RescaleIntercept = slope, intercept
    with pytest.raises(UndecodablePixels, match="rescale"):
        volume_of(frames)
