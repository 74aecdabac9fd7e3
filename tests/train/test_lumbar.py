"""Real lumbar slices join the training with their labels the right way round, and some never do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.errors import InputError
from node.train.lumbar import KEPT_APART, TRAINING, LumbarSlices, read_slice
from node.train.pool import UNKNOWN


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Slices of 20 x 20: a disc in rows 5 to 6 between bodies in rows 2 to 4 and 7 to 12, counted from the head."""
    mask = np.zeros((20, 20), np.int64)
    mask[2:5, 6:12], mask[5:7, 6:12], mask[7:13, 6:12] = 2, 1, 2
    for name in ("images", "masks"):
        (tmp_path / "set" / name).mkdir(parents=True)
    for number in (*TRAINING, *KEPT_APART):
        Image.fromarray((mask * 100).astype(np.uint8)).save(tmp_path / "set" / "images" / f"{number}.png")
        np.save(tmp_path / "set" / "masks" / f"{number}.npy", mask)
    return tmp_path


def test_labels_are_swapped_and_rows_grow_to_the_head(folder: Path) -> None:
    picture, labels = read_slice(folder, TRAINING[0])
    column = labels[::-1, 8]
    assert column.tolist() == [0, 0, 1, 1, 1, 2, 2, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]
    assert (picture[labels == 1] == 200.0).all()
    assert (picture[labels == 2] == 100.0).all()


def test_nothing_is_learnt_above_the_first_and_below_the_last_label(folder: Path) -> None:
    (first, *_) = LumbarSlices.training(folder).cases
    assert first.image.shape == first.labels.shape == (1, 26, 26)
    assert abs(float(first.image.mean())) < 0.05
    known = (first.labels != UNKNOWN).all(axis=(0, 2))
    assert (first.labels[0, ~known] == UNKNOWN).all()
    assert np.flatnonzero(known).tolist() == list(range(9, 24))


def test_slices_that_are_kept_apart_are_not_among_those_trained_on() -> None:
    assert len(TRAINING) == 8
    assert len(KEPT_APART) == 7
    assert not {*TRAINING} & {*KEPT_APART}


def test_every_slice_that_is_used_has_both_classes(shared_data: Path) -> None:
    for number in (*TRAINING, *KEPT_APART):
        picture, labels = read_slice(shared_data / "lumbar_labelled", number)
        assert picture.shape == labels.shape == (256, 256)
        bodies, discs = (int((labels == label).sum()) for label in (1, 2))
        assert bodies > 1.5 * discs > 0


@pytest.mark.parametrize("number", [1, 99])
def test_a_folder_without_the_slice_is_refused(tmp_path: Path, number: int) -> None:
    with pytest.raises(InputError, match=f"no labelled slice {number}"):
        read_slice(tmp_path, number)


def test_a_mask_of_another_size_is_refused(folder: Path) -> None:
    np.save(folder / "set" / "masks" / "4.npy", np.zeros((3, 3), np.int64))
    with pytest.raises(InputError, match="differ in size"):
        read_slice(folder, 4)
