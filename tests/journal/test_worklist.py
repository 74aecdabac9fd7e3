"""What a list of cases shows: filters, pages that neither repeat nor lose a case, and the whole of one case."""

from datetime import UTC, datetime

import pytest

from node.domain.case import CaseState, Reason
from node.domain.findings import Verdict
from node.errors import UnknownCase
from node.journal.cases import Account
from node.journal.dossier import dossier, newest_event
from node.journal.worklist import Search, count_by_state, receiving, routes_of_cases, search

WHY = Reason(code="modality", text="neck: Modality is not MR")


@pytest.fixture
def filled(journal, fill):
    """Cases 1 to 4: delivered, sending, quarantined, rejected; and a series that receives."""
    for number, verdict in ((1, Verdict.GOOD), (2, Verdict.REVIEW)):
        claim = fill.running(journal, series=f"{number}.1")
        made = fill.results(claim.case_id, *["archive"] * (number == 2))
        journal.cases.finish(claim, made, Account(verdict=verdict, timings_s={"segment": 2.5}, seconds=3.0))
    journal.cases.fail(fill.running(journal, series="3.1"), Reason(code="engine-error", text="it failed"), retry=False)
    journal.arrivals.record(fill.arrival(1, series="4.1"))
    fill.open_case(journal, series="4.1", state=CaseState.REJECTED, reasons=(WHY,))
    journal.arrivals.record(fill.arrival(1, series="5.1"))
    return journal


def found(journal, **wanted):
    return [case.case_id for case in search(journal.store, Search(**wanted), size=10).cases]


@pytest.mark.parametrize(
    ("wanted", "cases"),
    [
        ({}, [4, 3, 2, 1]),
        ({"states": {CaseState.SENDING, CaseState.REJECTED}}, [4, 2]),
        ({"routes": {"neck"}}, [3, 2, 1]),
        ({"routes": {"knee"}}, []),
        ({"verdicts": {Verdict.REVIEW}}, [2]),
        ({"text": "3"}, [3]),
        ({"text": "99999999999999999999"}, []),
        ({"text": "9" * 5000}, []),
        ({"text": "0" * 5000 + "3"}, [3]),
        ({"text": "pac"}, [4, 3, 2, 1]),
        ({"text": "%"}, []),
        ({"text": "1.2"}, [4, 3, 2, 1]),
        ({"text": "2.1"}, [2]),
        ({"text": "4.1.1"}, [4]),
        ({"text": "9.2.1"}, [2]),
        ({"text": "2.1", "by_uid": False}, []),
        ({"since": datetime(2027, 1, 1, tzinfo=UTC)}, []),
        ({"until": datetime(2027, 1, 1, tzinfo=UTC)}, [4, 3, 2, 1]),
        ({"until": datetime(2026, 1, 1, tzinfo=UTC)}, []),
    ],
)
def test_a_search_finds_the_cases_that_fit_newest_first(filled, wanted, cases):
    assert found(filled, **wanted) == cases


def test_a_listed_case_says_how_far_it_is(filled):
    case = search(filled.store, Search(text="2"), size=10).cases[0]
    assert (case.state, case.verdict, case.route, case.calling_ae) == (
        CaseState.SENDING, Verdict.REVIEW, "neck", "PACS",
    )  # fmt: skip
    assert [(item.destination, item.states) for item in case.sent] == [("archive", {"pending": 2})]
    rejected = search(filled.store, Search(text="4"), size=10).cases[0]
    assert (rejected.route, rejected.verdict, rejected.sent) == (None, None, ())
    assert rejected.reasons == [{"code": "modality", "text": "neck: Modality is not MR"}]


def test_pages_neither_repeat_nor_lose_a_case_either_way(filled):
    first = search(filled.store, Search(), size=3)
    second = search(filled.store, Search(), size=3, before=first.older)
    back = search(filled.store, Search(), size=3, after=second.newer)
    pages = [[case.case_id for case in page.cases] for page in (first, second, back)]
    assert pages == [[4, 3, 2], [1], [4, 3, 2]]
    assert (first.newer, first.older, second.newer, second.older, back.newer, back.older) == (None, 2, 1, None, None, 2)


def test_a_page_beyond_the_end_leads_back(filled):
    beyond = search(filled.store, Search(), size=3, before=1)
    assert (beyond.cases, beyond.newer, beyond.older) == ((), 0, None)
    assert [case.case_id for case in search(filled.store, Search(), size=3, after=0).cases] == [3, 2, 1]


def test_counts_tell_the_states_and_what_still_receives(filled):
    assert dict(count_by_state(filled.store)) == {
        CaseState.DELIVERED: 1, CaseState.SENDING: 1, CaseState.QUARANTINED: 1, CaseState.REJECTED: 1,
    }  # fmt: skip
    assert receiving(filled.store) == 1
    assert routes_of_cases(filled.store) == ("neck",)


def test_the_dossier_of_a_case_holds_what_happened_and_where_its_objects_are(filled):
    filled.deliveries.record_failed(filled.deliveries.pending("archive")[0], "peer-unreachable", "no answer")
    told = dossier(filled.store, 2)
    assert [event.what for event in told.events] == [
        "series receiving", "case queued", "case running", "case sending", "delivery failed",
    ]  # fmt: skip
    assert (told.account["seconds"], told.account["timings_s"]) == (3.0, {"segment": 2.5})
    ways = [(item.name, way.destination, way.state.value, way.code) for item in told.objects for way in item.ways]
    assert ways == [
        ("SEG.dcm", "archive", "pending", "peer-unreachable"), ("SR.dcm", "archive", "pending", None),
    ]  # fmt: skip
    assert (told.folder, told.revisions, len(told.received)) == ("results/2", ((2, 1, CaseState.SENDING),), 1)
    before = newest_event(filled.store, 2)
    filled.cases.hold(2)
    assert newest_event(filled.store, 2) > before


def test_each_revision_tells_its_own_story(filled, fill):
    filled.cases.reprocess(1)
    fill.open_case(filled, series="1.1")
    first, second = dossier(filled.store, 1), dossier(filled.store, 5)
    assert [event.what for event in first.events][-2:] == ["case delivered", "reprocess asked"]
    assert [event.what for event in second.events] == ["series receiving", "case queued"]
    assert first.revisions == second.revisions == ((1, 1, CaseState.DELIVERED), (5, 2, CaseState.QUEUED))


@pytest.mark.parametrize("number", [0, 5, 2**31 - 1])
def test_a_case_that_is_not_there_is_unknown(filled, number):
    with pytest.raises(UnknownCase, match=f"no case {number}"):
        dossier(filled.store, number)
