"""`cspine-node train starter`, as a shell runs it: options become a recipe, the answer is a document."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import node.cli
from node.errors import BundleError
from node.segment.bundle import STARTER
from node.train import starter
from node.train.recipe import PRESETS, Recipe

FITTED = {"2d": {"steps": 7, "minutes": 0.5, "validation_dice": 0.25, "warm_start": ""}}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the command asked the training for."""
    asked: list[dict[str, Any]] = []

    def train(out: Path, recipe: Recipe, prepared: Path | None, **options: Any) -> starter.TrainingReport:
        options["say"]("two cases")
        asked.append({"out": out, "recipe": recipe, "prepared": prepared, "resume": options["resume"]})
        return starter.TrainingReport(out=out, folders=out, fitted=FITTED, evaluation={"volumes": 1})

    monkeypatch.setattr(starter, "train", train)
    return asked


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    out = io.StringIO()
    monkeypatch.setattr("node.show._ANSWERS", out)
    error = CliRunner().invoke(node.cli.app, ["train", "starter", *arguments]).exception
    if error is not None:
        raise error
    return out.getvalue()


def test_without_options_it_is_a_night_on_two_cores(
    calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = run(monkeypatch, "--out", "here")
    assert calls == [
        {"out": Path("here"), "recipe": PRESETS["cpu-overnight"], "prepared": None, "resume": True},
    ]
    assert text == "here\n2d: 7 steps, 0.5 minutes, validation Dice 0.250\n"


def test_options_stand_above_the_preset(calls: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = "--out here --preset gpu --minutes 2.5 --steps 40 --cases 9 --seed 4 --workers 3 --threads 2 --json"
    more = "--device cuda:1 --prepared pool --from starter --lumbar slices --no-resume --no-overlap --snapshots 5"
    document = json.loads(run(monkeypatch, *arguments.split(), *more.split()))
    assert document == {"bundle": "here", "fitted": FITTED, "evaluation": {"volumes": 1}}
    (asked,) = calls
    assert (asked["prepared"], asked["resume"]) == (Path("pool"), False)
    recipe = asked["recipe"]
    assert (recipe.minutes, recipe.steps, recipe.cases, recipe.seed) == (2.5, 40, 9, 4)
    assert (recipe.workers, recipe.threads, recipe.device, recipe.overlap) == (3, 2, "cuda:1", False)
    assert (recipe.start, recipe.lumbar, recipe.snapshots) == (STARTER, Path("slices"), 5)
    assert recipe.batch_2d == PRESETS["gpu"].batch_2d


def test_a_bundle_that_is_there_is_not_trained_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BundleError, match="is there already"):
        run(monkeypatch, "--out", str(tmp_path))
