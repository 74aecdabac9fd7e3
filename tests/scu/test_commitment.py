"""Asking an archive to commit (PS3.4 J), against a stock SCP and Orthanc on loopback."""

import queue
import threading
from pathlib import Path

import pytest
from fakes import mr_image, save, storage_scp
from outboxes import report_scp
from peers import program
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt

from node.deliver.cstore import CStoreDestination
from node.deliver.encoding import read_parcel
from node.demo.archive import free_port, running_orthanc
from node.domain.commitment import CommitmentReport, Failure, Reference
from node.errors import DestinationMisconfigured, PeerUnreachable, RequestFailed
from node.scu.association import Peer
from node.scu.commitment import ask_commitment, report_of

PATIENCE_S = 30
PUSH_MODEL = "1.2.840.10008.1.20.1"
COMMITMENT = [(PUSH_MODEL, (ExplicitVRLittleEndian, ImplicitVRLittleEndian))]
ONE = Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.4", sop_instance_uid="1.2.3.1")
TWO = Reference(sop_class_uid="1.2.840.10008.5.1.4.1.1.4", sop_instance_uid="1.2.3.2")


def peer(port: int) -> Peer:
    return Peer(host="127.0.0.1", port=port, ae_title="ARCHIVE", calling_ae_title="CSPINE", timeout_s=20)


def never(_event):
    raise AssertionError("nothing is stored here")


def commitment_scp(on_action, *more):
    return storage_scp(never, COMMITMENT, more_handlers=[(evt.EVT_N_ACTION, on_action), *more])


def item(reference: Reference, reason: int | None = None) -> Dataset:
    made = Dataset()
    made.ReferencedSOPClassUID = reference.sop_class_uid
    made.ReferencedSOPInstanceUID = reference.sop_instance_uid
    if reason is not None:
        made.FailureReason = reason
    return made


def information(transaction_uid: str, committed=(), failed=()) -> Dataset:
    made = Dataset()
    made.TransactionUID = transaction_uid
    if committed:
        made.ReferencedSOPSequence = [item(reference) for reference in committed]
    if failed:
        made.FailedSOPSequence = [item(reference, reason) for reference, reason in failed]
    return made


def test_the_request_names_the_transaction_and_the_objects():
    asked = []

    def on_action(event):
        asked.append((event.action_type, event.request.RequestedSOPInstanceUID, event.action_information))
        return 0x0000, None

    with commitment_scp(on_action) as port:
        assert ask_commitment(peer(port), "2.25.1", [ONE, TWO], linger_s=0) is None
    [(action, instance, data_set)] = asked
    assert (action, instance) == (1, "1.2.840.10008.1.20.1.1")
    assert data_set == information("2.25.1", committed=[ONE, TWO])


def test_a_report_over_the_same_association_is_taken():
    def report(assoc):
        for transaction_uid in ("2.25.99", "2.25.1"):  # somebody else's comes first
            said = information(transaction_uid, committed=[ONE], failed=[(TWO, 0x0112)])
            assoc.send_n_event_report(said, 2, PUSH_MODEL, "1.2.840.10008.1.20.1.1")

    def on_action(event):
        threading.Timer(0.05, report, [event.assoc]).start()
        return 0x0000, None

    with commitment_scp(on_action) as port:
        made = ask_commitment(peer(port), "2.25.1", [ONE, TWO], linger_s=PATIENCE_S)
    assert made == CommitmentReport(
        transaction_uid="2.25.1", committed=(ONE,), failed=(Failure(reference=TWO, reason=0x0112),)
    )


@pytest.mark.parametrize("status", [0x0110, 0x0213, 0x0131])
def test_a_request_that_is_answered_with_a_failure_failed(status):
    with (
        commitment_scp(lambda event: (status, None)) as port,
        pytest.raises(RequestFailed, match=f"ARCHIVE answered the request for commitment with 0x{status:04X}"),
    ):
        ask_commitment(peer(port), "2.25.1", [ONE], linger_s=0)


def test_a_peer_without_storage_commitment_is_for_an_operator():
    with (
        storage_scp(never) as port,
        pytest.raises(DestinationMisconfigured, match='knows no storage commitment; confirm = "query" or "none"'),
    ):
        ask_commitment(peer(port), "2.25.1", [ONE], linger_s=0)


def test_an_abort_is_no_answer():
    def on_action(event):
        event.assoc.abort()
        return 0x0000, None

    with commitment_scp(on_action) as port, pytest.raises(PeerUnreachable):
        ask_commitment(peer(port), "2.25.1", [ONE], linger_s=0)


@pytest.mark.parametrize(
    "data_set",
    [
        Dataset(),
        information("2.25.1", failed=[(ONE, None)]),
        Dataset.from_json({"00081195": {"vr": "UI", "Value": ["2.25.1"]}, "00081199": {"vr": "SQ", "Value": [{}]}}),
    ],
)
def test_what_is_no_report_is_named_so(data_set):
    with pytest.raises(ValueError, match="no report of storage commitment"):
        report_of(data_set)


@pytest.mark.peer("orthanc")
def test_orthanc_commits_to_what_it_has_and_to_nothing_else(tmp_path: Path) -> None:
    orthanc = program("Orthanc")
    assert orthanc is not None
    port = free_port()
    more = {"DicomModalities": {"node": ["CSPINEDEMO", "127.0.0.1", port]}}
    there, missing = [read_parcel(save(mr_image(number), tmp_path / f"{number}.dcm")) for number in (1, 2)]
    reports: queue.Queue[CommitmentReport] = queue.Queue()
    with running_orthanc(orthanc, tmp_path / "orthanc", more=more) as archive, report_scp(port, reports.put):
        destination = CStoreDestination(archive.peer)
        assert [answer.error for answer in destination.deliver([there])] == [None]
        destination.ask_commitment("2.25.1", [there])
        destination.ask_commitment("2.25.2", [there, missing])
        told = [reports.get(timeout=PATIENCE_S) for _ in range(2)]
    assert sorted(told, key=lambda report: report.transaction_uid) == [
        CommitmentReport(transaction_uid="2.25.1", committed=(ONE,), failed=()),
        CommitmentReport(transaction_uid="2.25.2", committed=(ONE,), failed=(Failure(reference=TWO, reason=0x0112),)),
    ]
