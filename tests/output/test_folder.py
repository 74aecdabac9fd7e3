"""Result folders: the names and keys that scripts of users stand on."""

import gzip
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from findings_by_hand import doubtful
from oracle import OracleSegmenter, blocks

from node.domain.geometry import Volume
from node.measure.measure import measure
from node.output.document import findings_document
from node.output.folder import nifti_files, write_case


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(folder, **objects):
    contents = {f"{name.replace('_', '-')}.dcm": content for name, content in objects.items()}
    write_case(folder, objects=contents, document={"a": 1}, measurements="b\n", overlay=b"png")


def test_findings_json_is_this():
    document = findings_document(doubtful(), {1: 1, 2: 2, 3: 3, 4: 9}, {"assemble": 0.12345, "segment": 30.0})
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "structures": [
            {
                "label": 1,
                "segment": 1,
                "kind": "vertebral_body",
                "ordinal": 1,
                "level": "C4",
                "level_confidence": 0.9877,
                "truncated": False,
                "volume_mm3": 3000.1234567890124,
                "centroid_lps_mm": [1.0, -2.0, 3.5],
                "measures": {"height_middle": 12.5, "depth": 16.25},
            },
            {
                "label": 2,
                "segment": 2,
                "kind": "intervertebral_disc",
                "ordinal": 1,
                "level": "C4/C5",
                "level_confidence": 0.97,
                "truncated": False,
                "volume_mm3": 900.0,
                "centroid_lps_mm": [1.0, -2.0, -8.0],
                "measures": {"disc_height_index": 0.41},
            },
            {
                "label": 3,
                "segment": 3,
                "kind": "vertebral_body",
                "ordinal": 2,
                "level": "C5-C6",
                "level_confidence": 0.9,
                "truncated": True,
                "volume_mm3": 5000.5,
                "centroid_lps_mm": [1.0, -2.0, 3.5],
                "measures": {},
            },
            {
                "label": 4,
                "segment": 9,
                "kind": "intervertebral_disc",
                "ordinal": 2,
                "level": None,
                "level_confidence": 0.4,
                "truncated": False,
                "volume_mm3": 700.0,
                "centroid_lps_mm": [1.0, -2.0, -8.0],
                "measures": {},
            },
        ],
        "missing": [
            {"level": "C2", "kind": "vertebral_body", "presence": "not in the field of view"},
            {"level": "C6/C7", "kind": "intervertebral_disc", "presence": "absent"},
        ],
        "pairs": [{"upper": 1, "lower": 3, "measures": {"slip": -1.5}}],
        "curvature": {"lordosis_cobb": 18.5},
        "total_volume_mm3": {"vertebral_body": 8000.623456789012, "intervertebral_disc": 1600.0},
        "quality": {
            "verdict": "review",
            "objections": [
                {
                    "doubt": "truncated-field-of-view",
                    "verdict": "review",
                    "text": "C5-C6 is cut.",
                    "labels": [3, 4],
                    "levels": ["C5-C6"],
                }
            ],
            "evidence": [{"label": 1, "member_agreement_dice": 0.9123, "fold_agreement_dice": None, "entropy": 0.05}],
            "member_agreement_dice": {"vertebral_body": 0.9123, "intervertebral_disc": None},
            "specks_mm3": 4.0,
        },
        "timings_s": {"assemble": 0.123, "segment": 30.0},
        "algorithm": {
            "name": "cspine-node",
            "version": "0.1.0",
            "bundle_name": "oracle",
            "bundle_version": "1.0",
            "bundle_digest": "ab" * 32,
            "members": ["oracle"],
            "engine": "oracle",
            "intended_use": "For tests.",
        },
        "run": {
            "mode": "fast",
            "device": "cpu",
            "precision": "float32",
            "members": ["oracle"],
            "stages_s": {"network": 0.25},
            "cpu_s": {"network": 0.5},
            "peak_host_bytes": 1048576,
            "peak_device_bytes": None,
            "fallbacks": [],
            "self_test_ppm": 0.0,
        },
    }


def blocks_volume():
    voxels, grid = blocks()
    return Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)


def test_what_is_measured_can_be_written_as_json():
    volume = blocks_volume()
    document = findings_document(measure(OracleSegmenter().segment(volume), volume), {1: 1, 2: 2, 3: 1}, {})
    assert [item["kind"] for item in json.loads(json.dumps(document, allow_nan=False))["structures"]] == [
        "vertebral_body",
        "intervertebral_disc",
        "vertebral_body",
    ]


def test_a_case_has_these_files(tmp_path):
    folder = tmp_path / "results" / "1"
    write(folder, seg=b"seg", sr=b"sr", key_1=b"key")
    assert names(folder) == ["findings.json", "key-1.dcm", "measurements.tsv", "overlay.png", "seg.dcm", "sr.dcm"]
    assert (folder / "seg.dcm").read_bytes() == b"seg"
    assert (folder / "sr.dcm").read_bytes() == b"sr"
    assert (folder / "key-1.dcm").read_bytes() == b"key"
    assert (folder / "overlay.png").read_bytes() == b"png"
    assert (folder / "measurements.tsv").read_text() == "b\n"
    assert (folder / "findings.json").read_text() == '{\n  "a": 1\n}\n'


def test_no_object_of_an_earlier_run_stays_beside_those_of_this_one(tmp_path):
    write(tmp_path, seg=b"", sr=b"old", seg_labelmap=b"", sr_enhanced_labelmap=b"", key_1=b"", key_12=b"")
    write(tmp_path, sr=b"new")
    assert names(tmp_path) == ["findings.json", "measurements.tsv", "overlay.png", "sr.dcm"]
    assert (tmp_path / "sr.dcm").read_bytes() == b"new"


@pytest.mark.parametrize(
    "name", ["seg-mine.dcm", "my-seg.dcm", "key.dcm", "key-0.dcm", "sr.dcm.old", "SEG.dcm", "a.tsv"]
)
def test_a_file_of_the_user_is_left_alone(tmp_path, name):
    (tmp_path / name).write_bytes(b"mine")
    write(tmp_path, seg=b"", sr=b"")
    assert (tmp_path / name).read_bytes() == b"mine"


def test_findings_json_is_there_only_when_all_else_is(tmp_path, monkeypatch):
    replace = Path.replace

    def full(temporary, path):
        if path.name == "findings.json":
            raise OSError("the disk is full")
        return replace(temporary, path)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="full"):
        write_case(
            tmp_path, objects={"seg.dcm": b"seg"}, document={}, measurements="", overlay=b"", maps={"a.nii.gz": b"map"}
        )
    assert names(tmp_path) == ["a.nii.gz", "measurements.tsv", "overlay.png", "seg.dcm"]
    assert (tmp_path / "a.nii.gz").read_bytes() == b"map"


@pytest.mark.parametrize("name", ["image", "labels"])
def test_the_nifti_pair_lies_voxel_on_voxel(name):
    volume = blocks_volume()
    files = nifti_files(volume, measure(OracleSegmenter().segment(volume), volume))
    assert sorted(files) == ["image.nii.gz", "labels.nii.gz"]
    image = nib.Nifti1Image.from_bytes(gzip.decompress(files[f"{name}.nii.gz"]))
    values, counts = np.unique(np.asarray(image.dataobj), return_counts=True)
    expected = {"image": ([100, 1000, 2000], [8840, 1120, 280]), "labels": ([0, 1, 2, 3], [8840, 560, 280, 560])}
    assert (values.tolist(), counts.tolist()) == expected[name]
