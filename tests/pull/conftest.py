"""One archive of fifty studies for all, and a node beside it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from peers import Orthanc
from pullrig import Node, archive_of_fifty, node_beside


@pytest.fixture(scope="session")
def archive_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """An Orthanc of fifty studies."""
    with archive_of_fifty(tmp_path_factory.mktemp("archive")) as orthanc:
        yield orthanc


@pytest.fixture
def node(tmp_path: Path, archive_of_session: Orthanc) -> Iterator[Node]:
    """A node that the archive knows under its AE title."""
    with node_beside(tmp_path, archive_of_session) as made:
        yield made
