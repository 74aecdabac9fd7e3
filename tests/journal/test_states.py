"""Whatever is done to cases and deliveries, in whatever order: the journal agrees with a small model of itself."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from node.domain.case import TRANSITIONS, CaseState, Reason
from node.domain.findings import Verdict
from node.errors import IllegalTransition
from node.journal.cases import Account
from node.journal.check import check
from node.journal.journal import Journal
from node.journal.operators import Forms
from node.journal.overview import overview

WHY = Reason(code="engine-error", text="the network failed")
GOOD = Account(verdict=Verdict.GOOD)
FORMS = Forms(usable=frozenset({"SEG", "SR"}), rejected=frozenset())
UNSETTLED = {"pending", "sent"}


class Cases(RuleBasedStateMachine):
    """One series, one destination, two objects a case. `cases`: state and the states of its deliveries."""

    #: The ways to fill a journal, of conftest.
    fill: SimpleNamespace

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.journal = Journal(Path(self.folder.name) / "journal.sqlite")
        self.cases: list[list] = []
        self.claim = None
        self.arrived = 0

    def teardown(self):
        assert check(self.journal.store) == ()
        self.journal.close()
        self.folder.cleanup()

    @initialize()
    def the_first_instance_makes_a_revision(self):
        self.another_instance_makes_a_revision()

    @rule()
    def another_instance_makes_a_revision(self):
        self.arrived += 1
        self.journal.arrivals.record(self.fill.arrival(self.arrived))
        assert self.fill.open_case(self.journal) == len(self.cases) + 1
        for case in self.cases:
            if CaseState.SUPERSEDED in TRANSITIONS[CaseState(case[0])]:
                self.end(case, "superseded")
        self.cases.append(["queued", []])

    @rule()
    def a_worker_claims(self):
        claim = self.journal.cases.claim("me")
        assert (claim is None) == (self.cases[-1][0] != "queued")
        if claim is not None:
            self.cases[-1][0] = "running"
            self.claim = claim, self.cases[-1]

    @precondition(lambda self: self.claim is not None)
    @rule(outcome=st.sampled_from(["finish", "retry", "fail", "put back"]))
    def the_worker_of_the_last_claim_ends(self, outcome):
        claim, case = self.claim
        valid = case[0] == "running"
        cases = self.journal.cases
        if outcome == "finish":
            assert cases.finish(claim, self.fill.results(claim.case_id, "archive"), GOOD) == valid
            after = ["sending", ["pending", "pending"]]
        elif outcome == "put back":
            assert cases.put_back(claim) == valid
            after = ["queued", []]
        else:
            state = cases.fail(claim, WHY, retry=outcome == "retry")
            assert (state is not None) == valid
            after = ["queued" if outcome == "retry" else "quarantined", []]
        if valid:
            case[:] = after

    @rule(step=st.sampled_from(["hold", "release", "cancel", "retry"]), data=st.data())
    def an_operator_steps_in(self, step, data):
        number = data.draw(st.integers(1, len(self.cases)))
        case = self.cases[number - 1]
        after = self.after(step, case)
        if after is None:
            with pytest.raises(IllegalTransition):
                getattr(self.journal.cases, step)(number)
            return
        assert getattr(self.journal.cases, step)(number).value == after
        if step == "retry":
            case[1] = ["pending" if state == "refused" else state for state in case[1]]
        if after == "cancelled":
            self.end(case, after)
        case[0] = after

    @rule(data=st.data())
    def an_operator_sends(self, data):
        number = data.draw(st.integers(1, len(self.cases)))
        case = self.cases[number - 1]
        if case[0] not in {"sending", "delivered", "undelivered", "held"} or not case[1]:
            with pytest.raises(IllegalTransition):
                self.journal.cases.send(number, "archive", FORMS)
            return
        case[0] = "held" if case[0] == "held" else "sending"
        case[1] = [state if state in UNSETTLED else "pending" for state in case[1]]
        assert self.journal.cases.send(number, "archive", FORMS).value == case[0]

    @rule(step=st.sampled_from(["sent", "delivered", "refused", "unconfirmed", "failed"]), first=st.booleans())
    def the_destination_answers(self, step, first):
        deliveries = self.journal.deliveries
        found = deliveries.awaiting("archive") if step == "unconfirmed" else deliveries.pending("archive")
        sending = [case for case in self.cases if case[0] == "sending"]
        wanted = "sent" if step == "unconfirmed" else "pending"
        assert len(found) == sum(case[1].count(wanted) for case in sending)
        if not found:
            return
        chosen = found[0 if first else -1]
        case = self.cases[chosen.case_id - 1]
        why = () if step in {"sent", "delivered"} else ("code", "text")
        assert getattr(deliveries, f"record_{step}")(chosen, *why)
        index = int(chosen.sop_instance_uid[-1]) - 1
        case[1][index] = step if step in {"sent", "delivered", "refused"} else "pending"
        self.settle(case)

    @staticmethod
    def end(case, state):
        case[0] = state
        case[1] = ["cancelled" if found in UNSETTLED else found for found in case[1]]

    @staticmethod
    def settle(case):
        if case[0] == "sending" and not UNSETTLED & set(case[1]):
            case[0] = "delivered" if set(case[1]) == {"delivered"} else "undelivered"

    @staticmethod
    def after(step, case):
        state, deliveries = case
        allowed = {
            "hold": {"queued": "held", "running": "held", "sending": "held"},
            "release": {"held": "sending" if deliveries else "queued"},
            "retry": {"quarantined": "queued", "undelivered": "sending"},
            "cancel": dict.fromkeys(
                ["queued", "running", "held", "sending", "undelivered", "quarantined"], "cancelled"
            ),
        }
        return allowed[step].get(state)

    @invariant()
    def the_journal_agrees(self):
        told = list(reversed(overview(self.journal.store, latest=1000)["latest_cases"]))
        assert [[case["state"], [item["state"] for item in case["objects"]]] for case in told] == self.cases


def test_the_journal_agrees_with_the_model(fill, monkeypatch):
    checks = [HealthCheck.too_slow]
    calm = settings(max_examples=8, stateful_step_count=16, deadline=None, database=None, suppress_health_check=checks)
    monkeypatch.setattr(Cases, "fill", fill, raising=False)
    run_state_machine_as_test(Cases, settings=calm)
