"""The manifest as files: read back it is the same, and nothing else is taken for one."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.batch.midrc.columns import OWN
from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Annotation, Exam, Manifest, MatchedBy, Orphan, Place
from node.batch.midrc.manifest import manifest_frame, open_manifest, read_manifest, write_manifest
from node.errors import InputError

ROOT = Path("/there/download")
ZIP = ROOT / "DukeCSpineSeg_annotation.zip"

_PLACES = st.none() | st.builds(
    Place, container=st.sampled_from([ROOT, ZIP, ROOT / "inner" / "a.zip"]), name=st.text(min_size=1, max_size=20)
)
_DEFECTS = st.builds(defect, st.sampled_from(DefectCode), st.none() | st.text(max_size=30)).filter(lambda one: one.text)
_TEXT = st.none() | st.text(max_size=20)


def manifests() -> st.SearchStrategy[Manifest]:
    exams = st.lists(
        st.builds(
            Exam,
            key=st.text("abc123._-", min_size=1),
            patient_id=_TEXT,
            study_uid=_TEXT,
            series_uid=_TEXT,
            dicom=_PLACES,
            image=_PLACES,
            mask=_PLACES,
            annotation=st.none() | st.sampled_from(Annotation),
            image_matched_by=st.none() | st.sampled_from(MatchedBy),
            mask_matched_by=st.none() | st.sampled_from(MatchedBy),
            columns=st.fixed_dictionaries(
                {
                    "case.type": _TEXT,
                    "age": st.none() | st.floats(allow_nan=False),
                    "flag": st.none() | st.booleans(),
                    "nothing": st.none(),
                }
            ),
            defects=st.lists(_DEFECTS, max_size=3).map(tuple),
        ),
        max_size=4,
    ).map(tuple)
    orphans = st.lists(
        st.builds(Orphan, place=_PLACES.filter(lambda place: place is not None), defect=_DEFECTS), max_size=2
    ).map(tuple)
    whole = st.lists(_DEFECTS, max_size=2).map(tuple)
    return st.builds(Manifest, root=st.just(ROOT), exams=exams, defects=whole, orphans=orphans)


@settings(max_examples=40, deadline=None)
@given(manifests())
def test_a_manifest_that_is_written_and_read_is_the_same(tmp_path_factory, manifest: Manifest) -> None:
    folder = tmp_path_factory.mktemp("m")
    write_manifest(manifest, folder)
    assert read_manifest(folder) == manifest
    assert read_manifest(folder / "manifest.parquet") == manifest
    assert open_manifest(folder / "manifest.tsv") == manifest
    assert open_manifest(folder) == manifest


def one() -> Manifest:
    exam = Exam(
        key="1.2.3.4",
        patient_id="593973-000003",
        study_uid="1.2.3",
        series_uid="1.2.3.4",
        dicom=Place(container=ROOT / "DukeCSpineSeg_imaging_files.zip", name="case_image/p/s/1.2.3.4.zip"),
        image=Place(container=ROOT, name="DukeCSpineSeg_annotation/a.nii.gz"),
        mask=None,
        annotation=Annotation.WEAK,
        image_matched_by=MatchedBy.GEOMETRY,
        mask_matched_by=None,
        columns={"slice_thickness": 3.0, "sex": None},
        defects=(defect(DefectCode.MASK_MISSING), defect(DefectCode.NOT_MR)),
    )
    return Manifest(root=ROOT, exams=(exam,), defects=(), orphans=())


def test_a_frame_has_a_row_for_each_series() -> None:
    (row,) = manifest_frame(one()).to_dict("records")
    assert row == {
        "key": "1.2.3.4",
        "patient_id": "593973-000003",
        "study_uid": "1.2.3",
        "series_uid": "1.2.3.4",
        "dicom": "case_image/p/s/1.2.3.4.zip",
        "image": "DukeCSpineSeg_annotation/a.nii.gz",
        "mask": None,
        "annotation": "weak",
        "image_matched_by": "geometry",
        "mask_matched_by": None,
        "dicom_in": "DukeCSpineSeg_imaging_files.zip",
        "image_in": ".",
        "mask_in": None,
        "defects": "mask-missing not-mr",
        "what_is_wrong": "No mask is there. | The headers say another modality than MR.",
        "slice_thickness": 3.0,
        "sex": None,
    }
    assert set(OWN) <= set(row)


def test_the_tsv_is_the_frame_as_text(tmp_path) -> None:
    write_manifest(one(), tmp_path)
    table = pd.read_csv(tmp_path / "manifest.tsv", sep="\t", dtype=str)
    assert table.loc[0, "slice_thickness"] == "3.0"
    assert list(table.columns) == list(manifest_frame(one()).columns)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"key\tx\n"])
def test_what_is_no_manifest_is_refused(tmp_path, content: bytes) -> None:
    (tmp_path / "manifest.parquet").write_bytes(content)
    with pytest.raises(InputError, match="no manifest of a download"):
        open_manifest(tmp_path)


def test_a_table_of_another_kind_is_refused(tmp_path) -> None:
    pd.DataFrame({"key": ["a"]}).to_parquet(tmp_path / "manifest.parquet")
    with pytest.raises(InputError, match="no manifest of a download"):
        read_manifest(tmp_path / "manifest.parquet")


def test_a_manifest_that_is_not_there_is_told(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_manifest(tmp_path / "manifest.parquet")
