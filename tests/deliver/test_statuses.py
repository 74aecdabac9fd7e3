"""The table of C-STORE statuses (PS3.4 B.2.3, PS3.7 C)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.deliver.statuses import Meaning, error_of, meaning_of, note_of


@pytest.mark.parametrize(
    ("status", "meaning", "code", "retryable"),
    [
        (0x0000, "taken", None, None),
        (0x0001, "warning", None, None),
        (0x0107, "warning", None, None),
        (0x0110, "failed", "store-failed", True),
        (0x0111, "duplicate", None, None),
        (0x0112, "failed", "store-failed", True),
        (0x0116, "warning", None, None),
        (0x0117, "refused", "store-refused", False),
        (0x0122, "refused", "store-refused", False),
        (0x0124, "misconfigured", "destination-misconfigured", True),
        (0x0210, "failed", "store-failed", True),
        (0x0213, "failed", "store-failed", True),
        (0xA6FF, "failed", "store-failed", True),
        (0xA700, "out of resources", "out-of-resources", True),
        (0xA7FF, "out of resources", "out-of-resources", True),
        (0xA800, "failed", "store-failed", True),
        (0xA900, "refused", "store-refused", False),
        (0xA9FF, "refused", "store-refused", False),
        (0xB000, "warning", None, None),
        (0xB006, "warning", None, None),
        (0xB007, "warning", None, None),
        (0xBFFF, "warning", None, None),
        (0xC000, "cannot understand", "cannot-understand", True),
        (0xC122, "refused", "store-refused", False),
        (0xCFFF, "cannot understand", "cannot-understand", True),
        (0xFE00, "failed", "store-failed", True),
        (0xFF00, "failed", "store-failed", True),
    ],
)
def test_a_status_means(status, meaning, code, retryable):
    error = error_of(status, "PACS")
    assert meaning_of(status)[0].value == meaning
    assert (error.code, error.retryable) == (code, retryable) if code else error is None


@pytest.mark.parametrize(
    ("status", "note"),
    [
        (0x0000, None),
        (0xB000, "warning 0xB000"),
        (0x0107, "warning 0x0107: attribute list error"),
        (0x0111, "0x0111: the destination had this object already"),
        (0xA700, None),
    ],
)
def test_what_is_noted_of_a_status(status, note):
    assert note_of(status) == note


@given(st.integers(0, 0xFFFF))
def test_every_status_is_either_taken_or_an_error_and_only_these_are_taken(status):
    taken = meaning_of(status)[0] in {Meaning.TAKEN, Meaning.WARNING, Meaning.DUPLICATE}
    assert taken is (error_of(status, "PACS") is None)
    assert taken is (status in {0x0000, 0x0001, 0x0107, 0x0111, 0x0116} or 0xB000 <= status <= 0xBFFF)
