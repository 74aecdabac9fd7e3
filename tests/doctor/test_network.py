"""Peers and destinations as the doctor asks them: real associations on loopback, a web server, a folder."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from fakes import storage_scp
from mailserver import mail_server
from peers import Orthanc
from pydicom.uid import UID, ImplicitVRLittleEndian
from pynetdicom import AE
from webserver import Reply, web_server

from node.doctor import network
from node.doctor.finding import Finding, Level
from node.settings import Settings, parse_settings

VERIFICATION = "1.2.840.10008.1.1"
SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
COMPREHENSIVE_3D_SR = "1.2.840.10008.5.1.4.1.1.88.34"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def settings(**sections: object) -> Settings:
    return parse_settings({"node": {"state_dir": "s"}, **sections}, name="test")


def archive(port: int, **more: object) -> Settings:
    return settings(destination=[{"name": "archive", "host": "127.0.0.1", "port": port, "ae_title": "ARCHIVE", **more}])


def told(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.level.name, finding.text) for finding in findings]


def accepting(*classes: str) -> list[tuple[str, list[str]]]:
    return [(uid, [ImplicitVRLittleEndian]) for uid in (VERIFICATION, *classes)]


def test_an_archive_that_takes_what_it_will_be_given_is_fine_and_gets_nothing():
    stored: list[object] = []
    with storage_scp(lambda event: stored.append(event) or 0, accepting(SEGMENTATION, COMPREHENSIVE_3D_SR)) as port:
        assert told(network.look(archive(port))) == [("OK", f"ARCHIVE at 127.0.0.1:{port} answers C-ECHO")]
    assert stored == []


def test_an_archive_that_echoes_and_does_not_take_a_report_is_a_fault_before_the_first_case():
    with storage_scp(lambda _event: 0, accepting(SEGMENTATION)) as port:
        findings = list(network.look(archive(port)))
    assert told(findings)[1:] == [("FAULT", "ARCHIVE does not accept Comprehensive 3D SR Storage")]
    assert findings[1].advice == 'allow it there for CSPINE; or here report = "comprehensive"'


def test_what_confirms_and_what_pulls_is_asked_for_too():
    with storage_scp(lambda _event: 0, accepting(SEGMENTATION, COMPREHENSIVE_3D_SR, FIND)) as port:
        whole = archive(port, confirm="commitment")
        pull = settings(
            destination=[whole.destination[0].model_dump()],
            pull=[{"name": "nightly", "archive": "archive", "retrieve": "get"}],
        )
        findings = list(network.look(pull))
    assert [(item.text, item.advice) for item in findings[1:]] == [
        (
            "ARCHIVE does not accept Storage Commitment Push Model SOP Class",
            'allow it there for CSPINE; or here confirm = "none"',
        ),
        (
            "ARCHIVE does not accept Study Root Query/Retrieve Information Model - GET",
            'allow it there for CSPINE; or here retrieve = "move" of the [[pull]]',
        ),
    ]


def test_an_archive_that_takes_nothing_at_all_is_a_fault():
    with storage_scp(lambda _event: 0, accepting()) as port:
        assert [text for _, text in told(network.look(archive(port)))[1:]] == [
            "ARCHIVE does not accept Segmentation Storage",
            "ARCHIVE does not accept Comprehensive 3D SR Storage",
        ]


def test_an_archive_that_does_not_know_the_node_says_what_to_register():
    def strict(ae: AE) -> None:
        ae.require_calling_aet = ["SOMEBODY"]

    with storage_scp(lambda _event: 0, accepting(SEGMENTATION), configure=strict) as port:
        (found,) = network.look(archive(port))
    assert found.level is Level.FAULT
    assert found.text.startswith("destination-misconfigured: ")
    assert found.advice == "register CSPINE there, with the address of this machine"


def test_a_dead_archive_is_a_fault():
    (found,) = network.look(archive(1))
    assert (found.level, found.text) == (Level.FAULT, "peer-unreachable: ARCHIVE at 127.0.0.1:1 does not answer")
    assert "nc -vz" in found.advice


def test_a_peer_is_asked_only_where_it_listens():
    silent = {"ae_title": "MR"}
    with storage_scp(lambda _event: 0, accepting(FIND)) as port:
        asked = {"ae_title": "PACS", "host": "127.0.0.1", "port": port, "ask_count": True, "ask_missing": True}
        found = list(network.look(settings(peer=[silent, asked])))
    assert [(item.area, item.level.name) for item in found] == [("peer PACS", "OK"), ("peer PACS", "FAULT")]
    assert found[1].advice == "allow it there for CSPINE; or here ask_missing = false"


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path):
    place = {"name": "research", "kind": "folder", "path": str(tmp_path / "out")}
    assert told(network.look(settings(destination=[place]))) == [("FAULT", f"{tmp_path}/out is not there")]
    (tmp_path / "out").mkdir()
    assert told(network.look(settings(destination=[place]))) == [("OK", f"{tmp_path}/out can be written")]
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(("status", "level"), [(200, "OK"), (401, "FAULT"), (500, "FAULT")])
def test_a_dicomweb_server_is_asked_for_a_study_that_does_not_exist(status, level):
    with web_server(lambda _request: Reply(status, [] if status == 200 else b"ZZSECRET^NAME")) as url:
        ((said, text),) = told(network.look(settings(destination=[{"name": "web", "kind": "stow", "url": url}])))
    assert said == level
    assert "ZZSECRET" not in text


def test_who_needs_a_secret_of_systemd_is_not_asked_and_no_fault():
    stow = {"kind": "stow", "url": "https://pacs.invalid", "username": "u", "password_file": "credential:web"}
    tls = {"authorities": "ca.pem", "certificate": "node.pem", "key": "credential:node.key"}
    hook = {"name": "hook", "url": "https://hook.invalid", "secret_file": "credential:hook"}
    dicom = {"name": "archive", "host": "pacs.invalid", "port": 104, "ae_title": "PACS", "tls": tls}
    whole = settings(destination=[{"name": "web", **stow}, dicom], notify=[hook])
    assert {(finding.level.name, finding.text.partition(":")[0]) for finding in network.look(whole)} == {
        ("OK", "was not asked")
    }


def test_those_who_are_told_are_reached_and_not_told_anything():
    heard: list[object] = []
    with web_server(lambda request: heard.append(request) or Reply(200)) as url, mail_server() as box:
        mail = {"kind": "mail", "host": "127.0.0.1", "security": "none", "sender": "a@b.example", "to": ["c@d.example"]}
        notify = [
            {"name": "hook", "url": url},
            {"name": "mail", **mail, "port": box.port},
            {"name": "dead", **mail, "port": 1},
        ]
        assert told(network.look(settings(notify=notify))) == [
            ("OK", "is there; cspine-node notify test sends something"),
            ("OK", "is there; cspine-node notify test sends something"),
            ("FAULT", "peer-unreachable: 127.0.0.1 does not answer: ConnectionRefusedError"),
        ]
    assert heard == []
    assert box.letters == []


def test_every_class_that_results_have_is_known_by_its_name():
    assert [UID(uid).name for uid in (SEGMENTATION, COMPREHENSIVE_3D_SR)] == [
        "Segmentation Storage",
        "Comprehensive 3D SR Storage",
    ]


@pytest.mark.peer("orthanc")
def test_orthanc_takes_every_form_of_a_result(orthanc: Orthanc):
    peer = {"host": orthanc.peer.host, "port": orthanc.peer.port, "ae_title": orthanc.peer.ae_title}
    forms = [
        {"name": "plain", **peer, "confirm": "query"},
        {"name": "picky", **peer, "confirm": "commitment", "report": "enhanced", "key_images": True},
    ]
    levels = {finding.level for finding in network.look(settings(destination=forms))}
    assert levels == {Level.OK}
