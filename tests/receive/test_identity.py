"""The few elements that say what arrived, read from whatever was sent."""

import io
import random

import pytest
from fakes import mr_image
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.errors import InputError, InvalidIdentifier, NotDicom
from node.receive.headers import Identity, digest_of, read_identity


def file_of(ds) -> bytes:
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def identity_in(content: bytes) -> Identity:
    return read_identity(lambda offset, size: content[offset : offset + size])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_an_instance_says_what_it_is(syntax):
    identity = identity_in(file_of(mr_image(syntax=syntax)))
    assert identity.sop_class_uid == "1.2.840.10008.5.1.4.1.1.4"
    assert (identity.sop_instance_uid, identity.series_uid, identity.study_uid) == ("1.2.3.1", "1.2.3", "1.2")
    assert identity.own_result is False


@pytest.mark.parametrize(("model", "own"), [("cspine-node", True), ("Cspine-Node 2", False), ("", False)])
def test_what_this_software_made_is_recognised(model, own):
    ds = mr_image()
    ds.ManufacturerModelName = model
    assert identity_in(file_of(ds)).own_result is own


@pytest.mark.parametrize("keyword", ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_identifier_is_named(keyword, empty):
    ds = mr_image()
    if empty:
        ds[keyword].value = ""
    else:
        del ds[keyword]
    with pytest.raises(NotDicom, match=f"^the data set lacks {keyword}$"):
        identity_in(file_of(ds))


def test_two_values_are_no_uid():
    with pytest.raises(InvalidIdentifier):
        identity_in(file_of(mr_image()).replace(b"\x0e\0UI\x06\x001.2.3\0", b"\x0e\0UI\x06\x001.2\\33"))


def test_pixel_data_that_is_cut_off_does_not_hide_what_arrived():
    assert identity_in(file_of(mr_image())[:-20]).sop_instance_uid == "1.2.3.1"


@pytest.mark.parametrize("content", [b"", b"DICM", b"\0" * 128 + b"DICM", b"PK\x03\x04" * 100, b"{}", b"\xff" * 1000])
def test_what_is_no_dicom_is_refused(content):
    with pytest.raises(NotDicom):
        identity_in(content)


def outcome(content: bytes) -> str:
    """Return what became of bytes; anything but an identity or an InputError is raised."""
    try:
        identity_in(content)
    except InputError as error:
        return error.code
    return "read"


def test_a_file_cut_off_anywhere_is_read_or_refused():
    content = file_of(mr_image())
    found = [outcome(content[:length]) for length in range(len(content))]
    assert set(found) == {"not-dicom", "invalid-identifier", "read"}
    assert found[0] == "not-dicom"
    assert found[-1] == "read"


def test_a_file_with_any_bytes_changed_is_read_or_refused():
    content, chance = file_of(mr_image()), random.Random(7)
    found = set()
    for _ in range(1500):
        changed = bytearray(content)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(132, len(changed))] = chance.choice((0, 255, chance.randrange(256)))
        found.add(outcome(bytes(changed)))
    assert found == {"not-dicom", "invalid-identifier", "read"}


def test_the_digest_covers_the_data_set_and_its_encoding():
    assert digest_of("1.2.840.10008.1.2.1", b"data") == digest_of("1.2.840.10008.1.2.1", b"data")
    assert digest_of("1.2.840.10008.1.2.1", b"data") != digest_of("1.2.840.10008.1.2", b"data")
    assert digest_of("1.2.840.10008.1.2.1", b"data") != digest_of("1.2.840.10008.1.2.1", b"date")
    assert digest_of("", b"").startswith("01ba4719c80b6fe9")
