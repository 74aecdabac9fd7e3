"""The same files through dcm2niix and through the node: same shape, same axes, same voxels, same affine."""

import shutil
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.assemble.volume import build_volume
from node.domain.geometry import Volume
from node.errors import TwoAcquisitions
from node.output.nifti import dcm2niix_layout

pytestmark = pytest.mark.peer("dcm2niix")


def assert_same(kit, folder: Path, out: Path, voxel_tolerance: float = 0.0) -> Volume:
    volume = build_volume(kit.series_in(folder))
    array, affine = dcm2niix_layout(volume)
    theirs = kit.dcm2niix(folder, out)
    assert array.shape == theirs.shape
    assert nib.aff2axcodes(affine) == nib.aff2axcodes(theirs.affine)
    assert np.abs(affine - theirs.affine).max() < 1e-3
    difference = np.abs(array.astype(np.float64) - np.asarray(theirs.dataobj, dtype=np.float64))
    assert difference.max() <= voxel_tolerance
    return volume


def test_a_real_neck_wrapped_as_a_series_comes_out_as_dcm2niix_has_it(kit, cervical, tmp_path):
    volume = assert_same(kit, cervical, tmp_path / "out")
    assert volume.grid.shape == (13, 185, 384)


def test_a_real_neck_turned_about_two_axes_stored_backwards_and_shuffled_comes_out_the_same(kit, cervical, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    paths = sorted(cervical.iterdir())
    order = np.random.default_rng(3).permutation(len(paths))
    for index, path in enumerate(paths):
        ds = pydicom.dcmread(path)
        turned = kit.turned((*ds.ImageOrientationPatient[:3], *ds.ImageOrientationPatient[3:]), 11, 8)
        place = kit.turned((*ds.ImagePositionPatient, 0, 0, 0), 11, 8)[:3]
        ds.ImageOrientationPatient, ds.ImagePositionPatient = kit.decimals(turned), kit.decimals(place)
        ds.InstanceNumber = len(paths) - index
        ds.save_as(folder / f"{order[index]:03d}")
    assert_same(kit, folder, tmp_path / "out")


@pytest.mark.parametrize("acquisition", ["2D", "3D"])
@pytest.mark.parametrize("step", [4.0, 0.6])
@pytest.mark.parametrize("tilt", [(0, 0), (12, -9), (-31, 24), (50, 20)])
@pytest.mark.parametrize(
    "cosines",
    [(0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1), (1, 0, 0, 0, 1, 0), (0, -1, 0, 0, 0, -1), (-1, 0, 0, 0, 0, 1)],
    ids=["sagittal", "coronal", "axial", "sagittal mirrored", "coronal mirrored"],
)
def test_every_plane_and_tilt_comes_out_the_same(kit, tmp_path, cosines, tilt, step, acquisition):
    stack = kit.stack(cosines=kit.turned(cosines, *tilt), step=step, acquisition=acquisition)
    assert_same(kit, kit.write(tmp_path / "in", stack.datasets()), tmp_path / "out")


@pytest.mark.parametrize("acquisition", ["2D", "3D"])
def test_slices_written_backwards_and_shuffled_come_out_the_same(kit, tmp_path, acquisition):
    frames = kit.stack(acquisition=acquisition).datasets()
    numbers = np.random.default_rng(5).permutation(len(frames))
    for ds, number in zip(frames, numbers, strict=True):
        ds.InstanceNumber = int(number) + 1
    backwards = build_volume(kit.series_in(kit.write(tmp_path / "back", frames[::-1])))
    shuffled = assert_same(kit, kit.write(tmp_path / "in", [frames[i] for i in numbers]), tmp_path / "out")
    assert np.array_equal(backwards.voxels, shuffled.voxels)
    assert np.array_equal(backwards.grid.affine, shuffled.grid.affine)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless, JPEGLSLossless]
)
def test_every_transfer_syntax_comes_out_the_same(kit, tmp_path, syntax):
    assert_same(kit, kit.write(tmp_path / "in", kit.stack().datasets(), syntax), tmp_path / "out")


