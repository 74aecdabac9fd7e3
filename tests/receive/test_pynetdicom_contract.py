"""The ground in pynetdicom on which node/receive/server stands. A release that moves it fails here, by name."""

import hashlib
import importlib
import inspect
from typing import Any

import pytest
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

from node.receive.server.acceptor import Acceptor, ConnectionHandler
from node.receive.server.association import AcceptedAssociation
from node.receive.server.upper_layer import Transport, UpperLayer

#: Overridden, replaced or relied upon; who stands on it, of node/receive/server; SHA-256 of the source, abridged.
GROUND = [
    ("dul.DULServiceProvider.__init__", "upper_layer.py", "c82dafa9438ddf70"),
    ("dul.DULServiceProvider._decode_pdu", "upper_layer.py", "fc71dd1bf853e1ce"),
    ("dul.DULServiceProvider._process_recv_primitive", "upper_layer.py", "4c0ebbb3e646e35e"),
    ("dul.DULServiceProvider._send", "upper_layer.py", "a850a7919e68484e"),
    ("dul.DULServiceProvider.kill_dul", "upper_layer.py", "5ceccf8dd01c2072"),
    ("dul.DULServiceProvider.peek_next_pdu", "upper_layer.py", "7bdb626e1247e1b6"),
    ("dul.DULServiceProvider.receive_pdu", "upper_layer.py", "fa67339834ca998c"),
    ("dul.DULServiceProvider.run_reactor", "upper_layer.py", "e3a10eb3a0931e48"),
    ("dul.DULServiceProvider.send_pdu", "upper_layer.py", "7cbce5da8594124e"),
    ("dul.DULServiceProvider.stop_dul", "upper_layer.py", "28a7e0be126e7b30"),
    ("fsm", "upper_layer.py", "2fc1cecfa043749e"),
    ("timer", "upper_layer.py", "a671880cf9a90c52"),
    ("transport.AssociationSocket.__init__", "upper_layer.py", "1f0325fdef2cc353"),
    ("transport.AssociationSocket._shutdown_socket", "upper_layer.py", "e2b2628faa81a578"),
    ("transport.AssociationSocket.close", "upper_layer.py", "c726c8db53813d55"),
    ("transport.AssociationSocket.send", "upper_layer.py", "1ea8158c0b51faca"),
    ("dul.DULServiceProvider._read_pdu_data", "pdus.py", "19f2d4e38c13c835"),
    ("acse.ACSE._negotiate_as_acceptor", "association.py", "fffd360957c42a8e"),
    ("acse.ACSE.is_aborted", "association.py", "ad2eb3f545a9ed05"),
    ("acse.ACSE.is_release_requested", "association.py", "894b33d21a8dec8e"),
    ("acse.ACSE.send_abort", "association.py", "6707ebd82b156b4b"),
    ("acse.ACSE.send_accept", "association.py", "c03855deabefe975"),
    ("acse.ACSE.send_reject", "association.py", "700998293bbcb6c9"),
    ("acse.ACSE.send_release", "association.py", "28eaf9df836ca88f"),
    ("association.Association.__init__", "association.py", "eb07516b8009ad8f"),
    ("association.Association._abort_blocking", "association.py", "10b43ef8c63c6764"),
    ("association.Association._run_reactor", "association.py", "f28838c5559e462a"),
    ("association.Association._serve_request", "association.py", "2f24c1759cdf6c8c"),
    ("association.Association.kill", "association.py", "8f9713666a7f4cff"),
    ("association.Association.run_reactor", "association.py", "ed8bbbe3b3d6ddae"),
    ("association.Association.set_socket", "association.py", "235681dc751728fb"),
    ("events.trigger", "association.py", "b97f8a75e8affaa0"),
    ("association.Association._c_store_scp", "messages.py", "9361a649f8ef2b1d"),
    ("dimse.DIMSEServiceProvider.receive_primitive", "messages.py", "5f99c86b14a15cef"),
    ("dimse.DIMSEServiceProvider.send_msg", "messages.py", "a839cf2fb46976d9"),
    ("dimse_messages.DIMSEMessage.decode_msg", "messages.py", "f51c777e841a76be"),
    ("dimse_messages.DIMSEMessage.message_to_primitive", "messages.py", "f8f43d34e43450ef"),
    ("ae.ApplicationEntity.make_server", "acceptor.py", "6569298ac5cf837c"),
    ("ae.ApplicationEntity.shutdown", "acceptor.py", "3084723b79cf471e"),
    ("ae.ApplicationEntity.start_server", "acceptor.py", "d3868a2df83d3cc0"),
    ("transport.AssociationServer.__init__", "acceptor.py", "edacb98bdfb7b974"),
    ("transport.AssociationServer.get_request", "acceptor.py", "925a4f3a3042f6e4"),
    ("transport.AssociationServer.process_request", "acceptor.py", "4fa44ac5b54b4498"),
    ("transport.AssociationServer.server_bind", "acceptor.py", "cf69278a05a5c777"),
    ("transport.AssociationServer.server_close", "acceptor.py", "3fa1b358badbe682"),
    ("transport.AssociationServer.service_actions", "acceptor.py", "0a0853a3615ac7c5"),
    ("transport.AssociationServer.shutdown", "acceptor.py", "e8e2c3a41009886d"),
    ("transport.RequestHandler._create_association", "acceptor.py", "05c8d12b79863cdb"),
    ("transport.RequestHandler.handle", "acceptor.py", "034823fb4df3a874"),
    ("presentation.build_context", "contexts.py", "6b336c25b63180f8"),
    ("presentation.negotiate_as_acceptor", "contexts.py", "d5413f08f0ac7b32"),
    ("service_class.ServiceClass._n_action_scp", "commitment.py", "d398e1bcfe4d9db5"),
    ("service_class.ServiceClass._n_event_report_scp", "commitment.py", "2f9d2c7b196827fc"),
    ("service_class_n.StorageCommitmentServiceClass.SCP", "commitment.py", "be6e758c67d99a09"),
]

