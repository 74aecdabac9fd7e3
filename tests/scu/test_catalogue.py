"""What an archive has, level by level, and what it sends when asked to (C-FIND, C-MOVE), against stock SCPs."""

import warnings
from contextlib import contextmanager

import pytest
from fakes import CANARY, storage_scp
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from node.domain.listing import ListedInstance, ListedStudy
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed
from node.scu.association import Peer
from node.scu.catalogue import Catalogue
from node.scu.move import Moved, move_series
from node.scu.source import SeriesOfStudy

ENCODINGS = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
FIND, MOVE = "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2"
SERIES = SeriesOfStudy("1.2", "1.2.3")


def never(_event):
    raise AssertionError("nothing is stored here")


@contextmanager
def peer_that(abstract, event, handler):
    with storage_scp(never, [(abstract, ENCODINGS)], more_handlers=[(event, handler)]) as port:
        yield Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)


def data_set(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def ill_valued(**values):
    """Return a data set with values that the standard does not allow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of each
        return data_set(**values)


def told(answers):
    """Answer with data sets, and remember the questions."""
    asked = []

    def on_find(event):
        asked.append({element.keyword: str(element.value or "") for element in event.identifier})
        for answer in answers:
            yield 0xFF00, answer

    return asked, on_find


def test_studies_are_asked_for_by_day_and_modality_or_by_uid():
    asked, on_find = told([data_set(StudyInstanceUID="1.2", StudyDate="20261120", StudyTime="0815")])
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        [study] = Catalogue(peer).studies(["20261120"], ["MR"])
        assert [one.study_uid for one in Catalogue(peer).studies(["20261120"], ["MR"], ["1.2", "1.9"])] == ["1.2"]
    assert (study.study_uid, str(study.begun), study.description, study.description_told) == (
        "1.2",
        "2026-11-20 08:15:00",
        None,
        False,
    )
    assert [(one.get("StudyDate"), one["ModalitiesInStudy"], one["StudyInstanceUID"]) for one in asked] == [
        ("20261120", "MR", ""),
        ("", "", "1.2"),
        ("", "", "1.9"),
    ]
    assert all("Patient" not in keyword for one in asked for keyword in one)


def test_what_a_series_is_told_to_be_and_what_is_not_told():
    asked, on_find = told(
        [
            data_set(
                SeriesInstanceUID="1.2.4",
                Modality="MR",
                SeriesDescription="SAG T2 ",
                BodyPartExamined="",
                NumberOfSeriesRelatedInstances=15,
                PatientName=CANARY,
            ),
            data_set(SeriesInstanceUID="1.2.3", NumberOfSeriesRelatedInstances=None),
        ]
    )
    study = ListedStudy(study_uid="1.2", description="HWS", description_told=True)
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        bare, full = Catalogue(peer).series([study])
    assert (full.series_uid, full.instances) == ("1.2.4", 15)
    assert (full.header.modality, full.header.series_description) == ("MR", "SAG T2")
    assert (full.header.study_description, full.header.body_part_examined) == ("HWS", None)
    assert full.untold == {"ProtocolName", "BodyPartExamined"}
    assert (bare.series_uid, bare.instances) == ("1.2.3", None)
    assert bare.untold == {"Modality", "SeriesDescription", "ProtocolName", "BodyPartExamined"}
    assert CANARY not in repr(full)
    assert asked[0]["StudyInstanceUID"] == "1.2"


@pytest.mark.parametrize(
    ("modalities", "found"),
    [("MR", 1), (["CT", "MR"], 1), ("", 1), ("*", 1), (None, 1), ("CT", 0), (["CT", "SR"], 0)],
)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_a_study_is_passed_over_only_where_its_modalities_are_told_to_be_others(modalities, found):
    _, on_find = told([ill_valued(StudyInstanceUID="1.2", ModalitiesInStudy=modalities)])
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        assert len(Catalogue(peer).studies(["20261120"], ["MR"])) == found


def test_a_study_without_a_date_is_none_of_the_day_that_was_asked_for():
    _, on_find = told([data_set(StudyInstanceUID="1.2", StudyDate="")])
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        assert Catalogue(peer).studies(["20261120"], ["MR"]) == []


def test_what_is_answered_blank_is_untold_unless_a_series_may_be_without_it():
    keywords = ("Modality", "SeriesDescription", "ProtocolName", "BodyPartExamined")
    _, on_find = told([data_set(SeriesInstanceUID="1.2.3", **dict.fromkeys(keywords, ""))])
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        [series] = Catalogue(peer).series([ListedStudy(study_uid="1.2", description_told=True)])
    assert series.untold == {"Modality", "ProtocolName", "BodyPartExamined"}


def test_the_instances_of_another_series_are_not_taken():
    _, on_find = told(
        [
            data_set(SOPInstanceUID="1.2.3.2", SOPClassUID="1.2.840.10008.5.1.4.1.1.4"),
            data_set(SOPInstanceUID="1.2.3.1"),
            data_set(SOPInstanceUID="1.2.9.1", SeriesInstanceUID="1.2.9"),
        ]
    )
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        assert Catalogue(peer).instances([SERIES]) == {
            "1.2.3": (ListedInstance("1.2.3.1", ""), ListedInstance("1.2.3.2", "1.2.840.10008.5.1.4.1.1.4"))
        }


def test_an_answer_without_a_uid_fails_the_question():
    _, on_find = told([data_set(PatientName=CANARY)])
    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer, pytest.raises(RequestFailed) as caught:
        Catalogue(peer).studies(["20261120"], ["MR"])
    assert CANARY not in str(caught.value)


NO_UIDS = ["1.2.840.x", "1.2.840.", "1" * 65, "", ["1.2.8", "1.2.9"]]


@pytest.mark.parametrize("uid", NO_UIDS)
@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
def test_an_answer_whose_uid_is_none_hides_no_other(uid):
    def on_find(event):
        level = event.identifier.QueryRetrieveLevel
        keyword = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}[level]
        for named in ("1.2.3", uid, "1.2.4"):
            yield 0xFF00, ill_valued(**{keyword: named})

    with peer_that(FIND, evt.EVT_C_FIND, on_find) as peer:
        catalogue = Catalogue(peer)
        studies = catalogue.studies(["20261120"], ["MR"])
        assert ([one.study_uid for one in studies], catalogue.reader.passed_over()) == (["1.2.3", "1.2.4"], 1)
        assert [one.series_uid for one in catalogue.series(studies)] == ["1.2.3", "1.2.4"] * 2
        assert catalogue.instances([SERIES]) == {"1.2.3": (ListedInstance("1.2.3", ""), ListedInstance("1.2.4", ""))}
        assert (catalogue.reader.passed_over(), catalogue.reader.passed_over()) == (3, 0)


def moving(*statuses):
    asked = []

    def on_move(event):
        asked.append((event.move_destination, event.identifier))
        yield None, None  # pynetdicom answers 0xA801: it knows no destination
        yield from statuses

    return asked, on_move


def test_a_c_move_names_the_series_or_the_instances_and_tells_its_status():
    asked, on_move = moving()
    with peer_that(MOVE, evt.EVT_C_MOVE, on_move) as peer:
        moved = move_series(peer, SERIES, "CSPINE")
        move_series(peer, SERIES, "CSPINE", ["1.2.3.1", "1.2.3.2"])
    assert moved.text == "0xA801 (move destination unknown)"
    (title, whole), (_, part) = asked
    assert (title, whole.QueryRetrieveLevel, "SOPInstanceUID" in whole) == ("CSPINE", "SERIES", False)
    assert (part.QueryRetrieveLevel, list(part.SOPInstanceUID)) == ("IMAGE", ["1.2.3.1", "1.2.3.2"])
    assert Moved(status=0xC123).text == "0xC123"


def test_a_c_move_that_breaks_off_or_is_not_known_is_told_apart():
    def on_move(event):
        event.assoc.abort()
        yield None, None

    with peer_that(MOVE, evt.EVT_C_MOVE, on_move) as peer, pytest.raises(PeerUnreachable):
        move_series(peer, SERIES, "CSPINE")
    with peer_that(FIND, evt.EVT_C_FIND, on_move) as peer, pytest.raises(ContextsRefused):
        move_series(peer, SERIES, "CSPINE")
