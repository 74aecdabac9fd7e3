"""`docs/conformance.md` says what the code does: its tables against objects, codes and tests."""

import ast
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from cases import EVERYTHING, KEY, whole_neck
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from dicom_sr import codes
from node.encode.encoding import encode

ROOT = Path(__file__).parents[2]
STATEMENT = (ROOT / "docs" / "conformance.md").read_text()

FORMS = {"B": "seg.dcm", "L": "seg-labelmap.dcm", "F": "seg-fractional.dcm", "R": "sr.dcm", "K": "key-1.dcm"}


def rows(text: str, heading: str) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the table under the header row that begins with `heading`."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            break
    next(lines)
    for line in lines:
        if not line.startswith("|"):
            return
        yield tuple(cell.strip() for cell in line.strip("|").split("|"))


@pytest.fixture(scope="module")
def made(plain_source: Any) -> Mapping[str, Dataset]:
    return {
        one.name: pydicom.dcmread(BytesIO(one.content)) for one in encode(whole_neck(plain_source), KEY, EVERYTHING)
    }


def named_tests() -> list[tuple[str, str]]:
    return re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", STATEMENT)


def test_every_test_that_is_named_exists() -> None:
    named = named_tests()
    assert len(named) > 20
    absent = [f"{path}::{name}" for path, name in named if name not in functions(ROOT / path)]
    assert absent == []


def functions(path: Path) -> set[str]:
    """Return the names of the functions of a file, none where there is no file."""
    if not path.exists():
        return set()
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_a_test_that_does_not_exist_would_be_noticed() -> None:
    assert "test_every_test_that_is_named_exists" in functions(Path(__file__))
    assert "test_of_nothing" not in functions(Path(__file__))
    assert functions(ROOT / "tests" / "encode" / "test_that_is_no_file.py") == set()


def test_every_requirement_says_whether_it_is_met_and_by_which_test() -> None:
    requirements = list(rows(STATEMENT, "requirement"))
    assert len(requirements) == 23
    for _, state, shown in requirements:
        assert re.match(r"met\b|not met\b|not made\b", state)
        assert "::test_" in shown or not state.startswith("met")


def test_the_private_codes_are_those_of_the_code_with_their_definitions() -> None:
    written = list(rows(STATEMENT.partition("### 7.2 Private codes")[2], "value"))
    assert written == [(code.value, code.meaning, definition) for code, definition in codes.PRIVATE.items()]
    assert f"`{codes.PRIVATE_SCHEME}`" in STATEMENT


def test_every_private_code_that_the_text_names_is_defined() -> None:
    defined = {code.value for code in codes.PRIVATE}
    assert set(re.findall(r"(?<!,)\b[MPQA]0\d\d\b", STATEMENT)) == defined


def test_every_attribute_of_the_objects_is_listed_where_it_is(made: Mapping[str, Dataset]) -> None:
    listed = {keyword: (tag, set(forms.split()), value) for keyword, tag, forms, value in rows(STATEMENT, "attribute")}
    for form, name in FORMS.items():
        present = {element.keyword for element in made[name]}
        assert present <= {keyword for keyword, (_, forms, _) in listed.items() if form in forms}
        always = {
            keyword for keyword, (_, forms, value) in listed.items() if form in forms and not value.startswith("where")
        }
        assert always <= present
    assert {keyword: tag for keyword, (tag, _, _) in listed.items()} == {
        keyword: str(Tag(keyword)) for keyword in listed
    }


def test_every_object_has_the_series_number_and_the_class_that_are_stated(made: Mapping[str, Dataset]) -> None:
    stated = {file.split("`")[1]: number for _, _, number, file in rows(STATEMENT, "object")}
    assert {name: str(made[name].SeriesNumber) for name, number in stated.items() if number.isdigit()} == {
        name: number for name, number in stated.items() if number.isdigit()
    }
    ranges = {number for number in stated.values() if not number.isdigit()}
    assert ranges == {"9008 to 9010", "9011 to 9013"}
    services = {
        Verification,
        StorageCommitmentPushModel,
        StudyRootQueryRetrieveInformationModelFind,
        StudyRootQueryRetrieveInformationModelGet,
        StudyRootQueryRetrieveInformationModelMove,
    }
    sent = {uid for _, uid, user, _ in rows(STATEMENT, "SOP Class") if user.startswith("yes")}
    assert sent == {str(one.SOPClassUID) for one in made.values()} | services


def test_every_object_is_in_the_transfer_syntax_that_is_stated(made: Mapping[str, Dataset]) -> None:
    [labelmap, others, _] = [uid for *_, uid in rows(STATEMENT.partition("#### 3.2.2")[2], "SOP Class")]
    for name, one in made.items():
        assert one.file_meta.TransferSyntaxUID == (labelmap if name == "seg-labelmap.dcm" else others)


def test_every_template_that_is_written_is_stated(made: Mapping[str, Dataset]) -> None:
    stated = {
        number for template, _ in rows(STATEMENT, "template") for number in re.findall(r"\d{4}|\b300\b", template)
    }
    assert {"1500", "1600", "1411", "1501"} == set(templates(made["sr.dcm"])) <= stated


def templates(tree: Dataset) -> Iterator[str]:
    """Yield the template of each container below and including `tree` that names one."""
    yield from (str(item.TemplateIdentifier) for item in tree.get("ContentTemplateSequence", ()))
    for item in tree.get("ContentSequence", ()):
        yield from templates(item)
