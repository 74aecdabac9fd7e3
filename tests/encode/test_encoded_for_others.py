"""Objects as other software reads them: dicom3tools, dcmqi, DCMTK and highdicom."""

import json
import subprocess
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from cases import EVERYTHING, KEY, Source, case_of, judged
from peers import program

from node.domain.anatomy import body
from node.domain.case import EncodedObject, Order, SegmentsOf
from node.domain.findings import Doubt, Verdict
from node.encode.encoding import Case, encode
from node.encode.segments import divide, label_map

Objects = Mapping[str, tuple[Case, dict[str, EncodedObject]]]

SOURCES = ("made", "neck", "classic", "enhanced", "doubtful")

#: Complaints of dciodvfy that are not faults of the result, each with its reason.
ALLOWED = (
    # Type 3 in PS3.3 table C.12-1 and asked for by IHE AI Results; not in dicom3tools' dictionary of the macro.
    "/DeviceUID(0018,1002)> - Attribute is not present in standard DICOM IOD",
    # The source's own patient name, a single component, carried over as it is.
    "Retired Person Name form",
    # A private coding scheme (PS3.3 8.2), which a validator cannot know, and its UID.
    "Unrecognized defined term = <99CSPINE>",
    "CodingSchemeUID(0008,010c)[1]> - Unrecognized defined term = <2.25.",
)
#: Of reports about a LABELMAP: dicom3tools does not know yet that Label Map Segmentation Storage has segments.
ALLOWED_OF_LABELMAP = ("Shall not be present for Referenced SOP Class that is not segmentation",)

#: The forms that are looked at on every source; the others differ from them in the storage class alone.
BASIC = ("seg.dcm", "seg-labelmap.dcm", "seg-fractional.dcm", "sr.dcm", "key-1.dcm")


