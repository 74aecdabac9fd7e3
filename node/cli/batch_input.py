"""The input of a batch, as its options name it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from node.batch.runner.task import WorkItem
from node.batch.sources.skipped import Skipped
from node.errors import SettingsError
from node.settings import Settings


class Use(StrEnum):
    """Which of the two forms of an exam is the input."""

    DICOM = "dicom"
    IMAGE = "image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What to ask an archive for; empty texts leave it open."""

    archive: str
    study_date: str
    study_description: str
    series_description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Where the items come from: exactly one of `paths`, `dataset` and `query`."""

    paths: tuple[Path, ...]
    dataset: Path | None
    where: str | None
    use: Use
    query: Query | None
    #: Where to remember what was read of `paths`.
    index: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who is told what the input is: how many items there are, None where nobody knows, and which files are none."""

    begin: Callable[[int | None], None]
    skipped: Callable[[Skipped], None]


def items_of(given: Input, settings: Settings, listener: Listener) -> Iterator[WorkItem]:
    """Yield the items; nothing is looked at before the first is asked for.

    Raises SettingsError for options that do not fit together, with the call, and what the sources raise.
    """
    if [bool(given.paths), given.dataset is not None, given.query is not None].count(True) != 1:
        raise SettingsError("a batch has one input: files and folders, --dataset, or --query")
    if given.where is not None and given.dataset is None:
        raise SettingsError("--where chooses among the exams of --dataset")
    if given.dataset is not None:
        return _of_dataset(given.dataset, given, listener)
    if given.query is not None:
        return _of_query(given.query, settings, listener)
    return _of_paths(given, listener)


def _of_paths(given: Input, listener: Listener) -> Iterator[WorkItem]:
    from node.batch.sources.paths import found_at  # noqa: PLC0415 - with the first item

    with found_at(given.paths, index=given.index) as found:
        found.tell_skipped(listener.skipped)
        listener.begin(len(found))
        yield from found.items()


def _of_dataset(dataset: Path, given: Input, listener: Listener) -> Iterator[WorkItem]:
    from node.batch.midrc.manifest import open_manifest  # noqa: PLC0415 - needs pandas
    from node.batch.midrc.where import chosen  # noqa: PLC0415
    from node.batch.sources.exams import items_of_exams  # noqa: PLC0415

    exams = open_manifest(dataset).exams
    if given.where is not None:
        exams = chosen(exams, given.where)
    listener.begin(len(exams))
    yield from items_of_exams(exams, "dicom" if given.use is Use.DICOM else "nifti")


def _of_query(query: Query, settings: Settings, listener: Listener) -> Iterator[WorkItem]:
    from node.batch.sources.query import items_of_query, peer_named  # noqa: PLC0415 - needs the network
    from node.scu.find import criteria_of  # noqa: PLC0415

    criteria = criteria_of(
        study_date=query.study_date,
        study_description=query.study_description,
        series_description=query.series_description,
    )
    listener.begin(None)
    yield from items_of_query(peer_named(settings, query.archive), criteria)
