"""Whatever the bytes are: they are read, or refused by name, within bounds."""

import struct
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from node.assemble import elements
from node.assemble.headers import gather, read_header
from node.assemble.volume import build_volume
from node.errors import (
    InputError,
    NotDicom,
    TruncatedFile,
    UndecodablePixels,
    UnsupportedTransferSyntax,
)


def write_bytes(path, content: bytes):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "content",
    [b"", b"DICM", b"\x89PNG\r\n\x1a\n" + bytes(300), b"\x08\x00" + bytes(400), b"PK\x03\x04" + bytes(300), bytes(600)],
)
def test_other_bytes_are_not_dicom(tmp_path, content):
    with pytest.raises(NotDicom):
        read_header(write_bytes(tmp_path / "a.dcm", content))


@settings(max_examples=150, deadline=None)
@given(tail=st.binary(max_size=400), start=st.sampled_from([b"", bytes(128) + b"DICM", b"\x08\0\x05\0", b"\x02\0"]))
def test_random_bytes_raise_nothing_but_input_errors(tmp_path_factory, tail, start):
    path = write_bytes(tmp_path_factory.getbasetemp() / "random.dcm", start + tail)
    with pytest.raises(InputError):
        read_header(path)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless]
)
def test_a_file_cut_anywhere_is_refused_by_name(kit, one, tmp_path, syntax):
    kit.save(one, tmp_path / "whole.dcm", syntax)
    raw = (tmp_path / "whole.dcm").read_bytes()
    for length in range(0, len(raw) - 8, 17):
        with pytest.raises(InputError) as refusal:
            read_header(write_bytes(tmp_path / "cut.dcm", raw[:length]))
        if length > len(raw) - 500:
            assert refusal.type is TruncatedFile


def test_an_enhanced_object_cut_anywhere_is_refused_by_name(kit, tmp_path):
    kit.save(kit.enhanced(kit.stack().datasets()), tmp_path / "whole.dcm")
    raw = (tmp_path / "whole.dcm").read_bytes()
    for length in range(0, len(raw), 89):
        with pytest.raises(InputError):
            read_header(write_bytes(tmp_path / "cut.dcm", raw[:length]))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_with_wrong_bytes_reads_or_is_refused_by_name(kit, corpus, tmp_path_factory, data):
    raw = bytearray(data.draw(st.sampled_from(corpus)))
    for at in data.draw(st.lists(st.integers(128, len(raw) - 1), min_size=1, max_size=6)):
        raw[at] = data.draw(st.integers(0, 255))
    path = write_bytes(tmp_path_factory.getbasetemp() / "fuzzed.dcm", bytes(raw))
    series, unreadable = gather([path])
    assert len(series) + len(unreadable) == 1
    for one in series:
        with pytest.raises(InputError):
            build_volume(one)
            raise InputError("it made a volume, which is as good")


@pytest.fixture(scope="module")
def corpus(kit, tmp_path_factory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("corpus")
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEG2000Lossless]
    for index, syntax in enumerate(syntaxes):
        kit.save(kit.stack().datasets()[0], folder / f"{index}.dcm", syntax)
        kit.save(kit.enhanced(kit.stack(count=3).datasets()), folder / f"enhanced {index}.dcm", syntax)
    return [path.read_bytes() for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.102", "1.2.3", "nonsense"])
def test_a_transfer_syntax_that_nothing_decodes_is_refused(kit, one, tmp_path, syntax):
    kit.save(one, tmp_path / "a.dcm")
    raw = (tmp_path / "a.dcm").read_bytes()
    value = syntax.encode() + b"\0" * (len(syntax) % 2)
    old = b"\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
    assert old in raw
    raw = raw.replace(old, b"\x02\0\x10\0UI" + struct.pack("<H", len(value)) + value)
    with pytest.raises(UnsupportedTransferSyntax) as refusal:
        read_header(write_bytes(tmp_path / "b.dcm", raw))
    assert "nonsense" not in str(refusal.value)


def test_huge_claims_allocate_nothing(kit, one, tmp_path):
    one.Rows = one.Columns = 65535
    kit.save(one, tmp_path / "native.dcm")
    frames = kit.stack().datasets()
    for ds in frames:
        ds.Rows = ds.Columns = 65535
        ds.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        ds["PixelData"].is_undefined_length = True
        ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
        ds.save_as(tmp_path / f"{ds.InstanceNumber}.dcm", enforce_file_format=True)
    tracemalloc.start()
    with pytest.raises(TruncatedFile):
        read_header(tmp_path / "native.dcm")
    (series,), _ = gather(tmp_path / f"{number}.dcm" for number in range(1, 8))
    with pytest.raises(UndecodablePixels, match="134217728 voxels"):
        build_volume(series)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_code_stream_larger_than_its_header_is_refused_before_it_is_decoded(kit, tmp_path):
    frames = kit.stack().datasets()
    folder = kit.write(tmp_path / "in", frames, JPEG2000Lossless)
    for path in folder.iterdir():
        raw = path.read_bytes()
        at = raw.index(b"\xff\x4f\xff\x51") + 8
        path.write_bytes(raw[:at] + struct.pack(">II", 60000, 60000) + raw[at + 8 :])
    with pytest.raises(UndecodablePixels, match="another size"):
        build_volume(kit.series_in(folder))


def test_sequences_nested_without_end_are_refused(kit, one, tmp_path):
    nest = b"\x08\0\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff" * 5000
    head = bytes(128) + b"DICM" + kit.data_set_bytes(one.file_meta, implicit=False)
    with pytest.raises(InputError, match="nest deeper than 16"):
        read_header(write_bytes(tmp_path / "a.dcm", head + nest))


@pytest.mark.parametrize(("limit", "most"), [("MAX_KEPT", 30), ("MAX_KEPT_BYTES", 200)])
def test_a_file_that_would_fill_the_memory_is_refused(kit, tmp_path, monkeypatch, limit, most):
    kit.save(kit.enhanced(kit.stack(count=3).datasets()), tmp_path / "a.dcm")
    read_header(tmp_path / "a.dcm")
    monkeypatch.setattr(elements, limit, most)
    with pytest.raises(InputError, match="more memory"):
        read_header(tmp_path / "a.dcm")


def test_a_sequence_without_end_stops_where_the_item_that_holds_it_ends(kit, one, tmp_path):
    """Else one item is read as if it held all that follows it, again for each item."""
    open_sequence = b"\x20\0\x13\x91SQ\0\0\xff\xff\xff\xff"
    item = b"\xfe\xff\0\xe0" + struct.pack("<I", len(open_sequence)) + open_sequence
    nest = b"\x00\x52\x30\x92SQ\0\0" + struct.pack("<I", len(item)) + item
    head = bytes(128) + b"DICM" + kit.data_set_bytes(one.file_meta, implicit=False)
    rest = b"\xfe\xff\xdd\xe0\0\0\0\0" * 2
    with pytest.raises(TruncatedFile):
        read_header(write_bytes(tmp_path / "a.dcm", head + nest + rest))
