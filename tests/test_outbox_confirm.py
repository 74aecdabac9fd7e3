"""Confirming: by query and by storage commitment, late, twice, in part, not at all."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from outboxes import Rig, reference

from node.domain.commitment import CommitmentReport
from node.errors import ContextsRefused, DestinationMisconfigured, PeerUnreachable, RequestFailed

Rigs = Callable[..., Rig]

TIMEOUT_S = 600.0


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Rigs]:
    """Make outboxes over one folder, and close them after."""
    with ExitStack() as opened:
        yield lambda *names, **knobs: opened.enter_context(closing(Rig(tmp_path, *names, **knobs)))


def sent(rigs: Rigs, confirm: str, cases: int = 1, **knobs) -> Rig:
    """Return an outbox whose archive has taken everything."""
    rig = rigs(confirm=confirm, **knobs)
    for number in range(1, cases + 1):
        rig.case(number)
    assert rig.deliver() is None
    assert rig.states() == ["sent", "sent"] * cases
    return rig


@pytest.mark.parametrize("confirm", ["query", "commitment"])
def test_nothing_is_asked_where_nothing_was_sent(rigs: Rigs, confirm: str) -> None:
    rig = rigs(confirm=confirm)
    rig.case()
    assert rig.confirm() is None
    assert rig.archive.visits == 0


def test_what_is_found_is_delivered_and_not_before(rigs: Rigs) -> None:
    rig = sent(rigs, "query")
    assert rig.cases() == ["sending"]
    assert rig.confirm() is None
    assert rig.cases() == ["delivered"]
    assert rig.archive.questions == [["9.1.1", "9.1.2"]]


def test_what_is_not_found_is_asked_for_again_and_after_the_time_out_sent_again(rigs: Rigs) -> None:
    rig = sent(rigs, "query")
    rig.archive.has.remove("9.1.1")
    waits = []
    while rig.clock.now < TIMEOUT_S:
        waits.append(rig.confirm() or 0)
        rig.clock.now += waits[-1]
    assert 2.5 <= waits[0] <= 5 < waits[2] < waits[5]
    assert rig.states() == ["sent", "delivered"]
    assert rig.archive.sent == ["9.1.1", "9.1.2"]
    rig.confirm()
    assert (rig.states()[0], rig.codes()[0]) == ("pending", "not-confirmed")
    assert rig.deliver() is not None  # not at once: the archive takes it and does not keep it
    rig.clock.now += 5
    assert rig.deliver() is None
    rig.clock.now += 5
    rig.confirm()
    assert rig.archive.sent == ["9.1.1", "9.1.2", "9.1.1"]
    assert rig.cases() == ["delivered"]


def test_an_archive_that_indexes_late_is_asked_once_a_pause_however_many_cases_wait(rigs: Rigs) -> None:
    rig = sent(rigs, "query", cases=10)
    rig.archive.has.clear()
    before = rig.archive.visits
    while rig.clock.now < 120:
        rig.clock.now += rig.confirm() or 0
    assert rig.archive.visits - before <= 1 + 120 / 2.5
    rig.archive.has = set(rig.archive.sent)
    rig.clock.now += 300
    rig.confirm()
    assert rig.cases() == ["delivered"] * 10


@pytest.mark.parametrize(
    ("error", "least_s", "most_s"),
    [
        (PeerUnreachable("down"), 2.5, 5),
        (RequestFailed("0xA700"), 2.5, 5),
        (ContextsRefused("no query"), 450, 900),
        (DestinationMisconfigured("TLS"), 450, 900),
    ],
)
@pytest.mark.parametrize("confirm", ["query", "commitment"])
def test_an_archive_that_cannot_be_asked_is_asked_later_and_nothing_is_sent_again(
    rigs: Rigs, confirm: str, error, least_s: float, most_s: float
) -> None:
    rig = sent(rigs, confirm, cases=3)
    rig.archive.cannot_ask = error
    before = rig.archive.visits
    assert least_s <= (rig.confirm() or 0) <= most_s
    assert rig.confirm() is not None
    assert rig.archive.visits == before + 1
    rig.clock.now += 5000
    rig.confirm()
    assert rig.states() == ["sent"] * 6
    assert rig.deliver() is None
    assert len(rig.archive.sent) == 6


def test_an_object_whose_file_is_gone_is_still_asked_for(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    for path in (rig.state_dir / "results").rglob("*.dcm"):
        path.unlink()
    rig.confirm()
    assert [uids for _, uids in rig.archive.transactions] == [["9.1.1", "9.1.2"]]


def test_an_object_that_is_never_kept_is_sent_as_often_as_the_settings_allow(rigs: Rigs) -> None:
    rig = rigs(confirm="commitment", attempts=3)
    rig.case()
    rig.archive.report_at_once = True
    for _ in range(10):
        rig.archive.has.clear()
        rig.deliver()
        rig.archive.has = {"9.1.2"}
        rig.confirm()
        rig.clock.now += 1000
    assert rig.archive.sent.count("9.1.1") == 3
    assert rig.states() == ["refused", "delivered"]
    assert rig.codes()[0] == "attempts-spent"


def test_what_is_committed_is_delivered(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    assert rig.confirm() == TIMEOUT_S
    [(transaction_uid, uids)] = rig.archive.transactions
    assert uids == ["9.1.1", "9.1.2"]
    assert transaction_uid.startswith("2.25.")
    assert rig.states() == ["sent", "sent"]
    assert rig.outbox.told(rig.archive.report(0)) is True
    assert rig.cases() == ["delivered"]
    assert rig.confirm() is None


def test_the_transaction_is_in_the_journal_before_the_archive_hears_of_it(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    known = []

    def ask(transaction_uid, _parcels):
        known.append([item.transaction_uid for item in rig.journal.commitments.open("archive")] == [transaction_uid])

    rig.archive.ask_commitment = ask  # type: ignore[method-assign]
    rig.confirm()
    assert known == [True]


def test_a_report_over_the_association_of_the_request_counts(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.archive.report_at_once = True
    rig.confirm()
    assert rig.cases() == ["delivered"]


def test_silence_is_asked_again_under_a_new_transaction_and_a_late_report_still_counts(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    for _ in range(3):
        rig.confirm()
        rig.confirm()
        rig.clock.now += TIMEOUT_S
    uids = [transaction_uid for transaction_uid, _ in rig.archive.transactions]
    assert len(set(uids)) == len(uids) == 3
    assert rig.archive.sent == ["9.1.1", "9.1.2"]
    assert rig.outbox.told(rig.archive.report(0)) is True
    assert rig.cases() == ["delivered"]


def test_silence_ends_although_the_wall_clock_was_set_back(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.confirm()
    rig.clock.set_by_s = -86400
    rig.clock.now += 1
    assert 0 < (rig.confirm() or 0) <= TIMEOUT_S
    rig.clock.now += TIMEOUT_S
    rig.confirm()
    assert len(rig.archive.transactions) == 2


def test_a_report_twice_is_the_same_as_once(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.archive.has.remove("9.1.1")
    rig.confirm()
    report = rig.archive.report(0)
    assert [rig.outbox.told(report), rig.outbox.told(report)] == [True, True]
    assert rig.states() == ["pending", "delivered"]
    rig.clock.now += 5
    rig.deliver()
    assert rig.outbox.told(report) is True
    assert rig.states() == ["sent", "delivered"]


def test_a_partial_report_leaves_the_rest_open(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.confirm()
    rig.outbox.told(rig.archive.report(0, only=["9.1.2"]))
    assert rig.states() == ["sent", "delivered"]
    assert 0 < (rig.confirm() or 0) <= TIMEOUT_S
    assert len(rig.archive.transactions) == 1
    rig.outbox.told(rig.archive.report(0, only=["9.1.1"]))
    assert rig.cases() == ["delivered"]


def test_only_what_failed_is_sent_again_and_not_at_once(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment", cases=2)
    rig.archive.has.remove("9.1.2")
    rig.confirm()
    rig.outbox.told(rig.archive.report(0))
    assert rig.states() == ["delivered", "pending", "delivered", "delivered"]
    assert rig.codes()[1] == "not-confirmed"
    assert 2.5 <= (rig.deliver() or 0) <= 5
    rig.clock.now += 5
    assert rig.deliver() is None
    assert rig.archive.sent[4:] == ["9.1.2"]
    rig.confirm()
    assert rig.archive.transactions[1][1] == ["9.1.2"]
    rig.outbox.told(rig.archive.report(1))
    assert rig.cases() == ["delivered", "delivered"]


def test_an_archive_that_never_keeps_what_it_takes_gets_it_less_and_less_often(rigs: Rigs) -> None:
    rig = rigs(confirm="commitment")
    rig.case()
    rig.archive.report_at_once = True
    while rig.clock.now < 3600:
        wait_s = rig.deliver()
        rig.archive.has.clear()
        rig.confirm()
        rig.clock.now += wait_s or 0.5
    assert rig.states() == ["pending", "pending"]
    assert rig.archive.sent.count("9.1.1") <= 16


def test_a_report_of_nobody_s_transaction_is_unknown(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.confirm()
    stranger = CommitmentReport(transaction_uid="2.25.99", committed=(reference("9.1.1"),), failed=())
    assert rig.outbox.told(stranger) is False
    assert rig.states() == ["sent", "sent"]


def test_a_report_after_a_restart_counts(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.confirm()
    rig.restart()
    assert rig.outbox.told(rig.archive.report(0)) is True
    assert rig.cases() == ["delivered"]


def test_after_a_restart_an_open_question_is_not_asked_twice(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.confirm()
    rig.restart()
    rig.clock.now += 100
    assert rig.confirm() == pytest.approx(TIMEOUT_S - 100)
    assert len(rig.archive.transactions) == 1


def test_each_destination_confirms_for_itself(rigs: Rigs) -> None:
    rig = rigs(("one", "two"), confirm="commitment")
    rig.case()
    for name in ("one", "two"):
        rig.deliver(name)
        rig.confirm(name)
    assert rig.outbox.told(rig.archives["two"].report(0)) is True
    assert rig.states() == ["sent", "delivered"] * 2


def test_a_duplicate_waits_for_its_confirmation_like_anything_else(rigs: Rigs) -> None:
    rig = rigs(confirm="commitment")
    seg, _ = rig.case()
    rig.archive.says[seg] = ["duplicate"]
    rig.deliver()
    assert rig.states() == ["sent", "sent"]
    assert rig.archive.questions == []


def test_what_was_sent_is_delivered_where_confirmation_is_not_asked_any_more(rigs: Rigs) -> None:
    rig = sent(rigs, "commitment")
    rig.close()
    later = rigs()
    assert later.confirm() is None
    assert later.cases() == ["delivered"]
    assert later.archive.visits == 0


def test_a_long_list_is_asked_for_in_parts(rigs: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.outbox.confirming._REFERENCES", 3)
    rig = sent(rigs, "commitment", cases=4)
    rig.confirm()
    assert [len(uids) for _, uids in rig.archive.transactions] == [3, 3, 2]
