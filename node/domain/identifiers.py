"""Identifiers of DICOM, parsed once at the edge and trusted inside."""

import hashlib
import re
from typing import NewType

from node.errors import InvalidIdentifier

StudyUID = NewType("StudyUID", str)
SeriesUID = NewType("SeriesUID", str)
InstanceUID = NewType("InstanceUID", str)
AETitle = NewType("AETitle", str)
#: SHA-256 in hexadecimal, 64 characters.
Digest = NewType("Digest", str)

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def parse_uid(text: str) -> str:
    """Return `text` as a UID: digits and dots, at most 64 characters (PS3.5 9.1).

    Leading zeros in a component are forbidden by the standard and common in archives, so they pass.

    >>> parse_uid("1.2.840.10008.1.1")
    '1.2.840.10008.1.1'
    """
    uid = text.strip(" \0")
    if len(uid) > 64 or not _UID.fullmatch(uid):
        raise InvalidIdentifier("a UID holds digits and dots only, at most 64 characters (PS3.5 9.1)")
    return uid


def parse_ae_title(text: str) -> AETitle:
    """Return `text` as an AE title: 1 to 16 printable characters, no backslash (PS3.5 6.2, VR AE).

    >>> parse_ae_title(" CSPINE ")
    'CSPINE'
    """
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or "\\" in title or not all(" " <= c <= "~" for c in title):
        raise InvalidIdentifier("an AE title has 1 to 16 printable characters and no backslash (PS3.5 6.2)")
    return AETitle(title)


def set_digest(members: dict[str, Digest]) -> Digest:
    """Return the digest of a set of instances: SHA-256 over the sorted (SOP Instance UID, digest) pairs.

    The order of arrival does not matter; one changed, added or missing instance does.
    """
    lines = "".join(f"{uid} {digest}\n" for uid, digest in sorted(members.items()))
    return Digest(hashlib.sha256(lines.encode()).hexdigest())
