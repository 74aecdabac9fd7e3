"""Wherever a series lies in the patient, its results lie there too: read by software that shares nothing with ours.

Blobs are put at places in mm that follow from the header by the standard's equation; what highdicom and dcmqi read from
the SEG must be these places, all of them and no other.
"""

import subprocess
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
from cases import KEY, case_of, series_of
from geometry import Layout, right_angled, tilted, write
from peers import program

from node.domain.anatomy import body, disc_below
from node.domain.case import EncodedObject, Order, SegmentationForm, Wanted
from node.encode.encoding import encode

LEVELS = (body("C5"), disc_below("C5"), body("C6"))

SAGITTAL = ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0))


def turned(name: str, degrees: tuple[float, float, float], **parts: object) -> Layout:
    row, column = tilted(*SAGITTAL, degrees)
    return Layout(name=name, row=row, column=column, **parts)


MATRIX = [
    *(
        Layout(name=f"right-angled {number}", row=row, column=column, multi_frame=number % 2 == 0)
        for number, (row, column) in enumerate(right_angled())
    ),
    *(
        Layout(name=f"backwards {number}", row=row, column=column, backwards=True, multi_frame=number % 2 == 1)
        for number, (row, column) in enumerate(right_angled())
    ),
    turned("tilted about x", (20, 0, 0)),
    turned("tilted about y", (0, -20, 0)),
    turned("tilted about z", (0, 0, 20)),
    turned("tilted about all", (-11, 13, -20)),
    turned("tilted, backwards", (7.5, -12, 20), backwards=True),
    turned("tilted, multi-frame", (-20, 8, 12), multi_frame=True),
    turned("tilted, multi-frame, backwards", (20, 19, -18), multi_frame=True, backwards=True),
    *(Layout(name=f"{columns} columns", shape=(12, 24, columns)) for columns in (17, 33, 86, 90, 255)),
    Layout(name="86 columns, multi-frame", shape=(13, 45, 86), multi_frame=True),
    Layout(name="256 pixels", shape=(12, 256, 256)),
    Layout(name="320 x 260 pixels", shape=(15, 320, 260), spacing_mm=(0.6875, 0.6875)),
    Layout(name="512 pixels, multi-frame", shape=(15, 512, 512), multi_frame=True, spacing_mm=(0.4883, 0.4883)),
    Layout(name="60 slices", shape=(60, 64, 50), step_mm=0.9),
    Layout(name="60 slices, multi-frame, backwards", shape=(60, 64, 50), multi_frame=True, backwards=True),
    turned("768 pixels, 60 slices", (3, 5, -8), shape=(60, 768, 768), spacing_mm=(0.3125, 0.3125), step_mm=0.8),
]


def blobs(layout: Layout) -> dict[int, np.ndarray]:
    """Return `(instance, row, column)` indices of three crooked blobs without any symmetry."""
    slices, rows, columns = layout.shape
    third = rows // 4
    found = {}
    for number in (1, 2, 3):
        top, left, first = third * number, columns // 5 + number, slices // 5 + number
        box = np.argwhere(np.ones((4 + number, 5, 6)))
        kept = box[(box[:, 0] + 2 * box[:, 1] + 3 * box[:, 2]) % 7 < 4 + (box[:, 2] > 2)]
        found[number] = np.concatenate([kept + np.array([first, top, left]), [[0, top, columns - 1]]])
    return found


def encoded(layout: Layout, folder: Path) -> tuple[dict[int, np.ndarray], dict[str, EncodedObject]]:
    """Return the true places in mm by segment, and the objects by name."""
    places = {number: layout.places(index) for number, index in blobs(layout).items()}
    source = series_of(write(layout, folder))
    grid = source[1].grid
    labels = np.zeros(grid.shape, dtype=np.uint16)
    to_index = np.linalg.inv(grid.affine)
    for number, points in places.items():
        index = points @ to_index[:3, :3].T + to_index[:3, 3]
        assert np.abs(index - np.rint(index)).max() < 1e-2
        labels[tuple(np.rint(index).astype(int).T)] = number
    wanted = frozenset({Wanted(), Wanted(segmentation=SegmentationForm.LABELMAP)})
    made = encode(case_of(source, LEVELS, labels=labels), KEY, Order(wanted=wanted))
    return places, {one.name: one for one in made}


