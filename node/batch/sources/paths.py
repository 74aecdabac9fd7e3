"""Items of DICOM folders, files and zips, and of NIfTI images.

Two passes. The first reads of each file only what says to which series it belongs, into an index on the disk. The
second gives the items out, so that a series is one item wherever its files lie, and memory does not grow with the tree.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from node.batch.mark import looks_of, mark_of
from node.batch.runner.task import WorkItem
from node.batch.sources.files import Folder, NiftiFile, RefusedZip, SeriesFiles, Zip
from node.batch.sources.index import Index, Instances, Named, open_index
from node.batch.sources.keys import distinct
from node.batch.sources.scan import Progress, scan
from node.batch.sources.skipped import Tell


def _silent(_files: int) -> None:
    """Tell nobody."""


class Found:
    """What a scan has found."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def __len__(self) -> int:
        """Return how many items there are."""
        return len(self._index)

    def items(self) -> Iterator[WorkItem]:
        """Yield the DICOM series by UID, then by key the NIfTI images and the zips that are refused."""
        for uid, files in self._index.series():
            count = sum(len(file.members) or 1 for file in files)
            yield WorkItem(key=uid, source=_series(uid, files), mark=mark_of("series", count))
        for named in self._index.named():
            yield _item(named)

    def tell_skipped(self, tell: Tell) -> None:
        """Tell of every file that is part of no item, sorted by path."""
        for skipped in self._index.skipped():
            tell(skipped)


@contextlib.contextmanager
def found_at(paths: Sequence[Path], *, index: Path | None = None, progress: Progress = _silent) -> Iterator[Found]:
    """Scan `paths`, and give what was found, while the block lasts.

    `index`: where to keep what was read, so that the next scan reads only folders that have changed; None: nowhere.
    Raises InputError for a path that does not exist, and SystemFailed where the index cannot be used.
    """
    with contextlib.ExitStack() as stack:
        if index is None:
            index = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cspine-node-"))) / "index.sqlite"
        opened = stack.enter_context(open_index(index))
        scan(paths, opened, progress)
        yield Found(opened)


def items_of_paths(paths: Sequence[Path], tell: Tell, *, index: Path | None = None) -> Iterator[WorkItem]:
    """Yield the items of `paths`: DICOM series by UID, then NIfTI images and zips that are refused, by name.

    The key of a series is its UID; of an image its name, with a digest behind where another item has it too. A file
    that belongs to no item is told to `tell`, before the first item. A damaged file of a series, a damaged image and
    a zip that is refused fail by name when their item is loaded. Raises what `found_at` raises, with the first item.
    """
    with found_at(paths, index=index) as found:
        found.tell_skipped(tell)
        yield from found.items()


def _series(uid: str, files: Sequence[Instances]) -> SeriesFiles:
    folders: dict[Path, list[str]] = {}
    for file in files:
        if not file.members:
            folders.setdefault(file.path.parent, []).append(file.path.name)
    return SeriesFiles(
        series_uid=uid,
        folders=tuple(Folder(path, tuple(names)) for path, names in folders.items()),
        zips=tuple(Zip(file.path, file.members) for file in files if file.members),
    )


def _item(named: Named) -> WorkItem:
    key = distinct(named.key, named.path) if named.shared else named.key
    source = NiftiFile(named.path) if named.refusal is None else RefusedZip(named.refusal)
    return WorkItem(key=key, source=source, mark=mark_of("file", looks_of(named.path)))
