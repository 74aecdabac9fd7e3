"""Trains the starter bundle: phantoms in, two nnU-Net v2 model folders and the bundle made of them out.

The cases are generated and preprocessed, both configurations are trained, the written folders are measured with the
official predictor, and at last imported like anybody's model. All that grows lies in the folder `OUT-training` beside
the bundle; a run that was killed at any moment goes on from there when it is started again in the same way.
"""

import fcntl
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from node.errors import BundleError, InputError
from node.train.cases import prepare
from node.train.fitting import Material, Member, Schedule, fit
from node.train.packing import described, measured, pack, real_figures
from node.train.plans import Json, dataset_json, plans
from node.train.recipe import Recipe
from node.train.workers import worker_processes

LOG = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What came out: for each configuration the steps, minutes and validation Dice, and the held-out evaluation."""

    out: Path
    #: nnU-Net's folders, from which the bundle was made.
    folders: Path
    fitted: dict[str, Json]
    evaluation: Json


def train(
    out: Path, recipe: Recipe, prepared: Path | None = None, *, resume: bool = True, say: Say = LOG.info
) -> TrainingReport:
    """Train and measure a bundle and write it to the new folder `out`.

    `prepared` is a folder that keeps the preprocessed cases; those already there are taken as they are. Without it they
    are deleted at the end. `resume` goes on with what an earlier call left in `out`-training; without it that is
    deleted first. `say` is told how far it is. Raises BundleError when `out` is there already, InputError when
    another run is at work there, when what was begun has another recipe, or when the device is not there.
    """
    if out.exists():
        raise BundleError(f"{out}: is there already")
    if recipe.device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"{recipe.device}: there is no such device")
    work = out.with_name(f"{out.name}-training")
    work.mkdir(parents=True, exist_ok=True)
    with _alone(work):
        if not resume:
            _clear(work)
        folders, cases = work / "nnunet", prepared or work / "cases"
        for folder in (folders, cases):
            folder.mkdir(parents=True, exist_ok=True)
        members = _members(recipe)
        material = Material(
            folder=cases, training=recipe.training_seeds, validation=recipe.validation_seeds, lumbar=recipe.lumbar
        )
        fitted = _fitted(folders, recipe, members, material, say)
        evaluation = {**measured(folders, recipe, say), "training": described(recipe, fitted)}
        if recipe.real is not None:
            evaluation["real"] = real_figures(recipe.real)
        pack(out, folders, evaluation, recipe.version)
        if prepared is None:
            shutil.rmtree(cases)
    return TrainingReport(out=out, folders=folders, fitted=fitted, evaluation=evaluation)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the working folder. Raises InputError when another process does."""
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{work}: another training is at work there") from error
        yield


def _clear(work: Path) -> None:
    for path in work.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != ".lock":
            path.unlink()


def _members(recipe: Recipe) -> list[Member]:
    described = plans(recipe.features_2d, recipe.features_3d, recipe.patch_2d, recipe.patch_3d)
    dataset = dataset_json(recipe.cases)
    shapes = {"2d": ((1, *recipe.patch_2d), recipe.batch_2d), "3d_fullres": (recipe.patch_3d, recipe.batch_3d)}
    return [
        Member(
            configuration=configuration,
            plans=described,
            dataset=dataset,
            schedule=Schedule(
                patch=patch,
                batch=batch,
                steps=recipe.steps,
                minutes=recipe.minutes,
                learning_rate=recipe.learning_rate,
                snapshots=recipe.snapshots,
            ),
            seed=recipe.seed,
            threads=recipe.threads,
            device=recipe.device,
            start=recipe.start,
        )
        for configuration, (patch, batch) in shapes.items()
    ]


def _fitted(folders: Path, recipe: Recipe, members: Sequence[Member], material: Material, say: Say) -> dict[str, Json]:
    """Prepare the cases and fit the members: side by side on a CPU, one after the other on a GPU."""
    one = members[0]
    first = material.training[: recipe.first_cases if recipe.overlap else None]
    needed = _lacking([*material.validation, *first], material.folder)
    missing = [*needed, *_lacking(material.training[len(first) :], material.folder)]
    say(f"{len(material.validation) + recipe.cases} cases, {len(missing)} to be generated")
    if recipe.workers == 0:
        for seed in missing:
            prepare(material.folder, seed, one.plans, one.dataset)
        return {member.configuration: fit(folders, member, material) for member in members}
    side_by_side = 1 if recipe.device.startswith("cuda") else len(members)
    with worker_processes(recipe.workers) as generators, worker_processes(side_by_side) as trainers:
        jobs = [generators.submit(prepare, material.folder, seed, one.plans, one.dataset) for seed in missing]
        generators.shutdown(wait=False)  # its processes end with their last job
        _await(jobs[: len(needed)], say)
        fits = [trainers.submit(fit, folders, member, material) for member in members]
        _await(fits, say)
        for job in jobs:
            if not job.cancel():
                job.result()
        return {member.configuration: done.result() for member, done in zip(members, fits, strict=True)}


def _lacking(seeds: Iterable[int], folder: Path) -> list[int]:
    there = {path.name for path in folder.iterdir()}
    return [seed for seed in seeds if f"{seed}_image.npy" not in there]


def _await(jobs: Sequence[Future[Any]], say: Say) -> None:
    """Wait for the jobs, and raise the first error among them."""
    total = len(jobs)
    each = max(1, total // 20)
    for count, job in enumerate(as_completed(jobs), start=1):
        job.result()
        if count % each == 0:
            say(f"{count} of {total} done")
