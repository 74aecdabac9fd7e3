"""Labels mean what their names say, or what the importer says."""

import pytest

from node.domain.anatomy import StructureKind
from node.errors import ModelRefused
from node.segment.models.labels import meanings

BODY, DISC = StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC


def test_the_names_of_cspineseg_are_known_as_they_are_spelt() -> None:
    assert meanings({"background": 0, "vertebrae": 1, "inter-vetebral disc": 2}) == {1: BODY, 2: DISC}


@pytest.mark.parametrize(
    ("body", "disc"),
    [
        ("Vertebral Body", "Intervertebral Disc"),
        ("vertebral_body", "intervertebral_disc"),
        ("vertebral-bodies", "inter-vertebral discs"),
        ("VERTEBRA", "IVD"),
        ("body", "disc"),
        ("vertebra", "disk"),
        ("vertebrae", "Intervertebral_Disks"),
    ],
)
def test_usual_spellings_are_known(body: str, disc: str) -> None:
    assert meanings({"background": 0, disc: 1, body: 2}) == {1: DISC, 2: BODY}


def test_background_and_ignore_mean_nothing() -> None:
    assert meanings({"background": 0, "disc": 1, "ignore": 2}) == {1: DISC}


def test_an_unknown_label_is_refused_with_what_may_be_said() -> None:
    with pytest.raises(ModelRefused, match=r"label 3 is 'spinal cord'.*--label 3=vertebral_body"):
        meanings({"background": 0, "vertebrae": 1, "disc": 2, "spinal cord": 3})


def test_what_the_importer_says_goes_before_the_name() -> None:
    assert meanings({"background": 0, "C": 1, "disc": 2}, {1: DISC, 2: BODY}) == {1: DISC, 2: BODY}


def test_a_label_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(ModelRefused, match="--label 3: the model has no such label"):
        meanings({"background": 0, "disc": 1}, {3: BODY})


def test_two_labels_of_one_meaning_are_refused() -> None:
    with pytest.raises(ModelRefused, match="another label means intervertebral_disc"):
        meanings({"background": 0, "disc": 1, "disk": 2})


def test_a_name_that_goes_on_for_ever_is_cut() -> None:
    with pytest.raises(ModelRefused) as caught:
        meanings({"background": 0, "x" * 10_000 + "\n": 1})
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
