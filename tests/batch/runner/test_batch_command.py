"""The commands of a batch, with the bundle that ships, over exams of the phantom dataset as DICOM and as NIfTI."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from cspineseg import Truth
from typer.testing import CliRunner

from node.batch.runner.folder import case_folder
from node.cli import app as whole
from node.cli.batch import app
from node.errors import InputError, SettingsError

SETTINGS = '[node]\nstate_dir = "state"\n[model]\nthreads = 1\ndevice = "cpu"\n'


def called(*words: object, of: Any = app) -> tuple[int, dict[str, Any]]:
    """Call a command with --json; return its exit code and its answer."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("node.show._ANSWERS", out)
        result = CliRunner().invoke(of, [*map(str, words), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, json.loads(out.getvalue())


@pytest.mark.slow
def test_exams_as_dicom_and_as_nifti_become_results_and_tables(dataset_small: Truth, tmp_path: Path) -> None:
    config, out = tmp_path / "node.toml", tmp_path / "out"
    config.write_text(SETTINGS)
    folders = [path for path in sorted(dataset_small.root.iterdir()) if path.name.endswith(("files", "annotation"))]
    options = ("--out", out, "--workers", 1, "--threads", 1, "--all-series", "--config", config)
    code, answer = called("run", *folders, *options)
    assert code == 0
    assert (answer["done"], answer["failed"], answer["executions"]) == (8, 0, 8)
    cases = pd.read_parquet(out / "cases.parquet")
    assert list(cases["state"]) == ["done"] * 8
    measurements = pd.read_parquet(out / "measurements.parquet")
    assert set(measurements["key"]) == set(cases["key"])
    with (out / "measurements.tsv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file, delimiter="\t")) == len(measurements)
    dicom = [key for key in cases["key"] if key.startswith("1.2.")]
    assert len(dicom) == 4
    assert all((case_folder(out, key) / "classes.nii.gz").exists() for key in cases["key"])

    code, live = called(
        "segment", folders[-1], "--out", tmp_path / "live", "--all-series", "--config", config, of=whole
    )
    assert code == 0
    for series in live["series"]:
        for name in ("seg.dcm", "sr.dcm"):
            made = case_folder(out, series["series_uid"]) / name
            assert made.read_bytes() == (Path(series["folder"]) / name).read_bytes()

    assert called("run", *folders, *options)[1]["earlier"] == 8
    assert called("status", out)[1]["cases"] == {"done": 8, "refused": 0, "failed": 0}
    assert called("tables", out)[1] == {
        "out": str(out),
        "cases": 8,
        "measurements": len(measurements),
        "failures": 0,
        "states": {"done": 8},
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "one input"),
        (["here", "--query", "pacs"], "one input"),
        (["here", "--where", "expert"], "--where chooses among"),
        (["here", "--only", "done"], "only --only failed"),
        (["here", "--shard", "9/8"], "as in 2/8"),
    ],
)
def test_options_that_do_not_fit_are_named(tmp_path: Path, words: list[str], complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint):
        called("run", *words, "--out", tmp_path / "out")


def test_a_folder_without_a_batch_has_no_status(tmp_path: Path) -> None:
    for command in ("status", "tables"):
        with pytest.raises(InputError, match="no batch"):
            called(command, tmp_path)
