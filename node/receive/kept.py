"""Received files read back, without a journal: a file says itself what it is, and its name what it must hold."""

import hashlib
import os
from pathlib import Path

from node.domain.arrivals import Arrival, Quarantined
from node.domain.identifiers import Digest, parse_ae_title
from node.errors import InputError, InvalidIdentifier, TruncatedFile
from node.receive.elements import Fetch, Unusual, Walk
from node.receive.headers import new_digest, read_identity, read_transfer_syntax

SPOOL, QUARANTINE = "spool", "quarantine"
_SOURCE_AE_TITLE = 0x00020016
_META_BEGINS = 132
_CHUNK = 1 << 20


def read_arrival(path: Path) -> Arrival:
    """Return what a file of the spool was when it arrived, from the calling AE title to the digest.

    Raises TruncatedFile when its bytes are not those that its name tells of, InputError when they are no instance,
    OSError.
    """
    with path.open("rb") as file:
        descriptor = file.fileno()

        def fetch(offset: int, size: int) -> bytes:
            return os.pread(descriptor, size, offset)

        digest = _digest(fetch, os.fstat(descriptor).st_size, path.stem)
        identity = read_identity(fetch)
        calling_ae, _ = _file_meta(fetch)
    folder = hashlib.sha256(identity.series_uid.encode()).hexdigest()[:32]
    if path.parent.name != folder:
        raise TruncatedFile("the file lies in the folder of another series")
    return Arrival(
        sop_instance_uid=identity.sop_instance_uid,
        sop_class_uid=identity.sop_class_uid,
        series_uid=identity.series_uid,
        study_uid=identity.study_uid,
        digest=digest,
        path=f"{SPOOL}/{folder}/{path.name}",
        calling_ae=calling_ae,
        own_result=identity.own_result,
    )


def read_quarantined(path: Path) -> Quarantined:
    """Return what a file in quarantine was when it arrived, with the reason that is seen now. Raises OSError."""
    with path.open("rb") as file:
        descriptor = file.fileno()

        def fetch(offset: int, size: int) -> bytes:
            return os.pread(descriptor, size, offset)

        try:
            read_identity(fetch)
            reason = InputError("its reason is not known any more")
        except InputError as error:
            reason = error
        calling_ae, _ = _file_meta(fetch)
    return Quarantined(
        digest=Digest(path.stem),
        path=f"{QUARANTINE}/{path.name}",
        code=reason.code,
        text=str(reason),
        calling_ae=calling_ae,
    )


def verify_arrival(path: Path) -> None:
    """Raise TruncatedFile unless a file of the spool holds what its name tells of; OSError."""
    with path.open("rb") as file:
        descriptor = file.fileno()
        _digest(lambda offset, size: os.pread(descriptor, size, offset), os.fstat(descriptor).st_size, path.stem)


def digest_of_file(path: Path) -> Digest:
    """Return the digest that names a file in quarantine: of all its bytes, whatever they mean. Raises OSError."""
    digest = new_digest("")
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return Digest(digest.hexdigest())


def _digest(fetch: Fetch, size: int, expected: str) -> Digest:
    """Return the digest of the data set, or of the whole where it came with its file meta information in it."""
    syntax = read_transfer_syntax(fetch)
    _, begins = _file_meta(fetch)
    data_set, whole = new_digest(syntax), new_digest(syntax)
    whole.update(fetch(0, begins))
    for offset in range(begins, size, _CHUNK):
        chunk = fetch(offset, _CHUNK)
        data_set.update(chunk)
        whole.update(chunk)
    if expected not in {data_set.hexdigest(), whole.hexdigest()}:
        raise TruncatedFile("the file does not hold what its name tells of")
    return Digest(expected)


def _file_meta(fetch: Fetch) -> tuple[str, int]:
    """Return the AE title of who sent the file, empty where it is not told, and where the data set begins."""
    calling_ae, begins = "", 0
    try:
        if bytes(fetch(128, 4)) == b"DICM":
            begins = _META_BEGINS
            for element in Walk(fetch, implicit=False).group(_META_BEGINS, 0x0002):
                length = element.length or 0
                if element.tag == _SOURCE_AE_TITLE:
                    calling_ae = parse_ae_title(bytes(fetch(element.offset, length)).decode("ascii", "replace"))
                begins = element.offset + length
    except (Unusual, InvalidIdentifier):
        return "", begins
    return calling_ae, begins
