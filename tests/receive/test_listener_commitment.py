"""Storage commitment at the listener: modalities ask, archives report."""

import pytest
from faults import wire
from faults.wire import Line
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from node.domain.commitment import CommitmentReport, CommitmentRequest, Failure, Reference
from node.errors import JournalError

MR = "1.2.840.10008.5.1.4.1.1.4"
ASKS = {"ae_title": "ASKS", "may": ["store", "commit"], "host": "127.0.0.1", "port": 1}
STORES = {"ae_title": "STORES"}
ARCHIVE = {"name": "a", "host": "h", "port": 104, "ae_title": "ARCHIVE", "confirm": "commitment"}
SECTIONS = {"peer": [ASKS, STORES], "destination": [ARCHIVE]}
SERVERS = pytest.mark.parametrize("server", ["hardened", "stock"])
SYNTAXES = pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])


def references(*instance_uids: str) -> list[Dataset]:
    items = []
    for uid in instance_uids:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = MR, uid
        items.append(item)
    return items


def information(transaction_uid: str, *instance_uids: str, failed: tuple[tuple[str, int], ...] = ()) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    if instance_uids:
        ds.ReferencedSOPSequence = references(*instance_uids)
    if failed:
        ds.FailedSOPSequence = references(*(uid for uid, _ in failed))
        for item, (_, reason) in zip(ds.FailedSOPSequence, failed, strict=True):
            item.FailureReason = reason
    return ds


def call(desk, calling: str, syntax: str = ImplicitVRLittleEndian, *, reports: bool = False):
    ae = AE(ae_title=calling)
    ae.add_requested_context(StorageCommitmentPushModel, syntax)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 20
    roles = [build_role(StorageCommitmentPushModel, scp_role=True)] if reports else []
    return ae.associate("127.0.0.1", desk.port, ae_title="CSPINE", ext_neg=roles)


def ask(association, ds: Dataset | None, action: int = 1, instance: str = StorageCommitmentPushModelInstance) -> int:
    status, _ = association.send_n_action(ds, action, StorageCommitmentPushModel, instance)
    return int(status.Status)


