"""A case on its way through everything: sent to the node, segmented, in Orthanc, and OHIF beside it."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from peers import program

from node.demo.archive import running_orthanc
from node.demo.livenode import running_node
from ohif.served import fetched, serving

DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_ORTHANC = {"Plugins": [str(DICOMWEB)], "DicomWeb": {"Enable": True}}
_SECTIONS = "[completeness]\nquiet_s = 2.0\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """Where OHIF is, what it has to show, and the settings of the node that runs."""

    address: str
    study_uid: str
    case: int
    seg: Path
    config: Path


@contextlib.contextmanager
def staged(series: Sequence[Path], folder: Path, ohif: Path) -> Iterator[Staged]:
    """Let the node process a series that the archive has, and serve OHIF, kept in `ohif`, beside that archive."""
    orthanc = program("Orthanc")
    assert orthanc is not None
    with running_orthanc(orthanc, folder / "orthanc", with_rest=True, more=_ORTHANC) as archive:
        with httpx.Client(base_url=archive.rest_url) as client:
            for file in series:
                client.post("/instances", content=file.read_bytes()).raise_for_status()
        with (
            running_node(folder / "node", archive, _SECTIONS) as node,
            serving(fetched(ohif), archive.rest_url) as address,
        ):
            node.send(series)
            case = node.delivered(lambda _step: None)
            yield Staged(
                address=address,
                study_uid=case["study_uid"],
                case=case["id"],
                seg=node.results(case) / "seg.dcm",
                config=folder / "node" / "cspine-node.toml",
            )
