"""`cspine-node evaluate` as a shell runs it, on masks whose figures are known by hand."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from node.batch.midrc.exam import Annotation, Exam, Place
from node.batch.runner.batch import occupied
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import LedgerWriter, Record, State
from node.cli import evaluate, evaluate_input
from node.domain.geometry import Grid
from node.errors import InputError, NodeError, SettingsError
from node.output.nifti import nifti_bytes_as_stored

#: To the back, to the head, to the right; pixels of 0.5 mm, slices 4 mm apart.
GRID = Grid(shape=(20, 40, 5), affine=np.array([[0, 0, -4.0, 30], [0.5, 0, 0, -40], [0, 0.5, 0, -50], [0, 0, 0, 1]]))


def mask(columns: int = 10) -> Any:
    """Two bodies and a disc between them, `columns` wide, on slices 1 to 3 of 5."""
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[5 : 5 + columns, 4:12, 1:4] = labels[5 : 5 + columns, 16:24, 1:4] = 1
    labels[5 : 5 + columns, 12:16, 1:4] = 2
    return labels


def write(path: Path, labels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(nifti_bytes_as_stored(GRID, labels))


@pytest.fixture
def folders(tmp_path) -> Path:
    for name in ("a", "b"):
        write(tmp_path / "masks" / f"{name}_SEG.nii.gz", mask())
        write(tmp_path / "images" / f"{name}.nii.gz", mask() * 40)
        write(tmp_path / "good" / f"{name}.nii.gz", mask(9))
        write(tmp_path / "poor" / f"{name}.nii.gz", mask(5))
    return tmp_path


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the command and return what it prints; its error is raised."""
    app = typer.Typer()
    app.command()(evaluate.evaluate)

    def given(*arguments: str) -> str:
        out = io.StringIO()
        monkeypatch.setattr("node.show._ANSWERS", out)
        monkeypatch.chdir(tmp_path)
        error = CliRunner().invoke(app, [*arguments, "--out", "out"]).exception
        if error is not None and not (isinstance(error, SystemExit) and not error.code):
            raise error
        return out.getvalue()

    return given


def test_figures_tables_and_a_report_come_of_two_folders(folders, run):
    answer = json.loads(run("good", "--reference", "masks", "--images", "images", "--json"))
    figures = answer["predictions"]["good"]["figures"]
    assert figures["vertebrae"]["dice"]["mean"] == pytest.approx(18 / 19)
    assert figures["discs"]["slice_mean_dice"]["mean"] == pytest.approx((3 * 18 / 19 + 2) / 5)
    assert (answer["predictions"]["good"]["cases"], answer["predictions"]["good"]["failures"]) == (2, [])
    assert sorted(path.name for path in (folders / "out").iterdir()) == [
        *("cases.parquet", "cases.tsv", "evaluation.json", "failures.parquet", "failures.tsv", "report.html"),
        *("scores.parquet", "scores.tsv"),
    ]
    html = (folders / "out" / "report.html").read_text()
    assert "vertebrae 0.947" in html
    assert html.count("data:image/png;base64,") == 2


def test_the_table_for_people_names_every_structure(folders, run):
    lines = run("good", "--reference", "masks", "--worst", "0").splitlines()
    assert lines[0] == "good: 2 compared, 0 could not be"
    # ASSD: a face of 24 border voxels lies 0.5 mm off, and 6 voxels of the other; of 192 + 174 border voxels in all
    assert lines[2].split() == ["vertebrae", "0.947", "(0.947", "to", "0.947)", "0.50", "0.04", "1.000", "0.968"]
    assert lines[-1] == "report: out/report.html"


def test_several_predictions_have_tables_each_and_one_report(folders, run):
    answer = json.loads(run("good", "poor", "-r", "masks", "--name", "3d", "--name", "2d", "--json", "--worst", "0"))
    assert answer["predictions"]["2d"]["figures"]["discs"]["dice"]["mean"] == pytest.approx(2 / 3)
    assert (folders / "out" / "3d" / "scores.tsv").is_file()
    assert (folders / "out" / "2d" / "scores.tsv").is_file()
    assert "Comparison of the predictions" in (folders / "out" / "report.html").read_text()


