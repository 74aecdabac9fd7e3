"""Reads a download and says what is there, what belongs together, and what is missing or contradictory."""

import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from node.batch.midrc.checks import check_bytes
from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.digests import md5_of
from node.batch.midrc.exam import Defect, Manifest
from node.batch.midrc.exams import Findings, put_together
from node.batch.midrc.images import look_at_image, look_at_mask
from node.batch.midrc.joins import Joins
from node.batch.midrc.layout import Layout, survey
from node.batch.midrc.names import TABLES
from node.batch.midrc.series import look_at_series
from node.batch.midrc.store import Store
from node.batch.midrc.tables import Table, read_table
from node.errors import InputError

#: Told how many of how many steps are done.
Progress = Callable[[int, int], None]

_AUTOMATIC = "Retrospective_auto"
_At = TypeVar("_At")
_Facts = TypeVar("_Facts")


def silent(_done: int, _total: int) -> None:
    """Tell nobody how far it is."""


def inspect(root: Path, progress: Progress = silent, *, thorough: bool = True) -> Manifest:
    """Return what the folder `root`, or a single zip, holds of the download.

    `thorough` reads every byte: it holds the pixels against the voxels of the image, and files against their MD5.
    Without it the headers of series and images are read, and the masks. Raises InputError where nothing below `root`
    is part of such a download. Everything else that is wrong becomes a defect.
    """
    root = root.absolute()
    with Store() as store, tempfile.TemporaryDirectory(prefix="cspine-node-") as folder:
        layout = survey(root, store)
        look = _Look(store=store, scratch=Path(folder), thorough=thorough)
        joins, defects = look.at_tables(layout)
        total = len(layout.series) + len(layout.images) + len(layout.masks)
        done = itertools.count(1)

        def each(at: Iterable[_At], look_at: Callable[..., _Facts]) -> Iterator[_Facts]:
            for one in at:
                yield look.at(one, look_at)
                progress(next(done), total)

        found = put_together(
            Findings(
                layout=layout,
                joins=joins,
                places=tuple(each(layout.series, look_at_series)),
                images=tuple(each(layout.images, look_at_image)),
                masks=tuple(each(layout.masks, look_at_mask)),
            )
        )
    return Manifest(
        root=root,
        exams=found.exams,
        defects=(*layout.defects, *defects, *found.defects),
        orphans=(*layout.orphans, *found.orphans),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Looks at one file after another; what was copied for one is gone before the next."""

    store: Store
    scratch: Path
    thorough: bool

    def at(self, place: _At, look_at: Callable[..., _Facts]) -> _Facts:
        with tempfile.TemporaryDirectory(dir=self.scratch) as inner:
            return look_at(place, self.store, Path(inner), thorough=self.thorough)

    def at_tables(self, layout: Layout) -> tuple[Joins, tuple[Defect, ...]]:
        """Return the tables and what is wrong with them as such."""
        tables: dict[str, Table] = {}
        defects: list[Defect] = []
        digests: dict[str, str | None] = {}
        for name in TABLES:
            if name not in layout.tables:
                if "structured" not in layout.missing:
                    defects.append(defect(DefectCode.TABLE_MISSING, f"{name}: this table is not there."))
                continue
            try:
                path = self.store.local(layout.tables[name].place, self.scratch)
            except InputError as error:
                defects.append(defect(DefectCode.TABLE_UNREADABLE, f"{name}: {error.code}"))
                continue
            table, wrong = read_table(name, path)
            defects += wrong
            digests[name] = md5_of(path) if self.thorough else None
            if table is not None:
                tables[name] = table
        joins = Joins(tables)
        for name, md5 in digests.items():
            file = layout.tables[name]
            defects += check_bytes(file.place.name, file.size, md5, joins)
        return joins, (*defects, *_no_experts(joins))


def _no_experts(joins: Joins) -> Iterator[Defect]:
    methods = {row.get("annotation_method") for row in joins.table("annotation_file").rows} - {None}
    if methods == {_AUTOMATIC}:
        yield defect(DefectCode.NO_EXPERTS)
