"""The figures of the running node, as a document over its control socket and read back."""

import json

import pytest

from node import __version__
from node.control import ControlServer, ask
from node.errors import SystemFailed
from node.monitor.figures import Figures, FiguresOfNode, own_process, read_figures
from node.receive.intake import AssociationRefusal, InstanceEnd, InstanceRefusal, Intake
from node.segment.devices import Device

DEVICE = Device(index=0, name="H200", used=1 << 30, size=141 << 30, utilization=None)


def figures_of_a_node(intake: Intake, *, closed=None) -> FiguresOfNode:
    return FiguresOfNode(
        intake=intake.counts,
        connections=lambda: 3,
        gate=lambda: closed,
        engine_ready=lambda: True,
        devices=lambda: [DEVICE],
    )


def test_the_figures_survive_the_way_over_the_control_socket(tmp_path):
    intake = Intake()
    intake.accepted()
    intake.count(AssociationRefusal.CALLING_AE_TITLE)
    intake.count(InstanceEnd.STORED)
    intake.count(InstanceRefusal.TOO_LARGE)
    intake.received(1000)
    with ControlServer(tmp_path, figures_of_a_node(intake, closed="disk").answer):
        answer = ask(tmp_path, {"do": "figures"}, patience_s=30)
    assert answer is not None
    found = read_figures(answer)
    assert isinstance(found, Figures)
    assert (found.version, found.closed, found.connections, found.engine_ready) == (__version__, "disk", 3, True)
    assert found.devices == (DEVICE,)
    assert found.intake == intake.counts()
    assert found.intake.associations_rejected["calling-ae-title"] == 1
    assert found.intake.associations_rejected["disk"] == 0
    assert found.intake.instances == {"stored": 1, "duplicate": 0, "quarantined": 0}
    assert found.intake.instances_refused["too-large"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": "input-error", "message": "the request asks for nothing that there is"}, "exit_code": 65},
        {"figures": {"version": "0.0.1"}},
        {"figures": "none"},
    ],
)
def test_the_answer_of_a_node_that_does_not_know_the_question_is_an_error(answer):
    with pytest.raises(SystemFailed, match="another version"):
        read_figures(answer)


def test_the_node_tells_of_its_own_process():
    found = own_process()
    assert found.resident_bytes > 1 << 20
    assert found.open_fds >= 3
    assert found.max_fds >= found.open_fds
    assert found.cpu_s > 0


def test_a_figure_is_never_a_name_that_somebody_sent():
    document = json.dumps(figures_of_a_node(Intake()).answer({"do": "figures", "name": "ZZSECRET^NAME"}))
    assert "ZZSECRET" not in document
