"""Pictures of cases: the right slices, both outlines, the same bytes."""

import io

import numpy as np
import pytest
from PIL import Image

from node.batch.report.pictures import View, case_picture
from node.domain.geometry import Grid, turn

ORANGE, BLUE = (240, 160, 0), (86, 200, 255)


def view(*, image: bool = True, orientation: str | None = None) -> View:
    """Return a case of 7 slices, in the middle right, on slice 5 off by five rows, and slices 0 and 6 empty."""
    reference = np.zeros((7, 60, 40), dtype=np.uint8)
    reference[1:6, 20:30, 10:25], reference[1:6, 31:35, 10:25] = 1, 2
    prediction = reference.copy()
    prediction[4] = np.roll(reference[4], 5, axis=0)
    grid = Grid(shape=(7, 60, 40), affine=np.array([[4.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]]))
    grey = np.broadcast_to(np.arange(60, dtype=np.int16)[:, None], (7, 60, 40))
    if orientation:
        prediction, turned = turn(prediction, grid, orientation)
        reference, _ = turn(reference, grid, orientation)
        grey, _ = turn(grey, grid, orientation)
        grid = turned
    return View(grid=grid, image=grey if image else None, prediction=prediction, reference=reference)


def colours(png: bytes) -> set[tuple[int, int, int]]:
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    return {colour for _, colour in picture.getcolors(1 << 24)}


def near(wanted: tuple[int, int, int], there: set[tuple[int, int, int]]) -> bool:
    return any(max(abs(a - b) for a, b in zip(wanted, colour, strict=True)) <= 12 for colour in there)


def test_the_middle_slice_and_the_one_that_differs_most_are_shown():
    picture = case_picture(view())
    assert (picture.middle, picture.worst, picture.count) == (4, 5, 7)


def test_both_outlines_are_drawn_in_their_colours():
    there = colours(case_picture(view()).png)
    assert near(ORANGE, there)
    assert near(BLUE, there)


def test_the_same_view_gives_the_same_bytes():
    assert case_picture(view()).png == case_picture(view()).png


@pytest.mark.parametrize("orientation", ["PSR", "RAS", "SAL"])
def test_the_picture_does_not_depend_on_how_the_array_lies(orientation):
    turned = case_picture(view(orientation=orientation))
    assert (turned.middle, turned.worst) == (4, 5)
    assert turned.png == case_picture(view()).png


def test_without_an_image_outlines_stand_on_black():
    picture = Image.open(io.BytesIO(case_picture(view(image=False)).png)).convert("RGB")
    assert picture.getpixel((picture.width // 2 - 3, picture.height - 3)) == (0, 0, 0)
    assert near(ORANGE, colours(case_picture(view(image=False)).png))


def test_empty_masks_and_a_single_slice_still_make_a_picture():
    grid = Grid(shape=(1, 20, 20), affine=np.diag([4.0, 1.0, 1.0, 1.0]))
    nothing = np.zeros((1, 20, 20), dtype=np.uint8)
    picture = case_picture(View(grid=grid, image=nothing, prediction=nothing, reference=nothing))
    assert (picture.middle, picture.worst, picture.count) == (1, 1, 1)
