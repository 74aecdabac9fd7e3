"""Which series a file belongs to, by as little of it as will do."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.assemble.headers import read_header
from node.errors import InputError
from node.receive.archive import heads, unpack
from node.receive.elements import Fetch
from node.receive.headers import read_identity

#: MR, Enhanced MR and Legacy Converted Enhanced MR Image Storage (PS3.4 B.5): images, whatever else they say.
_IMAGES = frozenset(f"1.2.840.10008.5.1.4.1.1.{tail}" for tail in ("4", "4.1", "4.4"))
#: Bytes read at first; the Series Instance UID of an MR image lies within.
_HEAD = 8 << 10
#: Bytes of each file of a zip.
_HEAD_IN_ZIP = 64 << 10
#: Files of a zip that are unpacked at a time to be looked at as a whole.
_FILES_A_TIME = 64


def series_of_file(path: Path) -> str:
    """Return the Series Instance UID of the image at `path`. Raises InputError where it is none; OSError passes.

    An MR image with a usual header is known by its first elements; anything else is read as it would be to be
    segmented, so what is an image here is one there.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        head = os.pread(descriptor, _HEAD, 0)
        quick = _quick(lambda at, size: _part(head, at, size) or os.pread(descriptor, size, at))
    finally:
        os.close(descriptor)
    return quick or read_header(path).series_instance_uid


def series_of_zip(path: Path) -> Iterator[tuple[int, str | InputError]]:
    """Yield, for each file of a zip by its number, the Series Instance UID, or why it is no image.

    Nothing is unpacked but what cannot be known by its first bytes. Raises UnsafeArchive; OSError passes.
    """
    unclear: list[int] = []
    for number, head in heads(path, _HEAD_IN_ZIP):
        try:
            quick = _quick(lambda at, size, head=head: head[at : at + size])  # type: ignore[misc]
        except InputError as error:
            yield number, error
            continue
        if quick is None:
            unclear.append(number)
        else:
            yield number, quick
    for start in range(0, len(unclear), _FILES_A_TIME):
        yield from _looked_at(path, unclear[start : start + _FILES_A_TIME])


def _looked_at(archive: Path, numbers: Sequence[int]) -> Iterator[tuple[int, str | InputError]]:
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
        for path in unpack(archive, Path(scratch), frozenset(numbers)):
            try:
                yield int(path.name), read_header(path).series_instance_uid
            except InputError as error:
                yield int(path.name), error


def _quick(fetch: Fetch) -> str | None:
    """Return the UID of an MR image with a usual header, else None. Raises InputError for the node's own results."""
    try:
        identity = read_identity(fetch)
    except InputError:
        return None
    if identity.own_result:
        raise InputError("a result of this software")
    return identity.series_uid if identity.sop_class_uid in _IMAGES else None


def _part(head: bytes, at: int, size: int) -> bytes:
    """Return the bytes where `head` holds them all, else none."""
    return head[at : at + size] if at + size <= len(head) else b""
