"""What the doctor, who runs without the restrictions of a unit, says of what the receiver may write in its own."""

from pathlib import Path

import pytest

from node.doctor import units
from node.settings import Settings, parse_settings

RECEIVER = Path(__file__).parents[2] / "systemd" / "cspine-node-receiver.service"


def settings(folder: str, worker: str | None = "/run/cspine-node-worker/worker.sock") -> Settings:
    archive = {"name": "archive", "host": "pacs", "port": 104, "ae_title": "PACS"}
    research = {"name": "research", "kind": "folder", "path": folder}
    model = {"worker": worker} if worker else {}
    document = {"node": {"state_dir": "/var/lib/cspine-node"}, "model": model, "destination": [archive, research]}
    return parse_settings(document, name="test")


def test_a_folder_for_results_that_the_unit_does_not_open_is_told_with_the_drop_in_that_does(tmp_path: Path):
    (found,) = units.look(settings("/data/results"), tmp_path)
    assert (found.area, found.level.name) == ("destination research", "WARNING")
    assert found.text.startswith("/data/results is read-only for the receiver's unit")
    assert 'systemctl edit cspine-node-receiver, and there "[Service]" and "ReadWritePaths=-/data/results"' in (
        found.advice
    )


@pytest.mark.parametrize("worker", [None, "/run/cspine-node/worker.sock"])
def test_where_no_unit_runs_the_node_there_is_none_to_open_it(tmp_path: Path, worker: str | None):
    assert list(units.look(settings("/data/results", worker), tmp_path)) == []


def test_what_lies_in_the_state_folder_is_open_already(tmp_path: Path):
    assert list(units.look(settings("/var/lib/cspine-node/out"), tmp_path)) == []


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("[Service]\nReadWritePaths=-/data/results\n", True),
        ('[Service]\nReadWritePaths = /srv "/data"\n', True),
        ("[Service]\nReadWritePaths=/data/result\n", False),
        ("[Service]\n# ReadWritePaths=/data\nReadOnlyPaths=/data\n", False),
        ("[Service]\nReadWritePaths=/data\nReadWritePaths=\n", False),
    ],
)
def test_a_drop_in_that_names_it_or_what_is_above_it_opens_it(tmp_path: Path, text: str, opened: bool):
    folder = tmp_path / "cspine-node-receiver.service.d"
    folder.mkdir()
    (tmp_path / "cspine-node-receiver.service").write_bytes(RECEIVER.read_bytes())
    (folder / "override.conf").write_text(text)
    assert (list(units.look(settings("/data/results"), tmp_path)) == []) is opened


def test_the_receivers_unit_is_as_the_doctor_takes_it_to_be():
    unit = RECEIVER.read_text().splitlines()
    assert {"ProtectSystem=strict", "StateDirectory=cspine-node"} <= set(unit)
    assert [line for line in unit if line.startswith("ReadWritePaths")] == []
