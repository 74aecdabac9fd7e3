"""Everything that the node loads late is loaded once, so that a fault meets the node's own calls and no import."""

import tempfile
from pathlib import Path

from oracle import OracleSegmenter, write_blocks

from node.assemble.headers import gather
from node.journal.journal import Journal
from node.pipeline import run_case


def warm() -> None:
    """Run a case and open a journal."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found, _ = gather(write_blocks(folder / "in"))
        run_case(found[0], "ab" * 32, OracleSegmenter())  # type: ignore[arg-type]
        Journal(folder / "journal.sqlite").close()
