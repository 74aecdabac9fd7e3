"""`dataset masks`: from the download to a finished batch of SEG and SR, and what a second run does."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import typer
from cspineseg import Truth
from typer.testing import CliRunner

from node.batch.runner.folder import case_folder
from node.cli import masks


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> StringIO:
    """What the commands print for others to read."""
    stream = StringIO()
    monkeypatch.setattr("node.show._ANSWERS", stream)
    return stream


def taken(answers: StringIO) -> str:
    """Return what was printed since the last time."""
    text = answers.getvalue()
    answers.truncate(0)
    answers.seek(0)
    return text


def test_the_command_makes_dicom_of_the_expert_masks_of_a_download(
    dataset_small: Truth, tmp_path: Path, answers: StringIO
) -> None:
    app = typer.Typer()
    app.command()(masks.masks)
    words = [str(dataset_small.root), "--out", str(tmp_path), "--only", "expert", "--workers", "1", "--json"]

    def told() -> dict[str, Any]:
        assert CliRunner().invoke(app, words).exit_code == 0
        return dict(json.loads(taken(answers)))

    experts = [exam.series_uid for exam in dataset_small.exams if exam.expert]
    first = told()
    assert (first["exams"], first["done"], first["failed"]) == (len(experts), len(experts), 0)
    for key in experts:
        seg = pydicom.dcmread(case_folder(tmp_path, key) / "seg.dcm")
        assert {segment.SegmentAlgorithmType for segment in seg.SegmentSequence} == {"MANUAL"}
    assert len((tmp_path / "cases.tsv").read_text().splitlines()) == len(experts) + 1
    again = told()
    assert (again["done"], again["earlier"]) == (0, len(experts))
