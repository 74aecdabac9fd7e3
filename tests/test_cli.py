"""The commands, as a shell runs them: one JSON document on standard output, exit codes from the error classes."""

import csv
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from peers import program

from node.cli import COMMANDS
from node.demo.archive import free_port, running_own_archive
from node.demo.source import write_series
from node.train.phantom import generate


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def answer(*arguments: str | Path, code: int = 0) -> Any:
    done = run(*arguments, "--json")
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def _items(data_set: Any) -> list[Any]:
    """Return all content items of a report, itself first."""
    return [data_set, *(item for child in data_set.get("ContentSequence", []) for item in _items(child))]


def settings(folder: Path, port: int = 4242) -> Path:
    path = folder / "cspine-node.toml"
    path.write_text(
        '[node]\nstate_dir = "state"\n[[route]]\nname = "cervical"\ndestinations = ["archive"]\n'
        f'[[destination]]\nname = "archive"\nhost = "127.0.0.1"\nport = {port}\nae_title = "ARCHIVE"\n'
    )
    return path


@pytest.fixture(scope="session")
def phantom_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    phantom = generate(11, shape=(9, 160, 160), spacing_mm=(4.0, 1.0, 1.0))
    return write_series(phantom.image, phantom.grid, tmp_path_factory.mktemp("cli"), name="cli")


@pytest.fixture(scope="session")
def segmented(tmp_path_factory: pytest.TempPathFactory, phantom_files: list[Path]) -> tuple[Any, Path]:
    """The answer of `segment` over a zip beside a text file, and the folder it wrote."""
    source = tmp_path_factory.mktemp("source")
    (source / "readme.txt").write_text("no image")
    with zipfile.ZipFile(source / "series.zip", "w") as archive:
        for file in phantom_files:
            archive.write(file, f"a/b/{file.name}")
    out = tmp_path_factory.mktemp("out")
    return answer("segment", source, "--out", out, "--nifti"), out


def test_version_is_one_json_document() -> None:
    assert answer("version") == {"version": "0.1.0"}


def test_version_is_an_option_too_and_no_command_is_imported_for_it() -> None:
    script = (
        "import atexit, sys, node.cli\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "sys.argv = ['cspine-node', '--version']\n"
        "node.cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "cspine-node 0.1.0\n") == (0, run("version").stdout)
    commands = {place.partition(":")[0] for place in COMMANDS.values()} - {"node.cli.version"}
    assert not commands & set(done.stderr.split())


def test_an_unknown_option_is_a_usage_error() -> None:
    assert run("segment", "--what").returncode == 2


def test_check_config_names_the_bundle_and_prints_every_default(tmp_path: Path) -> None:
    said = answer("check-config", "--config", settings(tmp_path))
    assert said["bundle"]["name"] == "cspine-starter"
    assert said["settings"]["completeness"]["quiet_s"] == 30


def test_a_wrong_key_is_named_with_its_path_and_exits_78(tmp_path: Path) -> None:
    path = settings(tmp_path)
    path.write_text(path.read_text().replace("port =", "prot ="))
    said = answer("check-config", "--config", path, code=78)
    assert said["error"]["code"] == "settings-error"
    assert "destination[0].prot" in said["error"]["message"]


def test_echo_tells_which_destination_answers(tmp_path: Path) -> None:
    with running_own_archive(tmp_path / "archive") as archive:
        said = answer("echo", "--config", settings(tmp_path, archive.peer.port))
    assert said == {"destinations": {"archive": {"ok": True}}}


def test_echo_to_nobody_exits_69(tmp_path: Path) -> None:
    said = answer("echo", "--config", settings(tmp_path, free_port()), code=69)
    assert said["destinations"]["archive"]["error"]["code"] == "peer-unreachable"


def test_status_before_the_first_start_says_so(tmp_path: Path) -> None:
    said = answer("status", "--config", settings(tmp_path), code=78)
    assert "has the node run yet" in said["error"]["message"]


def test_segment_writes_the_files_of_the_contract(segmented: tuple[Any, Path], phantom_files: list[Path]) -> None:
    said, out = segmented
    uid = pydicom.dcmread(phantom_files[0]).SeriesInstanceUID
    assert [(item["series_uid"], item["state"]) for item in said["series"]] == [(uid, "segmented")]
    assert [item["code"] for item in said["unreadable"]] == ["not-dicom"]
    assert sorted(path.name for path in (out / uid).iterdir()) == [
        "findings.json",
        "image.nii.gz",
        "labels.nii.gz",
        "measurements.tsv",
        "overlay.png",
        "seg.dcm",
        "sr.dcm",
    ]
    assert (out / "structures.tsv").read_text().count("\n") == len(said["series"][0]["findings"]["structures"]) + 1


def test_findings_json_keeps_its_names(segmented: tuple[Any, Path]) -> None:
    said, out = segmented
    findings = json.loads((out / said["series"][0]["series_uid"] / "findings.json").read_text())
    assert findings == said["series"][0]["findings"]
    assert findings.keys() == {
        *("structures", "missing", "pairs", "curvature", "total_volume_mm3"),
        *("quality", "timings_s", "algorithm", "run"),
    }
    assert findings["quality"]["verdict"] in {"good", "review", "reject"}
    assert findings["structures"], "the network found nothing in a phantom"
    for found in findings["structures"]:
        assert found.keys() == {
            *("label", "segment", "kind", "ordinal", "level", "level_confidence"),
            *("truncated", "volume_mm3", "centroid_lps_mm", "measures"),
        }
        assert found["kind"] in {"vertebral_body", "intervertebral_disc"}
    assert findings["algorithm"]["members"] == ["2d fold 0", "3d_fullres fold 0"]
    assert "not for clinical use" in findings["algorithm"]["intended_use"].lower()


def test_the_table_and_the_report_say_the_numbers_of_the_document(segmented: tuple[Any, Path]) -> None:
    said, out = segmented
    folder = out / said["series"][0]["series_uid"]
    with (folder / "measurements.tsv").open() as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    volumes = [found["volume_mm3"] for found in said["series"][0]["findings"]["structures"]]
    kinds = {"vertebral_body", "intervertebral_disc"}
    assert [float(row["value"]) for row in rows if row["quantity"] == "volume" and row["kind"] in kinds] == volumes
    measured = {
        round(float(item.MeasuredValueSequence[0].NumericValue), 3)
        for item in _items(pydicom.dcmread(folder / "sr.dcm"))
        if item.ValueType == "NUM" and item.get("MeasuredValueSequence")
    }
    assert {round(volume, 3) for volume in volumes} <= measured


def test_segment_makes_the_forms_that_are_asked_for(phantom_files: list[Path], tmp_path: Path) -> None:
    forms = ("--segmentation", "labelmap", "--report", "enhanced", "--report", "comprehensive", "--key-images")
    said = answer("segment", phantom_files[0].parent, "--out", tmp_path, *forms, "--segments", "classes")
    objects = {path.stem: pydicom.dcmread(path) for path in tmp_path.glob("*/*.dcm")}
    assert {"seg", "sr"} <= objects.keys(), said
    verdict = said["series"][0]["findings"]["quality"]["verdict"]
    if verdict != "reject":
        assert {"seg-labelmap", "sr-enhanced-labelmap", "sr-comprehensive-labelmap", "key-1"} <= objects.keys()
    assert [item.SegmentedPropertyTypeCodeSequence[0].CodeMeaning for item in objects["seg"].SegmentSequence] == [
        "Vertebral body",
        "Intervertebral disk",
    ]


def test_a_form_that_there_is_not_is_a_usage_error(tmp_path: Path) -> None:
    done = run("segment", tmp_path, "--out", tmp_path, "--segmentation", "palette", "--json")
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "usage")


