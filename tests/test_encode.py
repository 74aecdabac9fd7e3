"""Results of the pipeline as other software reads them, and the proof that nothing else leaves."""

import dataclasses
import json
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from oracle import OracleSegmenter, write_blocks
from peers import program

import dicom_sr
from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.batch.offline import Options, Outcome, segment_paths
from node.domain.case import ObjectKind, ResultKey
from node.domain.identifiers import Digest
from node.encode import encode
from node.errors import EncodingError
from node.measure.metrics import measure
from node.settings import parse_settings

KEY = ResultKey(
    content_digest=Digest("c" * 64), bundle_digest="b" * 64, settings_digest="s" * 64, software_version="0.1.0"
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """The blocks, segmented from files with NIfTI beside."""
    source, out = tmp_path_factory.mktemp("blocks"), tmp_path_factory.mktemp("out")
    write_blocks(source)
    settings = parse_settings({"node": {"state_dir": "."}}, name="test")
    options = Options(out=out, nifti=True, all_series=False)
    report = segment_paths([source], options, OracleSegmenter, settings, lambda _number, _count, _stage: None)
    [made] = report.outcomes
    return made


def folder_of(outcome: Outcome) -> Path:
    assert outcome.folder is not None
    return outcome.folder


@pytest.mark.peer("dicom3tools")
@pytest.mark.parametrize("name", ["seg.dcm", "sr.dcm"])
def test_dciodvfy_prints_no_error(outcome: Outcome, name: str) -> None:
    validator = program("dciodvfy")
    assert validator is not None
    done = subprocess.run(
        [validator, "-new", "-allpffgitems", folder_of(outcome) / name], capture_output=True, text=True, check=False
    )
    complaints = [
        line
        for line in (done.stdout + done.stderr).splitlines()
        if line.startswith(("Error", "Warning")) and "DeviceUID" not in line
    ]
    assert complaints == []


@pytest.mark.peer("dcmqi")
def test_dcmqi_gives_the_labels_back(outcome: Outcome, tmp_path: Path) -> None:
    converter = program("segimage2itkimage")
    assert converter is not None
    command = [converter, "--inputDICOM", folder_of(outcome) / "seg.dcm", "--outputDirectory", tmp_path]
    subprocess.run([*command, "--outputType", "nii", "--mergeSegments"], check=True, capture_output=True)
    theirs = nib.load(next(tmp_path.glob("*.nii.gz")))
    ours = nib.load(folder_of(outcome) / "labels.nii.gz")
    for image in (theirs, ours):
        assert np.linalg.det(image.affine) != 0
    their_points = points(theirs)
    our_points = points(ours)
    assert their_points.keys() == our_points.keys() == {1, 2, 3}
    for label, voxels in our_points.items():
        assert their_points[label].shape == voxels.shape
        assert np.allclose(their_points[label], voxels, atol=1e-3)


def points(image: nib.Nifti1Image) -> dict[int, np.ndarray]:
    """Return the RAS positions of the voxels of each label, sorted."""
    data = np.asarray(image.dataobj)
    found = {}
    for label in np.unique(data[data > 0]):
        place = nib.affines.apply_affine(image.affine, np.argwhere(data == label))
        found[int(label)] = place[np.lexsort(place.round(2).T)]
    return found


@pytest.mark.peer("dcmqi")
def test_tid1500reader_reads_the_same_volumes(outcome: Outcome, tmp_path: Path) -> None:
    reader = program("tid1500reader")
    assert reader is not None
    target = tmp_path / "report.json"
    command = [reader, "--inputDICOM", folder_of(outcome) / "sr.dcm", "--outputMetadata", target]
    subprocess.run(command, check=True, capture_output=True)
    volumes = {
        group["TrackingIdentifier"]: float(item["value"])
        for group in json.loads(target.read_text())["Measurements"]
        for item in group["measurementItems"]
    }
    assert volumes == {
        "Vertebral body 1": 1960.0,
        "Intervertebral disc 1": 980.0,
        "Vertebral body 2": 1960.0,
        "Vertebral body total": 3920.0,
        "Intervertebral disc total": 980.0,
    }


def test_the_seg_is_coded_numbered_and_named_as_the_findings_are(outcome: Outcome) -> None:
    seg = pydicom.dcmread(folder_of(outcome) / "seg.dcm")
    assert [
        (item.SegmentNumber, item.SegmentLabel, item.SegmentedPropertyTypeCodeSequence[0].CodeValue)
        for item in seg.SegmentSequence
    ] == [(1, "Vertebral body 1", "3572006"), (2, "Intervertebral disc 1", "10446"), (3, "Vertebral body 2", "3572006")]


def test_a_seg_that_differs_from_the_findings_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the proof: a writer that mirrors the mask is caught."""
    [series], _ = gather(write_blocks(tmp_path))
    volume = build_volume(series)
    findings = measure(OracleSegmenter().segment(volume), volume.grid)
    objects = encode(series, volume, findings, KEY)
    assert [made.kind for made in objects] == [ObjectKind.SEGMENTATION, ObjectKind.REPORT]

    build = dicom_sr.build_segmentation

    def mirrored(**parts):  # type: ignore[no-untyped-def]
        return build(**{**parts, "labels": np.ascontiguousarray(parts["labels"][:, :, ::-1])})

    monkeypatch.setattr(dicom_sr, "build_segmentation", mirrored)
    with pytest.raises(EncodingError, match="does not hold the labels"):
        encode(series, volume, findings, KEY)


def test_an_sr_with_another_volume_never_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [series], _ = gather(write_blocks(tmp_path))
    volume = build_volume(series)
    findings = measure(OracleSegmenter().segment(volume), volume.grid)
    build = dicom_sr.build_report

    def rounded(**parts):  # type: ignore[no-untyped-def]
        first, *rest = parts["report"].segments
        wrong = dataclasses.replace(first.measurements[0], value=1961.0)
        segments = (dataclasses.replace(first, measurements=(wrong,)), *rest)
        return build(**{**parts, "report": dataclasses.replace(parts["report"], segments=segments)})

    monkeypatch.setattr(dicom_sr, "build_report", rounded)
    with pytest.raises(EncodingError, match="does not hold the volumes"):
        encode(series, volume, findings, KEY)


def test_a_new_model_gives_new_uids_for_the_same_series(tmp_path: Path) -> None:
    [series], _ = gather(write_blocks(tmp_path))
    volume = build_volume(series)
    findings = measure(OracleSegmenter().segment(volume), volume.grid)
    old = encode(series, volume, findings, KEY)
    new = encode(series, volume, findings, dataclasses.replace(KEY, bundle_digest="d" * 64))
    assert {made.sop_instance_uid for made in old}.isdisjoint(made.sop_instance_uid for made in new)
