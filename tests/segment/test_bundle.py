"""Bundles: read only when every byte is what the manifest says."""

import hashlib
import json
from pathlib import Path

import pytest

from node.domain.anatomy import StructureKind
from node.errors import BundleError, BundleTampered
from node.segment.bundle import load_bundle, seal

FILES = {
    "2d/plans.json": b"{}",
    "2d/dataset.json": b"{}",
    "2d/fold_0.safetensors": b"weights 0",
    "2d/fold_1.safetensors": b"weights 1",
    "LICENSE": b"words",
}


MEMBER = {"configuration": "2d", "folder": "2d", "folds": ["0", "1"], "mirror_axes": [0, 1]}


def manifest(**changes: object) -> dict[str, object]:
    return {
        "format": 2,
        "name": "test",
        "version": "1.0",
        "intended_use": "For tests.",
        "orientation": "RSP",
        "labels": {"1": "vertebral_body", "2": "intervertebral_disc"},
        "members": [MEMBER],
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
        **changes,
    }


def write_manifest(folder: Path, document: object) -> None:
    write_manifest_bytes(folder, json.dumps(document).encode())


def write_manifest_bytes(folder: Path, text: bytes) -> None:
    """Write a manifest and the seal that fits it."""
    (folder / "bundle.json").write_bytes(text)
    (folder / "bundle.sha256").write_text(f"{hashlib.sha256(text).hexdigest()}  bundle.json\n")


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
    assert member.mirror_axes == (0, 1)
    assert member.weights == (folder / "2d/fold_0.safetensors", folder / "2d/fold_1.safetensors")


def test_a_member_may_keep_its_first_folds_only(folder):
    (member,) = load_bundle(folder).members
    assert member.with_folds(1).names == ("2d fold 0",)
    assert member.with_folds(0) is member
    assert member.with_folds(7).folds == ("0", "1")


def test_sealing_writes_the_manifest_that_loading_reads(folder):
    (folder / "bundle.json").unlink()
    (folder / "bundle.sha256").unlink()
    seal(folder, {name: value for name, value in manifest().items() if name not in {"format", "files"}})
    bundle = load_bundle(folder)
    assert json.loads((folder / "bundle.json").read_text()) == manifest(source={}, evaluation={})
    assert (folder / "bundle.sha256").read_text() == f"{bundle.digest}  bundle.json\n"


def test_nothing_impossible_is_sealed(folder):
    with pytest.raises(BundleError, match="orientation"):
        seal(folder, {**manifest(), "orientation": "RRR"})


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


@pytest.mark.parametrize("name", ["bundle.json", "bundle.sha256"])
def test_no_byte_of_manifest_or_seal_changes_unseen(folder, name):
    content = (folder / name).read_bytes()
    for place in range(0, len(content), 7):
        (folder / name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(BundleTampered, match=r"bundle\.json differs from its digest in bundle\.sha256"):
            load_bundle(folder)
    for changed in (content + b" ", content[:-1], b""):
        (folder / name).write_bytes(changed)
        with pytest.raises(BundleTampered, match=r"differs from its digest"):
            load_bundle(folder)


def test_a_bundle_without_a_seal_is_refused(folder):
    (folder / "bundle.sha256").unlink()
    with pytest.raises(BundleError, match=r"no readable bundle\.sha256"):
        load_bundle(folder)


@pytest.mark.parametrize("name", ["extra", "2d/.hidden", "2d/bundle.json", "new/module.py"])
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
        {"folds": ["0", "2"]},
        {"folds": ["all"]},
    ],
)
def test_a_member_without_verified_files_is_refused(folder, change):
    member = {**manifest()["members"][0], **change}
    write_manifest(folder, manifest(members=[member]))
    with pytest.raises(BundleError, match="without a digest"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'"text"', b"{}"])
def test_a_manifest_that_is_no_manifest_is_refused(folder, content):
    write_manifest_bytes(folder, content)
    with pytest.raises(BundleError, match=r"bundle\.json"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"format": 1}, "format"),
        ({"format": 3}, "format"),
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
        ({"members": [{**MEMBER, "folds": []}]}, "folds"),
        ({"members": [{**MEMBER, "folds": ["0/../fold_0"]}]}, "folds"),
        ({"members": [{**MEMBER, "mirror_axes": [3]}]}, "mirror_axes"),
        ({"members": [{**MEMBER, "mirror_axes": "all"}]}, "mirror_axes"),
        ({"members": [{**MEMBER, "configuration": "../2d"}]}, "configuration"),
        ({"members": [{**MEMBER, "checkpoint": "checkpoint_final.pth"}]}, "checkpoint"),
        ({"members": [MEMBER, MEMBER]}, "two members have the same configuration"),
        ({"source": {"trainer": 3}}, "source"),
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
