"""The walk over encoded data sets: it agrees with pydicom, or gives up."""

import io
import itertools

import pytest
from fakes import mr_image
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import dsutils

from node.receive.elements import Unusual, Walk
from node.receive.headers import read_identity


def walk(encoded: bytes, *, implicit: bool = False) -> Walk:
    return Walk(lambda offset, size: encoded[offset : offset + size], implicit=implicit)


def nested(depth: int, *, undefined: bool) -> Dataset:
    ds = Dataset()
    ds.CodeMeaning = "x"
    for _ in range(depth):
        outer = Dataset()
        outer.ReferencedSeriesSequence = Sequence([ds, Dataset()])
        outer["ReferencedSeriesSequence"].is_undefined_length = undefined
        ds.is_undefined_length_sequence_item = undefined
        ds = outer
    return ds


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize(("undefined", "depth"), list(itertools.product([True, False], [0, 1, 5, 16])))
def test_sequences_are_walked_over_whatever_their_lengths(implicit, undefined, depth):
    ds = nested(depth, undefined=undefined)
    ds.SeriesInstanceUID = "1.2"
    encoded = dsutils.encode(ds, implicit, True)
    tags = [element.tag for element in walk(encoded, implicit=implicit).elements(0)]
    assert tags == [int(element.tag) for element in ds]


@pytest.mark.parametrize("undefined", [True, False])
def test_the_items_of_a_sequence_are_yielded_with_their_elements(undefined):
    ds = Dataset()
    items = [Dataset(), Dataset(), Dataset()]
    items[0].ReferencedSOPInstanceUID, items[2].ReferencedSOPInstanceUID = "1.2", "1.3"
    for item in items:
        item.is_undefined_length_sequence_item = undefined
    ds.ReferencedSOPSequence = Sequence(items)
    ds["ReferencedSOPSequence"].is_undefined_length = undefined
    found = walk(dsutils.encode(ds, True, True), implicit=True)
    (sequence,) = found.elements(0)
    assert [[element.tag for element in item] for item in found.items(sequence)] == [[0x00081155], [], [0x00081155]]


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x08\x00\x18\x00UI",
        b"\x08\x00\x18\x00UI\x04\x001.2",
        b"\x08\x00\x18\x00xx\x04\x001.2\0",
        b"\x08\x00\x18\x00UI\x00\x00\x08\x00\x16\x00UI\x00\x00",
        b"\xfe\xff\x00\xe0\0\0\0\0",
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff",
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\x08\x00\x16\x00UI\x00\x00",
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff"
        + b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" * 17,
        b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0",
        b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\0\0\0\0" * 210_000,
    ],
    ids=["cut", "cut value", "no vr", "descending", "item", "endless", "no item", "deep", "fragments", "many items"],
)
def test_what_is_damaged_or_strange_is_given_up(encoded):
    with pytest.raises(Unusual):
        list(walk(encoded).elements(0))


UIDS = st.from_regex(r"[1-9][0-9]{0,4}(\.[1-9][0-9]{0,5}){1,6}", fullmatch=True)
NESTED = st.builds(nested, st.integers(0, 6), undefined=st.booleans())
SYNTAXES = st.sampled_from([ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])


@given(UIDS, UIDS, SYNTAXES, st.booleans(), NESTED, st.integers(0, 200_000))
@settings(deadline=None, max_examples=60)
def test_the_identity_is_what_pydicom_would_read(series, instance, syntax, own, inner, private_bytes):
    ds = mr_image(series=series, syntax=syntax)
    ds.SOPInstanceUID = instance
    ds.ManufacturerModelName = "cspine-node" if own else "Scanner"
    ds.ReferencedSeriesSequence = inner.get("ReferencedSeriesSequence", Sequence())
    block = ds.private_block(0x0019, "TEST", create=True)
    block.add_new(1, "OB", bytes(private_bytes // 2 * 2))
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    content = buffer.getvalue()
    identity = read_identity(lambda offset, size: content[offset : offset + size])
    assert (identity.series_uid, identity.sop_instance_uid, identity.study_uid) == (series, instance, "1.2")
    assert (identity.sop_class_uid, identity.transfer_syntax_uid) == ("1.2.840.10008.5.1.4.1.1.4", syntax)
    assert identity.own_result is own
