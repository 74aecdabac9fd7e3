"""The quick part of the network fault harnesses: some of every kind, chosen by a fixed seed, and every control."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import canary, deadpacs, floods, fuzzing, misbehaviour, net_listener, wire
from faults.killing import ordeal, victim
from faults.misbehaviour import played, scenario
from faults.processes import Listening, listening
from peers import Orthanc

_SEED = 5

_QUICK = [
    "resets in mid-store",
    "closes after an answer",
    "line breaks and the node starts anew",
    "0xA7xx for a while",
    "0xC000 for a while",
    "0x0122 for ever",
    "rejects for good, then knows the node",
    "takes one of the classes",
    "commitment in parts",
    "commitment failed",
]


@pytest.mark.parametrize("name", _QUICK)
def test_everything_reaches_a_misbehaving_archive_once_or_is_refused_by_name(tmp_path: Path, name: str) -> None:
    assert played(scenario(name), tmp_path / "rig") == []


def test_an_outbox_that_takes_0x0111_for_proof_is_caught(tmp_path: Path) -> None:
    assert misbehaviour.control_duplicate(tmp_path / "rig")


def test_an_archive_that_lies_and_is_not_asked_is_caught(tmp_path: Path) -> None:
    assert misbehaviour.control_lies(tmp_path / "rig")


def test_after_hours_of_a_dead_archive_everything_arrives_without_a_storm(tmp_path: Path) -> None:
    endured = deadpacs.endure(tmp_path / "rig", hours=5, every_s=3600)
    assert endured.faults == []
    assert endured.cases > 2
    assert endured.most_a_minute <= 8
    assert endured.most_an_hour_later <= 9


def test_an_outbox_that_forgets_its_pauses_is_caught(tmp_path: Path) -> None:
    assert deadpacs.control_storm(tmp_path / "rig")


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("fuzz"), **fuzzing.LIMITS) as listener:
        yield listener


def test_mutated_sessions_leave_the_listener_as_it_was(fuzzed: Listening) -> None:
    fuzz = fuzzing.Fuzz(listener=fuzzed, seed=_SEED)
    fuzz.begin()
    fuzz.after_handshake(0, 200)
    fuzz.before_handshake(0, 100)
    assert fuzz.faults == []
    assert net_listener.after(fuzzed) == []


def test_a_listener_that_leaves_temporary_files_is_noticed_by_the_fuzz(tmp_path: Path) -> None:
    assert net_listener.flaw_is_seen(tmp_path, "leak", _SEED, sessions=40)


@pytest.fixture(scope="module")
def at_risk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listening, ssl.SSLContext]]:
    with net_listener.at_risk(tmp_path_factory.mktemp("floods")) as at:
        yield at


@pytest.mark.parametrize("name", list(net_listener.FLOODS))
def test_a_legitimate_peer_is_answered_during_a_flood(at_risk: tuple[Listening, ssl.SSLContext], name: str) -> None:
    weathered = net_listener.flooded(at_risk, name, for_s=0.4)
    assert weathered.echoes > 0
    assert weathered.echoes_failed == 0
    assert weathered.went_back


def test_the_stock_server_is_seen_to_fall_to_floods(tmp_path: Path) -> None:
    assert net_listener.stock_falls(tmp_path) == ["a PDU of 4 GB before the handshake", "3 silent TLS clients"]


@pytest.mark.peer("orthanc")
@pytest.mark.slow
def test_a_node_killed_under_traffic_loses_nothing_and_delivers_every_case_once(
    tmp_path: Path, orthanc: Orthanc
) -> None:
    with victim(tmp_path / "node", orthanc, "query") as node:
        found = ordeal(node, orthanc, kills=3, seed=_SEED, longest_s=3.0)
    assert found.faults == []
    assert (found.kills, found.lost, found.orphans) == (3, 0, 0)
    assert found.acknowledged == 24


def test_the_canary_is_seen_where_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "spool" / "kept.dcm").write_bytes(b"ZZSECRET^NAME")
    (tmp_path / "journal.sqlite").write_bytes(b"... ZZSECRET^NAME ...")
    (tmp_path / "ZZSECRET^NAME").touch()
    seen = canary.sightings(tmp_path, [b"a log with ZZSECRET^NAME"])
    assert seen == [f"a name below {tmp_path.name}", "journal.sqlite", "output 0"]


def test_a_command_set_is_encoded_as_the_standard_says() -> None:
    assert wire.command({0x0100: 0x0030, 0x0800: 0x0101}).hex(" ") == (
        "00 00 00 00 04 00 00 00 14 00 00 00 "
        "00 00 00 01 02 00 00 00 30 00 00 00 00 08 02 00 00 00 01 01"
    )  # fmt: skip


def test_a_flood_that_was_weathered_badly_is_called_so() -> None:
    bad = floods.Weathered(
        growth_mb=50.0, threads=1, descriptors=1, echoes=9, echoes_failed=2, slowest_echo_s=1.5, held=0, taken_mb=0,
        went_back=False,
    )  # fmt: skip
    assert len(floods.complaints("a flood", bad)) == 4
