"""Every word of the node has a code."""

import pytest

from dicom_sr import Code
from node.domain.findings import Doubt, Presence, Quantity, Verdict
from node.encode.concepts import DOUBTS, PRESENCES, QUANTITIES, VERDICTS


@pytest.mark.parametrize(
    ("words", "table"), [(Quantity, QUANTITIES), (Verdict, VERDICTS), (Doubt, DOUBTS), (Presence, PRESENCES)]
)
def test_every_word_has_a_code_of_its_own(words: type, table: dict[object, object]) -> None:
    assert set(table) == set(words)
    assert len({str(code) for code in table.values()}) == len(table)


@pytest.mark.parametrize("quantity", Quantity)
def test_a_quantity_is_written_in_its_own_unit(quantity: Quantity) -> None:
    assert QUANTITIES[quantity].unit.value == quantity.unit


def test_each_answer_means_what_its_word_says() -> None:
    meanings = {word.value: code.meaning for table in (VERDICTS, DOUBTS, PRESENCES) for word, code in table.items()}
    assert all(isinstance(code, Code) for table in (VERDICTS, DOUBTS, PRESENCES) for code in table.values())
    assert {word: meaning for word, meaning in meanings.items() if meaning.lower().replace(" ", "-") != word} == {
        "not in the field of view": "Not in field of view"
    }
