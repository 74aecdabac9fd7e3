"""Is the journal what was written, and are the files there that it names?"""

import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.errors import InputError
from node.journal.check import check
from node.journal.files import quarantined_files, received_files, result_files
from node.journal.store import Store
from node.receive.kept import QUARANTINE, SPOOL, digest_of_file, verify_arrival

#: Seconds. A younger file may be on its way into the journal.
_YOUNG_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What was looked at, and what is wrong. Paths are relative to the state folder."""

    #: What the database, or the seal of a row, says.
    damage: tuple[str, ...]
    #: Files that the journal names.
    files: int
    missing: tuple[str, ...]
    #: Files that do not hold what was written; looked for only by a deep check.
    altered: tuple[str, ...]
    #: Received files without a row: the sweep sees to them after a day.
    unnamed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged, missing or altered."""
        return not (self.damage or self.missing or self.altered)


def check_journal(
    state_dir: Path, store: Store, *, deep: bool = False, clock: Callable[[], float] = time.time
) -> CheckReport:
    """Hold the journal against its seals and the files; `deep` reads each of those. Raises JournalError, OSError.

    The node may run meanwhile: what it deletes between two looks is not told as missing.
    """
    damage = tuple(f"{item.table} {item.row}: {item.text}" for item in check(store))
    received = {**received_files(store), **quarantined_files(store)}
    named = {**received, **result_files(store)}
    missing = [path for path in named if not _is_file(state_dir / path)]
    altered = [path for path, digest in named.items() if deep and _is_altered(state_dir, path, digest)]
    unnamed = _unnamed(state_dir, received, before=clock() - _YOUNG_S)
    still = {**received_files(store), **quarantined_files(store), **result_files(store)} if missing or altered else {}
    return CheckReport(
        damage=damage,
        files=len(named),
        missing=tuple(sorted(still.keys() & missing)),
        altered=tuple(sorted(still.keys() & altered)),
        unnamed=tuple(sorted(unnamed)),
    )


def _unnamed(state_dir: Path, received: Mapping[str, str], *, before: float) -> Iterable[str]:
    for path in (*state_dir.glob(f"{SPOOL}/*/*.dcm"), *state_dir.glob(f"{QUARANTINE}/*.dcm")):
        name = path.relative_to(state_dir).as_posix()
        if name not in received and path.lstat().st_mtime < before:
            yield name


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_altered(state_dir: Path, name: str, digest: str) -> bool:
    """Return whether a file that is there differs from its digest."""
    path = state_dir / name
    if not _is_file(path):
        return False
    if name.startswith(f"{SPOOL}/"):
        try:
            verify_arrival(path)
        except InputError:
            return True
        return path.stem != digest
    if name.startswith(f"{QUARANTINE}/"):
        return digest_of_file(path) != digest
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() != digest
