"""The node as it runs in a hospital: a process, DCMTK's storescu before it, Orthanc behind it."""

import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from peers import Orthanc
from pynetdicom import AE, AllStoragePresentationContexts, evt
from serving import Node, serving, storescu

from node.demo.archive import free_port
from node.demo.source import write_series
from node.scu.association import Peer
from node.train.phantom import generate

pytestmark = [pytest.mark.peer("orthanc", "dcmtk"), pytest.mark.slow]


@pytest.fixture(scope="session")
def phantom_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A small phantom, which the network is done with in a moment."""
    phantom = generate(11, shape=(9, 160, 160), spacing_mm=(4.0, 1.0, 1.0))
    return write_series(phantom.image, phantom.grid, tmp_path_factory.mktemp("phantom"), name="serve")


def results(orthanc: Orthanc, study_uid: str) -> dict[str, list[dict[str, str]]]:
    """Return what Orthanc holds of a study, by modality."""
    found: dict[str, list[dict[str, str]]] = {}
    for instance in orthanc.instances(study_uid):
        found.setdefault(instance["modality"], []).append(instance)
    return found


def test_a_real_cervical_series_comes_back_as_seg_and_sr_in_its_study(
    tmp_path: Path, orthanc: Orthanc, wrapped_cervical: Path
) -> None:
    files = sorted(wrapped_cervical.glob("*.dcm"))
    headers = {(header := pydicom.dcmread(file)).SOPInstanceUID: header for file in files}
    first = next(iter(headers.values()))
    with serving(tmp_path, orthanc.peer) as node:
        assert storescu(node, files).returncode == 0
        node.until_cases("delivered")
        assert node.stop() == 0
    found = results(orthanc, first.StudyInstanceUID)
    assert {modality: len(instances) for modality, instances in found.items()} == {"SEG": 1, "SR": 1}
    assert len({found["SEG"][0]["series_uid"], found["SR"][0]["series_uid"], first.SeriesInstanceUID}) == 3

    seg = pydicom.dcmread(io.BytesIO(orthanc.file(found["SEG"][0])))
    assert (seg.PatientID, seg.StudyInstanceUID) == (first.PatientID, first.StudyInstanceUID)
    for frame in seg.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert np.allclose(
            frame.PlanePositionSequence[0].ImagePositionPatient, headers[source].ImagePositionPatient, atol=1e-4
        )
    report = pydicom.dcmread(io.BytesIO(orthanc.file(found["SR"][0])))
    evidence = {
        item.ReferencedSOPInstanceUID
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence == {*headers, seg.SOPInstanceUID}


@pytest.mark.parametrize("refused", ["head T1"])
def test_the_head_t1_series_is_refused_with_reasons_and_stays_in_the_spool(
    tmp_path: Path, orthanc: Orthanc, head_t1: Path, refused: str
) -> None:
    files = sorted(head_t1.glob("*.dcm"))
    with serving(tmp_path, orthanc.peer) as node:
        assert storescu(node, files).returncode == 0
        node.until_cases("rejected")
        codes = [reason["code"] for reason in node.cases()[0]["reasons"]]
    assert codes == ["region", "other-region", "echo-time", "fat-suppressed"]
    assert len(list((node.state_dir / "spool").rglob("*.dcm"))) == len(files) == 192
    assert results(orthanc, pydicom.dcmread(files[0]).StudyInstanceUID) == {}


def in_state(*states: str) -> Callable[[Node], bool]:
    return lambda node: any(case["state"] in states for case in node.cases())


def results_written(node: Node) -> bool:
    return any((node.state_dir / "results").rglob("seg.dcm"))


@pytest.mark.parametrize("moment", [in_state("running"), results_written], ids=["running", "results written"])
def test_a_kill_at_any_stage_ends_with_exactly_one_seg_and_one_sr(
    tmp_path: Path, orthanc: Orthanc, phantom_files: list[Path], moment: Callable[[Node], bool]
) -> None:
    """With the real engine. Kills at every other moment, with an oracle in its place: `tests/faults`."""
    nobody = replace(orthanc.peer, port=free_port())
    study_uid = pydicom.dcmread(phantom_files[0]).StudyInstanceUID
    with serving(tmp_path, nobody) as node:
        assert storescu(node, phantom_files).returncode == 0
        node.until(moment)
        node.kill()
        node.archive = orthanc.peer
        node.start()
        assert storescu(node, phantom_files).returncode == 0
        node.until(in_state("delivered"))
        assert node.cases()[-1]["state"] == "delivered"
        assert node.stop() == 0
    found = results(orthanc, study_uid)
    assert {modality: len(instances) for modality, instances in found.items()} == {"SEG": 1, "SR": 1}


def test_a_kill_between_the_archives_taking_and_its_answer_sends_the_same_bytes_again(
    tmp_path: Path, phantom_files: list[Path]
) -> None:
    taken: list[tuple[str, bytes]] = []
    has_one, may_answer = threading.Event(), threading.Event()

    def on_store(event: Any) -> int:
        taken.append((str(event.request.AffectedSOPInstanceUID), event.request.DataSet.getvalue()))
        has_one.set()
        may_answer.wait(120)
        return 0x0000

    ae = AE(ae_title="HOLDING")
    ae.supported_contexts = AllStoragePresentationContexts
    port = free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)])
    holding = Peer(host="127.0.0.1", port=port, ae_title="HOLDING", calling_ae_title="TEST", timeout_s=30)
    try:
        with serving(tmp_path, holding) as node:
            assert storescu(node, phantom_files).returncode == 0
            assert has_one.wait(240)
            node.kill()
            may_answer.set()
            node.start()
            node.until_cases("delivered")
            assert node.stop() == 0
    finally:
        server.shutdown()
    assert [uid for uid, _ in taken] == [taken[0][0], taken[0][0], taken[2][0]]
    assert taken[0] == taken[1]
    assert taken[2][0] != taken[0][0]


def test_no_name_of_a_patient_reaches_the_log(tmp_path: Path, orthanc: Orthanc, phantom_files: list[Path]) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    for file in phantom_files:
        data_set = pydicom.dcmread(file)
        data_set.PatientName, data_set.PatientID = "ZZSECRET^NAME", "ZZSECRETID"
        data_set.save_as(secret / file.name)
    with serving(tmp_path, orthanc.peer) as node:
        assert storescu(node, sorted(secret.iterdir())).returncode == 0
        node.until_cases("delivered")
        node.stop()
        told = node.overview()
    assert "ZZSECRET" not in node.log() + json.dumps(told, default=str)
    assert "ZZSECRET" not in "".join(str(path) for path in node.state_dir.rglob("*"))
    [findings] = node.state_dir.rglob("findings.json")
    assert "ZZSECRET" not in findings.read_text()
    assert str(pydicom.dcmread(phantom_files[0]).SeriesInstanceUID) not in node.log()
    assert '"case segmented"' in node.log()


def test_a_second_node_over_the_same_state_is_refused(tmp_path: Path, orthanc: Orthanc) -> None:
    with serving(tmp_path, orthanc.peer) as node:
        command = [sys.executable, "-m", "node", "serve", "--config", str(tmp_path / "cspine-node.toml"), "--json"]
        second = subprocess.run(command, capture_output=True, text=True, check=False)
        assert node.stop() == 0
    assert second.returncode == 75
    assert json.loads(second.stdout)["error"]["code"] == "node-already-running"
