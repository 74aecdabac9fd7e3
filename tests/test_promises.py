"""The node as SCP of storage commitment: it promises what it keeps, tells the sender, and does not forget to."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pydicom
import pytest
from oracle import write_blocks
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import MRImageStorage, StorageCommitmentPushModel
from wired import Node

from node.domain.arrivals import Expectation, ExpectedBy
from node.domain.commitment import CommitmentReport, CommitmentRequest, Failure, Reference
from node.errors import ContextsRefused, PeerUnreachable, RequestFailed
from node.promises import Promises
from node.scu.association import Peer
from node.scu.source import report_commitment
from node.settings import parse_settings

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


class Desk:
    """Takes reports. `faults` are raised first, one a call."""

    def __init__(self) -> None:
        self.told: list[tuple[str, CommitmentReport]] = []
        self.faults: list[Exception] = []
        self.away: set[str] = set()
        self.calls = 0

    def __call__(self, peer: Peer, report: CommitmentReport, /) -> None:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        if peer.ae_title in self.away:
            raise PeerUnreachable("away")
        self.told.append((f"{peer.ae_title} at {peer.host}:{peer.port} by {peer.calling_ae_title}", report))


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path / "state")
    yield made
    made.journal.close()


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_blocks(tmp_path / "blocks")


def promises(node: Node, desk: Desk) -> Promises:
    document = {
        "node": {"state_dir": str(node.state_dir)},
        "peer": [
            {"ae_title": "SCANNER", "may": ["store", "commit"], "host": "10.0.0.1", "port": 104},
            {"ae_title": "OTHER", "may": ["store", "commit"], "host": "10.0.0.2", "port": 104},
        ],
    }
    return Promises(parse_settings(document, name="test"), node.journal, desk, node.clock)


def references(files: Sequence[Path]) -> tuple[Reference, ...]:
    found = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    return tuple(
        Reference(sop_class_uid=str(item.SOPClassUID), sop_instance_uid=str(item.SOPInstanceUID)) for item in found
    )


def request(asked: tuple[Reference, ...], uid: str = "1.2.3", asked_by: str = "SCANNER") -> CommitmentRequest:
    return CommitmentRequest(transaction_uid=uid, asked_by=asked_by, references=asked)


def expected(node: Node) -> Expectation | None:
    [series] = node.journal.arrivals.open_series()
    return series.expected


def test_what_is_kept_is_committed_to_whoever_asked(node: Node, files: list[Path]) -> None:
    node.receive(files)
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    assert promised.report() is None
    report = CommitmentReport(transaction_uid="1.2.3", committed=references(files), failed=())
    assert desk.told == [("SCANNER at 10.0.0.1:104 by CSPINE", report)]
    assert promised.report() is None
    assert desk.calls == 1


def test_a_list_of_references_says_how_many_instances_the_series_has(node: Node, files: list[Path]) -> None:
    node.receive(files)
    promises(node, Desk()).asked(request(references(files)))
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.COMMITMENT)
    assert node.flow.close().wait_s == 8.0


@pytest.mark.parametrize("asked", [slice(0, 1), slice(0, 8)])
def test_a_single_reference_or_one_that_has_not_arrived_says_nothing_about_the_series(
    node: Node, files: list[Path], asked: slice
) -> None:
    node.receive(files[:-1])
    promises(node, Desk()).asked(request(references(files)[asked]))
    assert expected(node) is None


def test_an_object_that_comes_after_its_request_is_waited_for(node: Node, files: list[Path]) -> None:
    node.receive(files[:-1])
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    assert promised.report() == 2.0
    node.clock.now += 59
    assert promised.report() == 1.0
    node.receive(files[-1:])
    assert promised.report() is None
    assert [report.failed for _, report in desk.told] == [()]
    assert expected(node) == Expectation(instances=8, by=ExpectedBy.COMMITMENT)


def test_an_object_that_never_comes_and_one_of_another_class_are_told_by_their_reason(
    node: Node, files: list[Path]
) -> None:
    node.receive(files)
    right, wrong = references(files)[:2]
    wrong = Reference(sop_class_uid=CT_IMAGE, sop_instance_uid=wrong.sop_instance_uid)
    never = Reference(sop_class_uid=CT_IMAGE, sop_instance_uid="1.2.3.4.5")
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request((right, wrong, never)))
    promised.report()
    assert desk.told == []
    node.clock.now += 60
    assert promised.report() is None
    [(_, report)] = desk.told
    assert report.committed == (right,)
    assert report.failed == (Failure(reference=wrong, reason=0x0119), Failure(reference=never, reason=0x0112))


@pytest.mark.parametrize("damage", ["gone", "changed", "cut", "empty", "no DICOM"])
def test_a_file_that_is_not_what_arrived_is_never_committed(node: Node, files: list[Path], damage: str) -> None:
    node.receive(files)
    victim = references(files)[3]
    [held] = node.journal.arrivals.held([victim.sop_instance_uid])
    path = node.state_dir / held.path
    content = path.read_bytes()
    match damage:
        case "gone":
            path.unlink()
        case "changed":
            path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        case "cut":
            path.write_bytes(content[:-700])
        case "empty":
            path.write_bytes(b"")
        case "no DICOM":
            path.write_bytes(b"x" * len(content))
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    promised.report()
    [(_, report)] = desk.told
    assert report.failed == (Failure(reference=victim, reason=0x0112),)
    assert len(report.committed) == 7


def test_a_peer_that_is_away_is_told_later_even_after_a_restart(node: Node, files: list[Path]) -> None:
    node.receive(files)
    desk = Desk()
    desk.faults = [PeerUnreachable("down"), PeerUnreachable("down")]
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    wait_s = promised.report()
    assert wait_s is not None
    assert 2.5 <= wait_s <= 5
    assert promised.report() is not None
    assert desk.calls == 1
    node.clock.now += 5
    promised.report()
    assert desk.calls == 2
    again = promises(node, desk)
    assert again.report() is None
    assert len(desk.told) == 1
    assert node.journal.commitments.due() == ()


def test_a_peer_that_is_away_for_three_days_is_not_stormed_and_holds_up_nobody(node: Node, files: list[Path]) -> None:
    node.receive(files)
    desk = Desk()
    promised = promises(node, desk)
    desk.away = {"SCANNER"}
    for number in range(10):
        promised.asked(request(references(files), uid=f"1.2.{number}"))
    promised.asked(request(references(files), asked_by="OTHER"))
    while node.clock.now < 72 * 3600:
        wait_s = promised.report()
        assert wait_s is not None
        node.clock.now += max(wait_s, 0.5)
    assert [who[:5] for who, _ in desk.told] == ["OTHER"]
    assert 72 * 4 <= desk.calls <= 72 * 8 + 12
    desk.away = set()
    node.clock.now += 900
    assert promised.report() is None
    assert len(desk.told) == 11


def test_the_same_request_twice_is_reported_once(node: Node, files: list[Path]) -> None:
    node.receive(files)
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    promised.asked(request(references(files)))
    promised.report()
    promised.report()
    assert len(desk.told) == 1


def test_a_request_of_a_peer_that_is_gone_from_the_settings_stays(node: Node, files: list[Path]) -> None:
    node.receive(files)
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files), asked_by="STRANGER"))
    assert promised.report() is not None
    assert desk.calls == 0
    [due] = node.journal.commitments.due()
    assert due.attempts == 1


@pytest.mark.parametrize("step_s", [-1e6, 1e6])
def test_a_step_of_the_wall_clock_blocks_no_report(node: Node, files: list[Path], step_s: float) -> None:
    node.receive(files[:-1])
    desk = Desk()
    promised = promises(node, desk)
    promised.asked(request(references(files)))
    promised.report()
    node.clock.set_by_s = step_s
    node.clock.now += 60
    assert promised.report() is None
    assert [len(report.failed) for _, report in desk.told] == [1]


class Sender:
    """A peer that takes reports over DICOM, on a free port."""

    def __init__(self, status: int = 0x0000, *, takes_role: bool = True) -> None:
        self.heard: list[tuple[int, Dataset]] = []
        ae = AE(ae_title="SCANNER")
        if takes_role:
            ae.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
        else:
            ae.add_supported_context(StorageCommitmentPushModel)

        def on_report(event: evt.Event) -> tuple[int, None]:
            self.heard.append((event.request.EventTypeID, event.event_information))
            return status, None

        self.server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, on_report)])

    def peer(self) -> Peer:
        port = self.server.server_address[1]
        return Peer(host="127.0.0.1", port=port, ae_title="SCANNER", calling_ae_title="CSPINE", timeout_s=20)

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_error: object) -> None:
        self.server.shutdown()


KEPT = Reference(sop_class_uid=str(MRImageStorage), sop_instance_uid="1.2.1")
LOST = Failure(reference=Reference(sop_class_uid=str(MRImageStorage), sop_instance_uid="1.2.2"), reason=0x0112)


def test_a_report_goes_out_as_an_n_event_report_of_the_scp() -> None:
    with Sender() as sender:
        report_commitment(sender.peer(), CommitmentReport(transaction_uid="1.2", committed=(KEPT,), failed=()))
        report_commitment(sender.peer(), CommitmentReport(transaction_uid="1.3", committed=(KEPT,), failed=(LOST,)))
        report_commitment(sender.peer(), CommitmentReport(transaction_uid="1.4", committed=(), failed=(LOST,)))
    (all_kept, first), (some_failed, second), (_, third) = sender.heard
    assert (all_kept, some_failed) == (1, 2)
    assert (first.TransactionUID, second.TransactionUID) == ("1.2", "1.3")
    assert [item.ReferencedSOPInstanceUID for item in first.ReferencedSOPSequence] == ["1.2.1"]
    assert "FailedSOPSequence" not in first
    [failed] = second.FailedSOPSequence
    assert (failed.ReferencedSOPClassUID, failed.ReferencedSOPInstanceUID) == (MRImageStorage, "1.2.2")
    assert failed.FailureReason == 0x0112
    assert "ReferencedSOPSequence" not in third


def test_an_answer_that_may_pass_is_told_apart_from_one_that_will_not() -> None:
    report = CommitmentReport(transaction_uid="1.2", committed=(KEPT,), failed=())
    with Sender(0x0110) as busy, pytest.raises(RequestFailed, match="0x0110"):
        report_commitment(busy.peer(), report)
    with Sender(0x0115) as final:
        report_commitment(final.peer(), report)
    with Sender(takes_role=False) as stubborn, pytest.raises(ContextsRefused):
        report_commitment(stubborn.peer(), report)
    with pytest.raises(PeerUnreachable):
        report_commitment(stubborn.peer(), report)
