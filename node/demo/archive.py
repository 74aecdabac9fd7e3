"""An archive for the demo: Orthanc where it is installed, else a small Storage and Query SCP of our own."""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

from node.errors import DeliveryError, PeerUnreachable
from node.scu.association import Peer, associate, echo

_START_S = 30.0
_STOP_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A running archive: what it is, and how to reach it."""

    name: str
    peer: Peer
    #: Where its REST interface listens, "" without.
    rest_url: str = ""
    #: Its process, 0 where it is a thread of this one.
    pid: int = 0


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_archive(folder: Path, *, with_rest: bool = False) -> Iterator[Archive]:
    """Run an archive that keeps its files in `folder`, until the block ends; `with_rest`: Orthanc's REST interface."""
    folder = folder.resolve()  # Orthanc takes a relative path as relative to its settings file
    program = shutil.which(
        "Orthanc", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin"
    )
    with running_orthanc(program, folder, with_rest=with_rest) if program else running_own_archive(folder) as archive:
        yield archive


@contextlib.contextmanager
def running_orthanc(
    program: str,
    folder: Path,
    *,
    with_rest: bool = False,
    accept_unknown: bool = False,
    more: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Archive]:
    """Run Orthanc on free loopback ports. Raises PeerUnreachable when it does not come up.

    `accept_unknown`: takes storage classes that its version does not know, such as Label Map Segmentation; `more`: keys
    of its settings file, such as DicomModalities.
    """
    folder.mkdir(parents=True, exist_ok=True)
    peer = _peer("ORTHANC")
    rest_port = free_port()
    settings = {
        "Name": "cspine-node demo",
        "StorageDirectory": str(folder),
        "IndexDirectory": str(folder),
        "DicomAet": peer.ae_title,
        "DicomPort": peer.port,
        "DicomServerEnabled": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowStore": True,
        "HttpServerEnabled": with_rest,
        "HttpPort": rest_port,
        "RemoteAccessAllowed": False,
        "UnknownSopClassAccepted": accept_unknown,
        "Plugins": [],
        **more,
    }
    config = folder / "orthanc.json"
    config.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - a program found by `which`
            [program, str(config)],
            stdout=output,
            stderr=output,
            env={**os.environ, "TCP_NODELAY": "1"},  # DCMTK inside Orthanc waits 40 ms an object without
        )
        try:
            _wait_until_up(process, peer)
            yield Archive(
                name=f"Orthanc at 127.0.0.1:{peer.port}, files in {folder}",
                peer=peer,
                rest_url=f"http://127.0.0.1:{rest_port}" if with_rest else "",
                pid=process.pid,
            )
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def running_own_archive(folder: Path) -> Iterator[Archive]:
    """Run the small archive of this module on a free loopback port."""
    folder.mkdir(parents=True, exist_ok=True)
    peer = _peer("ARCHIVE")
    store = _Store(folder)
    ae = AE(ae_title=peer.ae_title)
    ae.supported_contexts = AllStoragePresentationContexts
    ae.add_supported_context(Verification)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    handlers: list[Any] = [(evt.EVT_C_STORE, store.on_store), (evt.EVT_C_FIND, store.on_find)]
    server = ae.start_server(("127.0.0.1", peer.port), block=False, evt_handlers=handlers)
    try:
        yield Archive(name=f"the demo's own archive, files in {folder}", peer=peer)
    finally:
        if server is not None:
            server.shutdown()


class _Store:
    """Instances of the small archive: files in a folder, answers to IMAGE level queries by Study Instance UID."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._known: dict[str, Dataset] = {}

    def on_store(self, event: Any) -> int:
        """Keep an instance (PS3.4 B.2)."""
        data_set = event.dataset
        listed = Dataset()
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "Modality"):
            setattr(listed, keyword, data_set.get(keyword, ""))
        with self._lock:
            (self._folder / f"{len(self._known):06d}.dcm").write_bytes(event.encoded_dataset())
            self._known[str(data_set.SOPInstanceUID)] = listed
        return 0x0000

    def on_find(self, event: Any) -> Iterator[tuple[int, Dataset | None]]:
        """Answer a query at SERIES or IMAGE level by the UIDs that it gives (PS3.4 C.4.1)."""
        query = event.identifier
        own_key = "SOPInstanceUID" if query.QueryRetrieveLevel == "IMAGE" else "SeriesInstanceUID"
        with self._lock:
            known = list(self._known.values())
        matching = [
            listed
            for listed in known
            if all(
                not query.get(keyword) or query.get(keyword) == listed.get(keyword)
                for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
            )
        ]
        for answer in {str(listed.get(own_key)): listed for listed in matching}.values():
            yield 0xFF00, answer


def instances_of_study(peer: Peer, study_uid: str) -> list[dict[str, str]]:
    """Ask an archive for the instances of a study (C-FIND, PS3.4 C.4.1): modality, series and instance UID of each.

    Raises DeliveryError when it does not answer.
    """
    model = str(StudyRootQueryRetrieveInformationModelFind)
    found: list[dict[str, str]] = []
    with associate(peer, [(model, [str(ImplicitVRLittleEndian)])]) as association:
        for series in _find(association, "SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID="", Modality=""):
            uids = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series.SeriesInstanceUID}
            found.extend(
                {
                    "modality": str(series.Modality),
                    "series_uid": str(series.SeriesInstanceUID),
                    "sop_instance_uid": str(instance.SOPInstanceUID),
                }
                for instance in _find(association, "IMAGE", **uids, SOPInstanceUID="")
            )
    return found


def _find(association: Any, level: str, **keys: str) -> list[Dataset]:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    found: list[Dataset] = []
    for status, answer in association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind):
        if "Status" not in status or status.Status not in {0x0000, 0xFF00, 0xFF01}:
            raise PeerUnreachable("the archive did not answer the query")
        if answer is not None:
            found.append(answer)
    return found


def _peer(ae_title: str) -> Peer:
    return Peer(
        host="127.0.0.1", port=free_port(), ae_title=ae_title, calling_ae_title="CSPINEDEMO", timeout_s=_START_S
    )


def _wait_until_up(process: subprocess.Popen[bytes], peer: Peer) -> None:
    """Wait for the archive's first C-ECHO. Raises PeerUnreachable when it ends or takes too long."""
    deadline = time.monotonic() + _START_S
    while process.poll() is None:
        try:
            echo(peer)
        except DeliveryError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
    raise PeerUnreachable(f"the archive ended with code {process.returncode} before it listened")
