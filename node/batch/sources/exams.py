"""Items of the CSpineSeg download, from its manifest."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from node.assemble.nifti import NiftiImage
from node.batch.mark import mark_of
from node.batch.midrc.exam import Exam
from node.batch.midrc.files import exam_image, exam_series, looks_of_place
from node.batch.runner.task import WorkItem
from node.domain.series import Series
from node.errors import SystemFailed

#: Which of the two forms of an exam is the input.
Use = Literal["dicom", "nifti"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamFiles:
    """One exam of the download. What its tables say is left out: the input does not need it."""

    exam: Exam
    use: Use

    def load(self, scratch: Path) -> Series | NiftiImage:
        """Return the DICOM series of the exam, or its NIfTI image; what lies in zips is unpacked below `scratch`.

        Raises InputError, also where the download has none, and SystemFailed where a file cannot be read.
        """
        try:
            return exam_series(self.exam, scratch) if self.use == "dicom" else exam_image(self.exam, scratch)
        except OSError as error:
            raise SystemFailed(f"a file of the exam cannot be read: {type(error).__name__}") from error


def items_of_exams(exams: Iterable[Exam], use: Use) -> Iterator[WorkItem]:
    """Yield an item for each exam, in their order; one that lacks what `use` asks for fails by name when it is loaded.

    So the ledger names every exam that was asked for.
    """
    for exam in exams:
        source = ExamFiles(exam=replace(exam, columns={}, defects=()), use=use)
        mark = mark_of(use, looks_of_place(exam.dicom if use == "dicom" else exam.image))
        yield WorkItem(key=exam.key, source=source, mark=mark)