def report(association, ds: Dataset, event: int = 1) -> int:
    status, _ = association.send_n_event_report(
        ds, event, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    return int(status.Status)


@SERVERS
@SYNTAXES
def test_a_request_is_noted_before_it_is_answered(open_desk, server, syntax):
    desk = open_desk(SECTIONS, server=server)
    association = call(desk, "ASKS", syntax)
    assert ask(association, information("1.9", "1.2.3.1", "1.2.3.2")) == 0x0000
    assert desk.commitments.requests == [
        CommitmentRequest(
            transaction_uid="1.9",
            asked_by="ASKS",
            references=(
                Reference(sop_class_uid=MR, sop_instance_uid="1.2.3.1"),
                Reference(sop_class_uid=MR, sop_instance_uid="1.2.3.2"),
            ),
        )
    ]
    association.release()


@SERVERS
@SYNTAXES
def test_a_report_is_noted_whatever_it_says(open_desk, server, syntax):
    desk = open_desk(SECTIONS, server=server)
    association = call(desk, "ARCHIVE", syntax, reports=True)
    assert association.accepted_contexts[0].as_scp
    assert report(association, information("1.9", "1.2.3.1")) == 0x0000
    assert report(association, information("1.9", "1.2.3.1", failed=(("1.2.3.2", 0x0112),)), 2) == 0x0000
    committed = (Reference(sop_class_uid=MR, sop_instance_uid="1.2.3.1"),)
    failed = Failure(reference=Reference(sop_class_uid=MR, sop_instance_uid="1.2.3.2"), reason=0x0112)
    assert desk.commitments.reports == [
        CommitmentReport(transaction_uid="1.9", committed=committed, failed=()),
        CommitmentReport(transaction_uid="1.9", committed=committed, failed=(failed,)),
    ]
    association.release()


@SERVERS
@pytest.mark.parametrize(("calling", "accepted"), [("ASKS", True), ("ARCHIVE", True), ("STORES", False)])
def test_the_context_is_offered_to_who_asks_or_reports(open_desk, server, calling, accepted):
    association = call(open_desk(SECTIONS, server=server), calling)
    assert bool(association.accepted_contexts) is accepted
    association.abort()


def test_without_peers_nobody_may_ask(desk):
    association = call(desk, "ANY")
    assert association.accepted_contexts == []
    association.abort()


def test_who_may_only_report_may_not_ask_and_the_other_way_round(open_desk):
    desk = open_desk(SECTIONS)
    archive, modality = call(desk, "ARCHIVE"), call(desk, "ASKS", reports=True)
    assert ask(archive, information("1.9", "1.2.3.1")) == 0x0124
    assert report(modality, information("1.9", "1.2.3.1")) == 0x0124
    assert (desk.commitments.requests, desk.commitments.reports) == ([], [])
    archive.release()
    modality.release()


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI", "ignore:The value length")
@pytest.mark.parametrize(
    ("uids", "more", "status"),
    [
        (("1.9", "1.2"), {"action": 2}, 0x0123),
        (("1.9", "1.2"), {"instance": "1.2.3"}, 0x0112),
        (("", "1.2"), {}, 0x0115),
        (("../x", "1.2"), {}, 0x0115),
        (("1.9",), {}, 0x0115),
        (("1.9", ""), {}, 0x0115),
        (("1.9", "1.2", "../../x"), {}, 0x0115),
        (("1" * 300, "1.2"), {}, 0x0115),
    ],
)
def test_a_request_that_cannot_be_understood_is_refused_by_its_status(open_desk, uids, more, status):
    desk = open_desk(SECTIONS)
    association = call(desk, "ASKS")
    assert ask(association, information(*uids), **more) == status
    assert ask(association, information("1.9", "1.2")) == 0x0000
    assert len(desk.commitments.requests) == 1
    association.release()


@pytest.mark.parametrize(
    ("uids", "failed", "event", "status"),
    [
        (("1.9", "1.2"), (), 3, 0x0113),
        (("9.9", "1.2"), (), 1, 0x0115),
        (("1.9", "../../x"), (), 1, 0x0115),
        (("1.9",), (("1.2", 0),), 2, 0x0000),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_report_on_what_nobody_asked_for_is_refused(open_desk, uids, failed, event, status):
    association = call(open_desk(SECTIONS), "ARCHIVE", reports=True)
    assert report(association, information(*uids, failed=failed), event) == status
    association.release()


@pytest.mark.parametrize("fault", [JournalError("no"), OSError(28, "No space left on device")])
def test_what_cannot_be_noted_is_a_processing_failure_and_may_be_asked_again(open_desk, fault):
    desk = open_desk(SECTIONS)
    desk.commitments.fault = fault
    modality, archive = call(desk, "ASKS"), call(desk, "ARCHIVE", reports=True)
    assert ask(modality, information("1.9", "1.2")) == 0x0110
    assert report(archive, information("1.9", "1.2")) == 0x0110
    desk.commitments.fault = None
    assert ask(modality, information("1.9", "1.2")) == 0x0000
    assert report(archive, information("1.9", "1.2")) == 0x0000
    modality.release()
    archive.release()


def test_a_request_about_ten_thousand_instances_is_taken(open_desk):
    desk = open_desk(SECTIONS)
    content = wire.commitment_data(b"1.9", [f"1.2.826.0.1.3680043.8.498.{number}".encode() for number in range(10_000)])
    with Line(desk.port) as line:
        assert line.associate(wire.associate_rq(calling=b"ASKS"))
        assert line.ask(wire.message(5, wire.action_command(), content)).status == 0x0000
        line.release()
    assert len(desk.commitments.requests[0].references) == 10_000


@pytest.mark.parametrize("gate", [None, "disk"])
def test_reports_are_taken_even_while_nothing_may_be_stored(open_desk, gate):
    desk = open_desk(SECTIONS)
    desk.gate = gate
    association = call(desk, "ARCHIVE", reports=True)
    assert report(association, information("1.9", "1.2")) == 0x0000
    association.release()
