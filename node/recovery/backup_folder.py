"""What a backup looks like: one folder, that can be checked without this software.

backup.json       when it was made, by which software, and the version of its journal
SHA256SUMS        the digest of every other file: `sha256sum -c --quiet SHA256SUMS` says whether it is whole
settings.toml     the settings file as it was; certificates, keys and passwords are not in a backup
state/            journal.sqlite, spool, quarantine, results, models and the small files of the state folder
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from node.errors import InputError

ABOUT, SUMS, SETTINGS, STATE = "backup.json", "SHA256SUMS", "settings.toml", "state"
JOURNAL = "journal.sqlite"
#: Of this layout.
FORMAT = 1

Step = Callable[[str], None]
_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """`backup.json`."""

    format: int
    #: UTC, ISO 8601.
    made_at: str
    #: Version of the software that made it.
    software: str
    #: Version of the journal in it; None where the journal is a PostgreSQL database, which has its own backups.
    journal: int | None


def packed_about(about: About) -> bytes:
    """Return the content of `backup.json`."""
    return (json.dumps(asdict(about), indent=2) + "\n").encode()


def read_about(folder: Path) -> About:
    """Read `backup.json` of a backup. Raises InputError for what is none, or is of newer software; OSError."""
    try:
        document = json.loads((folder / ABOUT).read_bytes())
        about = _about(document)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder} is no backup: it has no {ABOUT}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{folder} is no backup: its {ABOUT} cannot be read") from error
    if about.format > FORMAT:
        raise InputError(f"the backup was made by newer software, {about.software}")
    return about


def _about(document: Any) -> About:
    made = About(**{name: document[name] for name in ("format", "made_at", "software", "journal")})
    texts = isinstance(made.made_at, str) and isinstance(made.software, str)
    if not (texts and isinstance(made.format, int) and isinstance(made.journal, int | None)):
        raise TypeError
    return made


def packed_sums(sums: Mapping[str, str]) -> bytes:
    """Return the content of `SHA256SUMS`: a digest by the path of its file in the backup."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items())).encode()


def read_sums(folder: Path) -> Mapping[str, str]:
    """Return the digest of every file by its path in the backup. Raises InputError, OSError."""
    try:
        text = (folder / SUMS).read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(f"the backup is not whole: {SUMS} is missing") from error
    except UnicodeDecodeError as error:
        raise InputError(f"the backup is not whole: {SUMS} is no list of digests") from error
    sums: dict[str, str] = {}
    for line in text.splitlines():
        matched = _LINE.fullmatch(line)
        if matched is None or not _is_inside(matched[2]):
            raise InputError(f"the backup is not whole: {SUMS} is no list of digests")
        sums[matched[2]] = matched[1]
    return sums


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_inside(path: str) -> bool:
    """Return whether a path names a file of the backup: relative, never upwards."""
    parts = PurePosixPath(path).parts
    return bool(parts) and ".." not in parts and not path.startswith("/") and parts[0] in {ABOUT, SETTINGS, STATE}
