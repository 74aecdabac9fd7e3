"""Trains the starter bundle: phantoms in, two nnU-Net v2 model folders and the bundle made of them out.

    python -m node.train.recipe --out DIR [--minutes 40] [--cases 300] [--workers 2] [--seed 1]

The cases are generated and preprocessed first, then both configurations are trained, each in its own process, then the
written folders are measured with the official predictor, and at last imported like anybody's model. A run that ends by
steps, not by minutes, gives the same weights again on the same machine.
"""

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from node.errors import BundleError
from node.segment.models.importing import ImportWishes, import_model
from node.train.cases import ORIENTATION, prepare
from node.train.evaluation import evaluate
from node.train.fitting import Material, Member, Schedule, fit
from node.train.modelcard import write_card
from node.train.plans import Json, dataset_json, plans

LOG = logging.getLogger(__name__)

#: Seeds of the phantoms that are never trained on.
VALIDATION_SEED = 100_000
TEST_SEED = 200_000
#: More steps than any number of minutes allows here.
UNBOUNDED = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Everything that a training run depends on. `minutes` and `steps` bound each configuration's fitting."""

    seed: int = 1
    cases: int = 300
    validation_cases: int = 6
    test_cases: int = 8
    minutes: float = 40.0
    steps: int = UNBOUNDED
    workers: int = 2
    threads: int = 1
    snapshots: int = 12
    features_2d: tuple[int, ...] = (16, 32, 64, 96, 128, 128)
    features_3d: tuple[int, ...] = (8, 16, 32, 64, 64, 64)
    patch_2d: tuple[int, int] = (256, 256)
    patch_3d: tuple[int, int, int] = (16, 192, 192)
    version: str = "0.1.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What came out: for each configuration the steps, minutes and validation Dice, and the held-out evaluation."""

    out: Path
    #: nnU-Net's folders, from which the bundle was made.
    folders: Path
    fitted: dict[str, dict[str, float]]
    evaluation: Json


def train(out: Path, recipe: Recipe, prepared: Path | None = None) -> TrainingReport:
    """Train and measure a bundle and write it to the new folder `out`; nnU-Net's own folders stay in `out`-nnunet.

    `prepared` is a folder for the preprocessed cases; those already there are taken as they are. Without it they live
    in a temporary folder.
    """
    if out.exists():
        raise BundleError(f"{out}: is there already")
    folders = out.with_name(f"{out.name}-nnunet")
    folders.mkdir(parents=True, exist_ok=True)
    described = plans(recipe.features_2d, recipe.features_3d, recipe.patch_2d, recipe.patch_3d)
    dataset = dataset_json(recipe.cases)
    first = recipe.seed * 1000 - 1000
    scratch = prepared or Path(tempfile.mkdtemp(prefix="phantoms-"))
    scratch.mkdir(parents=True, exist_ok=True)
    material = Material(
        folder=scratch,
        training=range(first, first + recipe.cases),
        validation=range(VALIDATION_SEED, VALIDATION_SEED + recipe.validation_cases),
    )
    try:
        _prepare_all(recipe, material, described, dataset)
        fitted = _fit_all(folders, recipe, material, described, dataset)
    finally:
        if prepared is None:
            shutil.rmtree(scratch, ignore_errors=True)
    return _finish(out, folders, recipe, fitted)


def _finish(out: Path, folders: Path, recipe: Recipe, fitted: dict[str, dict[str, float]]) -> TrainingReport:
    """Measure the models in `folders`, write their card, and make the bundle of them."""
    evaluation = evaluate(folders, range(TEST_SEED, TEST_SEED + recipe.test_cases))
    evaluation["training"] = {"phantoms": recipe.cases, "seed": recipe.seed, "fitted": fitted}
    LOG.info("held-out Dice %s", evaluation["dice"])
    figures, card = folders / "evaluation.json", folders / "MODEL_CARD.md"
    figures.write_text(json.dumps(evaluation, indent=2) + "\n", encoding="utf-8")
    write_card(card, evaluation, recipe.version)
    wishes = ImportWishes(
        name="cspine-starter",
        version=recipe.version,
        intended_use="Demonstration only, trained on generated images. Not for clinical use.",
        orientation=ORIENTATION,
        evaluation=figures,
        card=card,
    )
    import_model(folders, out, wishes)
    return TrainingReport(out=out, folders=folders, fitted=fitted, evaluation=evaluation)


