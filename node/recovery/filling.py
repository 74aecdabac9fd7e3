"""What a new journal is filled with: received files, quarantined ones, and results with their manifests."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from node.domain.arrivals import Arrival
from node.domain.case import ResultObject
from node.domain.findings import Verdict
from node.durable import fsync_folder, make_folder_durably
from node.errors import InputError, NodeError, ResultDamaged
from node.journal.journal import Journal
from node.journal.rebuilt import restore_arrivals
from node.journal.restore import RestoredCase
from node.output.document import read_findings, verdict_of
from node.output.manifest import NAME, CaseManifest, read_manifest
from node.receive.kept import QUARANTINE, SPOOL, digest_of_file, read_arrival, read_quarantined

_RESULTS = "results"
#: Arrivals that one transaction holds.
_AT_ONCE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file that could not be used. Its path is relative to the state folder."""

    path: str
    code: str
    text: str


@dataclass(slots=True, kw_only=True)
class Rebuilt:
    """What the new journal holds, and what did not go into it."""

    series: int = 0
    #: Versions of instances.
    instances: int = 0
    quarantined: int = 0
    cases: int = 0
    #: Result objects of those cases.
    objects: int = 0
    #: Series that the node judges again.
    receiving: int = 0
    #: Name of the old journal in the state folder; None where there was none.
    kept_as: str | None = None
    problems: list[Problem] = field(default_factory=list)


class Filling:
    """Fills a new journal from the files of a state folder."""

    def __init__(self, state_dir: Path, journal: Journal, step: Callable[[str], None]) -> None:
        self._root = state_dir
        self._journal = journal
        self._step = step
        self._rebuilt = Rebuilt()

    def run(self) -> Rebuilt:
        """Read all files, and return what they held. Raises JournalError, OSError."""
        folders = sorted(path for path in self._root.glob(f"{SPOOL}/*") if path.is_dir() and not path.is_symlink())
        for number, folder in enumerate(folders, start=1):
            self._step(f"series {number} of {len(folders)}")
            self._fill_series(folder)
        for path in _plain(sorted(self._root.glob(f"{QUARANTINE}/*.dcm"))):
            self._fill_quarantined(path)
        self._step("results")
        for case in self._cases():
            if self._journal.restore.case(case) is not None:
                self._rebuilt.cases += 1
                self._rebuilt.objects += len(case.objects)
        return self._rebuilt

    def _fill_series(self, folder: Path) -> None:
        """Record the instances of one series in the order in which they came: the last version of one is its newest."""
        files = sorted(_plain(folder.glob("*.dcm")), key=lambda path: (path.stat().st_mtime_ns, path.name))
        arrivals = self._arrivals(files)
        found = 0
        while batch := list(islice(arrivals, _AT_ONCE)):
            restore_arrivals(self._journal.store, batch)
            found += len(batch)
        self._rebuilt.instances += found
        self._rebuilt.series += found > 0

    def _arrivals(self, files: Iterable[Path]) -> Iterator[tuple[Arrival, datetime]]:
        for path in files:
            received_at = _received_at(path)
            try:
                yield read_arrival(path), received_at
            except InputError as error:
                self._tell(path, error)
                self._put_into_quarantine(path)

    def _put_into_quarantine(self, path: Path) -> None:
        """Move a file there under the digest of its bytes; it is recorded with the others."""
        target = self._root / QUARANTINE / f"{digest_of_file(path)}.dcm"
        make_folder_durably(target.parent)
        path.rename(target)
        fsync_folder(target.parent)
        fsync_folder(path.parent)

    def _fill_quarantined(self, path: Path) -> None:
        digest = digest_of_file(path)
        if path.stem != digest:
            self._tell(path, InputError("the file does not hold what its name tells of"))
            path = path.rename(path.with_name(f"{digest}.dcm"))
            fsync_folder(path.parent)
        if self._journal.restore.quarantined(read_quarantined(path), _received_at(path)):
            self._rebuilt.quarantined += 1

    def _cases(self) -> list[RestoredCase]:
        """Return the cases whose results are whole: series by series, the newest revision of each last.

        Of several attempts at one the last comes first, and is the one that is recorded.
        """
        found: list[tuple[tuple[str, int, int], RestoredCase]] = []
        for folder in sorted(self._root.glob(f"{_RESULTS}/*-*")):
            case, _, attempt = folder.name.partition("-")
            if not (case.isdecimal() and attempt.isdecimal() and (folder / NAME).is_file()) or folder.is_symlink():
                continue
            try:
                manifest = read_manifest(folder)
                _verify(folder, manifest)
            except NodeError as error:
                self._tell(folder, error)
                continue
            order = (manifest.series_uid, manifest.revision, -int(attempt))
            found.append((order, _restored(manifest, int(case), folder)))
        return [case for _, case in sorted(found, key=lambda item: item[0])]

    def _tell(self, path: Path, error: NodeError) -> None:
        name = path.relative_to(self._root).as_posix()
        self._rebuilt.problems.append(Problem(path=name, code=error.code, text=str(error)))


def _verify(folder: Path, manifest: CaseManifest) -> None:
    """Raise ResultDamaged unless every object is there as it was made."""
    for made in manifest.objects:
        path = folder / made.name
        if not path.is_file() or path.is_symlink():
            raise ResultDamaged(f"{made.name} is gone")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != made.digest:
                raise ResultDamaged(f"{made.name} differs from the digest that it had when it was made")


def _restored(manifest: CaseManifest, case_id: int, folder: Path) -> RestoredCase:
    return RestoredCase(
        series_uid=manifest.series_uid,
        study_uid=manifest.study_uid,
        revision=manifest.revision,
        set_digest=manifest.set_digest,
        partial=manifest.partial,
        route=manifest.route,
        created_at=manifest.created_at,
        objects=tuple(
            ResultObject(
                kind=made.kind,
                sop_class_uid=made.sop_class_uid,
                sop_instance_uid=made.sop_instance_uid,
                path=Path(_RESULTS) / folder.name / made.name,
                digest=made.digest,
                destinations=made.destinations,
            )
            for made in manifest.objects
        ),
        case_id=case_id,
        verdict=_verdict(folder),
    )


def _verdict(folder: Path) -> Verdict | None:
    """Return the verdict on the results in a folder; None where nobody can tell any more."""
    try:
        return verdict_of(read_findings(folder))
    except ResultDamaged:
        return None


def _plain(paths: Iterable[Path]) -> Sequence[Path]:
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _received_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
