"""Files wherever they lie: in folders, zips and zips within these, sound and hostile."""

import io
import stat
import zipfile
from pathlib import Path

import pytest

from node.batch.midrc.exam import Exam, Place
from node.batch.midrc.files import exam_image, exam_mask, exam_series, local_file
from node.batch.midrc.inspection import inspect
from node.batch.midrc.layout import survey
from node.batch.midrc.store import Store
from node.errors import InputError, NiftiRefused, UnsafeArchive

PATIENT, STUDY, SERIES = "593973-000003", "1.2.826.0.1.3680043.10.474.593973.3", "1.2.826.0.1.3680043.10.474.593973.33"
SERIES_ZIP = f"case_image/{PATIENT}/{STUDY}/{SERIES}.zip"
IMAGE = f"{PATIENT}_Study-MR-3_Series-3.nii.gz"


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as content:
        for name, data in files.items():
            content.writestr(name, data)
    return buffer.getvalue()


def linked() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        link = zipfile.ZipInfo("1.dcm")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        content.writestr(link, "/etc/passwd")
    return buffer.getvalue()


def bomb() -> bytes:
    """A zip whose directory claims 64 GiB for its file."""
    archive = bytearray(zipped({"1.dcm": b"\0" * 5000}))
    at = archive.index(b"PK\x01\x02")
    archive[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    return bytes(archive)


def encrypted() -> bytes:
    archive = bytearray(zipped({"1.dcm": b"secret"}))
    archive[6] |= 1
    archive[archive.index(b"PK\x01\x02") + 8] |= 1
    return bytes(archive)


def written(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def surveyed(root: Path):
    with Store() as store:
        return survey(root, store)


FILES = {
    f"DukeCSpineSeg_imaging_files/{SERIES_ZIP}": zipped({"1-01.dcm": b"no dicom"}),
    f"DukeCSpineSeg_annotation/{IMAGE}": b"image",
    f"DukeCSpineSeg_segmentation/{IMAGE.replace('.nii', '_SEG.nii')}": b"mask",
    "DukeCSpineSeg_structured/case_RSNA_20250321.tsv": b"submitter_id\n593973-000003\n",
}


def parts() -> dict[str, bytes]:
    """The same files as four zips."""
    found: dict[str, dict[str, bytes]] = {}
    for name, data in FILES.items():
        found.setdefault(name.split("/")[0], {})[name] = data
    return {f"{part}.zip": zipped(files) for part, files in found.items()}


@pytest.mark.parametrize(
    "files",
    [
        FILES,
        parts(),
        {f"deep/er/{name}": data for name, data in FILES.items()},
        {f"deep/{name}": data for name, data in parts().items()},
        {**FILES, **parts()},
        {**FILES, "__MACOSX/._a.nii.gz": b"", "DukeCSpineSeg_annotation/._b.nii.gz": b"", ".DS_Store": b""},
        {name.upper() if name.endswith("nii.gz") else name: data for name, data in FILES.items()},
        {"everything.zip": zipped(FILES)},
    ],
    ids=["folders", "zips", "nested folders", "nested zips", "both", "junk", "capitals", "one zip"],
)
def test_every_form_of_the_download_is_the_same(tmp_path, files) -> None:
    layout = surveyed(written(tmp_path, files))
    assert set(layout.tables) == {"case"}
    assert [(one.patient, one.study_uid, one.series_uid) for one in layout.series] == [(PATIENT, STUDY, SERIES)]
    assert [Path(one.place.name).name.lower() for one in layout.images] == [IMAGE.lower()]
    assert len(layout.masks) == 1
    assert (layout.missing, layout.defects, layout.orphans) == ((), (), ())


def test_parts_that_are_not_there_are_named(tmp_path) -> None:
    layout = surveyed(written(tmp_path, {"DukeCSpineSeg_annotation.zip": parts()["DukeCSpineSeg_annotation.zip"]}))
    assert layout.missing == ("structured", "imaging_files", "segmentation")
    assert [one.code for one in layout.defects] == ["part-missing"] * 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"case_image/{PATIENT}/{STUDY}/{SERIES}/1.dcm", (PATIENT, STUDY, SERIES)),
        (f"case_image/{PATIENT}/{STUDY}/{SERIES}/deep/er/1.dcm", (PATIENT, STUDY, SERIES)),
        (f"{SERIES}/1.2.3.4.5", (None, None, SERIES)),
        ("somewhere/1.dcm", (None, None, None)),
    ],
)
def test_a_series_that_was_unpacked_is_its_folder(tmp_path, name: str, expected) -> None:
    layout = surveyed(written(tmp_path, {name: b"x"}))
    assert [(one.patient, one.study_uid, one.series_uid) for one in layout.series] == [expected]


def test_a_second_file_of_a_name_is_told(tmp_path) -> None:
    layout = surveyed(written(tmp_path, {**FILES, f"copy/{IMAGE}": b"another image"}))
    assert [one.defect.code for one in layout.orphans] == ["file-twice"]


def test_what_belongs_to_nothing_is_told(tmp_path) -> None:
    layout = surveyed(written(tmp_path, {**FILES, "notes.txt": b"", "README": b""}))
    assert sorted((one.place.name, one.defect.code) for one in layout.orphans) == [
        ("README", "file-unknown"),
        ("notes.txt", "file-unknown"),
    ]


