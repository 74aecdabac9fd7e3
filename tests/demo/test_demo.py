"""The demo, on both of its archives."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pydicom
import pytest
from oracle import write_blocks
from PIL import Image

from node.deliver.cstore import CStoreDestination
from node.deliver.destination import Parcel
from node.demo.archive import instances_of_study, running_own_archive
from node.demo.source import files_to_send
from node.errors import InputError, NothingToSegment

EXPLICIT_LE = "1.2.840.10008.1.2.1"
NECK = [
    *("C2", "C2/C3", "C3", "C3/C4", "C4", "C4/C5", "C5", "C5/C6", "C6", "C6/C7", "C7", "C7/T1", "T1", "T1/T2"),
]


def test_the_own_archive_keeps_and_lists_what_it_takes(tmp_path: Path) -> None:
    files = files_to_send(None, tmp_path / "phantom")
    headers = [pydicom.dcmread(file) for file in files]
    with running_own_archive(tmp_path / "archive") as archive:
        parcels = [
            Parcel(
                path=file,
                sop_class_uid=header.SOPClassUID,
                sop_instance_uid=header.SOPInstanceUID,
                transfer_syntax_uid=EXPLICIT_LE,
            )
            for file, header in zip(files, headers, strict=True)
        ]
        assert all(answer.error is None for answer in CStoreDestination(archive.peer).deliver(parcels))
        listed = instances_of_study(archive.peer, headers[0].StudyInstanceUID)
        assert instances_of_study(archive.peer, "1.2.3") == []
    assert {item["sop_instance_uid"] for item in listed} == {header.SOPInstanceUID for header in headers}
    assert {item["modality"] for item in listed} == {"MR"}


def test_a_source_without_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("no image")
    with pytest.raises(NothingToSegment):
        files_to_send(tmp_path, tmp_path / "scratch")
    with pytest.raises(InputError, match="no such file"):
        files_to_send(tmp_path / "nowhere", tmp_path / "scratch")


def test_a_zip_is_a_source_too(tmp_path: Path) -> None:
    files = write_blocks(tmp_path / "blocks")
    with zipfile.ZipFile(tmp_path / "blocks.zip", "w") as archive:
        for file in files:
            archive.write(file, f"study/{file.name}")
    unpacked = files_to_send(tmp_path / "blocks.zip", tmp_path / "scratch")
    assert sorted(file.read_bytes() for file in unpacked) == sorted(file.read_bytes() for file in files)


@pytest.mark.slow
@pytest.mark.peer("orthanc")
@pytest.mark.parametrize(
    ("source", "verdict", "levels", "size"),
    [
        (None, "good", NECK, (1952, 1236)),
        ("errsm_22_T2w.nii.gz", "review", NECK, (1952, 774)),
    ],
    ids=["phantom", "a real volume as NIfTI"],
)
def test_the_demo_ends_with_results_in_orthanc_and_a_picture(
    tmp_path: Path,
    shared_data: Path,
    source: str | None,
    verdict: str,
    levels: list[str],
    size: tuple[int, int],
) -> None:
    given = ["--input", shared_data / "cervical_t2" / source] if source else []
    command = [sys.executable, "-m", "node", "demo", *given, "--out", tmp_path / "out", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["archive"].startswith("Orthanc")
    assert sorted(item["modality"] for item in said["archived"]) == ["SEG", "SR"]
    assert said["findings"]["quality"]["verdict"] == verdict
    assert [found["level"] for found in said["findings"]["structures"][:14]] == levels
    assert [Path(path).name for path in said["files"]] == [
        *("seg.dcm", "sr.dcm"),
        *("findings.json", "measurements.tsv", "overlay.png"),
    ]
    with Image.open(said["overlay"]) as picture:
        assert picture.size == size
    assert said["findings"]["timings_s"].keys() == {"volume", "segment", "measure", "draw", "encode"}
    archived = {item["sop_instance_uid"] for item in said["archived"]}
    seg, report = (pydicom.dcmread(tmp_path / "out" / name) for name in ("seg.dcm", "sr.dcm"))
    assert report.SOPInstanceUID in archived
    assert seg.SOPInstanceUID in archived
    assert len([*(tmp_path / "out" / "phantom").glob("*.dcm")]) == (0 if source else 21)
