"""NIfTI images: no order of axes is assumed, and a hostile header is refused by name."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.assemble.nifti import label_values, read_nifti, read_nifti_grid, sagittal_volume
from node.domain.geometry import Grid, lay_on
from node.errors import GridMismatch, NiftiRefused

_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
#: dcm2niix's layout of a 2D sagittal acquisition: P, S, R with the slices on axis 2.
_PSR = np.array([[0.0, 0.0, 4.0, -20.0], [-0.5, 0.0, 0.0, 60.0], [0.0, 0.5, 0.0, -70.0], [0.0, 0.0, 0.0, 1.0]])


def _written(folder, voxels, affine=_PSR, name="image.nii.gz"):
    path = folder / name
    nib.save(nib.Nifti1Image(voxels, affine), path)
    return path


def test_an_image_keeps_its_axes_and_lies_in_lps(tmp_path):
    voxels = np.arange(6 * 5 * 3, dtype=np.int16).reshape(6, 5, 3)
    image = read_nifti(_written(tmp_path, voxels))
    assert np.array_equal(image.voxels, voxels)
    assert image.grid.shape == (6, 5, 3)
    assert np.allclose(image.grid.affine, _LPS @ _PSR)
    assert np.allclose(read_nifti_grid(tmp_path / "image.nii.gz").affine, image.grid.affine)


@pytest.mark.parametrize("orientation", ["PSR", "RAS", "LIP", "SRA"])
def test_a_sagittal_volume_is_the_same_whatever_the_order_of_the_axes(tmp_path, orientation):
    rng = np.random.default_rng(3)
    plain = nib.Nifti1Image(rng.integers(0, 900, (9, 8, 4), dtype=np.int16), _PSR)
    change = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(_PSR), nib.orientations.axcodes2ornt(orientation)
    )
    nib.save(plain, tmp_path / "plain.nii.gz")
    nib.save(plain.as_reoriented(change), tmp_path / "turned.nii.gz")
    expected = sagittal_volume(read_nifti(tmp_path / "plain.nii.gz"))
    found = sagittal_volume(read_nifti(tmp_path / "turned.nii.gz"))
    assert found.grid.orientation() == "LIP"
    assert found.grid.shape == (4, 8, 9)
    assert np.array_equal(found.voxels, expected.voxels)
    assert np.allclose(found.grid.affine, expected.grid.affine)


def test_slices_that_are_not_sagittal_are_refused(tmp_path):
    axial = np.diag([0.5, 0.5, 4.0, 1.0])
    with pytest.raises(GridMismatch):
        sagittal_volume(read_nifti(_written(tmp_path, np.zeros((8, 8, 4), np.int16), axial)))


@pytest.mark.parametrize(
    "content",
    [b"", b"not a NIfTI file at all", gzip.compress(b"\x00" * 400), b"\x1f\x8b\x08\x00broken"],
    ids=["empty", "text", "zeros", "broken gzip"],
)
def test_what_is_no_image_is_refused(tmp_path, content):
    (tmp_path / "image.nii.gz").write_bytes(content)
    with pytest.raises(NiftiRefused):
        read_nifti(tmp_path / "image.nii.gz")


def test_a_file_that_ends_early_is_refused(tmp_path):
    rng = np.random.default_rng(1)
    path = _written(tmp_path, rng.integers(0, 900, (30, 30, 9), dtype=np.int16))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(NiftiRefused):
        read_nifti(path)


def test_a_header_that_claims_terabytes_is_refused_before_anything_is_read(tmp_path):
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((30000, 30000, 30000))
    header.set_sform(_PSR, code=1)
    header.set_data_offset(352)
    (tmp_path / "image.nii").write_bytes(header.binaryblock + b"\x00" * 4)
    with pytest.raises(NiftiRefused, match="more voxels"):
        read_nifti(tmp_path / "image.nii")


def test_an_image_that_nobody_says_the_place_of_is_refused(tmp_path):
    image = nib.Nifti1Image(np.zeros((4, 4, 4), np.int16), None)
    nib.save(image, tmp_path / "image.nii.gz")
    with pytest.raises(NiftiRefused, match="qform"):
        read_nifti(tmp_path / "image.nii.gz")


def test_four_dimensions_are_refused_and_a_single_time_is_not(tmp_path):
    assert read_nifti(_written(tmp_path, np.zeros((4, 4, 4, 1), np.int16))).grid.shape == (4, 4, 4)
    with pytest.raises(NiftiRefused, match="dimensions"):
        read_nifti(_written(tmp_path, np.zeros((4, 4, 4, 2), np.int16)))


def test_a_label_map_holds_whole_numbers(tmp_path):
    whole = read_nifti(_written(tmp_path, np.array([[[0.0, 2.0]], [[1.0, 25.0]]], np.float32)))
    assert label_values(whole, "mask").tolist() == [[[0, 2]], [[1, 25]]]
    for bad in (0.5, -1.0, np.nan, 70000.0):
        with pytest.raises(NiftiRefused, match="whole numbers"):
            label_values(read_nifti(_written(tmp_path, np.full((2, 2, 2), bad, np.float32))), "mask")


@given(order=st.permutations((0, 1, 2)), flips=st.tuples(*[st.booleans()] * 3), seed=st.integers(0, 999))
def test_whatever_permutes_and_flips_is_laid_back_and_a_shift_of_half_a_voxel_is_not(order, flips, seed):
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 99, (4, 5, 6))
    turn, _ = np.linalg.qr(np.eye(3) + 0.15 * rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * np.sign(np.diag(turn)) * (3.9, 0.5, 0.6)
    affine[:3, 3] = rng.normal(size=3) * 50
    onto = Grid(shape=(4, 5, 6), affine=affine)
    changed, moved = voxels.transpose(order), affine[:, [*order, 3]].copy()
    for axis, flip in enumerate(flips):
        if flip:
            changed = np.flip(changed, axis)
            moved[:3, 3] += moved[:3, axis] * (changed.shape[axis] - 1)
            moved[:3, axis] *= -1
    laid = lay_on(changed, Grid(shape=changed.shape, affine=moved), onto)
    assert laid is not None
    assert np.array_equal(laid, voxels)
    moved[:3, 3] += affine[:3, 1] / 2
    assert lay_on(changed, Grid(shape=changed.shape, affine=moved), onto) is None
