"""The recipes in config/recipes do what they say: Orthanc's scripts, dcm4chee's LDIF, DCMTK's programs."""

import json
import os
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from peers import Orthanc, program
from pullrig import Node, image, node_beside, part10, post, run

from node.demo.archive import free_port, running_orthanc
from node.scu.association import Peer

RECIPES = Path(__file__).parents[2] / "config" / "recipes"


def until(happened: Callable[[], bool]) -> None:
    poll = threading.Event()
    for _ in range(1200):
        if happened():
            return
        poll.wait(0.05)
    raise AssertionError("it did not happen within a minute")


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc with the Lua script, that takes a series for stable after a second."""
    found = program("Orthanc")
    assert found is not None
    more = {
        "LuaScripts": [str(RECIPES / "orthanc" / "autoroute.lua")],
        "StableAge": 1,
        "JobsHistorySize": 100,
        "DicomModalities": {"cspine": {"AET": "CSPINE", "Host": "127.0.0.1", "Port": free_port()}},
    }
    with running_orthanc(found, tmp_path / "orthanc", with_rest=True, more=more) as running:
        yield Orthanc(peer=running.peer, url=running.rest_url)


def jobs(orthanc: Orthanc) -> list[dict[str, Any]]:
    return list(json.loads(orthanc.get("/jobs?expand")))


@pytest.mark.peer("orthanc")
def test_the_lua_script_sends_mr_series_and_again_what_failed_while_the_node_was_away(
    scripted: Orthanc, tmp_path: Path
) -> None:
    post(scripted, "/instances", part10(image(1, 1, 1)))
    until(lambda: [job["State"] for job in jobs(scripted)] == ["Failure"])
    (tmp_path / "state").mkdir()
    port = json.loads(scripted.get("/modalities/cspine/configuration"))["Port"]
    with node_beside(tmp_path / "state", scripted, port) as node:
        post(scripted, "/instances", part10(image(2, 5, 1, Modality="SR")))
        post(scripted, "/instances", part10(image(2, 1, 1)))
        until(lambda: node.arrivals() == ["1.2.1.1.1", "1.2.2.1.1"])
        until(lambda: [job["State"] for job in jobs(scripted)] == ["Success"] * 2)


@pytest.mark.peer("orthanc", "dcmtk")
def test_the_lua_script_does_not_send_back_what_came_from_the_node(scripted: Orthanc, tmp_path: Path) -> None:
    file = tmp_path / "result.dcm"
    file.write_bytes(part10(image(1, 1, 1)))
    sender = program("storescu")
    assert sender is not None
    port = str(scripted.peer.port)
    subprocess.run([sender, "-aet", "CSPINE", "-aec", "ORTHANC", "127.0.0.1", port, str(file)], check=True)
    until(lambda: any(change["ChangeType"] == "StableSeries" for change in changes(scripted)))
    post(scripted, "/instances", part10(image(2, 1, 1)))
    until(lambda: len(jobs(scripted)) == 1)
    [series] = jobs(scripted)[0]["Content"]["ParentResources"]
    assert json.loads(scripted.get(f"/series/{series}"))["MainDicomTags"]["SeriesInstanceUID"] == "1.2.2.1"


def changes(orthanc: Orthanc) -> list[dict[str, Any]]:
    return list(json.loads(orthanc.get("/changes"))["Changes"])


class OrthancModule(types.ModuleType):
    """What the Python plugin gives a script, as far as the recipe uses it."""

    def __init__(self) -> None:
        super().__init__("orthanc")
        self.OrthancException = type("OrthancException", (Exception,), {})
        self.ErrorCode = types.SimpleNamespace(
            INTERNAL_ERROR=-1, INEXISTENT_ITEM=7, DATABASE=11, UNKNOWN_RESOURCE=17, DATABASE_UNAVAILABLE=36
        )
        self.ChangeType = types.SimpleNamespace(STABLE_SERIES=1, ORTHANC_STARTED=2, ORTHANC_STOPPED=3)
        self.properties: dict[int, str] = {}
        self.series: dict[str, tuple[str, str]] = {}
        self.sent: list[str] = []
        self.failures = 0
        #: Errors of the next calls, by function; and what was warned of.
        self.errors: dict[str, list[Exception]] = {}
        self.warned: list[str] = []
        self.idle = threading.Event()
        self.on_change: Callable[[int, int, str], None] = lambda change, level, resource: None

    def RegisterOnChangeCallback(self, callback: Callable[[int, int, str], None]) -> None:
        self.on_change = callback

    def GetGlobalProperty(self, number: int, default: str) -> str:
        self._fail("GetGlobalProperty")
        return self.properties.get(number, default)

    def SetGlobalProperty(self, number: int, value: str) -> None:
        self._fail("SetGlobalProperty")
        self.properties[number] = value
        if value == "[]":
            self.idle.set()
        else:
            self.idle.clear()

    def LogWarning(self, text: str) -> None:
        assert "tried again" in text
        self.warned.append(text)

    def failing(self, function: str, *codes: int) -> None:
        """Let the next calls of a function fail with these codes, one each."""
        self.errors[function] = [self.OrthancException(code, "of the test") for code in codes]

    def _fail(self, function: str) -> None:
        if self.errors.get(function):
            raise self.errors[function].pop(0)

    def RestApiGet(self, path: str) -> bytes:
        self._fail("RestApiGet")
        series, _, rest = path.removeprefix("/series/").partition("/")
        if series not in self.series:
            raise self.OrthancException(self.ErrorCode.UNKNOWN_RESOURCE, "Unknown resource")
        modality, remote = self.series[series]
        found = {"RemoteAET": remote} if rest else {"MainDicomTags": {"Modality": modality}}
        return json.dumps(found).encode()

    def RestApiPost(self, path: str, body: str) -> bytes:
        assert path == "/modalities/cspine/store"
        if self.failures:
            self.failures -= 1
            raise self.OrthancException(self.ErrorCode.INTERNAL_ERROR, "Internal error")
        self.sent += json.loads(body)["Resources"]
        return b"{}"


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Iterator[OrthancModule]:
    """The Python script loaded, with pauses of no length."""
    module = OrthancModule()
    monkeypatch.setitem(sys.modules, "orthanc", module)
    source = (RECIPES / "orthanc" / "autoroute.py").read_text()
    hasty = source.replace("LONGEST_PAUSE_S = 10.0, 900.0", "LONGEST_PAUSE_S = 0.0, 0.0")
    assert hasty != source
    exec(compile(hasty, "autoroute.py", "exec"), {"__name__": "autoroute"})
    yield module
    module.on_change(3, 0, "")


def test_the_python_script_sends_until_it_has_arrived_and_guards_against_loops(plugin: OrthancModule) -> None:
    plugin.series = {"a": ("MR", "SCANNER"), "b": ("SR", "SCANNER"), "c": ("MR", "CSPINE"), "d": ("MR", "SCANNER")}
    plugin.failures = 3
    plugin.properties[4711] = '["d", "gone"]'
    plugin.on_change(2, 0, "")
    for series in "abca":
        plugin.on_change(1, 0, series)
    until(lambda: len(plugin.sent) >= 2 and plugin.idle.is_set())
    assert sorted(plugin.sent) == ["a", "d"]
    assert plugin.properties == {4711: "[]"}


@pytest.mark.parametrize("error", ["INTERNAL_ERROR", "DATABASE", "DATABASE_UNAVAILABLE"])
def test_a_series_that_orthanc_cannot_look_at_now_stays_until_it_was_sent(plugin: OrthancModule, error: str) -> None:
    plugin.series = {"a": ("MR", "SCANNER")}
    plugin.failing("RestApiGet", *[getattr(plugin.ErrorCode, error)] * 2)
    plugin.on_change(2, 0, "")
    plugin.on_change(1, 0, "a")
    until(lambda: plugin.sent == ["a"] and plugin.idle.is_set())
    assert plugin.warned == ["a series cannot be looked at; it will be tried again"] * 2


def test_a_series_that_is_gone_is_looked_for_once(plugin: OrthancModule) -> None:
    plugin.properties[4711] = '["one", "two"]'
    plugin.failing("RestApiGet", plugin.ErrorCode.INEXISTENT_ITEM)
    plugin.on_change(2, 0, "")
    until(lambda: plugin.properties == {4711: "[]"})
    assert (plugin.sent, plugin.warned) == ([], [])


def test_the_thread_that_sends_outlives_a_list_that_cannot_be_written_down(plugin: OrthancModule) -> None:
    """What was sent is not sent again, and what waits is written down as soon as that can be done."""
    plugin.series = {"a": ("MR", "SCANNER"), "b": ("MR", "SCANNER")}
    plugin.failing("SetGlobalProperty", *[plugin.ErrorCode.DATABASE] * 4)
    plugin.on_change(2, 0, "")
    plugin.on_change(1, 0, "a")
    until(lambda: plugin.sent == ["a"] and plugin.idle.is_set())
    plugin.on_change(1, 0, "b")
    until(lambda: plugin.sent == ["a", "b"] and plugin.properties == {4711: "[]"})


def test_what_waited_before_a_start_is_not_forgotten_when_it_cannot_be_read_at_once(plugin: OrthancModule) -> None:
    plugin.series = {"a": ("MR", "SCANNER"), "b": ("MR", "SCANNER")}
    plugin.properties[4711] = '["b"]'
    plugin.failing("GetGlobalProperty", *[plugin.ErrorCode.DATABASE] * 3)
    plugin.on_change(1, 0, "a")
    assert plugin.properties == {4711: '["b"]'}
    plugin.on_change(2, 0, "")
    until(lambda: plugin.sent == ["b", "a"] and plugin.properties == {4711: "[]"})


def test_the_thread_that_sends_outlives_whatever_else_is_wrong(plugin: OrthancModule) -> None:
    plugin.series = {"a": ("MR", "SCANNER")}
    plugin.errors["RestApiGet"] = [KeyError("MainDicomTags"), ValueError("no JSON")]
    plugin.on_change(2, 0, "")
    plugin.on_change(1, 0, "a")
    until(lambda: plugin.sent == ["a"] and plugin.properties == {4711: "[]"})
    assert plugin.warned == [
        "sending to cspine-node failed: KeyError; it will be tried again",
        "sending to cspine-node failed: ValueError; it will be tried again",
    ]


def test_the_ldif_names_what_it_refers_to() -> None:
    text = (RECIPES / "dcm4chee-arc" / "export.ldif").read_text()
    blocks = [block for block in text.split("\n\n") if re.search("^dn: ", block, re.MULTILINE)]
    entries = [dict(re.findall(r"^(\w+): (.*)$", block, re.MULTILINE)) for block in blocks]
    assert len(entries) == 6
    names = {entry["dn"] for entry in entries}
    by_class = {entry["objectClass"]: entry for entry in entries}
    assert by_class["dicomNetworkAE"]["dicomNetworkConnectionReference"] in names
    assert by_class["dcmExportRule"]["dcmExporterID"] == by_class["dcmExporter"]["dcmExporterID"] == "CSPINE"
    assert by_class["dcmExporter"]["dcmURI"] == "dicom:" + by_class["dicomNetworkAE"]["dicomAETitle"]
    assert "dcmProperty: SendingApplicationEntityTitle!=CSPINE" in text
    assert all(entry["dn"].partition(",")[0].replace("=", ": ", 1) in text for entry in entries)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Node]:
    """A node that no archive knows."""
    (tmp_path / "state").mkdir()
    with node_beside(tmp_path / "state") as made:
        yield made


@pytest.mark.peer("dcmtk")
def test_dcmtk_forwards_what_it_receives_and_again_what_failed(alone: Node, tmp_path: Path) -> None:
    port, spool = free_port(), tmp_path / "forward"
    script = str(RECIPES / "dcmtk" / "forward.sh")
    settings = {"SPOOL": str(spool), "PORT": str(port), "NODE_PORT": str(free_port()), "QUIET_S": "1"}
    environment = {**os.environ, **settings}
    files = [tmp_path / "mr.dcm", tmp_path / "own.dcm"]
    files[0].write_bytes(part10(image(1, 1, 1)))
    files[1].write_bytes(part10(image(1, 2, 1, ManufacturerModelName="cspine-node")))
    sender = program("storescu")
    assert sender is not None
    listening = subprocess.Popen([script, "listen"], env=environment, stderr=subprocess.DEVNULL)
    try:
        send = [sender, "-aec", "FORWARD", "127.0.0.1", str(port), *map(str, files)]
        until(lambda: subprocess.run(send, check=False, capture_output=True).returncode == 0)
        until(lambda: any((spool / "outgoing").glob("*/")))
        until(lambda: not any((spool / "incoming").glob("*/")))
    finally:
        listening.terminate()
        listening.wait()
    environment["NODE_PORT"] = str(alone.port)
    assert subprocess.run([script, "again"], env=environment, check=False).returncode == 0
    assert alone.arrivals() == ["1.2.1.1.1"]
    assert list((spool / "outgoing").iterdir()) == []


@contextmanager
def listening(environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Let the forwarding station receive until the block ends, which gives it no time to end anything."""
    script = str(RECIPES / "dcmtk" / "forward.sh")
    with subprocess.Popen([script, "listen"], env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.peer("dcmtk")
def test_dcmtk_forwards_what_had_not_been_quiet_for_long_enough_when_it_was_stopped(
    alone: Node, tmp_path: Path
) -> None:
    port, spool = free_port(), tmp_path / "forward"
    script, sender = str(RECIPES / "dcmtk" / "forward.sh"), program("storescu")
    assert sender is not None
    settings = {"SPOOL": str(spool), "PORT": str(port), "NODE_PORT": str(alone.port), "QUIET_S": "3600"}
    environment = {**os.environ, **settings}

    def sent(number: int) -> None:
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(part10(image(number, 1, 1)))
        command = [sender, "-aec", "FORWARD", "127.0.0.1", str(port), str(file)]
        until(lambda: subprocess.run(command, check=False, capture_output=True).returncode == 0)

    with listening(environment):
        sent(1)
    assert len(list((spool / "incoming").glob("*/*"))) == 1
    with listening(environment):
        sent(2)
        second = subprocess.run([script, "listen"], env=environment, capture_output=True, check=False)
        assert second.returncode == 75
        assert len(list((spool / "incoming").glob("*/*"))) == 1
        assert subprocess.run([script, "again"], env=environment, check=False).returncode == 0
        assert alone.arrivals() == ["1.2.1.1.1"]
    with listening(environment):
        until(lambda: not any((spool / "incoming").iterdir()))
    assert subprocess.run([script, "again"], env=environment, check=False).returncode == 0
    assert alone.arrivals() == ["1.2.1.1.1", "1.2.2.1.1"]
    assert list((spool / "outgoing").iterdir()) == []


@pytest.mark.peer("dcmtk")
def test_dcmtk_forwards_a_study_without_the_file_that_a_stop_cut_off(alone: Node, tmp_path: Path) -> None:
    study = tmp_path / "forward" / "outgoing" / "study"
    study.mkdir(parents=True)
    (study / "whole").write_bytes(part10(image(1, 1, 1)))
    (study / "cut").write_bytes(part10(image(1, 1, 2))[:-10])
    environment = {**os.environ, "SPOOL": str(tmp_path / "forward"), "NODE_PORT": str(alone.port)}
    again = [str(RECIPES / "dcmtk" / "forward.sh"), "again"]
    assert subprocess.run(again, env=environment, check=False).returncode == 0
    assert alone.arrivals() == ["1.2.1.1.1"]
    assert [path.name for path in (tmp_path / "forward" / "unreadable").iterdir()] == ["study.cut"]


@pytest.mark.peer("dcmtk")
@pytest.mark.parametrize("way", ["move", "get"])
def test_a_pull_from_dcmtks_archive_which_tells_little_fetches_what_may_be_missing(
    alone: Node, tmp_path: Path, way: str
) -> None:
    storage, port = tmp_path / "archive", free_port()
    storage.mkdir()
    text = (RECIPES / "dcmtk" / "dcmqrscp.cfg").read_text()
    text = text.replace("11114", str(port)).replace("/var/lib/dcmqrscp/archive", str(storage))
    config = tmp_path / "dcmqrscp.cfg"
    config.write_text(text.replace("127.0.0.1, 11112", f"127.0.0.1, {alone.port}"))
    for number in (1, 2, 3):
        (tmp_path / f"{number}.dcm").write_bytes(part10(image(1, 1, number)))
    (tmp_path / "4.dcm").write_bytes(part10(image(1, 2, 1, SeriesDescription="SAG STIR")))
    archive, sender = program("dcmqrscp"), program("storescu")
    assert archive is not None
    assert sender is not None
    running = subprocess.Popen([archive, "-c", str(config)], stderr=subprocess.DEVNULL)
    try:
        files = [str(tmp_path / f"{number}.dcm") for number in (1, 2, 3, 4)]
        send = [sender, "-aec", "ARCHIVE", "127.0.0.1", str(port), *files]
        until(lambda: subprocess.run(send, check=False, capture_output=True).returncode == 0)
        alone.receive([image(1, 1, 2)])
        alone.close_all()
        peer = Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)
        _, items = run(alone.pull(peer=peer, retrieve=way))
        alone.close_all()
        _, again = run(alone.pull(peer=peer, retrieve=way))
    finally:
        running.terminate()
        running.wait()
    assert [(item.reason.code, item.wanted, item.arrived) for item in items] == [
        ("incomplete", 2, 2),
        ("missing", 1, 1),
    ]
    assert alone.arrivals() == ["1.2.1.1.1", "1.2.1.1.3", "1.2.1.2.1"]
    assert [item.reason.code for item in again] == ["here", "here"]