def test_a_part_in_another_zip_is_told(tmp_path) -> None:
    layout = surveyed(written(tmp_path, {"all.zip": zipped(parts())}))
    assert [one.code for one in layout.defects if one.code == "archive-nested"] == ["archive-nested"] * 4


@pytest.mark.parametrize("root", ["absent", "empty", "other"])
def test_no_download_is_an_error(tmp_path, root: str) -> None:
    (tmp_path / "empty").mkdir()
    written(tmp_path / "other", {"a.txt": b"a"})
    with pytest.raises(InputError, match=r"no such file|no part of a CSpineSeg download"):
        inspect(tmp_path / root)


HOSTILE = {
    "traversal": zipped({"../../escaped.dcm": b"x"}),
    "absolute": zipped({"/tmp/escaped.dcm": b"x"}),
    "windows": zipped({"..\\escaped.dcm": b"x"}),
    "link": linked(),
    "bomb": bomb(),
    "encrypted": encrypted(),
    "cut": zipped({"1.dcm": b"x" * 5000})[:-30],
    "damaged": zipped({"1.dcm": bytes(range(256)) * 40}).replace(bytes(range(40, 60)), bytes(20), 1),
    "no zip": b"<html>",
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("outer", [False, True], ids=["in a folder", "in a zip"])
def test_a_hostile_series_is_a_defect_and_nothing_is_written(tmp_path, name: str, outer: bool) -> None:
    files = {**FILES, f"DukeCSpineSeg_imaging_files/{SERIES_ZIP}": HOSTILE[name]}
    if outer:
        inner = {f"DukeCSpineSeg_imaging_files/{SERIES_ZIP}": HOSTILE[name]}
        files = {**parts(), "DukeCSpineSeg_imaging_files.zip": zipped(inner)}
    root = written(tmp_path / "root", files)
    before = sorted(tmp_path.rglob("*"))
    (exam,) = [one for one in inspect(root).exams if one.key == SERIES]
    assert "dicom-unreadable" in {one.code for one in exam.defects}
    assert sorted(tmp_path.rglob("*")) == before
    with pytest.raises(InputError):
        exam_series(exam, tmp_path)


@pytest.mark.parametrize("name", ["traversal", "link", "cut", "no zip"])
def test_a_hostile_part_is_a_defect_of_the_whole(tmp_path, name: str) -> None:
    root = written(tmp_path, {**parts(), "DukeCSpineSeg_imaging_files.zip": HOSTILE[name]})
    manifest = inspect(root, thorough=False)
    assert {one.code for one in manifest.defects} >= {"archive-refused", "part-missing"}


def exam(dicom: Place | None = None, image: Place | None = None) -> Exam:
    return Exam(
        key="k",
        patient_id=None,
        study_uid=None,
        series_uid=SERIES,
        dicom=dicom,
        image=image,
        mask=None,
        annotation=None,
        image_matched_by=None,
        mask_matched_by=None,
        columns={},
        defects=(),
    )


def test_files_that_are_not_there_are_named(tmp_path) -> None:
    with pytest.raises(InputError, match="no DICOM series is there"):
        exam_series(exam(), tmp_path)
    with pytest.raises(InputError, match="no image is there"):
        exam_image(exam(), tmp_path)
    with pytest.raises(InputError, match="no mask is there"):
        exam_mask(exam(), tmp_path)
    with pytest.raises(InputError, match="no such file or folder"):
        local_file(Place(container=tmp_path, name="gone.nii.gz"), tmp_path)
    with pytest.raises(InputError, match="no such file"):
        local_file(Place(container=tmp_path / "gone.zip", name="a"), tmp_path)


def test_a_series_of_another_uid_is_not_taken(tmp_path) -> None:
    root = written(tmp_path / "root", FILES)
    with pytest.raises(InputError, match="no series of this UID"):
        exam_series(exam(Place(container=root, name=f"DukeCSpineSeg_imaging_files/{SERIES_ZIP}")), tmp_path)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "a/../../outside"])
def test_a_place_never_leads_out_of_its_folder(tmp_path, name: str) -> None:
    with pytest.raises(InputError, match="leads out"):
        local_file(Place(container=tmp_path, name=name), tmp_path)


def test_a_file_of_a_zip_is_copied_under_another_name(tmp_path) -> None:
    root = written(tmp_path / "root", parts())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    place = Place(container=root / "DukeCSpineSeg_annotation.zip", name=f"DukeCSpineSeg_annotation/{IMAGE}")
    path = local_file(place, scratch)
    assert path.read_bytes() == b"image"
    assert path.name == "file.nii.gz"
    assert path.is_relative_to(scratch)
    with pytest.raises(NiftiRefused):
        exam_image(exam(image=place), scratch)
    with pytest.raises(InputError, match="holds no"):
        local_file(Place(container=place.container, name="gone"), scratch)


def test_a_name_that_is_there_twice_makes_a_zip_unsafe(tmp_path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as content, pytest.warns(UserWarning, match="Duplicate"):
        content.writestr("a", b"1")
        content.writestr("a", b"2")
    with pytest.raises(UnsafeArchive, match="twice"):
        local_file(Place(container=path, name="a"), tmp_path)
