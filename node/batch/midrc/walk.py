"""Every file of the download, in folders and in the zips that it comes in."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from node.batch.midrc.defects import DefectCode, defect
from node.batch.midrc.exam import Defect, Place
from node.batch.midrc.names import is_junk, is_nifti_name, is_uid, table_of
from node.batch.midrc.store import Store
from node.errors import UnsafeArchive

#: The four parts of the download: DukeCSpineSeg_{part}.zip.
PARTS = ("structured", "imaging_files", "annotation", "segmentation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file in a folder or a zip: `path` within the container, its size in bytes."""

    container: Path
    path: PurePosixPath
    size: int
    zipped: bool

    @property
    def place(self) -> Place:
        """Where it lies."""
        return Place(container=self.container, name=str(self.path))


def files_below(root: Path, store: Store) -> tuple[tuple[Found, ...], tuple[Defect, ...]]:
    """Return the files of the folder or zip `root` without junk, unpacked ones first; and which zips are refused.

    Zips of the download are looked into; the zips of single series are files.
    """
    found: list[Found] = []
    refused: list[Defect] = []
    for container, path in [(root.parent, PurePosixPath(root.name))] if root.is_file() else _walk(root):
        file = Found(container=container, path=path, size=(container / path).stat().st_size, zipped=False)
        try:
            found += _opened(file, store)
        except UnsafeArchive as error:
            refused.append(defect(DefectCode.ARCHIVE_REFUSED, str(error)))
    return tuple(sorted(found, key=lambda file: (file.zipped, file.container, file.path))), tuple(refused)


def is_part(name: str) -> bool:
    """Return whether a zip is one of the four of the download, by its name."""
    return any(part in name.lower() for part in PARTS)


def _opened(file: Found, store: Store) -> Sequence[Found]:
    """Return what lies in a zip of the download, and any other file as it is."""
    if file.path.suffix.lower() != ".zip" or is_uid(file.path.stem):
        return [file]
    archive = file.container / file.path
    try:
        files = store.archive(archive).files
    except UnsafeArchive:
        if is_part(file.path.name):
            raise
        return [file]  # perhaps a series of an odd name: what is wrong with it is said there
    inside = [
        Found(container=archive, path=PurePosixPath(name), size=size, zipped=True)
        for name, size in files.items()
        if not is_junk(PurePosixPath(name))
    ]
    return inside if is_part(file.path.name) or any(map(_of_download, inside)) else [file]


def _of_download(file: Found) -> bool:
    """Return whether a file in a zip is one that lies in the zips of the download, and in none of a series."""
    name = file.path.name
    return table_of(name) is not None or is_nifti_name(name) or file.path.suffix.lower() == ".zip"


def _walk(root: Path) -> Iterator[tuple[Path, PurePosixPath]]:
    """Yield the files below a folder; links are followed, each folder is entered once."""
    entered: set[str] = set()
    for at, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(at)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not is_junk(PurePosixPath(name)))
        relative = PurePosixPath(Path(at).relative_to(root).as_posix())
        for name in sorted(files):
            if not is_junk(PurePosixPath(name)) and (Path(at) / name).is_file():
                yield root, relative / name
