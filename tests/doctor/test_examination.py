"""The whole examination: every specialist in turn, whatever one of them cannot find out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.bootstrap.engine import open_bundle
from node.bootstrap.state import open_journal_for_reading
from node.doctor.examination import Means, examine
from node.doctor.finding import Finding, Level
from node.errors import JournalError, SystemFailed
from node.journal.journal import Journal
from node.settings import Settings, parse_settings


def settings(folder: Path) -> Settings:
    return parse_settings({"node": {"state_dir": str(folder), "port": 0}}, name="test")


def means(answer: Mapping[str, Any] | None = None) -> Means:
    return Means(
        open_journal=open_journal_for_reading,
        open_bundle=open_bundle,
        open_engine=lambda _model: pytest.fail("no engine is wanted here"),
        ask=lambda _request: answer,
        devices=tuple,
    )


def by_area(findings: list[Finding]) -> dict[str, list[str]]:
    areas: dict[str, list[str]] = {}
    for finding in findings:
        areas.setdefault(finding.area, []).append(finding.level.name)
    return areas


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "ballast").touch()
    Journal(folder / "journal.sqlite").close()
    return folder


def test_every_area_is_looked_at(state):
    found = by_area(list(examine(settings(state), means(), self_test=False)))
    assert set(found) == {
        *("settings", "state folder", "disk", "journal", "cases", "model", "engine"),
        *("running node", "node.port", "web.port", "clock"),
    }
    assert found["journal"] == found["cases"] == found["model"] == ["OK"]
    assert found["running node"] == found["engine"] == ["WARNING"]


def test_what_the_unit_of_the_receiver_may_not_write_is_looked_at_too(state, tmp_path):
    (tmp_path / "out").mkdir()
    document = {
        "node": {"state_dir": str(state), "port": 0},
        "model": {"worker": "/run/cspine-node-worker/worker.sock"},
        "destination": [{"name": "out", "kind": "folder", "path": str(tmp_path / "out")}],
    }
    found = by_area(list(examine(parse_settings(document, name="test"), means(), self_test=False)))
    assert found["destination out"] == ["OK", "WARNING"]


def test_it_changes_nothing_in_the_state_folder(state):
    def names() -> list[str]:
        # a reader of SQLite in WAL mode makes and leaves these two beside the file
        return sorted(path.name for path in state.iterdir() if not path.name.endswith(("-wal", "-shm")))

    before = names()
    list(examine(settings(state), means(), self_test=False))
    assert names() == before


def test_without_a_node_the_engine_is_tried_and_with_one_that_does_not_say_how_it_is_not(state):
    tried: list[str] = []

    class Engine:
        def __enter__(self) -> "Engine":
            raise SystemFailed("enough")

        def __exit__(self, *_exception: object) -> None:
            return

    asked = replace(means(), open_engine=lambda _model: tried.append("engine") or Engine())
    list(examine(settings(state), asked))
    assert tried == ["engine"]
    list(examine(settings(state), replace(asked, ask=lambda _request: {"error": {}})))
    assert tried == ["engine"]


def test_a_node_that_has_never_run_is_no_fault(tmp_path):
    findings = list(examine(settings(tmp_path / "none"), means(), self_test=False))
    assert [finding.text for finding in findings if finding.level is Level.FAULT] == []
    assert by_area(findings)["journal"] == ["WARNING"]


def test_what_one_cannot_find_out_ends_no_others_work(state):
    def broken(_settings: Settings) -> Any:
        raise JournalError("the journal has version 99, this software needs 3")

    def unknown() -> Any:
        raise PermissionError(13, "Permission denied")

    asked = replace(means(), open_journal=broken, kernel=unknown)
    findings = {item.area: item for item in examine(settings(state), asked, self_test=False)}
    assert findings["journal"].text == "cannot be read: the journal has version 99, this software needs 3"
    assert findings["clock"].text == "cannot be looked at: Permission denied"
    assert findings["model"].level is Level.OK


def test_a_damaged_journal_says_how_to_make_a_new_one(state):
    content = bytearray((state / "journal.sqlite").read_bytes())
    content[:16] = b"not a database!!"
    (state / "journal.sqlite").write_bytes(content)
    findings = {item.area: item for item in examine(settings(state), means(), self_test=False)}
    assert findings["journal"].level is Level.FAULT
    assert "cspine-node journal rebuild" in findings["journal"].advice
