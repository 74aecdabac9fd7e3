"""Pairs in, tables out: every figure of every case."""

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from node.assemble.nifti import NiftiImage, label_values
from node.batch.evaluate.detection import Detection, components, detect
from node.batch.evaluate.levels import level_dice
from node.batch.evaluate.pairs import Failure, Pair, Pairs
from node.batch.evaluate.scheme import Detected, Scheme
from node.batch.evaluate.scores import (
    CASE_COLUMNS,
    CASE_NUMBERS,
    CLASS,
    DETECTION,
    FAILURE_COLUMNS,
    LEVEL,
    MEAN,
    SCORE_COLUMNS,
    UNION,
    Scores,
)
from node.batch.evaluate.slices import paper_disc_dice, sagittal_slice_mean_dice, slice_mean_dice
from node.batch.evaluate.surfaces import surface_distances
from node.domain.geometry import Grid, lay_on
from node.domain.overlap import dice
from node.errors import GridMismatch, NodeError, SystemFailed, unexpected

#: Told how many of how many cases are done, after each.
Progress = Callable[[int, int], None]

#: A figure of a case: structure, group, metric, value.
Row = tuple[str, str, str, float]

Numbers = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to compare.

    `tolerance_mm` of the normalised surface Dice: by default 1 mm, more than one pixel of the coarsest grids of the
    field (0.9 mm) and two of the usual ones (0.43 mm), about what people differ by; and less than any distance between
    slices, so that a structure that reaches one slice too far is seen.
    """

    tolerance_mm: float = 1.0
    #: Least intersection over union of structures that match.
    least_iou: float = 0.5
    #: Whether structures are named and compared by level.
    levels: bool = True


_DEFAULTS = Options()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opened:
    """A pair in memory: class numbers of the scheme, uint8, 0 = background, both in the index order of `grid`.

    `grid` is the reference's, as it is stored.
    """

    grid: Grid
    prediction: Numbers
    reference: Numbers


def evaluate(
    found: Pairs,
    scheme: Scheme,
    options: Options = _DEFAULTS,
    *,
    workers: int = 1,
    progress: Progress = lambda _done, _total: None,
) -> Scores:
    """Return the figures of every pair, with `workers` processes where more than one.

    One pair that cannot be compared does not stop the others: it stands among the failures, as do those of `found`.
    """
    rows: dict[str, list[Row]] = {}
    failures = list(found.failures)
    for number, (pair, outcome) in enumerate(_outcomes(found.pairs, scheme, options, workers), start=1):
        if isinstance(outcome, Failure):
            failures.append(outcome)
        else:
            rows[pair.key] = outcome
        progress(number, len(found.pairs))
    done = [pair for pair in found.pairs if pair.key in rows]
    return Scores(
        cases=_cases(done),
        scores=pd.DataFrame(
            [(pair.key, *row) for pair in done for row in rows[pair.key]], columns=list(SCORE_COLUMNS)
        ).astype({"value": "float64"}),
        failures=pd.DataFrame(
            [(one.key, one.code, one.reason) for one in sorted(failures, key=lambda one: one.key)],
            columns=list(FAILURE_COLUMNS),
            dtype="string",
        ),
        scheme=scheme.name,
        options=asdict(options),
    )


def open_pair(pair: Pair, scheme: Scheme, scratch: Path) -> Opened:
    """Return both label maps in memory. The prediction is turned onto the reference's grid, never resampled.

    Raises GridMismatch where it lies on other voxels, InputError where a map cannot be read or has values that the
    scheme does not know, and OSError.
    """
    reference, prediction = pair.reference.load(scratch), pair.prediction.load(scratch)
    laid = lay_on(label_values(prediction, "the prediction"), prediction.grid, reference.grid)
    if laid is None:
        raise GridMismatch("the prediction does not lie on the voxels of the reference")
    return Opened(
        grid=reference.grid,
        prediction=scheme.indices(laid.astype(np.uint16, copy=False), "prediction"),
        reference=scheme.indices(label_values(reference, "the reference"), "reference"),
    )


def open_image(pair: Pair, grid: Grid, scratch: Path) -> NDArray[np.generic] | None:
    """Return the pair's image on `grid`, or None where there is none or where it lies on other voxels.

    Raises InputError and OSError.
    """
    image: NiftiImage | None = pair.image.load(scratch) if pair.image else None
    return None if image is None else lay_on(image.voxels, image.grid, grid)


def figures(opened: Opened, scheme: Scheme, options: Options = _DEFAULTS) -> list[Row]:
    """Return every figure of one case."""
    rows = []
    for name in (one.name for one in scheme.classes):
        rows += _region(opened, scheme, options, (CLASS, name, [name]))
    for union in scheme.union:
        rows += _region(opened, scheme, options, (UNION, union.name, scheme.members(union)))
    rows += list(_means(rows, scheme))
    if scheme.paper:
        discs = scheme.number(scheme.paper.discs)
        by_name = paper_disc_dice(opened.prediction == discs, opened.reference == discs, opened.grid)
        rows += [(name, LEVEL, "paper_disc_dice", value) for name, value in by_name.items()]
    for detected in scheme.detect:
        rows += _detection(opened, scheme, detected, options)
    meanings = {number: one.kind for number, one in enumerate(scheme.classes, start=1) if one.kind}
    if options.levels and meanings:
        named = np.array([number if number in meanings else 0 for number in range(256)], dtype=np.uint8)
        by_name = level_dice(named[opened.prediction], named[opened.reference], meanings, opened.grid)
        rows += [(name, LEVEL, "dice", value) for name, value in by_name.items()]
    return rows


def _region(opened: Opened, scheme: Scheme, options: Options, region: tuple[str, str, Sequence[str]]) -> list[Row]:
    """Return the figures of one class, or of several as one region: its group, its name, its classes."""
    group, name, members = region
    wanted = np.zeros(256, dtype=np.bool_)
    wanted[[scheme.number(member) for member in members]] = True
    mine, theirs = wanted[opened.prediction], wanted[opened.reference]
    overlap = dice(mine, theirs)
    distances = surface_distances(mine, theirs, opened.grid)
    voxel = opened.grid.voxel_volume_mm3
    values = {
        "dice": float("nan") if overlap is None else overlap,
        "hd95_mm": distances.hd95_mm(),
        "assd_mm": distances.assd_mm(),
        "nsd": distances.nsd(options.tolerance_mm),
        "volume_prediction_mm3": int(np.count_nonzero(mine)) * voxel,
        "volume_reference_mm3": int(np.count_nonzero(theirs)) * voxel,
    }
    if scheme.paper:
        values["slice_mean_dice"] = slice_mean_dice(mine, theirs)
        values["sagittal_slice_mean_dice"] = sagittal_slice_mean_dice(mine, theirs, opened.grid)
    return [(name, group, metric, value) for metric, value in values.items()]


def _means(rows: Sequence[Row], scheme: Scheme) -> Iterator[Row]:
    """Yield the means over classes, volumes apart; a class without a figure (NaN: in neither map) is left out."""
    of = {(structure, metric): value for structure, group, metric, value in rows if group == CLASS}
    metrics = [metric for metric in dict.fromkeys(metric for _, metric in of) if not metric.startswith("volume_")]
    for mean in scheme.mean:
        for metric in metrics:
            values = np.array([of[name, metric] for name in scheme.members(mean)])
            values = values[~np.isnan(values)]
            yield mean.name, MEAN, metric, float(values.mean()) if len(values) else float("nan")


def _detection(opened: Opened, scheme: Scheme, detected: Detected, options: Options) -> list[Row]:
    keep = np.zeros(256, dtype=np.uint8)
    numbers = [scheme.number(name) for name in scheme.members(detected)]
    keep[numbers] = numbers
    mine, theirs = keep[opened.prediction], keep[opened.reference]
    if detected.by == "components":
        counts = detect(components(mine > 0), components(theirs > 0), options.least_iou)
    else:
        counts = detect(mine, theirs, options.least_iou)
    return [(detected.name, DETECTION, metric, value) for metric, value in detection_values(counts).items()]


def detection_values(counts: Detection) -> Mapping[str, float]:
    """Return the figures of a detection by the keys of their metrics."""
    return {
        "precision": counts.precision,
        "recall": counts.recall,
        "f1": counts.f1,
        "true_positives": float(counts.true_positives),
        "false_positives": float(counts.false_positives),
        "false_negatives": float(counts.false_negatives),
    }


def _outcomes(
    pairs: Sequence[Pair], scheme: Scheme, options: Options, workers: int
) -> Iterator[tuple[Pair, list[Row] | Failure]]:
    """Yield what came of each pair, as they are done."""
    if workers <= 1 or len(pairs) <= 1:
        for pair in pairs:
            yield pair, _outcome(pair, scheme, options)
        return
    lost = []
    for pair, outcome in _in_pool(pairs, scheme, options, workers):
        if outcome is None:
            lost.append(pair)
        else:
            yield pair, outcome
    for pair in lost:  # one of them may have killed the process that others shared
        for _, outcome in _in_pool([pair], scheme, options, 1):
            died = SystemFailed("the process that compared it died")
            yield pair, Failure.of(pair.key, died) if outcome is None else outcome


def _in_pool(
    pairs: Sequence[Pair], scheme: Scheme, options: Options, workers: int
) -> Iterator[tuple[Pair, list[Row] | Failure | None]]:
    """Yield what came of each pair, in processes of their own; None where its process died."""
    running: dict[Future[list[Row] | Failure], Pair] = {}
    # a fork of a process with threads may hang
    with ProcessPoolExecutor(min(workers, len(pairs)), mp_context=multiprocessing.get_context("spawn")) as pool:
        for pair in pairs:
            try:
                running[pool.submit(_outcome, pair, scheme, options)] = pair
            except BrokenExecutor:
                yield pair, None
        for future in as_completed(running):
            died = isinstance(future.exception(), BrokenExecutor)
            yield running[future], None if died else future.result()


def _outcome(pair: Pair, scheme: Scheme, options: Options) -> list[Row] | Failure:
    """Return the figures of a pair, or why there are none."""
    try:
        with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
            return figures(open_pair(pair, scheme, Path(scratch)), scheme, options)
    except NodeError as error:
        return Failure.of(pair.key, error)
    except OSError as error:
        return Failure.of(pair.key, SystemFailed(f"a file cannot be read: {type(error).__name__}"))
    except Exception as error:  # noqa: BLE001 - one pair that fails does not stop the others
        return Failure.of(pair.key, unexpected(error))


def _cases(pairs: Sequence[Pair]) -> pd.DataFrame:
    """Return the table of the cases: the columns that it always has, then what else is known."""
    rows = [{**dict.fromkeys(CASE_COLUMNS), **pair.about, "key": pair.key} for pair in pairs]
    others = sorted({name for row in rows for name in row} - set(CASE_COLUMNS))
    table = pd.DataFrame(rows, columns=[*CASE_COLUMNS, *others])
    for name in CASE_NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce").astype("float64")
    for name in set(table.columns) - set(CASE_NUMBERS):
        if table[name].dtype == object:
            table[name] = table[name].map(lambda cell: cell if cell is None else str(cell)).astype("string")
    table["patient_id"] = table["patient_id"].fillna(table["key"])
    return table
