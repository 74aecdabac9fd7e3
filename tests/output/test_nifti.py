"""Volumes as NIfTI: the layout, the codes and the types of dcm2niix."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.geometry import Grid, Volume
from node.output.nifti import dcm2niix_layout, nifti_bytes

#: Sagittal: slices to the right, rows to the feet, columns to the back; LPS mm.
SAGITTAL = np.array([[-4.0, 0, 0, 20], [0, 0, 0.5, -50], [0, -0.75, 0, 60], [0, 0, 0, 1]])


def volume(voxels: np.ndarray, affine: np.ndarray = SAGITTAL, *, acquired_in_3d: bool = False) -> Volume:
    return Volume(
        grid=Grid(shape=voxels.shape, affine=affine), voxels=voxels, sources=(), acquired_in_3d=acquired_in_3d
    )


def loaded(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


def test_a_2d_acquisition_has_columns_then_rows_upside_down_then_slices():
    voxels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    array, affine = dcm2niix_layout(volume(voxels))
    assert array.shape == (4, 3, 2)
    assert array[3, 0, 1] == voxels[1, 2, 3]
    assert affine.tolist() == [[0, 0, 4, -20], [-0.5, 0, 0, 50], [0, 0.75, 0, 58.5], [0, 0, 0, 1]]
    assert nib.aff2axcodes(affine) == ("P", "S", "R")


def test_a_3d_acquisition_is_turned_to_right_anterior_superior():
    voxels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    array, affine = dcm2niix_layout(volume(voxels, acquired_in_3d=True))
    assert array.shape == (2, 4, 3)
    assert array[1, 0, 0] == voxels[1, 2, 3]
    assert affine.tolist() == [[4, 0, 0, -20], [0, 0.5, 0, 48.5], [0, 0, 0.75, 58.5], [0, 0, 0, 1]]


@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    acquired_in_3d=st.booleans(),
)
def test_every_voxel_keeps_its_place_in_the_patient(angles, spacing, acquired_in_3d):
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) * spacing
    voxels = np.arange(3 * 4 * 5, dtype=np.int32).reshape(3, 4, 5)
    array, ras = dcm2niix_layout(volume(voxels, affine, acquired_in_3d=acquired_in_3d))
    for index in np.argwhere(np.ones(array.shape)):
        source = np.argwhere(voxels == array[tuple(index)])[0]
        left, back, up = affine[:3, :3] @ source + affine[:3, 3]
        assert np.allclose(ras[:3, :3] @ index + ras[:3, 3], [-left, -back, up])


def test_a_label_map_lies_on_its_image_voxel_by_voxel():
    image = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    labels = (image == 13).astype(np.uint8)
    one = volume(image, acquired_in_3d=True)
    laid_image, laid_labels = loaded(nifti_bytes(one, image)), loaded(nifti_bytes(one, labels))
    assert np.array_equal(laid_image.affine, laid_labels.affine)
    assert np.asarray(laid_image.dataobj)[np.asarray(laid_labels.dataobj) == 1].tolist() == [13]


def test_codes_and_units_are_those_of_dcm2niix():
    header = loaded(nifti_bytes(volume(np.ones((2, 3, 4), np.int16)), np.ones((2, 3, 4), np.int16))).header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (1, 1)
    assert header.get_xyzt_units() == ("mm", "sec")
    assert header.get_zooms() == pytest.approx((0.5, 0.75, 4.0))
    assert np.allclose(header.get_qform(), header.get_sform(), atol=1e-5)


@pytest.mark.parametrize(
    ("given_as", "value", "stored_as"),
    [
        (np.int16, -5, np.int16),
        (np.uint16, 300, np.int16),
        (np.uint16, 60000, np.uint16),
        (np.int32, 100000, np.int32),
        (np.int64, 7, np.int16),
        (np.uint8, 9, np.uint8),
        (np.float32, 0.5, np.float32),
        (np.float64, 0.5, np.float32),
    ],
)
def test_values_are_stored_in_the_smallest_usual_type(given_as, value, stored_as):
    voxels = np.full((2, 3, 4), value, given_as)
    image = loaded(nifti_bytes(volume(voxels), voxels))
    assert image.get_data_dtype() == stored_as
    assert np.asarray(image.dataobj)[0, 0, 0] == value


def test_the_same_volume_gives_the_same_bytes():
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    assert nifti_bytes(volume(voxels), voxels) == nifti_bytes(volume(voxels.copy()), voxels.copy())


def test_voxels_of_another_shape_are_a_mistake():
    with pytest.raises(ValueError, match="do not lie on the grid"):
        nifti_bytes(volume(np.ones((2, 3, 4), np.int16)), np.ones((2, 3, 5), np.uint8))


def test_integers_beyond_32_bits_are_a_mistake():
    with pytest.raises(ValueError, match="beyond 32 bits"):
        nifti_bytes(volume(np.ones((2, 3, 4), np.int16)), np.full((2, 3, 4), 2**40))
