import re

import pytest
from pydicom.sr import codes as dictionary
from pydicom.sr._concepts_dict import concepts

from dicom_sr import Code, codes, derive_uid

#: Codes that pydicom's dictionary does not list, or under another meaning; each with where it is from.
OUTSIDE = {
    "VERTEBRAL_BODY": "see the code",
    "INTERVERTEBRAL_DISC": "see the code",
    "ENGLISH": "RFC 5646, as TID 1204 asks",
    "QUALITATIVE_EVALUATIONS": "TID 1500",
    "SOURCE": "TID 1601; the dictionary has the fully specified name",
    "SUM_OF_SEGMENTED_VOXEL_VOLUMES": "CID 7474; the dictionary has the words of annex D",
}

CONSTANTS = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}
PUBLIC = {name: code for name, code in CONSTANTS.items() if code.scheme_designator != "99CSPINE"}


def of_context_group(number: int) -> set[tuple[str, str, str]]:
    found = getattr(dictionary, f"cid{number}").concepts.values()
    return {(code.value, code.scheme_designator, code.meaning) for code in found}


def plain(codes_by_level: dict[str, Code]) -> set[tuple[str, str, str]]:
    return {(code.value, code.scheme_designator, code.meaning) for code in codes_by_level.values()}


def test_vertebrae_are_those_of_context_group_7603() -> None:
    assert plain(dict(codes.VERTEBRAE)) == of_context_group(7603)
    assert all(code.meaning == f"{level} vertebra" for level, code in codes.VERTEBRAE.items())
    assert codes.VERTEBRAE["C7"].value == "87391001"


def test_discs_are_those_of_context_group_7604() -> None:
    assert plain(dict(codes.DISCS)) == of_context_group(7604)
    assert list(codes.DISCS)[:6] == ["C2/C3", "C3/C4", "C4/C5", "C5/C6", "C6/C7", "C7/T1"]
    assert codes.DISCS["C5/C6"].value == "73959003"


def test_levels_of_discs_are_those_of_context_group_1003() -> None:
    levels = {code for code in of_context_group(1003) if code[2].startswith("Level of")}
    assert plain(dict(codes.DISC_LEVELS)) == levels
    assert list(codes.DISC_LEVELS) == list(codes.DISCS)


@pytest.mark.parametrize("name", sorted(PUBLIC.keys() - OUTSIDE.keys()))
def test_a_public_code_has_a_meaning_that_the_dictionary_gives_it(name: str) -> None:
    code = PUBLIC[name]
    listed = [entry for entries in concepts[code.scheme_designator].values() for entry in entries.items()]
    meanings = {meaning.casefold() for value, (meaning, _) in listed if value == code.value}
    assert code.meaning.casefold() in meanings


def test_every_private_code_is_in_the_table_with_a_definition() -> None:
    private = {code for code in CONSTANTS.values() if code.scheme_designator == "99CSPINE"}
    assert private == set(codes.PRIVATE)
    assert all(definition.endswith(".") for definition in codes.PRIVATE.values())
    assert all(re.fullmatch(r"[MPQA]\d{3}", code.value) for code in private)
    assert all(len(code.meaning) <= 64 for code in private)
    assert len({code.value for code in private}) == len({code.meaning for code in private}) == len(private)


def test_a_private_code_keeps_its_value() -> None:
    assert (codes.DISC_HEIGHT_INDEX.value, codes.VERTEBRAL_SLIP.value) == ("M001", "M003")
    assert (codes.QUALITY_VERDICT.value, codes.REJECT.value, codes.SPECKS.value) == ("Q001", "A003", "A021")


def test_the_private_scheme_has_a_uid_of_its_own_and_fma_the_registered_one() -> None:
    assert codes.CODING_SCHEMES["99CSPINE"].uid == derive_uid("coding scheme", "99CSPINE")
    assert codes.CODING_SCHEMES["FMA"].uid == "2.16.840.1.113883.6.119"
