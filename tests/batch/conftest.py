"""Datasets of phantoms in the layout of the CSpineSeg download, built once for all tests of the batch."""

from pathlib import Path

import pytest
from cspineseg import Truth, build, clean


@pytest.fixture(scope="session")
def dataset_60_unpacked(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """60 exams in four folders, with everything planted in exams that can be."""
    return build(tmp_path_factory.mktemp("dataset_60") / "unpacked")


@pytest.fixture(scope="session")
def dataset_60_zipped(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """The same 60 exams in four zips."""
    return build(tmp_path_factory.mktemp("dataset_60") / "zipped", zipped=True)


@pytest.fixture(scope="session", params=["unpacked", "zipped"])
def dataset_60(request: pytest.FixtureRequest) -> Truth:
    """60 exams with everything planted, once in folders and once in zips."""
    found: Truth = request.getfixturevalue(f"dataset_60_{request.param}")
    return found


@pytest.fixture(scope="session")
def dataset_small(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """Four exams in folders, nothing wrong: an expert's mask, two exams of one patient, a fused spine, one in 3D."""
    return clean(tmp_path_factory.mktemp("dataset_small") / "download", 4)


@pytest.fixture(scope="session")
def dataset_small_zipped(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    """The same four exams in four zips."""
    return clean(tmp_path_factory.mktemp("dataset_small") / "zipped", 4, zipped=True)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    """A folder for a dataset of the test's own."""
    return tmp_path / "download"
