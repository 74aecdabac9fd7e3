"""What a viewer gets of a SEG: the labels on the slices, the names and colours, and nothing that lies elsewhere."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import EVERYTHING, KEY, Source, doubtful_neck, whole_neck
from pydicom import dcmread
from pydicom.dataset import Dataset

from node.assemble.volume import lay_out
from node.domain.anatomy import StructureKind, body, colour, disc_below
from node.domain.case import EncodedObject, Order
from node.domain.series import Frame
from node.encode import encode, read_labels
from node.errors import ResultDamaged


@pytest.fixture(scope="module")
def frames(plain_source: Source) -> tuple[Frame, ...]:
    return lay_out(plain_source[0])[0]


@pytest.fixture(scope="module")
def made(plain_source: Source) -> dict[str, EncodedObject]:
    return {one.name: one for one in encode(whole_neck(plain_source), KEY, Order())}


def changed(content: bytes, **elements: Any) -> bytes:
    dataset = dcmread(io.BytesIO(content))
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return written(dataset)


def written(dataset: Dataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["seg.dcm", "seg-labelmap.dcm", "seg-fractional.dcm"])
def test_the_labels_of_every_form_are_those_that_were_found(
    plain_source: Source, frames: tuple[Frame, ...], name: str
) -> None:
    case = whole_neck(plain_source)
    seg = next(one for one in encode(case, KEY, EVERYTHING) if one.name == name)
    assert np.array_equal(read_labels(seg.content, frames).labels, case.findings.labels)


def test_names_and_colours_are_those_of_the_seg(frames: tuple[Frame, ...], made: dict[str, EncodedObject]) -> None:
    segments = read_labels(made["seg.dcm"].content, frames).segments
    assert [(one.number, one.name) for one in segments[:3]] == [
        (1, "C2 vertebral body"),
        (2, "C2/C3 intervertebral disc"),
        (3, "C3 vertebral body"),
    ]
    assert segments[0].colour == (230, 97, 1) == colour(StructureKind.VERTEBRAL_BODY, body("C2"))
    assert segments[1].colour == (5, 113, 176) == colour(StructureKind.INTERVERTEBRAL_DISC, disc_below("C2"))


def test_structures_whose_level_is_unknown_have_a_colour_of_their_own(
    plain_source: Source, frames: tuple[Frame, ...]
) -> None:
    seg = encode(doubtful_neck(plain_source), KEY, Order())[0]
    assert [(one.name, one.colour) for one in read_labels(seg.content, frames).segments[-2:]] == [
        ("Vertebral bodies, level uncertain", (200, 170, 140)),
        ("Intervertebral discs, level uncertain", (140, 170, 200)),
    ]


def test_the_labels_follow_the_slices_that_are_asked_for(
    frames: tuple[Frame, ...], made: dict[str, EncodedObject]
) -> None:
    content = made["seg.dcm"].content
    backward = read_labels(content, frames[::-1]).labels
    assert np.array_equal(backward[::-1], read_labels(content, frames).labels)


def test_a_seg_of_other_images_is_refused(frames: tuple[Frame, ...], made: dict[str, EncodedObject]) -> None:
    others = [replace(frame, sop_instance_uid=f"1.2.3.{number}") for number, frame in enumerate(frames)]
    with pytest.raises(ResultDamaged, match="refers to no slice of the source"):
        read_labels(made["seg.dcm"].content, others)


@pytest.mark.parametrize(
    "moved",
    [
        {"position_lps_mm": (0.0, 0.0, 0.0)},
        {"row_cosines": (0.0, -1.0, 0.0)},
        {"pixel_spacing_mm": (1.0, 1.01)},
    ],
    ids=["position", "orientation", "spacing"],
)
def test_a_seg_that_lies_elsewhere_than_its_images_is_refused(
    frames: tuple[Frame, ...], made: dict[str, EncodedObject], moved: dict[str, Any]
) -> None:
    with pytest.raises(ResultDamaged, match="does not lie where its images lie"):
        read_labels(made["seg.dcm"].content, [replace(frame, **moved) for frame in frames])


def test_a_seg_of_another_size_is_refused(frames: tuple[Frame, ...], made: dict[str, EncodedObject]) -> None:
    with pytest.raises(ResultDamaged, match="another size"):
        read_labels(changed(made["seg.dcm"].content, Rows=44, Columns=64), frames)


@pytest.mark.parametrize("content", [b"", b"\0" * 400], ids=["empty", "zeros"])
def test_bytes_that_are_no_seg_are_refused(frames: tuple[Frame, ...], content: bytes) -> None:
    with pytest.raises(ResultDamaged, match="cannot be read"):
        read_labels(content, frames)


def test_a_report_is_no_seg(frames: tuple[Frame, ...], made: dict[str, EncodedObject]) -> None:
    with pytest.raises(ResultDamaged, match="cannot be read"):
        read_labels(made["sr.dcm"].content, frames)
