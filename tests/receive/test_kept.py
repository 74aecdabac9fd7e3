"""Received files read back without a journal: what they say is what was reported when they came."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keeper import data_set
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from node.domain.arrivals import Arrival, Quarantined
from node.errors import InputError, TruncatedFile
from node.receive.kept import digest_of_file, read_arrival, read_quarantined, verify_arrival
from node.receive.spool import Received, Spool, StoreRequest, encoded_file_meta


def kept(state_dir: Path, content: bytes, *, calling_ae: str = "SCANNER", whole: bool = False) -> Arrival | Quarantined:
    """Keep an instance, `whole` with its file meta information as part of the data set, and return the report."""
    reports: list[Arrival | Quarantined] = []
    request = StoreRequest(
        sop_class_uid=MRImageStorage,
        sop_instance_uid="1.2.3.1",
        transfer_syntax_uid=ExplicitVRLittleEndian,
        calling_ae=calling_ae,
    )
    meta = encoded_file_meta(request)
    spool = Spool(state_dir, lambda taken: not reports.append(taken))
    spool.take(
        Received(file_meta=b"" if whole else meta, data_set=meta + content if whole else content, calling_ae=calling_ae)
    )
    return reports[0]


@pytest.mark.parametrize("whole", [False, True])
def test_an_arrival_is_read_back_as_it_was_reported(tmp_path: Path, whole: bool) -> None:
    reported = kept(tmp_path, data_set(1), whole=whole)
    assert read_arrival(tmp_path / reported.path) == reported
    verify_arrival(tmp_path / reported.path)


def test_quarantined_bytes_are_read_back_with_their_reason(tmp_path: Path) -> None:
    reported = kept(tmp_path, b"no data set")
    assert isinstance(reported, Quarantined)
    assert read_quarantined(tmp_path / reported.path) == reported
    assert digest_of_file(tmp_path / reported.path) == reported.digest


def test_a_file_that_is_cut_off_is_not_what_its_name_tells_of(tmp_path: Path) -> None:
    path = tmp_path / kept(tmp_path, data_set(1)).path
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(TruncatedFile):
        read_arrival(path)
    with pytest.raises(TruncatedFile):
        verify_arrival(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_an_altered_byte_never_passes_unless_it_is_one_that_no_digest_covers(
    tmp_path: Path, data: st.DataObject
) -> None:
    """Preamble and file meta information are written by the node itself; all else is the sender's, and covered."""
    reported = kept(tmp_path, data_set(1))
    path = tmp_path / reported.path
    content = bytearray(path.read_bytes())
    begins = content.index(data_set(1))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    altered = path.with_suffix(".altered")
    altered.write_bytes(content)
    altered = altered.rename(path)
    try:
        found = read_arrival(altered)
    except InputError:
        return
    assert place < begins
    assert found.digest == reported.digest
    assert found.sop_instance_uid == "1.2.3.1"