@pytest.mark.peer("dcmtk")
def test_lossless_jpeg_comes_out_the_same(kit, tmp_path):
    plain, coded = kit.write(tmp_path / "plain", kit.stack().datasets()), tmp_path / "coded"
    coded.mkdir()
    for path in plain.iterdir():
        subprocess.run(["dcmcjpeg", "+e1", str(path), str(coded / path.name)], check=True, timeout=60)
    assert pydicom.dcmread(coded / "000.dcm").file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.70"
    assert_same(kit, coded, tmp_path / "out")


def test_signed_and_eight_bit_voxels_come_out_the_same(kit, tmp_path):
    signed = np.random.default_rng(1).integers(-900, 900, (5, 12, 10)).astype(np.int16)
    assert_same(kit, kit.write(tmp_path / "a", kit.stack(voxels=signed).datasets()), tmp_path / "out a")
    bytes_only = np.random.default_rng(1).integers(0, 255, (5, 12, 10)).astype(np.uint8)
    assert_same(kit, kit.write(tmp_path / "b", kit.stack(voxels=bytes_only).datasets()), tmp_path / "out b")


def test_a_rescale_that_breaks_integers_comes_out_as_floats(kit, tmp_path):
    frames = kit.stack().datasets()
    for ds in frames:
        ds.RescaleSlope, ds.RescaleIntercept = "2.5", "-3"
    volume = assert_same(kit, kit.write(tmp_path / "in", frames), tmp_path / "out", voxel_tolerance=1e-3)
    assert volume.voxels.dtype == np.float32


def test_a_rescale_of_its_own_for_each_slice_comes_out_the_same(kit, tmp_path):
    frames = kit.stack().datasets()
    for index, ds in enumerate(frames):
        ds.RescaleSlope, ds.RescaleIntercept = str(1 + 0.25 * index), "0"
    assert_same(kit, kit.write(tmp_path / "in", frames), tmp_path / "out", voxel_tolerance=1e-2)


@pytest.mark.parametrize("acquisition", ["2D", "3D"])
def test_an_enhanced_object_comes_out_the_same(kit, tmp_path, acquisition):
    frames = kit.stack(acquisition=acquisition, cosines=kit.turned((0, 1, 0, 0, 0, -1), 12, -9)).datasets()
    assert_same(kit, kit.write(tmp_path / "in", [kit.enhanced(frames[::-1])]), tmp_path / "out")


def test_a_head_scanned_obliquely_in_3d_comes_out_the_same(kit, shared, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in (shared / "data/dicom/siemens_sagittal_t1_head").glob("*.dcm"):
        (folder / path.name).symlink_to(path)
    assert assert_same(kit, folder, tmp_path / "out").grid.shape == (192, 256, 256)


def test_a_classic_epi_comes_out_the_same(kit, shared, tmp_path):
    folder = shared / "data/dicom/siemens_sagittal_epi/classic"
    assert assert_same(kit, folder, tmp_path / "out").grid.shape == (63, 86, 86)


@pytest.mark.parametrize("name", ["0063.dcm", "0126.dcm", "0189.dcm", "0252.dcm", "0315.dcm"])
def test_each_time_of_an_enhanced_epi_comes_out_the_same(kit, shared, tmp_path, name):
    (tmp_path / "in").mkdir()
    shutil.copy(shared / "data/dicom/siemens_sagittal_epi/enhanced" / name, tmp_path / "in")
    assert assert_same(kit, tmp_path / "in", tmp_path / "out").grid.shape == (63, 86, 86)


def test_all_times_of_an_enhanced_epi_are_refused_together(kit, shared):
    with pytest.raises(TwoAcquisitions, match="temporal_position"):
        build_volume(kit.series_in(shared / "data/dicom/siemens_sagittal_epi/enhanced"))


def test_positions_and_cosines_rounded_to_four_decimals_come_out_the_same(kit, tmp_path):
    frames = kit.stack(cosines=kit.turned((0, 1, 0, 0, 0, -1), 12, -9)).datasets()
    for ds in frames:
        ds.ImagePositionPatient = kit.decimals(round(float(v), 4) for v in ds.ImagePositionPatient)
        ds.ImageOrientationPatient = kit.decimals(round(float(v), 4) for v in ds.ImageOrientationPatient)
    assert_same(kit, kit.write(tmp_path / "in", frames), tmp_path / "out")