def same_places(read: dict[int, np.ndarray], places: dict[int, np.ndarray]) -> bool:
    """Whether both hold the same points, within a hundredth of a mm."""
    if read.keys() != places.keys():
        return False
    return all(
        len(read[number]) == len(points) and np.abs(_sorted(read[number]) - _sorted(points)).max() < 0.01
        for number, points in places.items()
    )


def _sorted(points: np.ndarray) -> np.ndarray:
    """Return the points in an order that rounding does not change: by an odd mixture of their coordinates."""
    return points[np.argsort(points @ (1.0, 0.31830989, 0.11316847))]


def by_highdicom(content: bytes, folder: Path) -> dict[int, np.ndarray]:
    (folder / "read.dcm").write_bytes(content)
    volume = hd.seg.segread(folder / "read.dcm").get_volume(combine_segments=True)
    index = np.argwhere(volume.array > 0)
    values = volume.array[tuple(index.T)]
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return {int(number): points[values == number] for number in np.unique(values)}


def by_dcmqi(content: bytes, folder: Path) -> dict[int, np.ndarray]:
    converter = program("segimage2itkimage")
    assert converter is not None
    (folder / "read.dcm").write_bytes(content)
    command = [converter, "--inputDICOM", folder / "read.dcm", "--outputDirectory", folder, "--outputType", "nii"]
    subprocess.run([*command, "--mergeSegments"], check=True, capture_output=True)
    image = nib.load(next(folder.glob("*.nii.gz")))
    data = np.asarray(image.dataobj)
    index = np.argwhere(data > 0)
    values = data[tuple(index.T)]
    points = nib.affines.apply_affine(image.affine, index) * (-1.0, -1.0, 1.0)
    return {int(number): points[values == number] for number in np.unique(values)}


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize("layout", MATRIX, ids=lambda layout: layout.name)
def test_every_voxel_is_read_where_it_was_put(layout: Layout, tmp_path: Path) -> None:
    places, objects = encoded(layout, tmp_path / "source")
    assert same_places(by_highdicom(objects["seg.dcm"].content, tmp_path), places)
    assert same_places(by_highdicom(objects["seg-labelmap.dcm"].content, tmp_path), places)
    assert same_places(by_dcmqi(objects["seg.dcm"].content, tmp_path), places)


@pytest.mark.peer("dcmqi")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_blobs_that_lie_mirrored_would_be_noticed(axis: int, tmp_path: Path) -> None:
    """The control: the same blobs, mirrored in one axis about their middle, are other places."""
    places, objects = encoded(turned("mirrored", (4, -9, 15)), tmp_path / "source")
    middle = np.concatenate(list(places.values())).mean(axis=0)
    flip = np.where(np.arange(3) == axis, -1.0, 1.0)
    mirrored = {number: (points - middle) * flip + middle for number, points in places.items()}
    assert not same_places(by_highdicom(objects["seg.dcm"].content, tmp_path), mirrored)
    assert not same_places(by_dcmqi(objects["seg.dcm"].content, tmp_path), mirrored)


def test_the_matrix_holds_what_it_promises() -> None:
    assert len(right_angled()) == 24
    assert {layout.multi_frame for layout in MATRIX} == {layout.backwards for layout in MATRIX} == {True, False}
    assert {layout.shape[2] % 8 for layout in MATRIX} >= {0, 1, 2, 4, 5, 6, 7}
    assert (min(layout.shape[0] for layout in MATRIX), max(layout.shape[0] for layout in MATRIX)) == (12, 60)
    assert {256, 512, 768} <= {layout.shape[1] for layout in MATRIX}
