"""What other implementations make of the written files."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from peers import Orthanc, program
from pydicom.dataset import Dataset
from result_cases import Case, nothing_found, source_affine

from dicom_sr import ReportForm, SegmentationForm, SourceSeries, codes, to_bytes

#: Warnings that are not faults of the result, each with its reason.
ALLOWED_WARNINGS = (
    # Type 3 in PS3.3 table C.12-1 and asked for by IHE AI Results; not in dicom3tools' dictionary of the macro.
    "/DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD",
    # The source's own patient name, a single component, carried over as it is.
    "Retired Person Name form",
    # A private scheme (PS3.3 8.2), identified in Coding Scheme Identification Sequence; no tool can know it.
    "/CodingSchemeDesignator(0008,0102)[1]> - Unrecognized defined term = <99CSPINE>",
    f"/CodingSchemeUID(0008,010c)[1]> - Unrecognized defined term = <{codes.CODING_SCHEMES['99CSPINE'].uid}>",
)

#: dicom3tools knows no Label Map Segmentation Storage among the classes that have segments (PS3.3 C.18.4).
LABELMAP_ERROR = (
    "ReferencedSegmentNumber(0062,000b)> - Shall not be present for Referenced SOP Class that is not segmentation"
)

#: Nor does DCMTK 3.6.7, which gives up at the first reference.
LABELMAP_COMPLAINTS = [
    'E: Reading content item CONTAINER "1.10" (Invalid Value)',
    'E: Reading content item CONTAINER "1.10.1" (Invalid Value)',
    'E: Reading content item IMAGE "1.10.1.4" (Invalid Value)',
    "W: Invalid or unknown image SOP class referenced from IMAGE content item",
    'W: Reading invalid/incomplete content item IMAGE "1.10.1.4"',
]

IODS = {
    "seg": "Segmentation",
    "labelmap": "Segmentation",
    "fractional": "Segmentation",
    "sr": "Comprehensive3DSR",
    "comprehensive": "ComprehensiveSR",
    "enhanced": "EnhancedSR",
    "fractional_sr": "Comprehensive3DSR",
    "empty": "Comprehensive3DSR",
    "key1": "SCImage",
    "key2": "SCImage",
}


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
    labelmap, fractional = case.segmentation(SegmentationForm.LABELMAP), case.segmentation(SegmentationForm.FRACTIONAL)
    first, second = case.key_images()
    objects = {
        "seg": segmentation,
        "labelmap": labelmap,
        "fractional": fractional,
        "sr": sr,
        "comprehensive": case.sr(segmentation, ReportForm.COMPREHENSIVE),
        "enhanced": case.sr(segmentation, ReportForm.ENHANCED),
        "labelmap_sr": case.sr(labelmap),
        "fractional_sr": case.sr(fractional),
        "empty": nothing_found(case),
        "key1": first,
        "key2": second,
    }
    for name, dataset in objects.items():
        (folder / f"{name}.dcm").write_bytes(to_bytes(dataset))
    return {name: str(folder / f"{name}.dcm") for name in objects}


def complaints(path: str, iod: str) -> list[str]:
    """Return what dciodvfy says of a file beyond the allowed warnings."""
    lines = run(tool("dciodvfy"), "-new", "-allpffgitems", path).splitlines()
    assert iod in lines
    return [line for line in lines if line and line != iod and not any(known in line for known in ALLOWED_WARNINGS)]


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize(("kind", "iod"), IODS.items())
def test_dciodvfy_finds_no_error_and_no_warning(files: dict[str, str], kind: str, iod: str) -> None:
    assert complaints(files[kind], iod) == []


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_refuses_only_the_segment_numbers_of_a_report_on_a_label_map(
    case: Case, files: dict[str, str]
) -> None:
    found = complaints(files["labelmap_sr"], "Comprehensive3DSR")
    assert len(found) == len(case.segments)
    assert all(line.startswith("Error - ") and line.endswith(LABELMAP_ERROR) for line in found)


def on_source(source: SourceSeries, path: Path) -> NDArray[np.float64]:
    """Return an image that lies on the grid of the source as `(slices, rows, columns)`."""
    image = nib.load(path)
    values = np.asarray(image.dataobj)
    voxels = np.argwhere(values > 0)
    lps = nib.affines.apply_affine(np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine, voxels)
    index = nib.affines.apply_affine(np.linalg.inv(source_affine(source)), lps)
    assert np.abs(index - np.rint(index)).max() < 0.01
    placed = np.zeros(source.shape)
    placed[tuple(np.rint(index).astype(int).T)] = values[tuple(voxels.T)]
    return placed


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize("kind", ["seg", "labelmap"])
def test_dcmqi_reads_the_same_label_map_at_the_same_place(
    case: Case, files: dict[str, str], tmp_path: Path, kind: str
) -> None:
    run(
        tool("segimage2itkimage"), "--mergeSegments", "-t", "nii", "-p", "out",
        "--inputDICOM", files[kind], "--outputDirectory", str(tmp_path),
    )  # fmt: skip
    read = on_source(case.source, tmp_path / "out-1.nii.gz")
    assert np.array_equal(read, case.labels)
    assert not np.array_equal(read, case.labels[:, ::-1])


@pytest.mark.peer("dcmqi")
def test_dcmqi_reads_the_fractions_of_a_segment_at_the_same_place(
    case: Case, files: dict[str, str], tmp_path: Path
) -> None:
    run(
        tool("segimage2itkimage"), "-t", "nii", "-p", "out",
        "--inputDICOM", files["fractional"], "--outputDirectory", str(tmp_path),
    )  # fmt: skip
    read = on_source(case.source, tmp_path / "out-1.nii.gz")
    assert np.array_equal(read > 0, case.fractions()[0] > 0)


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize("kind", ["sr", "comprehensive", "enhanced", "labelmap_sr"])
def test_dcmqi_reads_the_same_measurements_and_evaluations(
    case: Case, files: dict[str, str], tmp_path: Path, kind: str
) -> None:
    run(tool("tid1500reader"), "--inputDICOM", files[kind], "--outputMetadata", str(tmp_path / "sr.json"))
    groups = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    expected = [*case.report.segments, *case.report.groups]
    assert len(groups) == len(expected)
    for group, reported in zip(groups, expected, strict=True):
        assert [(item["quantity"]["CodeValue"], item["units"]["CodeValue"]) for item in group["measurementItems"]] == [
            (measurement.concept.value, measurement.unit.value) for measurement in reported.measurements
        ]
        values = [float(item["value"]) for item in group["measurementItems"]]
        assert values == pytest.approx([measurement.value for measurement in reported.measurements], abs=0.001)
        assert group["measurementAlgorithmIdentification"] == {
            "AlgorithmName": "cspine-ensemble",
            "AlgorithmVersion": "2026.1",
        }
        assert [item["conceptValue"]["CodeValue"] for item in group.get("qualitativeEvaluations", [])] == [
            evaluation.value.value for evaluation in reported.evaluations
        ]
    volume, anterior, _, ratio = groups[0]["measurementItems"]
    assert (volume["units"]["CodeValue"], volume["quantity"]["CodeValue"]) == ("mm3", "118565006")
    assert anterior["measurementModifiers"][0]["modifierValue"]["CodeMeaning"] == "Anterior"
    assert ratio["derivationModifier"]["CodeValue"] == "373098007"
    assert groups[-3]["measurementMethod"]["CodeValue"] == "126030"
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
@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("sr", "Comprehensive 3D SR Document"),
        ("comprehensive", "Comprehensive SR Document"),
        ("enhanced", "Enhanced SR Document"),
        ("empty", "Comprehensive 3D SR Document"),
    ],
)
def test_dsrdump_reads_the_whole_tree_without_complaint(files: dict[str, str], kind: str, title: str) -> None:
    printed = run(str(program("dsrdump")), files[kind])
    assert printed.startswith(title)
    assert not any(line.startswith(("W:", "E:", "F:")) for line in printed.splitlines())


@pytest.mark.peer("dcmtk")
def test_dsrdump_gives_up_at_the_first_segment_of_a_report_on_a_label_map(files: dict[str, str]) -> None:
    done = subprocess.run([str(program("dsrdump")), files["labelmap_sr"]], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert sorted(line for line in lines if line.startswith(("W:", "E:"))) == LABELMAP_COMPLAINTS


@pytest.mark.peer("orthanc", "dcmtk")
@pytest.mark.parametrize(
    ("segmentation_form", "report_form"),
    [
        (SegmentationForm.BINARY, ReportForm.COMPREHENSIVE_3D),
        (SegmentationForm.BINARY, ReportForm.COMPREHENSIVE),
        (SegmentationForm.FRACTIONAL, ReportForm.ENHANCED),
    ],
)
def test_orthanc_takes_every_class_but_the_label_map_over_the_network(
    single: Case,
    orthanc: Orthanc,
    tmp_path: Path,
    segmentation_form: SegmentationForm,
    report_form: ReportForm,
) -> None:
    segmentation = single.segmentation(segmentation_form)
    sent = {
        "seg": segmentation,
        "sr": single.sr(segmentation, report_form),
        **{f"key{number}": image for number, image in enumerate(single.key_images())},
    }
    for name, dataset in sent.items():
        (tmp_path / f"{name}.dcm").write_bytes(to_bytes(dataset))
    peer = orthanc.peer
    run(
        str(program("storescu")), "-R", "-aec", peer.ae_title, peer.host, str(peer.port),
        *(str(tmp_path / f"{name}.dcm") for name in sent),
    )  # fmt: skip
    stored = orthanc.instances(single.source.headers[0].StudyInstanceUID)
    assert {item["sop_instance_uid"] for item in stored} == {dataset.SOPInstanceUID for dataset in sent.values()}
    assert sorted(item["modality"] for item in stored) == ["OT", "OT", "SEG", "SR"]


@pytest.mark.peer("orthanc")
def test_orthanc_keeps_a_label_map_that_is_put_in_byte_for_byte(single: Case, orthanc: Orthanc) -> None:
    made = to_bytes(single.segmentation(SegmentationForm.LABELMAP))
    request = urllib.request.Request(f"{orthanc.url}/instances", made)
    urllib.request.urlopen(request, timeout=30).close()
    (stored,) = orthanc.instances(single.source.headers[0].StudyInstanceUID)
    assert orthanc.file(stored) == made
