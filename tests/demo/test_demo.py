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
def test_the_demo_ends_with_seg_and_sr_in_orthanc_and_a_picture(tmp_path: Path, shared_data: Path) -> None:
    """On a real volume, given as NIfTI."""
    volume = shared_data / "cervical_t2" / "errsm_22_T2w.nii.gz"
    command = [sys.executable, "-m", "node", "demo", "--input", volume, "--out", tmp_path / "out", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["archive"].startswith("Orthanc")
    assert sorted(item["modality"] for item in said["archived"]) == ["SEG", "SR"]
    assert {Path(path).name for path in said["files"]} == {"seg.dcm", "sr.dcm", "findings.json", "overlay.png"}
    with Image.open(said["overlay"]) as picture:
        assert picture.size == (1952, 774)
    assert said["findings"]["timings_s"].keys() == {"volume", "segment", "measure", "encode", "overlay"}
    seg = pydicom.dcmread(tmp_path / "out" / "seg.dcm")
    assert seg.SOPInstanceUID in {item["sop_instance_uid"] for item in said["archived"]}
