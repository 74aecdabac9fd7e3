"""A node with its files, brought up, taken back as docs/administrator.md has it, and brought up again."""

import sqlite3
from contextlib import closing
from pathlib import Path

from handbook import commands, older_release, run
from older import as_version_2
from oracle import write_blocks
from wired import Node

from node.journal.check import check
from node.receive.headroom import Headroom
from node.retention import Retention


def started(state_dir: Path, before: Node | None = None) -> Node:
    """Return the node as it starts, over the same clock and the same destination."""
    node = Node(state_dir, clock=before.clock if before else None)
    if before:
        node.shelf.bytes.update(before.shelf.bytes)
    Retention(node.settings, node.journal, Headroom(state_dir, minimum_free_mb=0), node.clock.wall).take_in()
    return node


def content(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def told(node: Node) -> list[tuple[int, str, str]]:
    return [(case["id"], case["series_uid"], case["state"]) for case in node.cases()]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".dcm"}


def test_what_came_after_an_upgrade_is_there_again_after_the_way_back(tmp_path: Path) -> None:
    """A case of before, one of after. Back: the journal of before. Up again: both, the first not made or sent anew."""
    state_dir = tmp_path / "state"
    old = started(state_dir)
    old.receive(write_blocks(tmp_path / "one", name="one"))
    old.settle()
    old.journal.close()
    as_version_2(state_dir / "journal.sqlite")
    before = content(state_dir / "journal.sqlite")
    first = files(state_dir / "results" / "00000001-1")

    new = started(state_dir, old)
    new.receive(write_blocks(tmp_path / "two", name="two"))
    new.settle()
    both = told(new)
    assert [state for _, _, state in both] == ["delivered", "delivered"]
    second = files(state_dir / "results" / "00000002-1")
    new.journal.close()

    places = older_release(tmp_path, state_dir)
    run(commands("Back, when nothing of worth has come since"), tmp_path, places)
    assert content(state_dir / "journal.sqlite") == before

    again = started(state_dir, new)
    again.settle()
    assert told(again) == both
    assert len(again.shelf.taken) == len(second) == 2
    assert set(again.shelf.taken).isdisjoint(old.shelf.taken)
    assert files(state_dir / "results" / "00000001-1") == first
    assert check(again.journal.store) == ()
    again.journal.close()
