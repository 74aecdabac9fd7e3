"""Prepared cases on disk, the patches cut of them, what is changed in a patch, and what is minimised."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from node.train import cases, phantom
from node.train.augmentation import Scale, augment
from node.train.cases import prepare
from node.train.loss import segmentation_loss, validation_dice
from node.train.plans import dataset_json, plans
from node.train.pool import UNKNOWN, Case, Pool, cut

PLANS = plans((4, 8, 8), (4, 8, 8), (32, 32), (4, 32, 32))


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    small = partial(phantom.generate, shape=(6, 96, 96), spacing_mm=(3.75, 2.0, 2.0))
    monkeypatch.setattr(cases, "generate", small)
    prepare(tmp_path, 7, PLANS, dataset_json(1))
    return tmp_path


def case(shape: tuple[int, int, int], spine: tuple[slice, ...] = (slice(0, 0),)) -> Case:
    labels = np.zeros(shape, np.uint8)
    labels[spine] = 1
    return Case(image=np.ones(shape, np.float16), labels=labels)


def test_a_prepared_case_is_z_scored_over_the_whole_volume(prepared: Path) -> None:
    assert sorted(path.name for path in prepared.iterdir()) == ["7_image.npy", "7_labels.npy"]
    image, labels = np.load(prepared / "7_image.npy"), np.load(prepared / "7_labels.npy")
    assert (image.dtype, labels.dtype) == (np.float16, np.uint8)
    assert image.shape == labels.shape
    assert abs(float(image.astype(np.float64).mean())) < 0.1
    assert float(image.astype(np.float64).std()) == pytest.approx(1.0, abs=0.1)
    assert set(np.unique(labels)) == {0, 1, 2}


def test_a_case_prepared_again_has_the_same_voxels(prepared: Path, tmp_path: Path) -> None:
    before = (prepared / "7_image.npy").read_bytes()
    prepare(prepared, 7, PLANS, dataset_json(1))
    assert (prepared / "7_image.npy").read_bytes() == before


def test_a_pool_sees_a_new_case_when_it_looks_again(prepared: Path) -> None:
    pool = Pool(prepared, range(6, 9))
    assert pool.seeds == [7]
    for name in ("labels", "image"):
        np.save(prepared / f"8_{name}.npy", np.zeros((1, 4, 4), np.uint8))
    assert pool.seeds == [7]
    pool.refresh()
    assert pool.seeds == [7, 8]


def test_a_case_is_mapped_and_not_read(prepared: Path) -> None:
    assert isinstance(Pool(prepared, [7]).cases[0].image, np.memmap)


def test_a_patch_is_padded_with_zeros_where_the_volume_ends() -> None:
    whole = case((3, 10, 10), (slice(None),))
    image, labels = cut(np.random.default_rng(0), whole, (5, 8, 12))
    assert image.shape == labels.shape == (5, 8, 12)
    assert image.sum() == labels.sum() == 3 * 8 * 10
    assert (image[0] == 0).all()
    assert (image[:, :, 0] == 0).all()


def test_a_margin_is_what_lies_around_the_patch() -> None:
    volume = np.arange(20 * 20, dtype=np.float16).reshape(1, 20, 20)
    image, _ = cut(np.random.default_rng(1), Case(image=volume, labels=np.zeros(volume.shape, np.uint8)), (1, 8, 8))
    wide, _ = cut(
        np.random.default_rng(1), Case(image=volume, labels=np.zeros(volume.shape, np.uint8)), (1, 8, 8), (3, 2)
    )
    assert wide.shape == (1, 14, 12)
    assert (wide[:, 3:-3, 2:-2] == image).all()


def test_half_of_the_patches_hold_the_spine_and_the_others_lie_anywhere() -> None:
    whole = case((9, 60, 60), (slice(4, 5), slice(0, 60), slice(10, 12)))
    rng = np.random.default_rng(2)
    patches = [cut(rng, whole, (1, 20, 20))[1] for _ in range(400)]
    share = np.mean([patch.any() for patch in patches])
    assert 0.5 < share < 0.65


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("seed", range(12))
def test_labels_move_with_the_picture(slices: int, seed: int) -> None:
    """What is labelled is lit: whatever else is changed, the labelled pixels stay the brightest."""
    y, x = np.mgrid[:96, :96]
    disc = ((y - 52) ** 2 + (x - 44) ** 2 < 15**2)[None].repeat(slices, axis=0)
    image, labels = torch.from_numpy(disc * 6.0).float(), torch.from_numpy(disc.astype(np.int8))
    found, truth = augment(np.random.default_rng(seed), image, labels, (64, 64))
    assert found.shape == truth.shape == (slices, 64, 64)
    assert truth.dtype == torch.int8
    ranks = found.flatten().argsort().argsort().float() / found.numel()
    marked = (truth == 1).flatten()
    share = float(marked.float().mean())
    assert share > 0.05
    assert ranks[marked].mean() > 0.9 * (1 - share / 2)


def test_the_same_numbers_change_a_patch_in_the_same_way() -> None:
    image, labels = torch.randn(2, 40, 40), torch.ones(2, 40, 40, dtype=torch.int8)
    for seed in range(8):
        one, two = (augment(np.random.default_rng(seed), image, labels, (32, 32)) for _ in range(2))
        assert torch.equal(one[0], two[0])
        assert torch.equal(one[1], two[1])


def test_every_change_gives_finite_values_and_known_labels() -> None:
    image, labels = torch.randn(1, 48, 48), torch.randint(-1, 3, (1, 48, 48)).to(torch.int8)
    rng = np.random.default_rng(0)
    for _ in range(150):
        found, truth = augment(rng, image, labels, (32, 32))
        assert torch.isfinite(found).all()
        assert set(truth.unique().tolist()) <= {UNKNOWN, 0, 1, 2}


def test_an_empty_patch_stays_a_patch() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        found, _ = augment(rng, torch.zeros(1, 40, 40), torch.zeros(1, 40, 40, dtype=torch.int8), (32, 32))
        assert torch.isfinite(found).all()


def test_a_scale_magnifies() -> None:
    labels = torch.zeros(1, 96, 96, dtype=torch.int8)
    labels[:, 40:56, 40:56] = 1
    sizes = []
    for seed in range(10):
        scale = Scale(least=1.5, most=1.6)
        _, truth = augment(np.random.default_rng(seed), torch.zeros(1, 96, 96), labels, (64, 64), scale)
        sizes.append(int((truth == 1).sum()))
    assert 256 * 1.4**2 < np.median(sizes) < 256 * 1.7**2


def test_the_loss_is_nearly_zero_for_the_truth_and_not_for_its_opposite() -> None:
    truth = torch.tensor([[[0, 1], [2, 0]]])
    right = 20.0 * torch.nn.functional.one_hot(truth, 3).permute(0, 3, 1, 2).float()
    assert segmentation_loss(right, truth).item() < 0.01
    assert segmentation_loss(-right, truth).item() > 1.0


def test_what_is_said_of_an_unknown_voxel_does_not_matter() -> None:
    truth = torch.tensor([[[0, 1], [2, UNKNOWN]]])
    one = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    other = one.clone()
    other[:, :, 1, 1] = torch.tensor([9.0, -9.0, 3.0])
    assert segmentation_loss(one, truth).item() == pytest.approx(segmentation_loss(other, truth).item(), rel=1e-6)


class Thresholds(torch.nn.Module):
    """Says body from 0.5 on and disc from 1.5 on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.cat([-((image - label) ** 2) for label in range(3)], dim=1) + self.weight


@pytest.mark.parametrize("configuration", ["2d", "3d_fullres"])
def test_validation_sees_whole_volumes_of_any_size(configuration: str) -> None:
    labels = np.zeros((5, 37, 50), np.uint8)
    labels[2, 3:9, 4:20], labels[2, 9:12, 4:20] = 1, 2
    seen = labels.astype(np.float16)
    assert validation_dice(Thresholds(), configuration, [Case(image=seen, labels=labels)]) == (1.0, 1.0)
    seen[2, 9:12, 4:12] = 0.0
    bodies, discs = validation_dice(Thresholds(), configuration, [Case(image=seen, labels=labels)])
    assert bodies == 1.0
    assert discs == pytest.approx(2 * 24 / (24 + 48))