def test_a_batch_is_held_against_masks_named_by_its_keys(folders, run):
    with occupied(folders / "batch", "a" * 64, None, anew=False):
        writer = LedgerWriter(folders / "batch")
        for key in ("a", "b"):
            writer.append(Record(key=key, state=State.DONE, task="a" * 64, attempt=1, final=True, at=1.0))
        writer.close()
    for key in ("a", "b"):
        folder = case_folder(folders / "batch", key)
        write(folder / "classes.nii.gz", mask(9))
        made = {"bundle_name": "neck", "bundle_version": "1", "bundle_digest": "0f3c", "members": ["2d fold 0"]}
        (folder / "findings.json").write_text(json.dumps({"algorithm": made}))
    answer = json.loads(run("batch", "-r", "masks", "--json"))
    assert answer["predictions"]["batch"]["figures"]["discs"]["dice"]["mean"] == pytest.approx(18 / 19)
    html = (folders / "out" / "report.html").read_text()
    assert "neck 1, 2d fold 0" in html
    assert "0f3c" in html


def test_a_prediction_without_any_reference_is_refused(folders, run):
    (folders / "others").mkdir()
    write(folders / "others" / "c.nii.gz", mask())
    with pytest.raises(InputError, match="nothing of good has a reference"):
        run("good", "--reference", "others")


def test_label_maps_are_held_against_a_dataset_and_its_tables(folders, run, monkeypatch):
    exams = tuple(exam(folders, name, sex) for name, sex in (("a", "Female"), ("b", "Male"), ("c", "Male")))

    def opened(_path):
        return type("Manifest", (), {"exams": exams})

    monkeypatch.setattr(evaluate_input, "open_manifest", opened)
    answer = json.loads(run("good", "-r", "download", "--json"))
    assert answer["predictions"]["good"]["failures"] == [
        {"key": "1.2.c", "code": "no-prediction", "reason": "there is no prediction for it"}
    ]
    cases = pd.read_parquet(folders / "out" / "cases.parquet")
    assert cases[["key", "sex", "annotation"]].to_numpy().tolist() == [
        ["1.2.a", "Female", "expert"],
        ["1.2.b", "Male", "expert"],
    ]


def exam(root: Path, name: str, sex: str) -> Exam:
    return Exam(
        key=f"1.2.{name}",
        patient_id=name,
        study_uid=None,
        series_uid=None,
        dicom=None,
        image=Place(container=root / "images", name=f"{name}.nii.gz"),
        mask=Place(container=root / "masks", name=f"{name}_SEG.nii.gz"),
        annotation=Annotation.EXPERT,
        image_matched_by=None,
        mask_matched_by=None,
        columns={"sex": sex},
        defects=(),
    )


def test_where_every_case_fails_there_is_a_report_and_the_exit_code_says_so(folders, run):
    for name in ("a", "b"):
        (folders / "good" / f"{name}.nii.gz").write_bytes(b"no NIfTI")
    with pytest.raises(SystemExit) as ended:
        run("good", "-r", "masks")
    assert ended.value.code == 65
    assert "2 cases could not be compared" in (folders / "out" / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (["good", "-r", "masks", "--name", "x", "--name", "y"], SettingsError, "2 names for 1 predictions"),
        (["good", "good", "-r", "masks"], SettingsError, "two predictions have the same name"),
        (["good", "-r", "masks", "--name", "../x"], SettingsError, "cannot name a folder"),
        (["good", "-r", "masks", "--where", "sex == 'F'"], SettingsError, "has no columns"),
        (["good", "-r", "masks", "--scheme", "nobody"], SettingsError, "no label scheme"),
        (["nowhere", "-r", "masks"], InputError, "no such folder"),
        (["good", "-r", "masks", "--images", "nowhere"], InputError, "no such folder"),
    ],
)
def test_a_wrong_call_is_told_in_a_sentence(folders, run, arguments, error, words):
    with pytest.raises(NodeError) as raised:
        run(*arguments)
    assert type(raised.value) is error
    assert words in str(raised.value)
