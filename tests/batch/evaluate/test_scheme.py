"""Label schemes: those that come with the node, and a user's own."""

import numpy as np
import pytest

from node.batch.evaluate.scheme import known_schemes, load_scheme
from node.domain.anatomy import StructureKind
from node.errors import InputError, SettingsError

OWN = """
name = "own"
ignore = [9]
class = [
  { name = "cord", values = [1] },
  { name = "C2", values = [2, 12] },
]
mean = [{ name = "all", of = ["*"] }]
"""


def test_three_schemes_come_with_the_node():
    assert known_schemes() == ("cspineseg", "ctspine1k", "spider")


def test_cspineseg_has_bodies_and_discs():
    scheme = load_scheme("cspineseg")

    assert [(one.name, one.values) for one in scheme.classes] == [("vertebrae", (1,)), ("discs", (2,))]
    assert [one.kind for one in scheme.classes] == [StructureKind.VERTEBRAL_BODY, StructureKind.INTERVERTEBRAL_DISC]
    assert scheme.members(scheme.mean[0]) == ("vertebrae", "discs")


def test_ctspine1k_counts_25_vertebrae_from_c1_to_l6():
    scheme = load_scheme("ctspine1k")
    by_value = {one.values[0]: one.name for one in scheme.classes}

    assert len(by_value) == 25
    assert {value: by_value[value] for value in (1, 7, 8, 19, 20, 25)} == {
        1: "C1", 7: "C7", 8: "T1", 19: "T12", 20: "L1", 25: "L6",
    }  # fmt: skip
    assert len(scheme.members(scheme.mean[0])) == len(scheme.members(scheme.union[0])) == 25


def test_spider_takes_a_vertebra_in_part_for_the_vertebra():
    scheme = load_scheme("spider")
    labels = np.array([0, 1, 101, 25, 125, 100, 201, 225], dtype=np.uint16)

    assert scheme.indices(labels, "prediction").tolist() == [0, 1, 1, 25, 25, 26, 27, 51]
    assert [len(scheme.members(one)) for one in scheme.mean] == [25, 25]


def test_a_scheme_of_ones_own_is_read_from_a_file(tmp_path):
    (tmp_path / "own.toml").write_text(OWN)
    scheme = load_scheme(str(tmp_path / "own.toml"))

    assert scheme.indices(np.array([0, 1, 2, 12, 9], dtype=np.uint16), "reference").tolist() == [0, 1, 2, 2, 0]


def test_a_value_that_nobody_knows_is_an_error_and_not_background():
    with pytest.raises(InputError, match="the prediction has values that the scheme cspineseg does not know: 3, 7"):
        load_scheme("cspineseg").indices(np.array([0, 7, 3], dtype=np.uint16), "prediction")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("values = [1] }", "the value 2 stands there twice"),
        ('name = "cord"', "the name 'C2' stands there twice"),
        ('of = ["*"]', r"all: no class is called 'T\*'"),
        ('name = "own"', "colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_scheme_is_refused_with_what_is_wrong(tmp_path, change, complaint):
    to = {
        "values = [1] }": "values = [2] }",
        'name = "cord"': 'name = "C2"',
        'of = ["*"]': 'of = ["T*"]',
        'name = "own"': 'name = "own"\ncolour = 1',
    }[change]
    (tmp_path / "own.toml").write_text(OWN.replace(change, to))

    with pytest.raises(SettingsError, match=complaint):
        load_scheme(str(tmp_path / "own.toml"))


@pytest.mark.parametrize("content", ["name = ", "name = 'a'\n\xff"])
def test_a_file_that_is_no_toml_is_refused(tmp_path, content):
    (tmp_path / "own.toml").write_bytes(content.encode("latin-1"))

    with pytest.raises(SettingsError, match="not TOML"):
        load_scheme(str(tmp_path / "own.toml"))


def test_a_name_that_is_none_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(SettingsError, match="there are cspineseg, ctspine1k, spider"):
        load_scheme("verse")
    with pytest.raises(SettingsError, match="no such file"):
        load_scheme(str(tmp_path / "none.toml"))


def test_a_kind_that_no_class_has_is_an_error():
    assert load_scheme("cspineseg").value_of_kind(StructureKind.INTERVERTEBRAL_DISC) == 2
    with pytest.raises(InputError, match="no class of the kind vertebral_body"):
        load_scheme("ctspine1k").value_of_kind(StructureKind.VERTEBRAL_BODY)
