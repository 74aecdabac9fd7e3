"""nnU-Net's raw data set out of a download of phantoms: names, order of the axes, who is left out."""

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import SimpleITK
from cspineseg import Truth, clean

from node.assemble.nifti import read_nifti
from node.batch.midrc.exam import Annotation, Exam, Place
from node.batch.midrc.manifest import Manifest, open_manifest
from node.domain.geometry import Grid, turn
from node.errors import InputError
from node.output.nifti import nifti_bytes_as_stored
from node.train.cspineseg import prepare as preparing
from node.train.cspineseg.package import refuse_two_sides
from node.train.cspineseg.prepare import Wishes, prepare
from node.train.cspineseg.workspace import Workspace, read_folds

EXAMS = 14


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return clean(tmp_path_factory.mktemp("download"), EXAMS)


@pytest.fixture(scope="module")
def manifest(truth: Truth) -> Manifest:
    return open_manifest(truth.root)


@pytest.fixture
def opened(manifest: Manifest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a test have other exams than the download's."""

    def put(exams: Sequence[Exam]) -> None:
        monkeypatch.setattr(preparing, "open_manifest", lambda _path: replace(manifest, exams=tuple(exams)))

    put(manifest.exams)
    return put


def wishes(truth: Truth, **changes: Any) -> Wishes:
    return replace(Wishes(source=truth.root, weak=True), **changes)


def table(workspace: Workspace) -> pd.DataFrame:
    return pd.read_csv(workspace.cases, sep="\t", dtype=str, keep_default_na=False)


def direction(path: Path) -> list[int]:
    return [round(cosine) for cosine in SimpleITK.ReadImage(str(path)).GetDirection()]


def test_the_raw_data_set_is_as_nnunet_and_the_publishers_have_it(truth: Truth, opened: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    record = prepare(workspace, wishes(truth))
    training, test = record["training"], record["test"]
    assert json.loads((workspace.raw / "dataset.json").read_text()) == {
        "channel_names": {"0": "T2"},
        "labels": {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2},
        "numTraining": training,
        "file_ending": ".nii.gz",
    }
    for suffix, count in (("Tr", training), ("Ts", test)):
        images = sorted(path.name for path in (workspace.raw / f"images{suffix}").iterdir())
        labels = sorted(path.name for path in (workspace.raw / f"labels{suffix}").iterdir())
        assert images == sorted(f"cspine_{number}_0000.nii.gz" for number in range(count))
        assert labels == sorted(f"cspine_{number}.nii.gz" for number in range(count))
    assert sorted(path.name for path in workspace.raw.iterdir()) == [
        "dataset.json", "imagesTr", "imagesTs", "labelsTr", "labelsTs",
    ]  # fmt: skip
    folds = read_folds(workspace.splits)
    names = {f"cspine_{number}" for number in range(training)}
    assert len(folds) == 5
    assert all(set(fold["train"]) | set(fold["val"]) == names for fold in folds)
    assert sorted(name for fold in folds for name in fold["val"]) == sorted(names)
    refuse_two_sides(workspace)


def test_all_images_lie_alike_for_nnunet_and_only_what_lay_otherwise_is_turned(
    truth: Truth, manifest: Manifest, opened: Any, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    prepare(workspace, wishes(truth))
    exams = {exam.key: exam for exam in manifest.exams}
    cases = table(workspace)
    assert set(cases["image_axes"]) == {"PSR", "RAS"}
    for row in cases.to_dict("records"):
        suffix = "Tr" if row["part"] == "train" else "Ts"
        image = workspace.raw / f"images{suffix}" / f"{row['case']}_0000.nii.gz"
        mask = workspace.raw / f"labels{suffix}" / f"{row['case']}.nii.gz"
        assert direction(image) == direction(mask) == [0, 0, -1, 1, 0, 0, 0, 1, 0]
        source = exams[row["key"]].image
        assert source is not None
        before = read_nifti(source.container / source.name)
        after = read_nifti(image)
        turned, grid = turn(before.voxels, before.grid, "PSR")
        assert np.array_equal(after.voxels, turned)
        assert np.allclose(after.grid.affine, grid.affine, atol=1e-3)
        content = (source.container / source.name).read_bytes()
        assert row["image_sha256"] == hashlib.sha256(content).hexdigest()
        assert (image.read_bytes() == content) == (row["image_axes"] == "PSR") == (row["image_written"] == "copied")


def test_by_default_only_experts_masks_are_taken_and_all_others_are_left_out_by_name(
    truth: Truth, manifest: Manifest, opened: Any, tmp_path: Path
) -> None:
    kinds = [Annotation.EXPERT] * 9 + [Annotation.WEAK] * (EXAMS - 9)
    opened([replace(exam, annotation=kind) for exam, kind in zip(manifest.exams, kinds, strict=True)])
    record = prepare(Workspace(tmp_path), wishes(truth, weak=False))
    assert (record["training"] + record["test"], len(record["left_out"])) == (9, EXAMS - 9)
    assert {one["code"] for one in record["left_out"]} == {"annotation"}


def test_an_image_that_two_patients_have_is_on_no_side(
    truth: Truth, manifest: Manifest, opened: Any, tmp_path: Path
) -> None:
    first = manifest.exams[0]
    opened([*manifest.exams, replace(first, key=f"{first.key}.9", patient_id="somebody else")])
    record = prepare(Workspace(tmp_path), wishes(truth))
    assert [one["key"] for one in record["left_out"] if one["code"] == "image-twice"] == [first.key, f"{first.key}.9"]


def changed(exam: Exam, folder: Path, mask: Any) -> Exam:
    """The exam with another mask: a function of labels and grid returns its bytes."""
    assert exam.mask is not None
    old = read_nifti(exam.mask.container / exam.mask.name)
    name = f"{hashlib.md5(exam.key.encode()).hexdigest()}.nii.gz"
    (folder / name).write_bytes(mask(old.voxels.astype(np.uint8), old.grid))
    return replace(exam, mask=Place(container=folder, name=name))


def moved(grid: Grid) -> Grid:
    """The grid, three millimetres further to the left."""
    affine = grid.affine.copy()
    affine[0, 3] += 3.0
    return replace(grid, affine=affine)


def test_exams_in_doubt_are_left_out_by_name_and_reason(
    truth: Truth, manifest: Manifest, opened: Any, tmp_path: Path
) -> None:
    exams = list(manifest.exams)
    exams[0] = changed(exams[0], tmp_path, lambda labels, grid: nifti_bytes_as_stored(grid, labels * 3))
    exams[1] = changed(exams[1], tmp_path, lambda labels, grid: nifti_bytes_as_stored(grid, labels * 0))
    exams[2] = changed(
        exams[2], tmp_path,
        lambda labels, grid: nifti_bytes_as_stored(moved(grid), labels),
    )  # fmt: skip
    exams[3] = replace(exams[3], patient_id=None)
    exams[4] = replace(exams[4], mask=None)
    opened(exams)
    record = prepare(Workspace(tmp_path / "work"), wishes(truth, test=1))
    left_out = {one["key"]: one["code"] for one in record["left_out"] if one["code"] != "patient-tested"}
    assert left_out == {
        exams[0].key: "nifti-refused",
        exams[1].key: "nifti-refused",
        exams[2].key: "grid-mismatch",
        exams[3].key: "patient-unknown",
        exams[4].key: "incomplete",
    }


def test_a_mask_that_lies_otherwise_than_its_image_is_laid_on_it(
    truth: Truth, manifest: Manifest, opened: Any, tmp_path: Path
) -> None:
    def laid(labels: Any, grid: Any) -> bytes:
        voxels, turned = turn(labels, grid, "LAI")
        return gzip.compress(gzip.decompress(nifti_bytes_as_stored(turned, voxels)))

    opened([changed(exam, tmp_path, laid) for exam in manifest.exams])
    workspace = Workspace(tmp_path / "work")
    prepare(workspace, wishes(truth))
    exams = {exam.key: exam for exam in manifest.exams}
    row = table(workspace).to_dict("records")[0]
    assert (row["mask_axes"], row["mask_written"]) == ("LAI", "turned")
    original = exams[row["key"]].mask
    assert original is not None
    before = read_nifti(original.container / original.name)
    turned, _ = turn(before.voxels, before.grid, "PSR")
    assert np.array_equal(read_nifti(workspace.raw / "labelsTr" / f"{row['case']}.nii.gz").voxels, turned)


def test_the_same_command_again_changes_nothing_and_another_is_refused(
    truth: Truth, opened: Any, tmp_path: Path
) -> None:
    workspace = Workspace(tmp_path)
    first = prepare(workspace, wishes(truth))
    assert prepare(workspace, wishes(truth)) == first
    with pytest.raises(InputError, match="prepared there for other wishes"):
        prepare(workspace, wishes(truth, seed=1))
    again = prepare(Workspace(tmp_path / "again"), wishes(truth))
    assert again["digest"] == first["digest"]


def test_what_a_kill_left_is_made_anew(truth: Truth, opened: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (workspace.raw.parent / f".{workspace.raw.name}-0badcafe.part" / "staged").mkdir(parents=True)
    (workspace.raw / "imagesTr").mkdir(parents=True)
    prepare(workspace, wishes(truth))
    assert [path.name for path in workspace.raw.parent.iterdir()] == ["Dataset108_CSpineSeg"]


def test_a_written_split_can_be_used_again(truth: Truth, opened: Any, tmp_path: Path) -> None:
    first, second = Workspace(tmp_path / "first"), Workspace(tmp_path / "second")
    prepare(first, wishes(truth))
    prepare(second, wishes(truth, split=first.split, seed=5))
    assert second.cases.read_bytes() == first.cases.read_bytes()
    assert second.splits.read_bytes() == first.splits.read_bytes()


def test_folds_that_were_changed_by_hand_are_noticed(truth: Truth, opened: Any, tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    prepare(workspace, wishes(truth))
    workspace.splits.write_text(workspace.splits.read_text().replace("cspine_0", "cspine_1"))
    with pytest.raises(InputError, match="is not as prepare wrote it"):
        workspace.prepared()
    with pytest.raises(InputError, match=r"fold 0 is not of the cases|on both sides of fold"):
        refuse_two_sides(workspace)
