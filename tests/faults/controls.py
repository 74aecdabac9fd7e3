"""Nodes that are broken on purpose. A harness that does not notice them proves nothing."""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
from faults.subject import Late
from pydicom.uid import generate_uid
from sqlalchemy import event
from sqlalchemy.pool import Pool

from node.deliver.destination import Answer, Parcel

#: Broken in the order in which bytes reach the disk: for the power cut.
DISK = ("no-file-fsync", "no-folder-fsync", "synchronous-normal", "ack-before-commit", "rename-before-fsync")
#: Broken in what is sent: for the kill.
SEND = ("new-uid",)


def break_node(variant: str) -> dict[str, Any]:
    """Break this process as `variant` says, "" not at all; return further arguments of the `Subject`."""
    if variant == "ack-before-commit":
        return {"report": Late}
    if variant == "new-uid":
        return {"destination": _NewUid}
    if variant:
        {
            "no-file-fsync": lambda: _sync_only(stat.S_ISDIR),
            "no-folder-fsync": lambda: _sync_only(lambda mode: not stat.S_ISDIR(mode)),
            "synchronous-normal": _synchronous_normal,
            "rename-before-fsync": _rename_before_fsync,
        }[variant]()
    return {}


def _sync_only(wanted: Callable[[int], bool]) -> None:
    for name in ("fsync", "fdatasync"):
        setattr(os, name, _filtered(getattr(os, name), wanted))


def _filtered(sync: Callable[[int], None], wanted: Callable[[int], bool]) -> Callable[[int], None]:
    def maybe(descriptor: Any) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        if wanted(os.fstat(number).st_mode):
            sync(number)

    return maybe


def _synchronous_normal() -> None:
    @event.listens_for(Pool, "checkout")
    def relax(connection: Any, _record: Any, _proxy: Any) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")


def _rename_before_fsync() -> None:
    sync = os.fsync
    _sync_only(stat.S_ISDIR)
    for name in ("replace", "rename"):
        setattr(os, name, _syncing_after(getattr(os, name), sync))


def _syncing_after(rename: Callable[..., None], sync: Callable[[int], None]) -> Callable[..., None]:
    def renamed(source: Any, target: Any, **more: Any) -> None:
        rename(source, target, **more)
        folder = more.get("dst_dir_fd")
        descriptor = os.open(target, os.O_RDONLY, dir_fd=folder)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)

    return renamed


class _NewUid:
    """Sends each object under a UID of the moment, as software does that encodes again at each attempt."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def deliver(self, parcels: Sequence[Parcel]) -> Generator[Answer, None, None]:
        folder = Path(tempfile.mkdtemp())
        try:
            renamed = {}
            for parcel in parcels:
                data_set = pydicom.dcmread(parcel.path)
                data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = generate_uid()
                path = folder / f"{data_set.SOPInstanceUID}.dcm"
                data_set.save_as(path)
                renamed[str(data_set.SOPInstanceUID)] = (parcel, path)
            fresh = [replace(parcel, sop_instance_uid=uid, path=path) for uid, (parcel, path) in renamed.items()]
            for answer in self._inner.deliver(fresh):
                yield replace(answer, parcel=renamed[answer.parcel.sop_instance_uid][0])
        finally:
            shutil.rmtree(folder)
