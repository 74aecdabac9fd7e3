"""What all tests share: real data beside the repository, peers that must be there in CI, one Orthanc a session."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.deliver.scu import Peer
from node.demo.archive import running_orthanc

SHARED = Path(__file__).resolve().parents[2] / "shared"

#: Where a missing peer or missing data fails instead of being skipped: `.ci/run` sets it.
REQUIRED = os.environ.get("CSPINE_NODE_REQUIRE_PEERS") == "1"


def program(name: str) -> str | None:
    """Return the path of a peer's program. DCMTK's own come first: pynetdicom ships some of the same names."""
    scripts = sysconfig.get_path("scripts")
    if name in {"storescu", "dsrdump", "echoscu", "dcmdump", "findscu"}:
        return shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    return shutil.which(name, path=f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}")


PEERS = {
    "orthanc": "Orthanc",
    "dcmtk": "storescu",
    "dcm2niix": "dcm2niix",
    "dcmqi": "segimage2itkimage",
    "dicom3tools": "dciodvfy",
}


def missing(what: str) -> None:
    """Skip loudly, or fail where everything is required."""
    if REQUIRED:
        pytest.fail(f"{what} is required here and missing")
    pytest.skip(f"SKIPPED FOR WANT OF {what}")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("peer"):
        for name in marker.args:
            if program(PEERS[name]) is None:
                missing(f"{name} ({PEERS[name]})")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc:
    """A running Orthanc: DICOM and REST."""

    peer: Peer
    url: str

    def get(self, path: str) -> bytes:
        """Return the body of a GET."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=30) as answer:
            return bytes(answer.read())

    def instances(self, study_uid: str) -> list[dict[str, str]]:
        """Return modality, series UID, instance UID and Orthanc's own id of each instance of a study."""
        query = {"Level": "Instance", "Expand": True, "Query": {"StudyInstanceUID": study_uid}}
        request = urllib.request.Request(f"{self.url}/tools/find", json.dumps(query).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            found = json.load(answer)
        listed = []
        for item in found:
            series = json.loads(self.get(f"/series/{item['ParentSeries']}"))["MainDicomTags"]
            listed.append(
                {
                    "id": item["ID"],
                    "modality": series["Modality"],
                    "series_uid": series["SeriesInstanceUID"],
                    "sop_instance_uid": item["MainDicomTags"]["SOPInstanceUID"],
                }
            )
        return listed

    def file(self, instance: dict[str, str]) -> bytes:
        """Return an instance as a DICOM file."""
        return self.get(f"/instances/{instance['id']}/file")

    def clear(self) -> None:
        """Delete every patient."""
        for patient in json.loads(self.get("/patients")):
            request = urllib.request.Request(f"{self.url}/patients/{patient}", method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()


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
