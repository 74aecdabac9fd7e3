"""What other implementations make of the written files."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from result_cases import Case, nothing_found

from dicom_sr import SourceSeries, to_bytes

#: Warnings that are not faults of the result, each with its reason.
ALLOWED_WARNINGS = (
    # Type 3 in PS3.3 table C.12-1 and asked for by IHE AI Results; not in dicom3tools' dictionary of the macro.
    "/DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD",
    # The source's own patient name, a single component, carried over as it is.
    "Retired Person Name form",
)


def tool(name: str) -> str:
    """Return the path of a tool beside the interpreter, else on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else str(shutil.which(name))


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def files(case: Case, segmentation: Dataset, sr: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("results")
    objects = {"seg": segmentation, "sr": sr, "empty": nothing_found(case)}
    for name, dataset in objects.items():
        (folder / f"{name}.dcm").write_bytes(to_bytes(dataset))
    return {name: str(folder / f"{name}.dcm") for name in objects}


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize(
    ("kind", "iod"), [("seg", "Segmentation"), ("sr", "Comprehensive3DSR"), ("empty", "Comprehensive3DSR")]
)
def test_dciodvfy_finds_no_error_and_no_warning(files: dict[str, str], kind: str, iod: str) -> None:
    lines = run(tool("dciodvfy"), "-new", "-allpffgitems", files[kind]).splitlines()
    assert iod in lines
    assert [
        line for line in lines if line and line != iod and not any(allowed in line for allowed in ALLOWED_WARNINGS)
    ] == []


def source_affine(source: SourceSeries) -> NDArray[np.float64]:
    """Return the 4 x 4 affine from `(slice, row, column)` to LPS mm."""
    positions, orientation = source.image_positions, source.image_orientation
    affine = np.eye(4)
    affine[:3, 0] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 1] = orientation[3:] * source.pixel_spacing_mm[0]
    affine[:3, 2] = orientation[:3] * source.pixel_spacing_mm[1]
    affine[:3, 3] = positions[0]
    return affine


@pytest.mark.peer("dcmqi")
def test_dcmqi_reads_the_same_label_map_at_the_same_place(case: Case, files: dict[str, str], tmp_path: Path) -> None:
    run(
        tool("segimage2itkimage"), "--mergeSegments", "-t", "nii", "-p", "out",
        "--inputDICOM", files["seg"], "--outputDirectory", str(tmp_path),
    )  # fmt: skip
    image = nib.load(tmp_path / "out-1.nii.gz")
    values = np.asarray(image.dataobj)
    voxels = np.argwhere(values > 0)
    lps = nib.affines.apply_affine(np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine, voxels)
    index = nib.affines.apply_affine(np.linalg.inv(source_affine(case.source)), lps)
    assert np.abs(index - np.rint(index)).max() < 0.01
    labels = np.zeros_like(case.labels)
    labels[tuple(np.rint(index).astype(int).T)] = values[tuple(voxels.T)]
    assert np.array_equal(labels, case.labels)


@pytest.mark.peer("dcmqi")
def test_dcmqi_reads_the_same_volumes(case: Case, files: dict[str, str], tmp_path: Path) -> None:
    run(tool("tid1500reader"), "--inputDICOM", files["sr"], "--outputMetadata", str(tmp_path / "sr.json"))
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    expected = [*case.report.segments, *case.report.totals]
    assert len(groups) == len(expected)
    for group, reported in zip(groups, expected, strict=True):
        (item,) = group["measurementItems"]
        assert float(item["value"]) == pytest.approx(reported.measurements[0].value, abs=0.001)
        assert (item["units"]["CodeValue"], item["quantity"]["CodeValue"]) == ("mm3", "118565006")
        assert group["measurementMethod"]["CodeValue"] == "126030"
        assert group["measurementAlgorithmIdentification"] == {
            "AlgorithmName": "cspine-ensemble",
            "AlgorithmVersion": "2026.1",
        }
        assert "qualitativeEvaluations" not in group
    for group, segment in zip(groups, case.segments, strict=False):
        assert (group["ReferencedSegment"], group["TrackingUniqueIdentifier"]) == (
            segment.number,
            segment.tracking_uid,
        )


@pytest.mark.peer("dcmqi")
def test_dcmqi_reads_a_report_of_nothing_found_as_no_measurements(files: dict[str, str], tmp_path: Path) -> None:
    run(tool("tid1500reader"), "--inputDICOM", files["empty"], "--outputMetadata", str(tmp_path / "sr.json"))
    assert json.loads((tmp_path / "sr.json").read_text())["Measurements"] == []


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("kind", ["sr", "empty"])
def test_dsrdump_reads_the_whole_tree_without_complaint(files: dict[str, str], kind: str) -> None:
    printed = run(tool("dsrdump"), files[kind])
    assert printed.startswith("Comprehensive 3D SR Document")
    assert not any(line.startswith(("W:", "E:", "F:")) for line in printed.splitlines())
