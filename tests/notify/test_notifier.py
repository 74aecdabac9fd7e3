"""When notices are sent: grouped, at least once, from where the last life of the process stopped."""

import json
from pathlib import Path

import pytest
from notifying import Ear, Told, bytes_quarantined, quarantine
from outboxes import Rig

from node.errors import DestinationMisconfigured, PeerUnreachable
from node.journal.journal import Journal


@pytest.fixture
def rig(tmp_path: Path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def subjects(told: Told) -> list[str]:
    return [message.subject for message in told.channel.taken]


def test_what_happens_within_the_wait_is_one_message(rig):
    told = Told(rig, group_wait_s=30.0, group_interval_s=300.0)
    quarantine(rig, 1, "slice-gap")
    told.step()
    rig.clock.now += 29
    bytes_quarantined(rig, "not-dicom")
    told.step()
    assert told.channel.taken == []
    rig.clock.now += 1
    told.step()
    assert subjects(told) == ["CSPINE on test: 2 quarantined"]
    assert told.channel.taken[0].lines == [
        "2026-01-01T00:00:00.000+00:00 case 1 is quarantined: slice-gap",
        "2026-01-01T00:00:29.000+00:00 received bytes are no instance and lie in quarantine: not-dicom",
    ]


def test_what_an_earlier_version_has_kept_of_what_was_told_is_read(rig):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    assert len(told.texts()) == 1
    file = rig.state_dir / "notices" / "desk.json"
    kept = json.loads(file.read_bytes())
    assert kept.pop("pulls") == {}
    file.write_text(json.dumps(kept))
    told.start()
    assert len(told.texts()) == 1


def test_the_next_message_waits_for_the_interval(rig):
    told = Told(rig, group_wait_s=30.0, group_interval_s=300.0)
    quarantine(rig, 1, "slice-gap")
    told.step()
    rig.clock.now += 30
    told.step()
    quarantine(rig, 2, "slice-gap")
    told.step()
    rig.clock.now += 299
    told.step()
    assert len(told.channel.taken) == 1
    rig.clock.now += 1
    told.step()
    assert len(told.channel.taken) == 2


def test_of_a_flood_the_first_fifty_are_listed_and_the_rest_is_counted(rig):
    told = Told(rig)
    for number in range(60):
        bytes_quarantined(rig, "not-dicom", number)
    told.step()
    document = json.loads(told.channel.taken[0].body)
    assert (len(document["data"]["notices"]), document["data"]["more"]) == (50, 10)
    assert document["data"]["counts"] == {"quarantine": 60}
    assert told.channel.taken[0].lines[-1] == "and 10 more; `cspine-node status` lists them"


def test_a_case_has_a_link_to_its_page(rig):
    told = Told(rig, page="https://cspine.hospital/")
    quarantine(rig, 1, "slice-gap")
    told.step()
    (notice,) = told.notices
    assert notice["link"] == "https://cspine.hospital/cases/1"
    assert told.channel.taken[0].lines == [
        "2026-01-01T00:00:00.000+00:00 case 1 is quarantined: slice-gap https://cspine.hospital/cases/1"
    ]


def test_what_happened_before_the_first_start_is_not_told(rig):
    quarantine(rig, 1, "slice-gap")
    told = Told(rig)
    assert told.texts() == []


def test_a_message_that_nobody_takes_is_sent_again_as_it_was(rig):
    told = Told(rig)
    told.channel.faults = [PeerUnreachable("gone"), PeerUnreachable("gone")]
    quarantine(rig, 1, "slice-gap")
    told.step()
    quarantine(rig, 2, "slice-gap")
    rig.clock.now += 5
    told.step()
    rig.clock.now += 10
    told.step()
    told.step()
    assert told.channel.tries == 4
    assert told.texts() == ["case 1 is quarantined: slice-gap", "case 2 is quarantined: slice-gap"]
    assert len(told.channel.taken) == 2


def test_between_two_tries_there_is_a_pause(rig):
    told = Told(rig)
    told.channel.faults = [PeerUnreachable("gone")]
    quarantine(rig, 1, "slice-gap")
    told.step()
    told.step()
    assert told.channel.tries == 1


def test_where_somebody_has_to_act_the_pause_is_long(rig):
    told = Told(rig)
    told.channel.faults = [DestinationMisconfigured("401")]
    quarantine(rig, 1, "slice-gap")
    told.step()
    rig.clock.now += 449
    told.step()
    assert told.channel.tries == 1
    rig.clock.now += 451
    assert told.texts() == ["case 1 is quarantined: slice-gap"]


def test_what_was_not_sent_before_the_process_died_is_told_by_the_next(rig):
    told = Told(rig)
    told.channel.faults = [PeerUnreachable("gone")]
    quarantine(rig, 1, "slice-gap")
    told.step()
    told.start()
    assert told.texts() == ["case 1 is quarantined: slice-gap"]


def test_what_happened_while_nothing_ran_is_told_at_the_next_start(rig):
    told = Told(rig)
    told.step()
    quarantine(rig, 1, "slice-gap")
    told.start()
    assert told.texts() == ["case 1 is quarantined: slice-gap"]


def test_what_was_told_is_not_told_again_after_a_restart(rig):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    told.step()
    told.start()
    assert told.texts() == ["case 1 is quarantined: slice-gap"]


def test_a_message_that_was_taken_just_before_the_process_died_is_the_same_once_more(rig):
    told = Told(rig)
    place = rig.state_dir / "notices" / "desk.json"
    before = place.read_bytes()
    quarantine(rig, 1, "slice-gap")
    told.step()
    place.write_bytes(before)  # the process died between the answer and its note of it
    told.start()
    told.step()
    first, again = told.channel.taken
    assert first.identity == again.identity
    assert first.body == again.body


def test_that_a_destination_fails_is_remembered_over_a_restart(rig):
    told = Told(rig, failing_s=600.0)
    rig.archive.way = PeerUnreachable("gone")
    rig.case(1)
    rig.deliver()
    rig.clock.now += 600
    told.step()
    told.start()
    told.step()
    assert len(told.channel.taken) == 1
    rig.clock.now += 10_000
    rig.archive.way = None
    rig.deliver()
    assert told.texts()[1].startswith("destination archive works again")


def test_a_place_that_cannot_be_read_is_told_of(rig):
    quarantine(rig, 1, "slice-gap")
    place = rig.state_dir / "notices" / "desk.json"
    place.parent.mkdir()
    place.write_bytes(b'{"place": 3')
    told = Told(rig)
    told.step()
    assert [notice["kind"] for notice in told.notices] == ["notices-lost"]
    told.start()
    assert len(told.notices) == 1


def test_in_a_journal_made_anew_only_what_is_younger_is_told(rig):
    told = Told(rig)
    for number in (1, 2, 3):
        quarantine(rig, number, "slice-gap")
    told.step()
    rig.journal.close()
    (rig.state_dir / "journal.sqlite").rename(rig.state_dir / "journal.old")
    rig.journal = Journal(rig.state_dir / "journal.sqlite", clock=rig.clock.wall, monotonic=rig.clock)
    rig.clock.now += 60
    quarantine(rig, 4, "two-acquisitions")
    told.channel = Ear()
    told.start()
    assert told.texts() == ["case 1 is quarantined: two-acquisitions"]


def test_a_long_trail_is_read_in_many_steps_and_told_as_a_whole(rig, monkeypatch):
    monkeypatch.setattr("node.notify.notifier._PAGE", 2)
    monkeypatch.setattr("node.notify.notifier._MOST_PAGES", 1)
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")
    quarantine(rig, 2, "slice-gap")
    steps = 1
    while told.step() == 0:
        assert told.channel.taken == []
        steps += 1
    assert steps > 2
    assert told.texts() == ["case 1 is quarantined: slice-gap", "case 2 is quarantined: slice-gap"]


def test_two_who_are_told_do_not_wait_for_each_other(rig):
    deaf, hears = Told(rig, name="deaf"), Told(rig, name="hears")
    deaf.channel.faults = [PeerUnreachable("gone")]
    quarantine(rig, 1, "slice-gap")
    deaf.step()
    assert hears.texts() == ["case 1 is quarantined: slice-gap"]


def test_a_full_disk_after_a_message_has_left_does_not_send_it_twice(rig, monkeypatch):
    told = Told(rig)
    quarantine(rig, 1, "slice-gap")

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space"):
        patched.setattr("node.notify.notifier.write_durably", full)
        told.step()
    told.step()
    assert len(told.channel.taken) == 1