def _prepare_all(recipe: Recipe, material: Material, described: Json, dataset: Json) -> None:
    wanted = [*material.training, *material.validation]
    missing = [seed for seed in wanted if not (material.folder / f"{seed}_image.npy").exists()]
    LOG.info("%d cases, %d to be generated", len(wanted), len(missing))
    jobs = [(prepare, (material.folder, seed, described, dataset)) for seed in missing]
    _run(recipe, jobs, each=max(1, len(jobs) // 10))


def _fit_all(
    folders: Path, recipe: Recipe, material: Material, described: Json, dataset: Json
) -> dict[str, dict[str, float]]:
    shapes = {"2d": ((1, *recipe.patch_2d), 4, 2e-3), "3d_fullres": (recipe.patch_3d, 1, 2e-3)}
    jobs: list[tuple[Callable[..., object], tuple[object, ...]]] = []
    for configuration, (patch, batch, rate) in shapes.items():
        schedule = Schedule(
            patch=patch,
            batch=batch,
            steps=recipe.steps,
            minutes=recipe.minutes,
            learning_rate=rate,
            snapshots=recipe.snapshots,
        )
        member = Member(
            configuration=configuration,
            plans=described,
            dataset=dataset,
            schedule=schedule,
            seed=recipe.seed,
            threads=recipe.threads,
        )
        jobs.append((fit, (folders, member, material)))
    results = _run(recipe, jobs, each=1)
    return {name: dict(result) for name, result in zip(shapes, results, strict=True)}  # type: ignore[call-overload]


def _run(
    recipe: Recipe, jobs: Sequence[tuple[Callable[..., object], tuple[object, ...]]], *, each: int
) -> list[object]:
    """Run the jobs in their order, in `recipe.workers` fresh processes, or here when that is 0."""
    if recipe.workers == 0:
        return [job(*arguments) for job, arguments in jobs]
    with ProcessPoolExecutor(recipe.workers, get_context("spawn"), _start_worker) as pool:
        waiting: list[Future[object]] = [pool.submit(job, *arguments) for job, arguments in jobs]
        results = []
        for count, future in enumerate(waiting, start=1):
            results.append(future.result())
            if count % each == 0:
                LOG.info("%d of %d done", count, len(jobs))
        return results


def _start_worker() -> None:
    """Log as the parent does and keep every numerical library to one thread unless told otherwise."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)


def main(arguments: list[str] | None = None) -> None:
    """Run the recipe from the command line."""
    defaults = Recipe()
    parser = argparse.ArgumentParser(prog="python -m node.train.recipe", description="Train the starter bundle.")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--cases", type=int, default=defaults.cases, help="phantoms to train on")
    parser.add_argument("--test-cases", type=int, default=defaults.test_cases, help="held-out phantoms to measure on")
    parser.add_argument("--minutes", type=float, default=defaults.minutes, help="time for each configuration")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="steps for each configuration")
    parser.add_argument("--workers", type=int, default=defaults.workers, help="processes at a time; 0: none but this")
    parser.add_argument("--threads", type=int, default=defaults.threads, help="threads of each process")
    parser.add_argument("--prepared", type=Path, help="folder that keeps the generated cases for the next run")
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    recipe = Recipe(
        seed=asked.seed,
        cases=asked.cases,
        test_cases=asked.test_cases,
        minutes=asked.minutes,
        steps=asked.steps,
        workers=asked.workers,
        threads=asked.threads,
    )
    train(asked.out, recipe, asked.prepared)


if __name__ == "__main__":
    main()
