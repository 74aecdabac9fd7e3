"""`cspine-node model`, as a shell runs it: a trained model goes in, is looked at, serves, goes out and away."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from trained import checkpoint, dataset, plans, write_model
from typer.testing import CliRunner

import node.cli
from node.errors import BundleError, BundleTampered, SettingsError, UnsafeArchive
from node.segment.bundle import load_bundle

MODEL = "nnUNetTrainer__nnUNetPlans__2d"


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command in this process, which imports torch once, and returns its JSON answer; raises its error."""

    def invoke(*arguments: str | Path) -> Any:
        out = io.StringIO()
        monkeypatch.setattr("node.show._ANSWERS", out)
        error = CliRunner().invoke(node.cli.app, [*map(str, arguments), "--json"]).exception
        if error is not None:
            raise error
        return json.loads(out.getvalue())

    return invoke


def settings(folder: Path, model: str = "") -> Path:
    path = folder / "node.toml"
    path.write_text(f'[node]\nstate_dir = "state"\n[model]\n{model}\n')
    return path


def test_a_model_goes_in_serves_and_goes_out(tmp_path: Path, answer: Any) -> None:
    write_model(tmp_path / "source", "2d")
    config = settings(tmp_path)
    said = answer("model", "import", tmp_path / "source", "--name", "neck", "--version", "2.1", "--config", config)
    assert (said["name"], said["version"], said["orientation"]) == ("neck", "2.1", "RSP")
    assert said["labels"] == {"1": "vertebral_body", "2": "intervertebral_disc"}
    assert said["members"] == [{"configuration": "2d", "folds": ["0"], "mirror_axes": [0, 1]}]
    assert Path(said["folder"]) == tmp_path / "state" / "models" / "neck"

    listed = answer("model", "list", "--config", config)
    assert listed["models"] == [{"name": "neck", "version": "2.1", "digest": said["digest"]}]
    assert answer("model", "verify", "neck", "--config", config)["weights"].keys() == {"2d fold 0"}
    assert answer("model", "show", said["folder"]) == said

    settings(tmp_path, f'bundle = "neck"\ndigest = "{said["digest"]}"')
    assert answer("check-config", "--config", config)["bundle"]["name"] == "neck"
    with pytest.raises(SettingsError, match=r"model\.bundle names 'neck'"):
        answer("model", "remove", "neck", "--config", config)

    out = answer("model", "export", "neck", tmp_path / "out", "--config", config)
    assert out["folders"] == [str(tmp_path / "out" / MODEL)]
    settings(tmp_path)
    assert answer("model", "remove", "neck", "--config", config) == {"removed": "neck"}
    assert answer("model", "list", "--config", config)["models"] == []


def test_another_digest_than_that_of_the_settings_is_refused(tmp_path: Path, answer: Any) -> None:
    with pytest.raises(BundleTampered, match=r"model\.digest"):
        answer("check-config", "--config", settings(tmp_path, f'digest = "{"0" * 64}"'))


def test_a_refused_model_exits_66_and_its_message_says_what_may_be_said(tmp_path: Path, answer: Any) -> None:
    write_model(tmp_path / "source", "2d", data=dataset(labels={"background": 0, "spinal cord": 1, "disc": 2}))
    arguments = ("model", "import", tmp_path / "source", "--name", "neck", "--models", tmp_path, "--orientation", "rsp")
    command = [sys.executable, "-m", "node", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (66, "model-refused")
    assert "--label 1=vertebral_body" in error["message"]
    with pytest.raises(SystemExit) as usage:
        answer(*arguments, "--label", "1=rib")
    assert usage.value.code == 2
    assert answer(*arguments, "--label", "1=vertebral_body")["labels"]["1"] == "vertebral_body"


def test_without_settings_or_folder_the_library_is_asked_for(answer: Any) -> None:
    with pytest.raises(SettingsError, match="--config FILE or --models DIR"):
        answer("model", "list")


def test_verify_sees_a_changed_weight(tmp_path: Path, answer: Any) -> None:
    write_model(tmp_path / "source", "2d")
    answer("model", "import", tmp_path / "source", "--name", "neck", "--models", tmp_path)
    file = tmp_path / "neck" / "2d" / "fold_0.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for command in (("verify", "neck", "--models", tmp_path), ("show", tmp_path / "neck")):
        with pytest.raises(BundleTampered):
            answer("model", *command)
    (listed,) = answer("model", "list", "--models", tmp_path)["models"]
    assert listed["error"]["code"] == "bundle-tampered"


def zipped(source: Path, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(source.rglob("*")):
            archive.write(file, file.relative_to(source))
    return path


def test_a_zip_as_nnunet_exports_it_is_taken_and_nothing_else_stays(tmp_path: Path, answer: Any) -> None:
    write_model(tmp_path / "source" / "Dataset108_Necks", "2d")
    archive = zipped(tmp_path / "source", tmp_path / "model.zip")
    answer("model", "import", archive, "--name", "neck", "--models", tmp_path / "models")
    assert load_bundle(tmp_path / "models" / "neck").source["dataset"] == "Dataset108_Necks"
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["neck"]


def _evil(path: Path, change: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        if change == "link":
            entry = zipfile.ZipInfo(f"{MODEL}/plans.json")
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, "/etc/passwd")
        elif change == "clash":
            archive.writestr("a", "x")
            archive.writestr("a/b", "x")
        else:
            archive.writestr(change, "x")
    return path


@pytest.mark.parametrize(
    "change",
    ["../outside", "a/../../outside", "/outside", "link", "clash", "a\\..\\b", "C:x", "a/" * 20 + "b", "x" * 300],
)
def test_a_zip_that_leaves_its_folder_is_refused(tmp_path: Path, answer: Any, change: str) -> None:
    models = tmp_path / "deep" / "models"
    with pytest.raises(UnsafeArchive):
        answer("model", "import", _evil(tmp_path / "a.zip", change), "--name", "neck", "--models", models)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.zip", "deep", "models"]


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path, answer: Any) -> None:
    torch.save(checkpoint(plans(), "2d"), tmp_path / "model.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(UnsafeArchive):
        answer("model", "import", tmp_path / "model.pth", "--name", "neck", "--models", tmp_path / "models")


def test_a_bundle_that_is_there_is_not_imported_over(tmp_path: Path, answer: Any) -> None:
    write_model(tmp_path / "source", "2d")
    arguments = ("model", "import", tmp_path / "source", "--name", "neck", "--models", tmp_path / "models")
    answer(*arguments)
    with pytest.raises(BundleError, match="remove it first"):
        answer(*arguments)
