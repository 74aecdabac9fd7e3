"""One exam of the dataset: its mask becomes SEG and SR on its series."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from node import __version__
from node.assemble.nifti import NiftiImage
from node.batch.mark import mark_of
from node.batch.masks.origin import RELEASE
from node.batch.masks.segmenter import MaskSegmenter
from node.batch.midrc.exam import Annotation, Exam
from node.batch.midrc.files import exam_mask, exam_series, looks_of_place
from node.batch.runner.results import kept, write_results
from node.batch.runner.task import Work, WorkerPlace, WorkItem
from node.batch.series import content_digest
from node.domain.series import Series
from node.errors import InputError, SystemFailed
from node.pipeline import Stages, run_case


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskedExam:
    """An exam with a series and a mask, as the source of an item. What its tables say beyond `annotation` is left out.

    `annotation`: how the mask came about, None where nobody says.
    """

    exam: Exam
    annotation: Annotation | None

    def load(self, scratch: Path) -> Series:
        """Return the series that the mask was drawn on.

        Raises InputError, also where the download has none, and SystemFailed where a file cannot be read.
        """
        if self.exam.dicom is None:
            raise InputError("the download has no DICOM series of this exam")
        try:
            return exam_series(self.exam, scratch)
        except OSError as error:
            raise SystemFailed(f"a file of the exam cannot be read: {type(error).__name__}") from error

    def mask(self, scratch: Path) -> NiftiImage:
        """Return the mask as it is stored. Raises what `load` raises."""
        if self.exam.mask is None:
            raise InputError("the download has no mask of this exam")
        try:
            return exam_mask(self.exam, scratch)
        except OSError as error:
            raise SystemFailed(f"a file of the exam cannot be read: {type(error).__name__}") from error


def mask_items(
    exams: Iterable[Exam], only: Annotation | None = None, unmarked: Annotation | None = None
) -> Iterator[WorkItem]:
    """Yield an item for each exam, of the annotation `only` where that is given; what it lacks it fails for, by name.

    `unmarked`: what a mask is taken for that no table tells about. Without it such an exam fails: a SEG has to say
    whether people or networks outlined it.
    """
    for exam in exams:
        annotation = exam.annotation or unmarked
        if only is None or annotation is only:
            source = MaskedExam(exam=replace(exam, columns={}, defects=()), annotation=annotation)
            how = annotation.value if annotation else "unmarked"
            mark = mark_of(how, looks_of_place(exam.dicom), looks_of_place(exam.mask))
            yield WorkItem(key=exam.key, source=source, mark=mark)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTask:
    """Converts the masks of exams, the sources of which are `MaskedExam`."""

    #: Of the dataset.
    release: str = RELEASE

    @property
    def digest(self) -> str:
        """What the objects follow from besides series and mask."""
        return hashlib.sha256(f"masks of release {self.release}, by {__version__}".encode()).hexdigest()

    @contextmanager
    def ready(self, place: WorkerPlace) -> Iterator[Work]:  # noqa: ARG002 - nothing here is the worker's own
        """Return the work: there is nothing to hold ready."""
        yield self._convert

    def _convert(self, item: WorkItem, scratch: Path, folder: Path) -> Mapping[str, Any]:
        """Write SEG, SR and what belongs to them into `folder`.

        Raises InputError, such as GridMismatch and NiftiRefused, and EncodingError.
        """
        source = item.source
        if not isinstance(source, MaskedExam):
            raise InputError("this source has no mask")
        if source.annotation is None:
            raise InputError("no table says whether the mask is an expert's or a network's")
        stages = Stages(lambda _stage: None)
        with stages.stage("load"):
            segmenter = MaskSegmenter(source.mask(scratch), source.annotation, self.release)
            series = source.load(scratch)
        with stages.stage("digest"):
            digest = content_digest(series)
        result = run_case(series, digest, segmenter)
        with stages.stage("write"):
            write_results(folder, result)
        return {"annotation": source.annotation.value, **kept(result, stages)}
