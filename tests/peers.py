"""Peers and real data that tests need: where they are, and what happens where they are not."""

import json
import os
import shutil
import sysconfig
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.scu.association import Peer

SHARED = Path(__file__).resolve().parents[2] / "shared"

#: Where a missing peer or missing data fails instead of being skipped: `.ci/run` sets it.
REQUIRED = os.environ.get("CSPINE_NODE_REQUIRE_PEERS") == "1"


def program(name: str) -> str | None:
    """Return the path of a peer's program. DCMTK's own come first: pynetdicom ships some of the same names."""
    scripts = sysconfig.get_path("scripts")
    if name in {"storescu", "dsrdump", "echoscu", "dcmdump", "findscu", "dcmqrscp"}:
        return shutil.which(name, path="/usr/bin:/usr/local/bin:/opt/homebrew/bin")
    if name in {"initdb", "pg_ctl"}:  # Debian keeps them out of the way
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
        return shutil.which(name, path=os.pathsep.join([*map(str, reversed(newest)), os.environ.get("PATH", "")]))
    places = (scripts, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")
    return shutil.which(name, path=os.pathsep.join(places))


PEERS = {
    "orthanc": "Orthanc",
    "dcmtk": "storescu",
    "dcm2niix": "dcm2niix",
    "dcmqi": "segimage2itkimage",
    "dicom3tools": "dciodvfy",
    "postgresql": "initdb",
    "strace": "strace",
    "fuse": "fusermount3",
    "hadolint": "hadolint",
    "systemd": "systemd-analyze",
    "chromium": "chromium",
    "npm": "npm",
    "promtool": "promtool",
}


def missing(what: str) -> None:
    """Skip loudly, or fail where everything is required."""
    if REQUIRED:
        pytest.fail(f"{what} is required here and missing")
    pytest.skip(f"SKIPPED FOR WANT OF {what}")


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
