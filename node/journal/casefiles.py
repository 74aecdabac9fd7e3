"""The files of one case: what was received and what was made of it."""

from dataclasses import dataclass
from pathlib import PurePath

from sqlalchemy import select

from node.domain.case import ObjectKind
from node.domain.identifiers import Digest, set_digest
from node.errors import UnknownCase
from node.journal import schema
from node.journal.seals import verified
from node.journal.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFile:
    """A result object on the disk; `path` is relative to the state folder, `digest` the SHA-256 of the file."""

    kind: ObjectKind
    path: PurePath
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFiles:
    """The files of a case; every path is relative to the state folder."""

    case_id: int
    #: Digest of the set of instances that the case is about.
    set_digest: Digest
    #: Its received and its result files are deleted.
    purged: bool
    #: Of the newest version of every instance that the series has now.
    received: tuple[PurePath, ...]
    #: Digest of the set of those.
    received_digest: Digest
    results: tuple[ResultFile, ...]

    @property
    def result_folder(self) -> PurePath | None:
        """The folder of the results, None where there are none."""
        return self.results[0].path.parent if self.results else None

    def result(self, name: str) -> ResultFile | None:
        """Return the object whose file has this name, such as "seg.dcm"."""
        return next((made for made in self.results if made.path.name == name), None)


def case_files(store: Store, case_id: int) -> CaseFiles:
    """Return the files of a case. Raises UnknownCase, JournalDamaged."""
    case, instance, result = schema.case, schema.instance, schema.result
    with store.reading() as connection:
        row = connection.execute(select(case).where(case.c.id == case_id)).mappings().first()
        if row is None:
            raise UnknownCase(f"the journal has no case {case_id}")
        found = verified(case, row)
        instances = connection.execute(
            select(instance).where(instance.c.series_uid == found["series_uid"]).order_by(instance.c.id)
        ).mappings()
        newest = {version["sop_instance_uid"]: verified(instance, version) for version in instances}
        objects = connection.execute(select(result).where(result.c.case_id == case_id).order_by(result.c.id)).mappings()
        made = [verified(result, item) for item in objects]
    return CaseFiles(
        case_id=case_id,
        set_digest=Digest(found["set_digest"]),
        purged=found["purged"],
        received=tuple(PurePath(version["path"]) for version in newest.values()),
        received_digest=set_digest({uid: version["digest"] for uid, version in newest.items()}),
        results=tuple(
            ResultFile(kind=ObjectKind(item["kind"]), path=PurePath(item["path"]), digest=Digest(item["digest"]))
            for item in made
        ),
    )