def test_labels_and_findings_agree_on_every_volume(segmented: tuple[Any, Path]) -> None:
    said, out = segmented
    image = nib.load(out / said["series"][0]["series_uid"] / "labels.nii.gz")
    labels = np.asarray(image.dataobj)
    voxel_mm3 = abs(np.linalg.det(image.affine[:3, :3]))
    for found in said["series"][0]["findings"]["structures"]:
        assert np.count_nonzero(labels == found["label"]) * voxel_mm3 == pytest.approx(found["volume_mm3"], rel=1e-4)


def test_two_runs_give_the_same_bytes(segmented: tuple[Any, Path], phantom_files: list[Path], tmp_path: Path) -> None:
    said, out = segmented
    answer("segment", phantom_files[0].parent, "--out", tmp_path)
    uid = said["series"][0]["series_uid"]
    for name in ("seg.dcm", "sr.dcm", "overlay.png", "measurements.tsv"):
        assert (tmp_path / uid / name).read_bytes() == (out / uid / name).read_bytes(), name


@pytest.mark.peer("dcm2niix")
def test_the_nifti_image_is_laid_out_as_dcm2niix_lays_it_out(
    segmented: tuple[Any, Path], phantom_files: list[Path], tmp_path: Path
) -> None:
    converter = program("dcm2niix")
    assert converter is not None
    subprocess.run([converter, "-z", "y", "-o", tmp_path, phantom_files[0].parent], check=True, capture_output=True)
    theirs = nib.load(next(tmp_path.glob("*.nii.gz")))
    said, out = segmented
    ours = nib.load(out / said["series"][0]["series_uid"] / "image.nii.gz")
    assert np.array_equal(ours.get_fdata(), theirs.get_fdata())
    assert np.allclose(ours.affine, theirs.affine, atol=1e-3)


def test_a_refused_series_is_told_with_its_reasons_and_exits_65(tmp_path: Path, head_t1: Path) -> None:
    said = answer("segment", head_t1, "--out", tmp_path, code=65)
    assert said["series"][0]["state"] == "refused"
    assert [reason["code"] for reason in said["series"][0]["reasons"]] == [
        "region",
        "other-region",
        "echo-time",
        "fat-suppressed",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_series_with_a_truncated_slice_fails_under_that_name(phantom_files: list[Path], tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(phantom_files[0].parent, source)
    last = max(source.iterdir())
    last.write_bytes(last.read_bytes()[:-1000])
    said = answer("segment", source, "--out", tmp_path / "out", code=65)
    assert [(item["state"], item["reasons"][0]["code"]) for item in said["series"]] == [("failed", "truncated-file")]


def test_a_path_that_does_not_exist_exits_65(tmp_path: Path) -> None:
    said = answer("segment", tmp_path / "nowhere", "--out", tmp_path, code=65)
    assert said["error"]["code"] == "input-error"


def test_a_command_that_is_ended_removes_its_scratch_folder(tmp_path: Path, phantom_files: list[Path]) -> None:
    with zipfile.ZipFile(tmp_path / "series.zip", "w") as archive:
        for file in phantom_files:
            archive.write(file, file.name)
    (tmp_path / "scratch").mkdir()
    command = [sys.executable, "-m", "node", "segment", tmp_path / "series.zip", "--out", tmp_path / "out"]
    running = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path / "scratch")}, stderr=subprocess.PIPE, text=True
    )
    assert running.stderr is not None
    assert "model" in running.stderr.readline()
    assert list((tmp_path / "scratch").iterdir()) != []
    running.terminate()
    running.communicate()
    assert running.returncode == 143
    assert list((tmp_path / "scratch").iterdir()) == []
