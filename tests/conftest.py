"""What all tests share: real data beside the repository, peers that must be there in CI, one Orthanc a session."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import settings
from peers import PEERS, SHARED, Orthanc, missing, program

from node.demo.archive import running_orthanc

#: Hypothesis limits the time of each example unless told otherwise; times belong into benchmarks.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if program(PEERS[name]) is None:
                missing(f"{name} ({PEERS[name]})")


@pytest.fixture(autouse=True)
def environment_as_it_was() -> Iterator[None]:
    """Dask writes the threads of its workers into the environment of who starts them, commands configure the log.

    Whoever leaves the processor with subnormal numbers as zeros fails: all that follows would compute with them.
    """
    structlog.reset_defaults()
    before = dict(os.environ)
    yield
    for name in set(os.environ) - set(before) - {"PYTEST_CURRENT_TEST"}:
        del os.environ[name]
    assert sys.float_info.min / 2 > 0.0, "subnormal numbers are left as zeros"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real MR beside the repository."""
    if not (SHARED / "data").is_dir():
        missing("../shared/data")
    return SHARED / "data"


@pytest.fixture(scope="session")
def wrapped_cervical(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real cervical T2 volume as a classic sagittal series of 13 slices."""
    out = tmp_path_factory.mktemp("wrapped") / "errsm_20"
    tool = SHARED / "tools" / "nifti_to_dicom_series.py"
    source = shared_data / "cervical_t2" / "errsm_20_T2w.nii.gz"
    subprocess.run([sys.executable, str(tool), str(source), str(out)], check=True)
    return out


@pytest.fixture(scope="session")
def head_t1(shared_data: Path) -> Path:
    """A real head T1 series, which no cervical T2 route may take."""
    return shared_data / "dicom" / "siemens_sagittal_t1_head"


@pytest.fixture(scope="session")
def orthanc_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    found = program("Orthanc")
    if found is None:
        missing("orthanc (Orthanc)")
    assert found is not None
    with running_orthanc(found, tmp_path_factory.mktemp("orthanc"), with_rest=True) as archive:
        yield Orthanc(peer=archive.peer, url=archive.rest_url)


@pytest.fixture
def orthanc(orthanc_of_session: Orthanc) -> Orthanc:
    """The session's Orthanc, empty."""
    orthanc_of_session.clear()
    return orthanc_of_session
