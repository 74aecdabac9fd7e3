"""Identifiers: what passes, what does not, and the digest of a set."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.identifiers import parse_ae_title, parse_uid, set_digest
from node.errors import InvalidIdentifier


@pytest.mark.parametrize(
    ("text", "uid"),
    [
        ("1.2.840.10008.1.1", "1.2.840.10008.1.1"),
        ("1.2.840.10008.1.1\0", "1.2.840.10008.1.1"),
        (" 1.2 ", "1.2"),
        ("0", "0"),
        ("1.02.3", "1.02.3"),
        ("2." + "9" * 62, "2." + "9" * 62),
    ],
)
def test_a_uid_of_digits_and_dots_passes_without_its_padding(text, uid):
    assert parse_uid(text) == uid


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        ".",
        "1.",
        ".1",
        "1..2",
        "1.2\n",
        "1.2\n1",
        "1 .2",
        "-1.2",
        "1.2a",
        "ZZSECRET^NAME",
        "../../../x",
        "1.2/../3",
        "1.2\\1.3",
        "\u0661.\u0662",
        "1.2.\u00b2",
        "2." + "9" * 63,
    ],
)
def test_anything_else_is_no_uid_and_is_not_echoed(text):
    with pytest.raises(InvalidIdentifier) as caught:
        parse_uid(text)
    assert str(caught.value) == "a UID holds digits and dots only, at most 64 characters (PS3.5 9.1)"


@given(st.text())
def test_whatever_passes_as_a_uid_is_a_safe_name(text):
    try:
        uid = parse_uid(text)
    except InvalidIdentifier:
        return
    assert set(uid) <= set("0123456789.")
    assert ".." not in uid
    assert 1 <= len(uid) <= 64
    assert parse_uid(uid) == uid


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("CSPINE", "CSPINE"),
        (" CSPINE ", "CSPINE"),
        ("A", "A"),
        ("PACS 1", "PACS 1"),
        ("lower_case-1.x", "lower_case-1.x"),
        ("ABCDEFGHIJKLMNOP", "ABCDEFGHIJKLMNOP"),
        ("  ABCDEFGHIJKLMNOP  ", "ABCDEFGHIJKLMNOP"),
    ],
)
def test_an_ae_title_of_1_to_16_printable_characters_passes(text, title):
    assert parse_ae_title(text) == title


@pytest.mark.parametrize("text", ["", "   ", "ABCDEFGHIJKLMNOPQ", "A\\B", "A\tB", "A\n", "ÄE", "A\0", "A\x7f"])
def test_anything_else_is_no_ae_title(text):
    with pytest.raises(InvalidIdentifier, match=r"1 to 16 printable characters and no backslash"):
        parse_ae_title(text)


def test_the_digest_of_a_set_is_sha256_over_its_sorted_lines():
    # printf '1.1 aa\n1.2 bb\n' | sha256sum
    expected = "cbd3148f2d997f4ad168ad92bd38000bb321bc4e4c881e977212077adb875434"
    assert set_digest({"1.2": "bb", "1.1": "aa"}) == expected


DIGESTS = st.integers(0, 2**256 - 1).map("{:064x}".format)
MEMBERS = st.dictionaries(st.integers(0, 2**64).map("1.2.{}".format), DIGESTS, min_size=1, max_size=20)


@given(members=MEMBERS, order=st.randoms())
def test_the_order_of_arrival_does_not_change_the_digest_of_a_set(members, order):
    shuffled = list(members.items())
    order.shuffle(shuffled)
    assert set_digest(dict(shuffled)) == set_digest(members)


@given(members=MEMBERS, other=DIGESTS)
def test_a_missing_or_changed_member_changes_the_digest_of_a_set(members, other):
    uid = next(iter(members))
    without = {key: value for key, value in members.items() if key != uid}
    assert set_digest(without) != set_digest(members)
    assert (set_digest({**members, uid: other}) == set_digest(members)) == (other == members[uid])
