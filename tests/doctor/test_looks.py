"""What each specialist says of something that is well and of something that is not."""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import Authority
from notifying import quarantine
from outboxes import Rig

from node import __version__
from node.demo.archive import free_port
from node.doctor import clock, engine, folders, listening, records, secrets, sense
from node.doctor.clock import KernelClock, kernel_clock
from node.doctor.finding import Finding, Level, worst
from node.domain.findings import Algorithm
from node.errors import BundleTampered, EngineDied, SelfTestFailed
from node.journal.journal import Journal
from node.journal.store import Store
from node.monitor.figures import Figures, Process
from node.receive.headroom import Space
from node.receive.intake import Intake
from node.segment.devices import Device
from node.settings import ModelSettings, Settings, parse_settings

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LOCAL = "1 0 8:1 / / rw - ext4 /dev/sda1 rw"
ARCHIVE = {"name": "archive", "host": "pacs", "port": 104, "ae_title": "PACS"}
NECK = {"name": "neck", "destinations": ["archive"]}
GB = 10**9


def settings(folder: Path | str = "/state", **sections: object) -> Settings:
    document = {"node": {"state_dir": str(folder)}, "route": [NECK], "destination": [ARCHIVE], **sections}
    return parse_settings(document, name="test")


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Return level and text of what is not well; each of these says what to do."""
    bad = [finding for finding in findings if finding.level is not Level.OK]
    assert all(finding.advice for finding in bad)
    return [(finding.level.name, finding.text) for finding in bad]


def test_settings_that_make_sense_are_fine():
    notify = [{"name": "desk", "url": "http://here"}]
    assert [finding.text for finding in sense.look(settings(notify=notify))] == ["make sense"]


@pytest.mark.parametrize(
    ("sections", "text"),
    [
        ({"route": [{"name": "neck"}]}, "results of route neck go nowhere: they stay in the state folder"),
        ({"route": [{"name": "neck"}]}, "no route sends anything to destination archive"),
        ({"node": {"state_dir": "s", "host": "0.0.0.0"}}, "everybody who reaches port 11112 may store images here"),
        (
            {"node": {"state_dir": "s", "host": "10.1.2.3"}, "peer": [{"ae_title": "PACS"}]},
            "peer PACS may call from any address",
        ),
        ({"destination": [{**ARCHIVE, "host": "localhost", "port": 11112}]}, "destination archive is this node itself"),
        (
            {"log": {"identifiers": "plain"}},
            "the logs show UIDs as they are: with an archive at hand they name a patient",
        ),
        ({}, "nobody is told when something fails"),
    ],
)
def test_settings_that_somebody_may_not_have_meant_are_told(sections, text):
    assert text in [said for _, said in told(sense.look(settings(**sections)))]


def look_at_folder(folder: Path, free: int = 900 * GB, mounts: str = LOCAL, *, runs: bool = True) -> list[Finding]:
    space = Space(total=1000 * GB, free=free)
    return list(folders.look(settings(folder), lambda _folder: space, mounts, node_runs=runs))


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "ballast").touch()
    return folder


def test_a_state_folder_of_the_node_alone_with_room_is_fine(state):
    assert told(look_at_folder(state)) == []
    assert list(state.iterdir()) == [state / "ballast"]


def test_a_state_folder_that_others_may_look_into_is_told(state):
    state.chmod(0o755)
    assert told(look_at_folder(state)) == [("WARNING", f"others than its owner may look into {state} (mode 755)")]


def test_a_state_folder_that_is_not_there_yet_is_no_fault(tmp_path):
    assert told(look_at_folder(tmp_path / "new" / "state")) == [("WARNING", f"{tmp_path}/new/state is not there yet")]


def test_a_file_in_place_of_the_state_folder_is_a_fault(tmp_path):
    (tmp_path / "state").touch()
    assert told(look_at_folder(tmp_path / "state")) == [("FAULT", f"{tmp_path}/state is no folder")]


def test_sqlite_on_a_network_file_system_is_a_fault(state):
    mounts = f"{LOCAL}\n2 1 0:9 / {state.parent} rw shared:1 - nfs4 nas:/x rw"
    assert told(look_at_folder(state, mounts=mounts)) == [
        ("FAULT", f"{state} lies on a network file system (nfs4), on which SQLite loses data")
    ]


@pytest.mark.parametrize(
    ("free", "level"), [(1 * GB, Level.FAULT), (2 * GB, Level.WARNING), (99 * GB, Level.WARNING), (101 * GB, Level.OK)]
)
def test_the_room_on_the_disk_is_held_against_what_the_node_needs(state, free, level):
    assert worst(look_at_folder(state, free=free)) is level


def test_a_ballast_that_was_given_up_is_told_while_the_node_runs(state):
    (state / "ballast").unlink()
    assert [text for _, text in told(look_at_folder(state))] == [
        "the node has given up its ballast: the disk was full, and on a full one the journal cannot be written"
    ]
    assert told(look_at_folder(state, runs=False)) == []


KEPT = KernelClock(synchronised=True, maximum_error_s=0.02)


def test_the_kernel_says_how_right_its_clock_is():
    assert kernel_clock().maximum_error_s >= 0


def test_a_clock_that_is_kept_right_is_fine():
    assert [found.text for found in clock.look(NOW, KEPT, NOW, 0.0)] == ["is kept by a time service, to 20 ms"]


@pytest.mark.parametrize(
    ("now", "newest", "drift_s", "text"),
    [
        (datetime(1970, 1, 2, tzinfo=UTC), None, 0.0, "says 1970-01-02, which is long ago"),
        (
            NOW,
            NOW + timedelta(hours=1),
            0.0,
            "the journal tells of 2026-06-01 01:00 UTC, and now it is 2026-06-01 00:00: it went back",
        ),
        (NOW, NOW, -3600.0, "it was set by -3600.0 s while the doctor looked"),
    ],
)
def test_a_clock_that_is_wrong_is_told(now, newest, drift_s, text):
    assert [said for _, said in told(clock.look(now, KEPT, newest, drift_s))] == [text]


def test_a_clock_that_nothing_keeps_is_told():
    free = KernelClock(synchronised=False, maximum_error_s=16.0)
    assert told(clock.look(NOW, free, None, 0.0)) == [("WARNING", "nothing keeps it right: no time service has set it")]


@contextmanager
def reading(folder: Path) -> Iterator[Store]:
    store = Store(folder / "journal.sqlite", read_only=True)
    try:
        yield store
    finally:
        store.close()


def test_cases_that_nobody_works_on_by_themselves_are_told(tmp_path):
    rig = Rig(tmp_path)
    quarantine(rig, 1, "slice-gap")
    rig.case(2)
    rig.close()
    other = settings(tmp_path, destination=[{**ARCHIVE, "name": "other"}], route=[{"name": "neck"}])
    with reading(tmp_path) as store:
        assert told(records.look(settings(tmp_path), store)) == [("WARNING", "1 in quarantine")]
        assert told(records.look(other, store))[1:] == [
            ("WARNING", "2 objects wait for destination archive, which the settings do not have")
        ]


def test_an_empty_journal_is_fine(tmp_path):
    Journal(tmp_path / "journal.sqlite").close()
    with reading(tmp_path) as store:
        assert [found.text for found in records.look(settings(tmp_path), store)] == [
            "is whole; cases in it: 0",
            "none waits for anybody",
        ]


class Loaded:
    """An engine that loads, or does not."""

    def __init__(self, engine: str = "torch, cpu", error: Exception | None = None) -> None:
        self.error = error
        self.algorithm = Algorithm(
            name="a",
            version="1",
            bundle_name="b",
            bundle_version="1",
            bundle_digest="",
            members=(),
            engine=engine,
            intended_use="",
        )

    def loaded(self) -> object:
        if self.error is not None:
            raise self.error
        return self

    def __enter__(self) -> "Loaded":
        return self

    def __exit__(self, *_exception: object) -> None:
        return


GPU = Device(index=0, name="NVIDIA L4", used=0, size=24 * GB, utilization=None)


def test_an_engine_that_passes_its_self_test_is_fine():
    (found,) = engine.look_at_engine(ModelSettings(), lambda _model: Loaded(), ())
    assert found.text == "passed its self-test (fast mode): torch, cpu"


def test_an_idle_device_is_told():
    assert told(engine.look_at_engine(ModelSettings(), lambda _model: Loaded(), (GPU,))) == [
        ("WARNING", "computes on the CPU, and there is a NVIDIA L4")
    ]
    assert told(engine.look_at_engine(ModelSettings(device="cpu"), lambda _model: Loaded(), (GPU,))) == []
    assert told(engine.look_at_engine(ModelSettings(), lambda _model: Loaded("torch, cuda:0"), (GPU,))) == []


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (SelfTestFailed("it differs"), "self-test-failed: it differs"),
        (EngineDied("it ended"), "engine-died: it ended"),
        (ConnectionRefusedError(111, "Connection refused"), "does not answer: Connection refused"),
    ],
)
def test_an_engine_that_does_not_load_is_a_fault(error, text):
    findings = engine.look_at_engine(ModelSettings(), lambda _model: Loaded(error=error), ())
    assert told(findings) == [("FAULT", text)]


def test_a_bundle_that_was_changed_is_a_fault():
    def tampered(_model: ModelSettings) -> object:
        raise BundleTampered("plans.json differs from its digest in the manifest")

    assert told(engine.look_at_bundle(ModelSettings(), tampered)) == [  # type: ignore[arg-type]
        ("FAULT", "plans.json differs from its digest in the manifest")
    ]


@pytest.mark.parametrize(
    ("days", "level", "text"),
    [
        (-1, Level.FAULT, "ended on 2026-05-31: TLS with it fails"),
        (29, Level.WARNING, "ends on 2026-06-30, in 29 days"),
        (31, Level.OK, "holds until 2026-07-02"),
    ],
)
def test_the_end_of_a_certificate_is_told_a_month_before(days, level, text):
    found = secrets.validity("tls", NOW - timedelta(days=300), NOW + timedelta(days=days), NOW)
    assert (found.level, found.text) == (level, text)


def with_tls(folder: Path, certificate: Path, key: Path, authorities: Path) -> Settings:
    tls = {"certificate": str(certificate), "key": str(key), "authorities": str(authorities)}
    return settings(folder, receive={"tls": tls})


def test_certificates_and_keys_of_the_settings_are_looked_at(tmp_path):
    authority = Authority(tmp_path, "ca")
    pair, other = authority.signs("node"), authority.signs("other")
    for file in (pair.key, other.key):
        file.chmod(0o600)
    now = datetime.now(UTC)
    sound = with_tls(tmp_path, pair.certificate, pair.key, authority.file)
    assert [(found.area, found.level.name) for found in secrets.look(sound, now - timedelta(hours=1))] == [
        ("receive.tls.certificate", "WARNING"),
        ("receive.tls.key", "OK"),
        ("receive.tls.authorities", "WARNING"),
    ]
    mixed = with_tls(tmp_path, pair.certificate, other.key, authority.file)
    assert told(secrets.look(mixed, now))[-1] == ("FAULT", "key and certificate are not one pair: KEY_VALUES_MISMATCH")


def test_files_of_the_settings_that_are_missing_empty_or_open_to_all_are_told(tmp_path):
    stow = {"name": "web", "kind": "stow", "url": "https://pacs", "username": "u"}

    def look(**files: str) -> list[tuple[str, str]]:
        return told(secrets.look(settings(tmp_path, destination=[{**stow, **files}], route=[{"name": "n"}]), NOW))

    path = tmp_path / "password"
    assert look(password_file=str(path)) == [("FAULT", f"{path} cannot be read: No such file or directory")]
    path.touch(mode=0o600)
    assert look(password_file=str(path)) == [("FAULT", f"{path} is empty")]
    path.write_text("x")
    assert look(password_file=str(path)) == []
    path.chmod(0o644)
    assert look(password_file=str(path)) == [("WARNING", f"everybody on this machine may read {path}")]
    assert look(password_file="credential:web") == []


def figures(**changes: object) -> Figures:
    known = {
        "version": __version__,
        "started_at": 0.0,
        "engine_ready": True,
        "closed": None,
        "connections": 0,
        "intake": Intake().counts(),
        "process": Process(cpu_s=None, resident_bytes=None, open_fds=None, max_fds=None),
        "devices": (),
    }
    return Figures(**{**known, **changes})  # type: ignore[arg-type]


def test_a_node_that_runs_and_takes_series_is_fine():
    (found,) = listening.look_at_node(figures(), node_runs=True)
    assert found.text == f"version {__version__} answers and takes series"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": "0.0.1"}, f"it has version 0.0.1, installed is {__version__}"),
        ({"engine_ready": False}, "its engine is not loaded: series are taken, and wait"),
        ({"closed": "disk"}, "it refuses instances: disk"),
    ],
)
def test_a_node_that_runs_and_is_unwell_is_told(changes, text):
    assert [said for _, said in told(listening.look_at_node(figures(**changes), node_runs=True))] == [text]


def test_a_node_that_does_not_run_and_one_that_does_not_say_how_it_is_are_told():
    assert told(listening.look_at_node(None, node_runs=False)) == [("WARNING", "none runs over this state folder")]
    assert told(listening.look_at_node(None, node_runs=True)) == [("FAULT", "one runs, and does not say how it is")]


def ports(port: int, web: int, host: str = "127.0.0.1") -> Settings:
    return settings(node={"state_dir": "s", "host": host, "port": port}, web={"port": web})


def test_a_port_must_be_free_before_the_node_runs_and_taken_when_it_does():
    port, web = free_port(), free_port()
    assert told(listening.look_at_ports(ports(port, web), node_runs=False)) == []
    assert told(listening.look_at_ports(ports(port, web), node_runs=True)) == [
        ("FAULT", f"nobody listens on 127.0.0.1:{port}, and the node runs"),
        ("WARNING", "does not run"),
    ]
    with socket.create_server(("127.0.0.1", port)):
        assert told(listening.look_at_ports(ports(port, web), node_runs=False)) == [
            ("FAULT", f"127.0.0.1:{port} another program listens there")
        ]
        assert told(listening.look_at_ports(ports(port, port), node_runs=True)) == []


def test_for_a_port_that_only_root_may_take_what_is_advised_is_what_the_units_allow(monkeypatch):
    def refused(_self: socket.socket, _place: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    web = free_port()
    monkeypatch.setattr(socket.socket, "bind", refused)
    found, *_ = listening.look_at_ports(ports(104, web), node_runs=False)
    assert (found.level.name, found.text) == ("FAULT", "127.0.0.1:104 may not be listened on")
    units = Path(__file__).parents[2] / "docs" / "units.md"
    assert "net.ipv4.ip_unprivileged_port_start" in found.advice
    assert "net.ipv4.ip_unprivileged_port_start" in units.read_text()
    receiver = (units.parents[1] / "systemd" / "cspine-node-receiver.service").read_text()
    assert "\nCapabilityBoundingSet=\n" in receiver  # no capability of AmbientCapabilities= would come through
    assert "CAP_" not in found.advice


def test_an_address_of_another_machine_cannot_be_listened_on():
    (_, text), *_ = told(listening.look_at_ports(ports(free_port(), free_port(), "192.0.2.1"), node_runs=False))
    assert text.endswith("is no address of this machine")
