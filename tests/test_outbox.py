"""Sending: order, pauses, attempts, duplicates, and how little a dead archive is bothered."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from outboxes import Rig

from node.errors import (
    AssociationRefused,
    CannotUnderstand,
    ContextsRefused,
    DestinationMisconfigured,
    OutOfResources,
    PeerUnreachable,
    StoreFailed,
    StoreRefused,
)

Rigs = Callable[..., Rig]

HOUR_S = 3600.0


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Rigs]:
    """Make outboxes over one folder, and close them after."""
    with ExitStack() as opened:
        yield lambda *names, **knobs: opened.enter_context(closing(Rig(tmp_path, *names, **knobs)))


def down() -> PeerUnreachable:
    return PeerUnreachable("ARCHIVE at 127.0.0.1:104 does not answer")


def test_what_is_taken_is_delivered_in_the_order_in_which_it_was_made(rigs: Rigs) -> None:
    rig = rigs()
    uids = [*rig.case(1, 3), *rig.case(2, 3)]
    assert rig.deliver() is None
    assert rig.archive.sent == uids
    assert rig.states() == ["delivered"] * 6
    assert rig.cases() == ["delivered", "delivered"]


def test_a_warning_is_noted(rigs: Rigs) -> None:
    rig = rigs()
    seg, _ = rig.case()
    rig.archive.says[seg] = ["warning 0xB000"]
    rig.deliver()
    assert rig.states() == ["delivered", "delivered"]
    assert rig.texts() == ["warning 0xB000", None]


def test_a_report_does_not_overtake_its_segmentation(rigs: Rigs) -> None:
    rig = rigs()
    seg, sr = rig.case(1)
    other = rig.case(2)
    rig.archive.says[seg] = [StoreFailed("0x0110")]
    assert 2.5 <= (rig.deliver() or 0) <= 5
    assert rig.archive.sent == [seg, *other]
    assert rig.states() == ["pending", "pending", "delivered", "delivered"]
    rig.clock.now += 5
    assert rig.deliver() is None
    assert rig.archive.sent == [seg, *other, seg, sr]


def test_a_report_goes_out_where_its_segmentation_is_refused_for_good(rigs: Rigs) -> None:
    rig = rigs()
    seg, sr = rig.case()
    rig.archive.says[seg] = [StoreRefused("not supported")]
    assert rig.deliver() is None
    assert rig.archive.sent == [seg, sr]
    assert rig.states() == ["refused", "delivered"]
    assert rig.cases() == ["undelivered"]


def test_a_failed_object_of_one_case_holds_up_no_other_case(rigs: Rigs) -> None:
    rig = rigs()
    for number in range(1, 5):
        rig.archive.says[rig.case(number)[0]] = [StoreFailed("0x0110")] * 99
    rig.case(5)
    rig.deliver()
    assert rig.cases() == ["sending"] * 4 + ["delivered"]


def test_one_bad_destination_holds_up_no_other(rigs: Rigs) -> None:
    rig = rigs(("bad", "good"))
    rig.archives["bad"].way = down()
    rig.case()
    assert rig.deliver("bad") is not None
    assert rig.deliver("good") is None
    assert rig.states() == ["pending", "delivered"] * 2


@pytest.mark.parametrize(
    ("error", "least_s", "most_s"),
    [
        (down(), 2.5, 5),
        (AssociationRefused("for now"), 2.5, 5),
        (DestinationMisconfigured("for good"), 450, 900),
    ],
)
def test_a_closed_way_pauses_the_whole_destination(rigs: Rigs, error, least_s: float, most_s: float) -> None:
    rig = rigs()
    for number in range(1, 4):
        rig.case(number)
    rig.archive.way = error
    assert least_s <= (rig.deliver() or 0) <= most_s
    assert rig.deliver() is not None
    assert rig.archive.visits == 1
    assert rig.codes() == [error.code, *[None] * 5]
    rig.archive.way = None
    rig.clock.now += most_s
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"] * 3


@pytest.mark.parametrize(("asked_s", "least_s", "most_s"), [(0, 2.5, 5), (60, 60, 120), (1e9, 450, 900)])
def test_out_of_resources_pauses_the_destination_as_long_as_it_asks(
    rigs: Rigs, asked_s: float, least_s: float, most_s: float
) -> None:
    rig = rigs()
    seg, _ = rig.case(1)
    rig.case(2)
    rig.archive.says[seg] = [OutOfResources("0xA700", retry_after_s=asked_s)]
    assert least_s <= (rig.deliver() or 0) <= most_s
    assert rig.archive.sent == [seg]
    assert rig.states() == ["pending"] * 4


def test_the_settings_say_how_pauses_grow(rigs: Rigs) -> None:
    rig = rigs(retry_delay_s=10, retry_multiplier=3, retry_cap_s=50)
    rig.case()
    rig.archive.way = down()
    for least_s, most_s in ((5, 10), (15, 30), (25, 50), (25, 50)):
        assert least_s <= (rig.deliver() or 0) <= most_s
        rig.clock.now += most_s


def test_a_dead_archive_is_asked_once_a_pause_however_many_cases_wait(rigs: Rigs) -> None:
    """Twelve hours, 12 cases: the same few associations an hour as for one case, and everything arrives after."""
    rig = rigs()
    for number in range(1, 13):
        rig.case(number)
    rig.archive.way = down()
    visits_by_hour = []
    for _ in range(12):
        before = rig.archive.visits
        end = rig.clock.now + HOUR_S
        while rig.clock.now < end:
            rig.clock.now += rig.deliver() or 0
        visits_by_hour.append(rig.archive.visits - before)
    assert visits_by_hour[0] <= 16
    assert max(visits_by_hour[1:]) <= 9
    rig.archive.way = None
    rig.clock.now += 900
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"] * 12
    assert len(rig.archive.sent) == len(set(rig.archive.sent)) == 24


def test_an_archive_that_fails_every_object_is_not_stormed(rigs: Rigs) -> None:
    rig = rigs()
    for number in range(1, 21):
        for uid in rig.case(number):
            rig.archive.says[uid] = [StoreFailed("0x0110")] * 999
    end = 0.0
    while rig.clock.now < 150:
        end = rig.clock.now
        rig.clock.now += rig.deliver() or 0
    assert end < 150
    assert rig.archive.visits <= 5 + 150 / 2.5


def test_after_a_restart_what_had_failed_is_spread_and_what_is_new_goes_at_once(rigs: Rigs) -> None:
    rig = rigs()
    for number in range(1, 5):
        rig.archive.says[rig.case(number)[0]] = [StoreFailed("0x0110")]
    rig.deliver()
    rig.restart()
    new = rig.case(5)
    before = len(rig.archive.sent)
    wait_s = rig.deliver()
    assert wait_s is not None
    assert wait_s <= 15
    assert rig.archive.sent[before:][-2:] == new
    rig.clock.now += 15
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"] * 5


def test_attempts_are_counted_and_end(rigs: Rigs) -> None:
    rig = rigs(attempts=3)
    seg, sr = rig.case()
    rig.archive.says[seg] = [StoreFailed("ARCHIVE answered 0x0110")] * 99
    for _ in range(3):
        rig.deliver()
        rig.clock.now += 1000
        rig.restart()
    assert rig.archive.sent == [seg, seg, seg, sr]
    assert rig.states() == ["refused", "delivered"]
    assert (rig.codes()[0], rig.texts()[0]) == ("attempts-spent", "3 attempts, at last: ARCHIVE answered 0x0110")
    assert rig.cases() == ["undelivered"]


def test_without_a_limit_it_is_tried_until_it_is_there(rigs: Rigs) -> None:
    rig = rigs()
    seg, _ = rig.case()
    rig.archive.says[seg] = [StoreFailed("0x0110")] * 20
    while rig.deliver() is not None:
        rig.clock.now += 900
    assert rig.archive.sent.count(seg) == 21
    assert rig.cases() == ["delivered"]


def test_what_the_archive_cannot_understand_is_tried_five_times(rigs: Rigs) -> None:
    rig = rigs()
    seg, sr = rig.case()
    rig.archive.says[seg] = [CannotUnderstand("ARCHIVE answered 0xC000")] * 99
    for _ in range(8):
        rig.deliver()
        rig.clock.now += 1000
    assert rig.archive.sent == [seg] * 5 + [sr]
    assert (rig.states()[0], rig.codes()[0]) == ("refused", "attempts-spent")
    assert rig.texts()[0] == "5 times: ARCHIVE answered 0xC000"


def test_a_destination_that_takes_none_of_it_refuses_all_of_the_case(rigs: Rigs) -> None:
    rig = rigs()
    rig.case()
    rig.archive.way = ContextsRefused("none")
    assert rig.deliver() is None
    assert rig.states() == ["refused", "refused"]
    assert rig.deliver() is None
    assert rig.archive.visits == 1


@pytest.mark.parametrize("fault", ["changed", "gone"])
def test_a_result_that_is_not_what_was_made_is_never_sent(rigs: Rigs, fault: str) -> None:
    rig = rigs()
    _, sr = rig.case()
    [path] = (rig.state_dir / "results").rglob("0.dcm")
    path.write_bytes(b"rot") if fault == "changed" else path.unlink()
    rig.deliver()
    assert rig.archive.sent == [sr]
    assert (rig.states(), rig.codes()[0]) == (["refused", "delivered"], "result-damaged")


def test_a_result_that_cannot_be_read_now_waits_and_holds_up_nobody(rigs: Rigs) -> None:
    rig = rigs()
    seg, sr = rig.case(1)
    other = rig.case(2)
    [path] = (rig.state_dir / "results" / "1").glob("0.dcm")
    content = path.read_bytes()
    path.unlink()
    path.mkdir()  # reading it fails, and not because it is not there
    assert rig.deliver() is not None
    assert rig.archive.sent == other
    path.rmdir()
    path.write_bytes(content)
    rig.clock.now += 5
    assert rig.deliver() is None
    assert rig.archive.sent == [*other, seg, sr]


def test_a_duplicate_is_delivered_when_the_archive_finds_it(rigs: Rigs) -> None:
    rig = rigs()
    seg, sr = rig.case()
    rig.archive.says[seg] = ["duplicate"]
    rig.archive.has.add(seg)
    assert rig.deliver() is None
    assert rig.archive.questions == [[seg]]
    assert rig.states() == ["delivered", "delivered"]
    assert rig.texts() == ["0x0111; verified", None]
    assert sr in rig.archive.sent


def test_a_duplicate_that_the_archive_does_not_find_is_not_delivered(rigs: Rigs) -> None:
    rig = rigs()
    seg, _ = rig.case()
    rig.archive.says[seg] = ["duplicate"]
    assert rig.deliver() is not None
    assert (rig.states()[0], rig.codes()[0]) == ("pending", "not-confirmed")
    rig.clock.now += 5
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"]


def test_a_duplicate_of_an_archive_that_answers_no_query_is_delivered_and_says_so(rigs: Rigs) -> None:
    rig = rigs()
    seg, _ = rig.case()
    rig.archive.says[seg] = ["duplicate"]
    rig.archive.cannot_ask = ContextsRefused("none")
    assert rig.deliver() is None
    assert rig.texts()[0] == "0x0111; not verified: it answers no query"
    assert rig.cases() == ["delivered"]


def test_a_duplicate_that_cannot_be_verified_now_waits(rigs: Rigs) -> None:
    rig = rigs()
    seg, _ = rig.case()
    rig.archive.says[seg] = ["duplicate", "duplicate"]
    rig.archive.has.add(seg)
    rig.archive.cannot_ask = down()
    assert rig.deliver() is not None
    assert rig.states()[0] == "pending"
    rig.archive.cannot_ask = None
    rig.clock.now += 5
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"]


def test_a_held_case_is_not_sent(rigs: Rigs) -> None:
    rig = rigs()
    rig.case()
    rig.journal.cases.hold(1)
    assert rig.deliver() is None
    assert rig.archive.sent == []


def test_a_long_list_is_sent_in_steps_so_that_the_service_can_end_between_two(rigs: Rigs) -> None:
    rig = rigs()
    for number in range(1, 4):
        rig.case(number)
    deliver = rig.archive.deliver

    def slow(parcels):
        rig.clock.now += 6
        return deliver(parcels)

    rig.archive.deliver = slow  # type: ignore[method-assign]
    assert [rig.deliver(), rig.deliver(), rig.deliver()] == [0.0, 0.0, None]
    assert rig.cases() == ["delivered"] * 3


def test_an_operator_ends_the_pauses(rigs: Rigs) -> None:
    rig = rigs()
    rig.case()
    rig.archive.way = DestinationMisconfigured("calling AE title not recognised")
    assert (rig.deliver() or 0) > 400
    rig.archive.way = None
    rig.outbox.resume("archive")
    rig.outbox.resume("not configured any more")
    assert rig.deliver() is None
    assert rig.cases() == ["delivered"]
