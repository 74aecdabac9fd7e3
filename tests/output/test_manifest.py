"""`case.json`: what a lost journal is made of again."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.case import ObjectKind
from node.domain.identifiers import Digest
from node.errors import ResultDamaged
from node.output.manifest import CaseManifest, ManifestObject, _manifest, read_manifest, write_manifest

MANIFEST = CaseManifest(
    series_uid="1.2.3",
    study_uid="1.2",
    revision=2,
    set_digest=Digest("ab" * 32),
    partial=True,
    route="cervical",
    created_at="2026-01-01T00:00:00.000+00:00",
    objects=(
        ManifestObject(
            kind=ObjectKind.SEGMENTATION,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
            sop_instance_uid="1.2.3.4",
            name="seg.dcm",
            digest=Digest("cd" * 32),
            destinations=("archive", "web"),
        ),
        ManifestObject(
            kind=ObjectKind.REPORT,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
            sop_instance_uid="1.2.3.5",
            name="sr-enhanced.dcm",
            digest=Digest("ef" * 32),
            destinations=(),
        ),
    ),
)


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, MANIFEST)
    assert read_manifest(tmp_path) == MANIFEST
    assert [path.name for path in tmp_path.iterdir()] == ["case.json"]


def test_a_case_without_objects_is_read_back(tmp_path: Path) -> None:
    write_manifest(tmp_path, replace(MANIFEST, objects=()))
    assert read_manifest(tmp_path) == replace(MANIFEST, objects=())


def test_a_folder_without_a_manifest_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_manifest(tmp_path)


@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_one_changed_byte_is_noticed_or_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: float, flip: int
) -> None:
    folder = tmp_path_factory.mktemp("case")
    write_manifest(folder, MANIFEST)
    content = bytearray((folder / "case.json").read_bytes())
    content[int(place * len(content))] ^= flip
    (folder / "case.json").write_bytes(content)
    try:
        assert read_manifest(folder) == MANIFEST  # white space between two values
    except ResultDamaged as error:
        assert str(error).startswith("case.json is not as it was written")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 5000, b" " * (1 << 20) + b"{}", b'{"sha256": 1}']
)
def test_what_is_no_manifest_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "case.json").write_bytes(content)
    with pytest.raises(ResultDamaged):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": 2}, "format"),
        ({"revision": 0}, "revision"),
        ({"revision": True}, "revision"),
        ({"partial": 1}, "partial"),
        ({"set_digest": "../../etc"}, "set_digest"),
        ({"route": None}, "route"),
        ({"objects": {}}, "objects"),
    ],
)
def test_a_value_that_the_node_never_writes_is_refused_even_under_a_sound_seal(
    tmp_path: Path, change: dict[str, object], what: str
) -> None:
    write_manifest(tmp_path, MANIFEST)
    document = json.loads((tmp_path / "case.json").read_text())
    with pytest.raises(ValueError, match=f"^{what}$"):
        _manifest({**document, **change})


@pytest.mark.parametrize("name", ["../seg.dcm", "/etc/passwd", "seg.dcm/..", ".dcm", "seg", "a/b.dcm", "SEG.dcm\n"])
def test_a_file_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write_manifest(tmp_path, replace(MANIFEST, objects=(replace(MANIFEST.objects[0], name=name),)))
    with pytest.raises(ResultDamaged, match="name"):
        read_manifest(tmp_path)


def test_two_objects_never_share_a_file(tmp_path: Path) -> None:
    twice = (MANIFEST.objects[0], replace(MANIFEST.objects[1], name="seg.dcm"))
    write_manifest(tmp_path, replace(MANIFEST, objects=twice))
    with pytest.raises(ResultDamaged, match="objects: name"):
        read_manifest(tmp_path)
