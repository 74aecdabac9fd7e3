"""Result folders: the names and keys that scripts of users stand on."""

import gzip
import json

import nibabel as nib
import numpy as np
import pytest
from oracle import ALGORITHM, RUN, OracleSegmenter, blocks

from node.deliver.folder import findings_document, write_case, write_nifti
from node.domain.anatomy import StructureKind
from node.domain.case import ObjectKind
from node.domain.findings import Findings, Quality, Structure
from node.domain.geometry import Volume
from node.measure.metrics import measure

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC
SEG, SR = ObjectKind.SEGMENTATION, ObjectKind.REPORT


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_findings_json_is_this():
    found = Findings(
        labels=np.zeros((1, 1, 1), np.uint16),
        structures=(
            Structure(
                label=1, kind=BODY, ordinal=1, level="C2", volume_mm3=3000.12349, centroid_lps_mm=(1.00049, -2.0, 3.5)
            ),
            Structure(label=2, kind=DISC, ordinal=1, level=None, volume_mm3=900.0, centroid_lps_mm=(1.0, -2.0, -8.0)),
        ),
        class_volume_mm3={BODY: 3000.12349, DISC: 900.0},
        quality=Quality(member_agreement={BODY: 0.912345, DISC: None}, specks_mm3=4.00001),
        algorithm=ALGORITHM,
        run=RUN,
    )
    document = findings_document(found, {"assemble": 0.12345, "segment": 30.0})
    assert json.loads(json.dumps(document, allow_nan=False)) == {
        "structures": [
            {
                "label": 1,
                "kind": "vertebral_body",
                "level": "C2",
                "volume_mm3": 3000.123,
                "centroid_lps_mm": [1.0, -2.0, 3.5],
            },
            {
                "label": 2,
                "kind": "intervertebral_disc",
                "level": None,
                "volume_mm3": 900.0,
                "centroid_lps_mm": [1.0, -2.0, -8.0],
            },
        ],
        "total_volume_mm3": {"vertebral_body": 3000.123, "intervertebral_disc": 900.0},
        "quality": {
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


def test_what_is_measured_can_be_written_as_json():
    voxels, grid = blocks()
    volume = Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)
    document = findings_document(measure(OracleSegmenter().segment(volume), grid), {})
    assert [item["kind"] for item in json.loads(json.dumps(document, allow_nan=False))["structures"]] == [
        "vertebral_body",
        "intervertebral_disc",
        "vertebral_body",
    ]


def test_a_case_has_these_files(tmp_path):
    folder = tmp_path / "results" / "1"
    write_case(folder, objects={SEG: b"seg", SR: b"sr"}, document={"a": 1}, overlay=b"png")
    assert names(folder) == ["findings.json", "overlay.png", "seg.dcm", "sr.dcm"]
    assert (folder / "seg.dcm").read_bytes() == b"seg"
    assert (folder / "sr.dcm").read_bytes() == b"sr"
    assert (folder / "overlay.png").read_bytes() == b"png"
    assert (folder / "findings.json").read_text() == '{\n  "a": 1\n}\n'


def test_where_nothing_is_found_there_is_no_segmentation_not_even_that_of_an_earlier_run(tmp_path):
    write_case(tmp_path, objects={SEG: b"old", SR: b"old"}, document={}, overlay=b"")
    write_case(tmp_path, objects={SR: b"new"}, document={}, overlay=b"")
    assert names(tmp_path) == ["findings.json", "overlay.png", "sr.dcm"]
    assert (tmp_path / "sr.dcm").read_bytes() == b"new"


@pytest.mark.parametrize("name", ["image", "labels"])
def test_the_nifti_pair_lies_voxel_on_voxel(tmp_path, name):
    voxels, grid = blocks()
    volume = Volume(grid=grid, voxels=voxels, sources=(), acquired_in_3d=False)
    write_nifti(tmp_path, volume, measure(OracleSegmenter().segment(volume), grid))
    assert names(tmp_path) == ["image.nii.gz", "labels.nii.gz"]
    image = nib.Nifti1Image.from_bytes(gzip.decompress((tmp_path / f"{name}.nii.gz").read_bytes()))
    values, counts = np.unique(np.asarray(image.dataobj), return_counts=True)
    expected = {"image": ([100, 1000, 2000], [8840, 1120, 280]), "labels": ([0, 1, 2, 3], [8840, 560, 280, 560])}
    assert (values.tolist(), counts.tolist()) == expected[name]