#: Private names that are read or set from outside.
PRIVATE = {
    DULServiceProvider: {
        "_kill_thread",
        "_idle_timer",
        "_recv_pdu",
        "event_queue",
        "to_provider_queue",
        "to_user_queue",
    },
    AssociationSocket: {"_is_connected", "_ready", "socket"},
    Association: {"_accepted_cx", "_sent_abort", "_server", "_handlers", "_kill", "_started_dul", "is_rejected"},
    ApplicationEntity: {"_servers", "_lock"},
}


def ground(name: str) -> Any:
    module, *path = name.split(".")
    found: Any = importlib.import_module(f"pynetdicom.{module}")
    for part in path:
        found = getattr(found, part)
    return found


@pytest.mark.parametrize(("name", "stands_on_it", "digest"), GROUND)
def test_the_ground_has_not_moved(name, stands_on_it, digest):
    found = hashlib.sha256(inspect.getsource(ground(name)).encode()).hexdigest()[:16]
    assert found == digest, (
        f"pynetdicom.{name} has changed: read it beside node/receive/server/{stands_on_it}, see that what is overridden"
        f' there still does what it must, then put {found} here. Until then: [receive] server = "stock"'
    )


@pytest.mark.parametrize(("owner", "names"), PRIVATE.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_the_private_names_are_there(owner, names):
    source = inspect.getsource(owner.__init__)
    assert sorted(name for name in names if f"self.{name}" not in source) == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (UpperLayer, DULServiceProvider),
        (Transport, AssociationSocket),
        (AcceptedAssociation, Association),
        (Acceptor, AssociationServer),
        (ConnectionHandler, RequestHandler),
    ],
)
def test_what_is_overridden_takes_what_it_took(ours, theirs):
    overridden = [
        name
        for name, value in vars(ours).items()
        if inspect.isfunction(value) and hasattr(theirs, name) and name != "__init__"
    ]
    assert overridden
    for name in overridden:
        assert [*inspect.signature(getattr(ours, name)).parameters] == [
            *inspect.signature(getattr(theirs, name)).parameters
        ], name
