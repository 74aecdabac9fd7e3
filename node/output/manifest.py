"""`case.json`: what the live node writes beside the results of a case, so that a lost journal can be made anew.

Written last: a folder that has one is whole. Results that `segment` makes have none, since no journal knows them.

    series_uid, study_uid    the series that was segmented
    revision, set_digest     which revision of it, and the digest of its set of instances
    partial                  whether the hard cap ended the wait for it
    route                    the name of the route that took it
    created_at               when the case was opened: UTC, ISO 8601
    objects[]                kind ("SEG", "SR", "SC"), sop_class_uid, sop_instance_uid, name and digest (SHA-256) of the
                             file, names of its destinations; in the order in which they are sent
    format, sha256           version of this layout, and the digest of all the rest
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from node.domain.case import ObjectKind
from node.domain.identifiers import Digest, parse_uid
from node.durable import write_durably
from node.errors import InvalidIdentifier, ResultDamaged

NAME = "case.json"

_FORMAT = 1
#: No manifest that the node wrote is larger.
_LARGEST_BYTES = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[a-z0-9-]+\.dcm")
_DESTINATION = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestObject:
    """One result object in the folder."""

    kind: ObjectKind
    sop_class_uid: str
    sop_instance_uid: str
    #: Of its file.
    name: str
    #: SHA-256 of the file.
    digest: Digest
    destinations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseManifest:
    """What the journal knows of a case whose results are kept."""

    series_uid: str
    study_uid: str
    revision: int
    set_digest: Digest
    partial: bool
    route: str
    created_at: str
    objects: tuple[ManifestObject, ...]


def write_manifest(folder: Path, manifest: CaseManifest) -> None:
    """Write `case.json` into `folder`; on return it is on the disk. Raises OSError."""
    document = _document(manifest)
    sealed = {**document, "sha256": _seal(document)}
    write_durably(folder / NAME, [(json.dumps(sealed, indent=2) + "\n").encode()])


def read_manifest(folder: Path) -> CaseManifest:
    """Read `case.json` of `folder`. Raises ResultDamaged unless it is just as it was written, OSError without one."""
    with (folder / NAME).open("rb") as file:
        content = file.read(_LARGEST_BYTES + 1)
    try:
        if len(content) > _LARGEST_BYTES:
            raise _Wrong("its size")
        document = json.loads(content)
        _check(isinstance(document, dict), "its form")
        _check(document.pop("sha256", None) == _seal(document), "its own digest")
        return _manifest(document)
    except (ValueError, RecursionError, InvalidIdentifier) as error:
        what = str(error) if isinstance(error, _Wrong) else "its form"
        raise ResultDamaged(f"{NAME} is not as it was written: {what}") from error


class _Wrong(ValueError):
    """Names the key that is wrong."""


def _check(fine: bool, what: str) -> None:
    if not fine:
        raise _Wrong(what)


def _seal(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _document(manifest: CaseManifest) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "series_uid": manifest.series_uid,
        "study_uid": manifest.study_uid,
        "revision": manifest.revision,
        "set_digest": manifest.set_digest,
        "partial": manifest.partial,
        "route": manifest.route,
        "created_at": manifest.created_at,
        "objects": [
            {
                "kind": item.kind.value,
                "sop_class_uid": item.sop_class_uid,
                "sop_instance_uid": item.sop_instance_uid,
                "name": item.name,
                "digest": item.digest,
                "destinations": list(item.destinations),
            }
            for item in manifest.objects
        ],
    }


def _manifest(document: dict[str, Any]) -> CaseManifest:
    _check(document.get("format") == _FORMAT, "format")
    revision, partial, objects = (document.get(key) for key in ("revision", "partial", "objects"))
    _check(type(revision) is int and revision >= 1, "revision")
    _check(isinstance(partial, bool), "partial")
    _check(isinstance(objects, list), "objects")
    created_at = _text(document, "created_at")
    datetime.fromisoformat(created_at)
    manifest = CaseManifest(
        series_uid=parse_uid(_text(document, "series_uid")),
        study_uid=parse_uid(_text(document, "study_uid")),
        revision=revision,  # type: ignore[arg-type]
        set_digest=Digest(_text(document, "set_digest", _DIGEST)),
        partial=partial,  # type: ignore[arg-type]
        route=_text(document, "route"),
        created_at=created_at,
        objects=tuple(_object(item) for item in objects),  # type: ignore[union-attr]
    )
    names = [item.name for item in manifest.objects]
    _check(len(set(names)) == len(names), "objects: name")
    return manifest


def _object(item: Any) -> ManifestObject:
    _check(isinstance(item, dict), "objects")
    destinations = item.get("destinations")
    _check(isinstance(destinations, list), "objects: destinations")
    return ManifestObject(
        kind=ObjectKind(_text(item, "kind")),
        sop_class_uid=parse_uid(_text(item, "sop_class_uid")),
        sop_instance_uid=parse_uid(_text(item, "sop_instance_uid")),
        name=_text(item, "name", _FILE_NAME),
        digest=Digest(_text(item, "digest", _DIGEST)),
        destinations=tuple(_text({"destinations": name}, "destinations", _DESTINATION) for name in destinations),
    )


def _text(item: Mapping[str, Any], key: str, pattern: re.Pattern[str] | None = None) -> str:
    value = item.get(key)
    if not isinstance(value, str) or (pattern is not None and not pattern.fullmatch(value)):
        raise _Wrong(key)
    return value