def run(*command: str | Path) -> str:
    """Return what a program prints, and fail where it fails."""
    found = program(str(command[0]))
    assert found is not None
    done = subprocess.run([found, *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def complaints(one: EncodedObject, folder: Path) -> list[str]:
    (folder / "one.dcm").write_bytes(one.content)
    lines = run("dciodvfy", "-new", "-allpffgitems", folder / "one.dcm").splitlines()
    about_labelmap = one.name.startswith("sr") and one.name.endswith("-labelmap.dcm")
    allowed = ALLOWED + (ALLOWED_OF_LABELMAP if about_labelmap else ())
    return [
        line for line in lines if line.startswith(("Error", "Warning")) and not any(part in line for part in allowed)
    ]


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("source", SOURCES)
def test_dciodvfy_finds_no_fault(objects: Objects, source: str, tmp_path: Path) -> None:
    _, made = objects[source]
    assert {name: complaints(made[name], tmp_path) for name in BASIC} == {name: [] for name in BASIC}


@pytest.mark.peer("dicom3tools")
def test_dciodvfy_finds_no_fault_in_any_other_form(objects: Objects, tmp_path: Path) -> None:
    _, made = objects["made"]
    others = sorted(made.keys() - set(BASIC))
    assert len(others) == 9
    assert {name: complaints(made[name], tmp_path) for name in others} == {name: [] for name in others}


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("nothing", [False, True], ids=["rejected", "nothing found"])
def test_dciodvfy_finds_no_fault_in_reports_without_measurements(
    plain_source: Source, nothing: bool, tmp_path: Path
) -> None:
    levels = [] if nothing else [body("C5")]
    case = judged(case_of(plain_source, levels), Verdict.REJECT, Doubt.NOTHING_FOUND if nothing else Doubt.LOW_SIGNAL)
    made = {one.name: complaints(one, tmp_path) for one in encode(case, KEY, EVERYTHING)}
    assert made == {name: [] for name in made}


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("source", ["made", "doubtful", "enhanced"])
def test_dsrdump_reads_the_whole_tree_without_complaint(objects: Objects, source: str, tmp_path: Path) -> None:
    for name in ("sr.dcm", "sr-comprehensive.dcm", "sr-enhanced.dcm"):
        (tmp_path / name).write_bytes(objects[source][1][name].content)
        printed = run("dsrdump", tmp_path / name).splitlines()
        assert not [line for line in printed if line.startswith(("W:", "E:", "F:"))]


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize(
    ("source", "name"),
    [
        *((source, "sr.dcm") for source in SOURCES),
        *(("made", name) for name in ("sr-comprehensive.dcm", "sr-enhanced.dcm", "sr-labelmap.dcm")),
    ],
)
def test_tid1500reader_reads_the_same_volumes(objects: Objects, source: str, name: str, tmp_path: Path) -> None:
    case, made = objects[source]
    (tmp_path / name).write_bytes(made[name].content)
    run("tid1500reader", "--inputDICOM", tmp_path / name, "--outputMetadata", tmp_path / "sr.json")
    volumes = {
        group["ReferencedSegment"]: float(item["value"])
        for group in json.loads((tmp_path / "sr.json").read_text())["Measurements"]
        for item in group["measurementItems"]
        if "ReferencedSegment" in group and item["quantity"]["CodeValue"] == "118565006"
    }
    parts = divide(case.findings, EVERYTHING.segments)
    assert volumes == pytest.approx({part.number: part.volume_mm3 for part in parts}, rel=1e-6)


@pytest.mark.parametrize(
    ("source", "form"),
    [*((source, "") for source in SOURCES), *(("made", form) for form in ("-labelmap", "-fractional"))],
)
def test_highdicom_reads_tracking_uids_and_volumes_that_fit_the_segmentation(
    objects: Objects, source: str, form: str, tmp_path: Path
) -> None:
    """Each group of the SR names a segment of the SEG beside it: same tracking, and the volume that one can count."""
    case, made = objects[source]
    for name in (f"seg{form}.dcm", f"sr{form}.dcm"):
        (tmp_path / name).write_bytes(made[name].content)
    report = hd.sr.srread(tmp_path / f"sr{form}.dcm")
    segmentation = hd.seg.segread(tmp_path / f"seg{form}.dcm")
    voxels = np.bincount(label_map(case.findings, divide(case.findings, EVERYTHING.segments)).ravel())
    groups = report.content.get_volumetric_roi_measurement_groups()
    assert len(groups) == len(voxels) - 1
    for number, group in enumerate(groups, start=1):
        reference = group.referenced_segment
        assert reference.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        assert list(reference.referenced_segment_numbers or [reference.referenced_segment_number]) == [number]
        described = segmentation.get_segment_description(number)
        assert (group.tracking_uid, group.tracking_identifier) == (described.tracking_uid, described.tracking_id)
        [volume] = [item for item in group.get_measurements() if item.name.value == "118565006"]
        assert volume.unit.value == "mm3"
        assert volume.value == pytest.approx(int(voxels[number]) * case.volume.grid.voxel_volume_mm3, rel=1e-6)


@pytest.mark.parametrize("source", ["made", "neck"])
def test_highdicom_reads_the_probabilities(objects: Objects, source: str, tmp_path: Path) -> None:
    case, made = objects[source]
    (tmp_path / "seg.dcm").write_bytes(made["seg-fractional.dcm"].content)
    segmentation = hd.seg.segread(tmp_path / "seg.dcm")
    assert (segmentation.SegmentationFractionalType, segmentation.MaximumFractionalValue) == ("PROBABILITY", 255)
    read = segmentation.get_volume(rescale_fractional=False)
    labels = label_map(case.findings, divide(case.findings, EVERYTHING.segments))
    assert np.count_nonzero(read.array == 230) == np.count_nonzero(labels)
    assert set(np.unique(read.array)) == {0, 51, 230}


def test_evaluations_reach_a_reader(objects: Objects, tmp_path: Path) -> None:
    (tmp_path / "sr.dcm").write_bytes(objects["doubtful"][1]["sr.dcm"].content)
    groups = hd.sr.srread(tmp_path / "sr.dcm").content.get_volumetric_roi_measurement_groups()
    told = {
        group.tracking_identifier: {
            item.name.meaning: item.value.meaning for item in group.get_qualitative_evaluations()
        }
        for group in groups
    }
    assert told["C4 vertebral body"] == {
        "Vertebral level confidence": "Moderate confidence",
        "Presence in image": "Present",
        "Truncated by field of view": "Yes",
    }
    assert told["C4/C5 intervertebral disc"]["Vertebral level confidence"] == "High confidence"
    assert told["Intervertebral discs, level uncertain"] == {
        "Vertebral level confidence": "Uncertain",
        "Presence in image": "Present",
        "Truncated by field of view": "No",
    }


def test_heights_have_their_place_and_every_measurement_its_method(objects: Objects) -> None:
    """Read item by item with pydicom: name, qualifiers in any order, value, unit of the disc C2/C3."""
    tree = pydicom.dcmread(BytesIO(objects["neck"][1]["sr.dcm"].content))
    [measurements] = [item for item in tree.ContentSequence if name_of(item) == "Imaging Measurements"]
    told = {
        (
            name_of(item),
            frozenset(one.ConceptCodeSequence[0].CodeMeaning for one in item.ContentSequence),
            round(float(item.MeasuredValueSequence[0].NumericValue), 4),
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence[0].CodeValue,
        )
        for item in measurements.ContentSequence[1].ContentSequence
        if item.ValueType == "NUM" and name_of(item) != "Volume"
    }
    endplates, ratio = "Mid-sagittal endplate measurement", "Ratio of signal in segmented regions"
    assert told == {
        ("Height", frozenset({"Anterior", endplates}), 5.625, "mm"),
        ("Height", frozenset({"Middle", endplates}), 5.875, "mm"),
        ("Height", frozenset({"Posterior", endplates}), 4.375, "mm"),
        ("Disc height index", frozenset({endplates}), 0.4583, "1"),
        ("T2 signal relative to adjacent vertebral bodies", frozenset({"Mean", ratio}), 1.025, "1"),
        ("T2 signal relative to adjacent vertebral bodies", frozenset({"Median", ratio}), 1.0, "1"),
    }


def name_of(item: pydicom.Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def test_the_series_says_that_it_is_for_research(objects: Objects) -> None:
    for one in objects["made"][1].values():
        header = pydicom.dcmread(BytesIO(one.content), stop_before_pixels=True)
        assert "RESEARCH USE" in header.SeriesDescription


def test_classes_alone_make_a_segmentation_of_two_segments(plain_source: Source, tmp_path: Path) -> None:
    case = case_of(plain_source)
    made = {one.name: one for one in encode(case, KEY, Order(segments=SegmentsOf.CLASSES))}
    (tmp_path / "seg.dcm").write_bytes(made["seg.dcm"].content)
    segmentation = hd.seg.segread(tmp_path / "seg.dcm")
    assert [str(one.SegmentLabel) for one in segmentation.SegmentSequence] == [
        "Vertebral bodies",
        "Intervertebral discs",
    ]
    read = segmentation.get_volume(combine_segments=True).array
    classes = case.segmentation.classes
    assert [int((read == number).sum()) for number in (1, 2)] == [int((classes == number).sum()) for number in (1, 2)]
