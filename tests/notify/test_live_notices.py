"""A node that runs tells of what it quarantines, and the doctor finds it well."""

import json
import queue
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import command
from fakes import mr_image
from peers import Orthanc
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage
from serving import Node, serving
from webserver import Reply, Request, web_server

from node.scu.association import associate


@dataclass(frozen=True, slots=True)
class Live:
    """A running node, and what its webhook hears."""

    node: Node
    heard: "queue.Queue[Request]"


@pytest.fixture(scope="module")
def live(orthanc_of_session: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    heard: queue.Queue[Request] = queue.Queue()

    def answer(request: Request) -> Reply:
        heard.put(request)
        return Reply(204)

    with web_server(answer) as url:
        more = f'[web]\nurl = "http://localhost:8080"\n[[notify]]\nname = "desk"\nurl = "{url}"\ngroup_wait_s = 0\n'
        with serving(tmp_path_factory.mktemp("live"), orthanc_of_session.peer, more) as node:
            yield Live(node, heard)


@pytest.mark.peer("orthanc")
def test_received_bytes_that_are_no_instance_are_told_by_the_webhook(live: Live):
    image = mr_image()
    del image.SeriesInstanceUID
    with associate(live.node.peer, [(MRImageStorage, [ExplicitVRLittleEndian])]) as association:
        assert association.send_c_store(image).Status == 0
    request = live.heard.get(timeout=60)
    document = json.loads(request.body)
    assert document["data"]["counts"] == {"quarantine": 1}
    assert document["data"]["notices"][0]["kind"] == "bytes-quarantined"
    assert b"ZZSECRET" not in request.body


@pytest.mark.peer("orthanc")
def test_the_doctor_finds_a_running_node_well(live: Live, monkeypatch: pytest.MonkeyPatch):
    config = Path(live.node.folder) / "cspine-node.toml"
    _, document = command(monkeypatch, "doctor", "--config", str(config), "--json")
    levels = {item["area"]: item["level"] for item in document["findings"]}
    assert levels["node.port"] == levels["destination archive"] == levels["journal"] == "ok"
    assert [item["text"] for item in document["findings"] if item["level"] == "fault"] == []
