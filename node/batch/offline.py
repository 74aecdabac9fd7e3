"""Segmenting series that lie in folders and zips."""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from node.assemble.headers import Unreadable, gather
from node.batch.series import content_digest, order_of
from node.domain.case import Order, Reason
from node.domain.series import Series
from node.errors import InputError, NodeError, NotAnImage, NotDicom, unexpected
from node.output.folder import nifti_files, write_case
from node.pipeline import Segmenter, run_case
from node.receive.archive import unpack
from node.receive.headers import read_identity
from node.settings import Settings

#: Told the series (number from 1, count) and the stage that begins.
Progress = Callable[[int, int, str], None]

TABLE = "structures.tsv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one series: segmented into `folder`, or refused or failed for `reasons`."""

    series_uid: str
    study_uid: str
    folder: Path | None
    document: dict[str, Any] | None
    reasons: tuple[Reason, ...]
    #: The error behind a failure; None when segmented, or refused by the rules.
    error: NodeError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to segment: where to, with NIfTI or without, by the rules of the routes or every series.

    `order`: what to make of each series; None leaves it to the route that takes it.
    """

    out: Path
    nifti: bool
    all_series: bool
    order: Order | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of everything that was found."""

    outcomes: tuple[Outcome, ...]
    unreadable: tuple[Unreadable, ...]


def segment_paths(
    paths: Sequence[Path],
    options: Options,
    segmenter: Callable[[], Segmenter],
    settings: Settings,
    progress: Progress,
) -> Report:
    """Segment every series among `paths` (files, folders, zips) that the rules accept.

    Writes `out/<SeriesInstanceUID>/` for each, and `out/structures.tsv` over all. One series that fails does not stop
    the others. Raises InputError for a path that does not exist and UnsafeArchive for a bad zip.
    """
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
        found, unreadable = gather(_files(paths, Path(scratch)))
        broken = _series_of(unreadable)
        outcomes = []
        for number, series in enumerate(found, start=1):
            order = _order(series, broken, settings, options)
            outcomes.append(
                _segment(series, order, options, segmenter, partial(progress, number, len(found)))
                if isinstance(order, Order)
                else order
            )
        _write_table(outcomes, options.out)
        return Report(outcomes=tuple(outcomes), unreadable=unreadable)


def _files(paths: Sequence[Path], scratch: Path) -> list[Path]:
    """Return every file among `paths`, zips unpacked into `scratch`."""
    files: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        inside = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
        for file in inside:
            if file.suffix.lower() == ".zip":
                files.extend(unpack(file, Path(tempfile.mkdtemp(dir=scratch))))
            else:
                files.append(file)
    return files


def _series_of(unreadable: Sequence[Unreadable]) -> dict[str, InputError]:
    """Return the series that an unreadable file says it belongs to, with its error: such a series lacks a slice."""
    broken: dict[str, InputError] = {}
    for item in unreadable:
        if isinstance(item.error, NotDicom | NotAnImage):
            continue
        try:
            with item.path.open("rb") as file:
                identity = read_identity(lambda offset, size: os.pread(file.fileno(), size, offset))
        except InputError:
            continue
        broken.setdefault(identity.series_uid, item.error)
    return broken


def _order(series: Series, broken: dict[str, InputError], settings: Settings, options: Options) -> Order | Outcome:
    """Return what is to be made of a series, or why it is not run."""
    orders = {route.name: options.order or settings.order(route) for route in settings.route}
    order = order_of(series, settings.route, orders, all_series=options.all_series)
    if not isinstance(order, Order):
        return _outcome(series, reasons=order)
    if error := broken.get(series.series_instance_uid):
        return _failure(series, error)
    return order


def _segment(
    series: Series,
    order: Order,
    options: Options,
    segmenter: Callable[[], Segmenter],
    progress: Callable[[str], None],
) -> Outcome:
    try:
        progress("model")
        result = run_case(series, content_digest(series), segmenter(), order, progress)
    except NodeError as error:
        return _failure(series, error)
    except Exception as error:  # noqa: BLE001 - one series that fails does not stop the others
        return _failure(series, unexpected(error))
    folder = options.out / series.series_instance_uid
    progress("write")
    write_case(
        folder,
        objects=result.contents(),
        document=result.document,
        measurements=result.measurements,
        overlay=result.overlay,
        maps=nifti_files(result.volume, result.findings) if options.nifti else {},
    )
    return _outcome(series, folder=folder, document=dict(result.document))


def _failure(series: Series, error: NodeError) -> Outcome:
    return _outcome(series, reasons=(Reason.of(error),), error=error)


def _outcome(
    series: Series,
    *,
    folder: Path | None = None,
    document: dict[str, Any] | None = None,
    reasons: tuple[Reason, ...] = (),
    error: NodeError | None = None,
) -> Outcome:
    return Outcome(
        series_uid=series.series_instance_uid,
        study_uid=series.study_instance_uid,
        folder=folder,
        document=document,
        reasons=reasons,
        error=error,
    )


def _write_table(outcomes: Sequence[Outcome], out: Path) -> None:
    """Write one row for each structure of each segmented series; nothing when there is none."""
    rows = [
        {
            "series_instance_uid": outcome.series_uid,
            "label": found["label"],
            "kind": found["kind"],
            "level": found["level"],
            "volume_mm3": found["volume_mm3"],
            **dict(zip(("left_mm", "posterior_mm", "superior_mm"), found["centroid_lps_mm"], strict=True)),
            "level_confidence": found["level_confidence"],
            "truncated": found["truncated"],
            "verdict": outcome.document["quality"]["verdict"],
        }
        for outcome in outcomes
        if outcome.document is not None
        for found in outcome.document["structures"]
    ]
    if rows:
        pd.DataFrame(rows).to_csv(out / TABLE, sep="\t", index=False, na_rep="")
