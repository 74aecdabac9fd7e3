"""The engine against the three official commands: predict, predict, ensemble.

The whole chain is nnU-Net's own: files read by SimpleITK, processes, npz; the same weights by way of `model export`.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from bundles import ensemble_of_two_folds

from node.domain.geometry import Grid, Volume, turn
from node.segment.bundle import Bundle
from node.segment.models.exporting import export_model
from node.segment.nnunet.answer import Image
from node.segment.nnunet.fast import Fast
from node.segment.nnunet.profile import decide, load_fast, load_reference
from node.segment.nnunet.reference import Reference
from node.segment.nnunet.stages import Stages
from node.settings import ModelSettings
from node.train.phantom import generate

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@dataclass(frozen=True)
class Case:
    name: str
    volume: Volume


def phantom() -> Case:
    made = generate(345_678, shape=(6, 160, 160), spacing_mm=(4.0, 0.9, 0.9))
    return Case("phantom", Volume(grid=made.grid, voxels=made.image, sources=(), acquired_in_3d=False))


def real(path: Path) -> Case:
    """The neck of a real isotropic volume, every fifth sagittal slice of its middle: 5 x 1 x 1 mm."""
    image = nib.load(path)
    stored = Grid(shape=image.shape, affine=np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)
    voxels, grid = turn(np.asarray(image.dataobj), stored, "LIP")
    taken = voxels[12:42:5, :, 150:330]
    affine = grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [12, 0, 150]
    affine[:3, 0] *= 5
    thick = Grid(shape=(taken.shape[0], taken.shape[1], taken.shape[2]), affine=affine)
    return Case("real", Volume(grid=thick, voxels=taken, sources=(), acquired_in_3d=False))


@dataclass(frozen=True)
class Models:
    """A bundle, and the folders that the official commands take."""

    bundle: Bundle
    folders: list[Path]


@pytest.fixture(scope="module")
def cases(shared_data: Path) -> list[Case]:
    return [phantom(), real(shared_data / "cervical_t2" / "errsm_22_T2w.nii.gz")]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    folder = tmp_path_factory.mktemp("models")
    bundle = ensemble_of_two_folds(folder)
    return Models(bundle, export_model(bundle, folder / "exported"))


@pytest.fixture(scope="module")
def images(cases: list[Case], models: Models, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cases as NIfTI files whose arrays lie as the training's did."""
    folder = tmp_path_factory.mktemp("images")
    for case in cases:
        voxels, grid = turn(case.volume.voxels, case.volume.grid, models.bundle.orientation)
        image = SimpleITK.GetImageFromArray(voxels)
        image.SetSpacing(tuple(reversed(grid.spacing_mm)))
        SimpleITK.WriteImage(image, folder / f"{case.name}_0000.nii.gz")
    return folder


def run(*commands: list[object]) -> None:
    """Run some of nnU-Net's commands beside each other."""
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    programs = Path(sys.executable).parent
    running = [
        subprocess.Popen([programs / str(name), *map(str, rest)], stdout=subprocess.DEVNULL, env=environment)
        for name, *rest in commands
    ]
    assert [process.wait() for process in running] == [0] * len(commands)


def official(images: Path, folders: list[Path], out: Path, folds: int, *, mirroring: bool) -> Path:
    """Run the three commands and return the folder of the ensemble's answers."""
    predicted = [out / folder.name for folder in folders]
    run(
        *(
            [
                *("nnUNetv2_predict_from_modelfolder", "-i", images, "-o", answers, "-m", folder),
                *("-f", *range(folds), "-device", "cpu", "-npp", 1, "-nps", 1, "--save_probabilities"),
                *([] if mirroring else ["--disable_tta"]),
            ]
            for folder, answers in zip(folders, predicted, strict=True)
        )
    )
    run(["nnUNetv2_ensemble", "-i", *predicted, "-o", out / "ensemble", "-np", 1])
    return out / "ensemble"


def engines(bundle: Bundle, folds: int, *, mirroring: bool) -> dict[str, tuple[float, Reference | Fast]]:
    """Return each way to answer, with the voxels per million by which it may differ; on the CPU, without self-test."""
    cpu = {"folds": folds, "mirroring": mirroring}
    profile = decide(bundle, ModelSettings.model_validate({"cpu": cpu}), "cpu")
    assert len(profile.names) == 2 * folds
    return {
        "reference": (0.0, load_reference(profile)),
        "fast, torch": (0.0, load_fast(profile.with_backend("torch"))),
        "fast, OpenVINO in 2d": (5.0, load_fast(profile.with_backend("openvino-2d"))),
    }


LAYERS = ("classes", "bodies", "discs")
#: What the lead of background outside of fast mode's box leaves to the other classes.
SURE = 1 / (1 + np.e)


def differing_ppm(found: np.ndarray, expected: np.ndarray) -> float:
    return 1e6 * np.count_nonzero(found != expected) / expected.size


# The default of a CPU, and everything at once; each run of the commands takes a minute or more.
@pytest.mark.parametrize(("folds", "mirroring"), [(1, False), (2, True)])
def test_it_gives_the_voxels_of_the_three_official_commands(cases, models, images, tmp_path, folds, mirroring) -> None:
    answers = official(images, models.folders, tmp_path, folds, mirroring=mirroring)
    for name, (allowed_ppm, engine) in engines(models.bundle, folds, mirroring=mirroring).items():
        for case in cases:
            expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(answers / f"{case.name}.nii.gz"))
            assert set(np.unique(expected)) == {0, 1, 2}
            voxels, grid = turn(case.volume.voxels, case.volume.grid, models.bundle.orientation)
            image = Image(voxels=voxels.astype(np.float32), spacing_mm=grid.spacing_mm)
            answer = engine.answer(engine.prepare(image, Stages()), Stages())
            assert differing_ppm(answer.classes, expected) <= allowed_ppm, (name, case.name)
            volumes = dict(zip(LAYERS + answer.opinions, answer.layers.unpacked(), strict=True))
            for folder in models.folders:
                alone = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(tmp_path / folder.name / f"{case.name}.nii.gz"))
                configuration = folder.name.rpartition("__")[2]
                assert differing_ppm(volumes[configuration], alone) <= allowed_ppm, (name, case.name, configuration)
            shares = [
                np.load(tmp_path / folder.name / f"{case.name}.npz")["probabilities"] for folder in models.folders
            ]
            mean = np.mean(np.stack(shares), axis=0, dtype=np.float64)
            box = (slice(None), *answer.layers.box)
            found_shares = np.stack([volumes[kind] for kind in LAYERS[1:]]) / 255.0
            # rounding takes half a 255th, OpenVINO's own rounding of the logits a little more
            assert np.abs(found_shares - mean[1:])[box].max() <= 1 / 255, (name, case.name)
            assert mean[1:].sum(axis=0)[found_shares.sum(axis=0) == 0].max() < SURE, (name, case.name)
