"""States of a case: the table is closed, and every state leads somewhere it should."""

import hashlib

import pytest

from node.domain.case import TRANSITIONS, CaseState, EncodedObject, ObjectKind


def test_every_state_has_a_row_and_leads_to_known_states():
    assert set(TRANSITIONS) == set(CaseState)
    assert all(following <= set(CaseState) for following in TRANSITIONS.values())


def test_only_superseded_cases_stay_as_they_are_and_delivered_ones_until_they_are_sent_once_more():
    assert {state for state, following in TRANSITIONS.items() if not following} == {CaseState.SUPERSEDED}
    assert TRANSITIONS[CaseState.DELIVERED] == {CaseState.SENDING}


def test_no_state_follows_itself():
    assert [state for state, following in TRANSITIONS.items() if state in following] == []


def test_every_state_but_delivered_can_be_superseded():
    assert {state for state, following in TRANSITIONS.items() if CaseState.SUPERSEDED not in following} == {
        CaseState.DELIVERED,
        CaseState.SUPERSEDED,
    }


@pytest.mark.parametrize("end", [CaseState.DELIVERED, CaseState.UNDELIVERED, CaseState.QUARANTINED])
def test_a_queued_case_can_reach_its_ends_only_by_running(end):
    """A held case goes on where it stood, so being held is no way round: `tests/journal/test_states.py` tries that."""

    def reachable(start, closed):
        seen, left = set(), [start]
        while left:
            state = left.pop()
            if state not in seen and state not in closed:
                seen.add(state)
                left.extend(TRANSITIONS[state])
        return seen

    assert end in reachable(CaseState.QUEUED, set())
    assert end not in reachable(CaseState.QUEUED, {CaseState.RUNNING, CaseState.HELD})


def test_an_object_has_the_sha256_of_its_bytes():
    made = EncodedObject(
        name="seg.dcm",
        wanted=frozenset(),
        kind=ObjectKind.REPORT,
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        content=b"abc",
    )
    assert made.digest == hashlib.sha256(b"abc").hexdigest()
    assert made.digest == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
