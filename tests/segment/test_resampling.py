"""The resampling operators, against nnU-Net's own function."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

from node.segment.nnunet.resampling import Way, interpolate, line, pick, resize, way

KEYWORDS: dict[str, Any] = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
LINEAR = {**KEYWORDS, "order": 1}

#: spacing and shape of the image, spacing and shape of the network's grid
GRIDS = [
    pytest.param((3.3, 0.43, 0.43), (5, 64, 60), (3.3, 0.8, 0.8), (5, 34, 32), id="2d, smaller pixels"),
    pytest.param((3.3, 0.43, 0.43), (15, 64, 60), (3.75, 0.8, 0.8), (13, 34, 32), id="anisotropic, fewer slices"),
    pytest.param((4.0, 0.9, 0.9), (9, 30, 41), (3.3, 0.43, 0.43), (11, 63, 86), id="anisotropic, more slices"),
    pytest.param((1.0, 0.8, 0.8), (12, 30, 32), (0.9, 0.7, 0.7), (13, 34, 37), id="isotropic: all axes alike"),
    pytest.param((0.7, 3.3, 0.7), (30, 9, 20), (0.8, 4.0, 0.8), (26, 7, 18), id="thick along the rows' axis"),
    pytest.param((0.7, 0.7, 3.3), (30, 20, 9), (0.8, 0.8, 4.0), (26, 18, 7), id="thick along the columns"),
    pytest.param((3.3, 0.5, 0.5), (4, 20, 20), (3.3, 0.5, 0.5), (4, 20, 20), id="nothing to do"),
]


def resized(image: np.ndarray, shape: tuple[int, ...], how: Way) -> np.ndarray:
    within = [*shape]
    if how.through is not None:
        within[how.through] = image.shape[how.through]
    planes = resize(torch.from_numpy(image), within, how)
    return (planes if how.through is None else pick(planes, shape[how.through], how.through)).numpy()


@pytest.mark.parametrize(("spacing", "shape", "wanted_spacing", "wanted"), GRIDS)
def test_an_image_comes_out_bit_for_bit(spacing, shape, wanted_spacing, wanted) -> None:
    image = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    official = resample_data_or_seg_to_shape(image[None], wanted, spacing, wanted_spacing, **KEYWORDS)[0]
    how = way(spacing, wanted_spacing, KEYWORDS)
    assert how is not None
    assert np.abs(resized(image, wanted, how) - official).max() <= np.spacing(np.float32(4))


@pytest.mark.parametrize(("spacing", "shape", "wanted_spacing", "wanted"), GRIDS)
def test_logits_come_back_but_for_single_ties_of_rounding(spacing, shape, wanted_spacing, wanted) -> None:
    logits = (np.random.default_rng(2).normal(size=(3, *wanted)) * 5).astype(np.float16)
    official = resample_data_or_seg_to_shape(logits, shape, wanted_spacing, spacing, **LINEAR)
    how = way(wanted_spacing, spacing, LINEAR)
    assert how is not None
    lines = [
        line(small, large, 0 if axis == how.through else 1)
        for axis, (small, large) in enumerate(zip(wanted, shape, strict=True))
    ]
    found = interpolate(torch.from_numpy(logits), lines).numpy()
    assert found.dtype == official.dtype == np.float16
    assert np.count_nonzero(found != official) <= found.size // 1000
    assert np.abs(found.astype(float) - official).max() <= 2**-6


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 70), st.integers(2, 70), st.sampled_from([1, 3]))
def test_every_pair_of_sizes_gives_what_nnu_net_gives(size: int, wanted: int, order: int) -> None:
    image = np.random.default_rng(size).normal(size=(2, size, 11)).astype(np.float32)
    keywords = {**KEYWORDS, "order": order}
    official = resample_data_or_seg_to_shape(image[None], (2, wanted, 11), (9, 1, 1), (9, size / wanted, 1), **keywords)
    how = way((9, 1, 1), (9, size / wanted, 1), keywords)
    if how is not None and how.through == 0:
        assert np.allclose(resized(image, (2, wanted, 11), how), official[0], atol=1e-6)
    else:
        assert how == Way(order=order, through=None)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 90), st.integers(2, 90))
def test_nearest_slices_are_those_that_nnu_net_picks(size: int, wanted: int) -> None:
    image = np.arange(size, dtype=np.float32)[:, None, None] * np.ones((1, 3, 3), np.float32)
    spacing, other = (9.0, 1.0, 1.0), (9.0 * size / wanted, 1.0, 1.0)
    official = resample_data_or_seg_to_shape(
        image[None], (wanted, 3, 3), spacing, other, **{**KEYWORDS, "force_separate_z": None}
    )
    if (how := way(spacing, other, KEYWORDS)) is not None and how.through == 0:
        assert np.array_equal(pick(torch.from_numpy(image), wanted, 0).numpy(), official[0])


def test_a_picture_is_clipped_to_its_own_range() -> None:
    """A cubic spline overshoots at an edge; skimage takes that back, slice by slice."""
    image = np.zeros((2, 20, 20), np.float32)
    image[0, 10:] = 1
    image[1, 10:] = 5
    found = resized(image, (2, 33, 20), Way(order=3, through=0))
    assert (found[0].min(), found[0].max(), found[1].min(), found[1].max()) == (0, 1, 0, 5)


@pytest.mark.parametrize(
    "keywords", [{**KEYWORDS, "is_seg": True}, {**KEYWORDS, "order_z": 1}], ids=["segmentation", "linear across slices"]
)
def test_what_has_no_operator_is_said_so(keywords: dict[str, Any]) -> None:
    assert way((4, 1, 1), (3, 1, 1), keywords) is None


def test_the_reach_of_a_line_covers_every_output_that_an_active_input_touches() -> None:
    along = line(10, 25, 1)
    active = np.zeros(10, bool)
    active[4] = True
    start, stop = along.reach(active)
    touched = np.flatnonzero([(low == 4) or (high == 4) for low, high in zip(along.low, along.high, strict=True)])
    assert (start, stop) == (touched[0], touched[-1] + 1)
    assert along.reach(np.zeros(10, bool)) == (0, 0)
