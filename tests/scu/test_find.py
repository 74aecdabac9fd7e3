"""Looking for series in an archive (C-FIND), against a stock SCP on loopback."""

from contextlib import contextmanager
from datetime import date

import pytest
from fakes import CANARY, storage_scp
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from structlog.testing import capture_logs

from node.errors import ContextsRefused, PeerUnreachable, RequestFailed, SettingsError
from node.scu.association import Peer
from node.scu.find import Criteria, criteria_of, find_series
from node.scu.source import SeriesOfStudy

FIND = [("1.2.840.10008.5.1.4.1.2.2.1", (ExplicitVRLittleEndian, ImplicitVRLittleEndian))]

#: Study UID, date, its series as (UID, modality, description).
ARCHIVE = [
    ("1.20", "20240102", [("1.20.2", "MR", "Sag T2 FRFSE"), ("1.20.1", "MR", "AX T2"), ("1.20.3", "SR", "Report")]),
    ("1.10", "20240102", [("1.10.1", "MR", "SAG T2")]),
    ("1.30", "20240104", [("1.30.1", "MR", "sag t2 stir")]),
    ("1.40", "20250101", [("1.40.1", "MR", "SAG T2")]),
]


def data_set(**values) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


class Hierarchical:
    """An archive that knows no relational queries; it matches dates and study UIDs, and ignores other keys."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.associations: set[int] = set()

    def on_find(self, event):
        query = event.identifier
        self.asked.append({element.keyword: str(element.value) for element in query})
        self.associations.add(id(event.assoc))
        if query.QueryRetrieveLevel == "STUDY":
            yield from self.studies(query)
        else:
            yield from self.series(query)

    def studies(self, query):
        first, dash, last = (query.get("StudyDate") or "-").partition("-")
        last = (last or "99999999") if dash else first
        for uid, day, series in ARCHIVE:
            if first <= day <= last:
                modalities = sorted({modality for _, modality, _ in series})
                yield 0xFF00, data_set(StudyInstanceUID=uid, StudyDate=day, ModalitiesInStudy=modalities)

    def series(self, query):
        assert query.StudyInstanceUID, "a hierarchical archive needs the study"
        for study, _, found in ARCHIVE:
            for uid, modality, description in found if study == query.StudyInstanceUID else ():
                yield 0xFF00, data_set(SeriesInstanceUID=uid, Modality=modality, SeriesDescription=description)


def never(_event):
    raise AssertionError("nothing is stored here")


@contextmanager
def peer_that(on_find):
    with storage_scp(never, FIND, more_handlers=[(evt.EVT_C_FIND, on_find)]) as port:
        yield Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)


def no_pause(_seconds):
    raise AssertionError("nothing is asked again here")


def test_series_are_found_day_by_day_and_then_by_uid():
    archive = Hierarchical()
    criteria = criteria_of(study_date="20240101-20240105", series_description="*sag t2*")
    with peer_that(archive.on_find) as peer:
        found = list(find_series(peer, criteria, pause=no_pause))
    assert found == [
        SeriesOfStudy("1.10", "1.10.1"),
        SeriesOfStudy("1.20", "1.20.2"),
        SeriesOfStudy("1.30", "1.30.1"),
    ]
    assert archive.asked[:3] == [
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyDate": day, "ModalitiesInStudy": "MR"}
        for day in ("20240101", "20240102")
    ] + [
        {
            "QueryRetrieveLevel": "SERIES",
            "StudyInstanceUID": "1.10",
            "SeriesInstanceUID": "",
            "Modality": "MR",
            "SeriesDescription": "*sag t2*",
        }
    ]


def test_without_two_dates_one_question_is_asked_for_all_studies():
    archive = Hierarchical()
    with peer_that(archive.on_find) as peer:
        everything = [series.series_uid for series in find_series(peer, Criteria())]
        late = [series.series_uid for series in find_series(peer, criteria_of(study_date="20240104-"))]
    assert everything == ["1.10.1", "1.20.1", "1.20.2", "1.30.1", "1.40.1"]
    assert late == ["1.30.1", "1.40.1"]
    assert [asked.get("StudyDate") for asked in archive.asked if asked["QueryRetrieveLevel"] == "STUDY"] == [
        None,
        "20240104-",
    ]


def test_no_association_is_open_while_the_caller_works(monkeypatch):
    monkeypatch.setattr("node.scu.find._STUDIES_A_TIME", 1)
    archive = Hierarchical()
    released = []
    handlers = [(evt.EVT_C_FIND, archive.on_find), (evt.EVT_RELEASED, lambda event: released.append(1))]
    with storage_scp(never, FIND, more_handlers=handlers) as port:
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)
        search = find_series(peer, Criteria(series_description="SAG T2"))
        assert next(search).series_uid == "1.10.1"
        asked = len(archive.asked)
        assert next(search).series_uid == "1.40.1"
    assert asked == 2
    assert [query["StudyInstanceUID"] for query in archive.asked] == ["", "1.10", "1.20", "1.30", "1.40"]
    assert len(released) == 2


@pytest.mark.parametrize(
    ("answer", "criteria", "found"),
    [
        ({"SeriesDescription": "SAG T2"}, {"series_description": "sag ?2"}, True),
        ({"SeriesDescription": "SAG [T2]"}, {"series_description": "sag [t2]"}, True),
        ({"SeriesDescription": "SAG T1"}, {"series_description": "SAG T2"}, False),
        ({"SeriesDescription": ""}, {"series_description": "SAG T2"}, False),
        ({}, {"series_description": "SAG T2"}, True),
        ({"Modality": "CT"}, {}, False),
        ({"Modality": "CT"}, {"modality": ""}, True),
    ],
)
def test_an_answer_counts_where_it_does_not_contradict_the_question(answer, criteria, found):
    def on_find(event):
        if event.identifier.QueryRetrieveLevel == "STUDY":
            yield 0xFF00, data_set(StudyInstanceUID="1.2")
        else:
            yield 0xFF01, data_set(SeriesInstanceUID="1.2.3", **answer)

    with peer_that(on_find) as peer:
        assert list(find_series(peer, Criteria(**criteria))) == [SeriesOfStudy("1.2", "1.2.3")] * found


def test_a_study_out_of_the_asked_dates_is_not_taken():
    def on_find(event):
        yield 0xFF00, data_set(StudyInstanceUID="1.2", SeriesInstanceUID="1.2.3", StudyDate="20200101")

    with peer_that(on_find) as peer:
        assert list(find_series(peer, criteria_of(study_date="20240101"))) == []


def test_descriptions_beyond_ascii_are_asked_for_in_utf_8():
    archive = Hierarchical()
    with peer_that(archive.on_find) as peer:
        assert list(find_series(peer, Criteria(study_description="HWS schräg", series_description="x"))) == []
    assert archive.asked[0]["SpecificCharacterSet"] == "ISO_IR 192"
    assert archive.asked[0]["StudyDescription"] == "HWS schräg"


@pytest.mark.parametrize("status", [0xA700, 0xC001, 0xFE00])
def test_a_failure_status_is_no_end_of_the_answer(status):
    def on_find(event):
        yield 0xFF00, data_set(StudyInstanceUID="1.2")
        yield status, None

    with peer_that(on_find) as peer, pytest.raises(RequestFailed, match=f"answered a C-FIND with 0x{status:04X}"):
        list(find_series(peer, Criteria(), pause=no_pause))


def test_an_answer_without_a_uid_is_named_and_nothing_of_it_is_quoted():
    def on_find(event):
        yield 0xFF00, data_set(PatientName=CANARY)

    with peer_that(on_find) as peer, pytest.raises(RequestFailed, match="without a StudyInstanceUID") as caught:
        list(find_series(peer, Criteria()))
    assert CANARY not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_what_is_named_by_no_uid_is_passed_over_and_the_number_of_these_is_logged():
    def on_find(event):
        level = event.identifier.QueryRetrieveLevel
        for named in ("1.2.3", "ZZSECRET", "1.2.4."):
            yield 0xFF00, data_set(**{"StudyInstanceUID" if level == "STUDY" else "SeriesInstanceUID": named})

    with peer_that(on_find) as peer, capture_logs() as logs:
        assert list(find_series(peer, Criteria())) == [SeriesOfStudy("1.2.3", "1.2.3")]
    said = {"event": "answers passed over", "log_level": "warning", "archive": "ARCHIVE"}
    assert logs == [{**said, "code": "invalid-identifier", "answers": 4}]


def test_an_answer_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr("node.scu.query.MOST_ANSWERS", 10)

    def on_find(event):
        for number in range(1000):
            yield 0xFF00, data_set(StudyInstanceUID=f"1.{number}")

    with peer_that(on_find) as peer, pytest.raises(RequestFailed, match="does not end its answer"):
        list(find_series(peer, Criteria()))


def test_a_peer_that_breaks_off_is_asked_again_after_a_pause():
    archive, pauses = Hierarchical(), []

    def on_find(event):
        if len(archive.asked) == 2 and not pauses:
            event.assoc.abort()
            yield 0x0000, None
        yield from archive.on_find(event)

    with peer_that(on_find) as peer:
        found = [one.series_uid for one in find_series(peer, criteria_of(study_date="20240102"), pause=pauses.append)]
    assert found == ["1.10.1", "1.20.1", "1.20.2"]
    assert pauses == [2.0]


def test_a_peer_that_never_answers_is_unreachable_after_all_pauses():
    pauses = []

    def on_find(event):
        event.assoc.abort()
        yield 0x0000, None

    with peer_that(on_find) as peer, pytest.raises(PeerUnreachable):
        list(find_series(peer, Criteria(), pause=pauses.append))
    assert pauses == [2.0, 10.0, 60.0]


def test_a_peer_without_query_says_so():
    with storage_scp(never) as port:
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)
        with pytest.raises(ContextsRefused):
            list(find_series(peer, Criteria()))


def test_criteria_do_not_show_who_was_looked_for():
    assert CANARY not in repr(Criteria(patient_id=CANARY, accession_number=CANARY))


def test_dates_of_a_command_line_are_a_day_or_a_range():
    day, last = date(2024, 1, 31), date(2024, 12, 31)
    spans = {
        text: (criteria_of(study_date=text).first_date, criteria_of(study_date=text).last_date)
        for text in ("", "20240131", "20240131-20241231", "20240131-", "-20241231")
    }
    assert list(spans.values()) == [(None, None), (day, day), (day, last), (day, None), (None, last)]


@pytest.mark.parametrize("text", ["2024-01-31", "20240230", "yesterday", "20240102-20240101", "20240101-20240102-"])
def test_what_is_no_date_is_refused(text):
    with pytest.raises(SettingsError):
        criteria_of(study_date=text)
