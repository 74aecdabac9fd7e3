"""What the demo found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOutcome:
    """The results of one demo, as the archive and the folder have them."""

    #: What the archive is, such as "Orthanc".
    archive: str
    study_uid: str
    #: Result objects that the archive lists: modality, series_uid, sop_instance_uid.
    archived: Sequence[Mapping[str, str]]
    #: `findings.json`.
    findings: Mapping[str, Any]
    files: Sequence[Path]
    overlay: Path
    #: From the last C-STORE answered to both results in the archive.
    seconds: float

    def document(self) -> dict[str, Any]:
        """Return the answer of `demo --json`."""
        return {
            "archive": self.archive,
            "study_uid": self.study_uid,
            "archived": [dict(made) for made in self.archived],
            "findings": dict(self.findings),
            "files": [str(path) for path in self.files],
            "overlay": str(self.overlay),
            "seconds_from_last_store_to_results": round(self.seconds, 3),
        }
