"""Bundles: read only when every byte is what the manifest says."""

import hashlib
import json
from pathlib import Path

import pytest

from node.domain.anatomy import StructureKind
from node.errors import BundleError, BundleTampered
from node.segment.bundle import load_bundle

FILES = {
    "2d/plans.json": b"{}",
    "2d/dataset.json": b"{}",
    "2d/fold_0/checkpoint_final.pth": b"weights 0",
    "2d/fold_1/checkpoint_final.pth": b"weights 1",
    "LICENSE": b"words",
}


def manifest(**changes: object) -> dict[str, object]:
    return {
        "format": 1,
        "name": "test",
        "version": "1.0",
        "intended_use": "For tests.",
        "orientation": "RSP",
        "labels": {"1": "vertebral_body", "2": "intervertebral_disc"},
        "members": [{"configuration": "2d", "folder": "2d", "folds": ["0", "1"], "checkpoint": "checkpoint_final.pth"}],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
        **changes,
    }


def write_manifest(folder: Path, document: object) -> None:
    (folder / "bundle.json").write_text(json.dumps(document))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bundle"
    for name, content in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_bytes(content)
    write_manifest(made, manifest())
    return made


def test_a_sound_bundle_says_what_it_is(folder):
    bundle = load_bundle(folder)
    assert (bundle.name, bundle.version, bundle.intended_use, bundle.orientation) == (
        "test",
        "1.0",
        "For tests.",
        "RSP",
    )
    assert bundle.labels == {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}
    (member,) = bundle.members
    assert member.names == ("2d fold 0", "2d fold 1")
    assert member.folder == folder / "2d"
    assert member.checkpoints == tuple(folder / f"2d/fold_{fold}/checkpoint_final.pth" for fold in (0, 1))


def test_the_digest_of_a_bundle_is_that_of_its_manifest_and_changes_with_any_file(folder):
    before = load_bundle(folder).digest
    assert before == hashlib.sha256((folder / "bundle.json").read_bytes()).hexdigest()
    (folder / "LICENSE").write_bytes(b"other words")
    files = {**manifest()["files"], "LICENSE": hashlib.sha256(b"other words").hexdigest()}
    write_manifest(folder, manifest(files=files))
    assert load_bundle(folder).digest != before


@pytest.mark.parametrize("name", list(FILES))
@pytest.mark.parametrize("change", ["flip", "append", "empty"])
def test_one_changed_byte_in_any_file_is_tampering(folder, name, change):
    content = FILES[name]
    changed = {"flip": bytes([content[0] ^ 1]) + content[1:], "append": content + b"\n", "empty": b""}[change]
    (folder / name).write_bytes(changed)
    with pytest.raises(BundleTampered, match=f"{name} differs from its digest"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["extra", "2d/fold_0/.hidden", "2d/bundle.json", "new/module.py"])
def test_a_file_that_the_manifest_does_not_know_is_tampering(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(BundleTampered, match=f"not in the manifest: {name}"):
        load_bundle(folder)


@pytest.mark.parametrize("name", list(FILES))
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"missing {name}"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["../outside", "2d/../../outside", "/etc/hostname", "2d/../LICENSE", "./LICENSE"])
def test_a_path_that_leaves_the_folder_or_winds_through_it_is_refused(folder, name):
    (folder.parent / "outside").write_bytes(b"x")
    files = {**manifest()["files"], name: hashlib.sha256(b"x").hexdigest()}
    write_manifest(folder, manifest(files=files))
    with pytest.raises(BundleError):
        load_bundle(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"folder": "../2d"},
        {"folder": "."},
        {"folder": "2d/../2d"},
        {"folder": "absent"},
        {"checkpoint": "../../../outside.pth"},
        {"checkpoint": "checkpoint_best.pth"},
        {"folds": ["0", "2"]},
        {"folds": ["0/../fold_0"]},
    ],
)
def test_a_member_without_verified_files_is_refused(folder, change):
    member = {**manifest()["members"][0], **change}
    write_manifest(folder, manifest(members=[member]))
    with pytest.raises(BundleError, match="without a digest"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'"text"', b"{}"])
def test_a_manifest_that_is_no_manifest_is_refused(folder, content):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 2}, "format"),
        ({"labels": {"1": "rib"}}, "labels"),
        ({"labels": {"one": "vertebral_body"}}, "labels"),
        ({"labels": {"0": "vertebral_body"}}, "labels"),
        ({"labels": {"256": "vertebral_body"}}, "labels"),
        ({"labels": {}}, "labels"),
        ({"labels": {"1": "vertebral_body", "2": "vertebral_body"}}, "two labels mean the same"),
        ({"orientation": "RS"}, "orientation"),
        ({"orientation": "RRR"}, "orientation"),
        ({"orientation": "RLS"}, "orientation"),
        ({"orientation": "xyz"}, "orientation"),
        ({"members": []}, "members"),
        ({"members": [{"configuration": "2d", "folder": "2d", "folds": [], "checkpoint": "c"}]}, "folds"),
        ({"trainer": "evil.module"}, "trainer"),
        ({"files": {"LICENSE": 3}}, "files"),
    ],
)
def test_a_manifest_that_says_something_impossible_is_refused_by_name(folder, change, named):
    write_manifest(folder, manifest(**change))
    with pytest.raises(BundleError, match=named):
        load_bundle(folder)


@pytest.mark.parametrize("orientation", ["RSP", "LPS", "LIP", "SAR", "PIL"])
def test_every_orientation_that_names_each_axis_once_will_do(folder, orientation):
    write_manifest(folder, manifest(orientation=orientation))
    assert load_bundle(folder).orientation == orientation


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=r"no readable bundle\.json"):
        load_bundle(tmp_path)
    with pytest.raises(BundleError, match=r"no readable bundle\.json"):
        load_bundle(tmp_path / "absent")


def test_a_folder_behind_a_link_is_not_read(folder):
    (folder / "2d").rename(folder.parent / "elsewhere")
    (folder / "2d").symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match=r"missing 2d/dataset\.json"):
        load_bundle(folder)


def test_a_file_that_cannot_be_read_is_a_fault_of_the_bundle(folder, monkeypatch):
    opened = Path.open

    def fail(self, *arguments, **keywords):
        if self.name == "LICENSE":
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(BundleError, match="cannot be read: Permission denied"):
        load_bundle(folder)
