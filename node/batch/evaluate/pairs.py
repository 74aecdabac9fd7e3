"""Which prediction is compared with which reference.

Either from two folders whose files have the same names but for endings such as "_SEG", or from the results of a batch
(`cases/<shard>/<key>/`) and the masks of the dataset. Nothing is read before a case is computed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from node.assemble.nifti import NIFTI_SUFFIXES, NiftiImage, is_nifti, label_values, read_nifti
from node.batch.evaluate.scheme import Scheme
from node.batch.midrc.exam import Cell, Exam
from node.batch.midrc.files import exam_image, exam_mask
from node.batch.runner.folder import case_folder
from node.domain.anatomy import StructureKind
from node.errors import InputError, NodeError

#: What names of one case differ by.
_ENDING = re.compile(r"_(seg|mask|label|labels|pred|prediction|gt)$", re.IGNORECASE)
#: What nnU-Net calls the first channel of an image.
_CHANNEL = "_0000"

#: Which answer of a batch is evaluated: the network's, or what is left of it after clean-up.
Which = Literal["classes", "labels"]


class ImageSource(Protocol):
    """Where an image or a label map comes from. It is pickled to a process."""

    def load(self, scratch: Path) -> NiftiImage:
        """Return it as it is stored; what has to be unpacked goes to `scratch`. Raises InputError and OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NiftiFile:
    """An image in a file of its own."""

    path: Path

    def load(self, scratch: Path) -> NiftiImage:  # noqa: ARG002 - nothing is unpacked
        """Return the image. Raises NiftiRefused and OSError."""
        return read_nifti(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanedUp:
    """The structures of a case of a batch, `labels.nii.gz`, as the classes that `findings.json` says they are of.

    `values`: the class value of each kind.
    """

    folder: Path
    values: Mapping[StructureKind, int]

    def load(self, scratch: Path) -> NiftiImage:  # noqa: ARG002 - nothing is unpacked
        """Return the classes. Raises InputError where the files are missing, broken, or do not agree; OSError."""
        image = read_nifti(self.folder / "labels.nii.gz")
        labels = label_values(image, "labels.nii.gz")
        try:
            document: dict[str, Any] = json.loads((self.folder / "findings.json").read_bytes())
            kinds = {int(found["label"]): StructureKind(found["kind"]) for found in document["structures"]}
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise InputError("findings.json is missing or broken") from error
        table = np.zeros(65536, dtype=np.uint16)
        table[list(kinds)] = [self.values[kind] for kind in kinds.values()]
        if ((labels > 0) & (table[labels] == 0)).any():
            raise InputError("labels.nii.gz has a structure that findings.json does not have")
        return NiftiImage(grid=image.grid, voxels=table[labels])


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamMask:
    """The dataset's own mask of an exam."""

    exam: Exam

    def load(self, scratch: Path) -> NiftiImage:
        """Return the mask. Raises InputError and OSError."""
        return exam_mask(self.exam, scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamImage:
    """The dataset's own image of an exam."""

    exam: Exam

    def load(self, scratch: Path) -> NiftiImage:
        """Return the image. Raises InputError and OSError."""
        return exam_image(self.exam, scratch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A prediction and its reference. `image`: for pictures, None where nobody has it. `about`: its row of `cases`."""

    key: str
    prediction: ImageSource
    reference: ImageSource
    image: ImageSource | None = None
    about: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that could not be compared, and why: a row of `failures`."""

    key: str
    code: str
    reason: str

    @classmethod
    def of(cls, key: str, error: NodeError) -> "Failure":
        """Return the failure of a case by the error that stopped it."""
        return cls(key=key, code=error.code, reason=str(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What can be compared, in the order of the keys, and what lacks its counterpart."""

    pairs: tuple[Pair, ...]
    failures: tuple[Failure, ...]


def pairs_of_folders(
    prediction: Path, reference: Path, images: Path | None = None, exams: Iterable[Exam] = ()
) -> Pairs:
    """Return the pairs of two folders of NIfTI files, by name without endings such as "_SEG" ("_0000" of an image).

    `exams`: what is known about the cases, by the name of their image or mask, or by their key. A file without a
    counterpart is a failure. Raises InputError for a folder that is missing, that has two files for one case, and where
    nothing matches.
    """
    mine, theirs = _by_name(prediction), _by_name(reference)
    shown = {key.removesuffix(_CHANNEL): path for key, path in _by_name(images).items()} if images else {}
    known = {name: about_exam(exam) for exam in exams for name in _names_of(exam)}
    both = sorted(mine.keys() & theirs.keys())
    if not both:
        raise InputError(f"no file of {prediction} has the name of one of {reference}")
    return Pairs(
        pairs=tuple(
            Pair(
                key=key,
                prediction=NiftiFile(path=mine[key]),
                reference=NiftiFile(path=theirs[key]),
                image=NiftiFile(path=shown[key]) if key in shown else None,
                about=known.get(key, {}),
            )
            for key in both
        ),
        failures=tuple(
            _without("prediction" if key in theirs else "reference", key) for key in sorted(mine.keys() ^ theirs.keys())
        ),
    )


def pairs_of_batch(out: Path, exams: Iterable[Exam], scheme: Scheme, which: Which = "classes") -> Pairs:
    """Return the pairs of the results of a batch at `out` and the masks of the exams that have one.

    `which`: "classes", the network's answer before clean-up, or "labels", the structures after it. An exam without a
    result is a failure. Raises InputError where no exam has both.
    """
    pairs, failures = [], []
    for exam in sorted(exams, key=lambda exam: exam.key):
        if exam.mask is None:
            continue
        folder = case_folder(out, exam.key)
        if not (folder / f"{which}.nii.gz").is_file():
            failures.append(_without("prediction", exam.key))
            continue
        pairs.append(
            Pair(
                key=exam.key,
                prediction=_answer(folder, scheme, which),
                reference=ExamMask(exam=exam),
                image=ExamImage(exam=exam) if exam.image else None,
                about=about_exam(exam),
            )
        )
    if not pairs:
        raise InputError(f"no exam with a mask has a result in {out}")
    return Pairs(pairs=tuple(pairs), failures=tuple(failures))


def about_exam(exam: Exam) -> dict[str, Cell]:
    """Return what a row of `cases` says about an exam: its own columns, and those that every evaluation has."""
    columns = exam.columns
    return {
        **columns,
        "patient_id": exam.patient_id,
        "age": next((columns[name] for name in ("age_at_imaging", "age_at_index") if columns.get(name)), None),
        "annotation": exam.annotation.value if exam.annotation else None,
    }


def _answer(folder: Path, scheme: Scheme, which: Which) -> ImageSource:
    if which == "classes":
        return NiftiFile(path=folder / "classes.nii.gz")
    return CleanedUp(folder=folder, values={kind: scheme.value_of_kind(kind) for kind in StructureKind})


def _without(what: str, key: str) -> Failure:
    return Failure(key=key, code=f"no-{what}", reason=f"there is no {what} for it")


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the NIfTI files of a folder by the key of their case."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not (path.is_file() and is_nifti(path)):
            continue
        key = _key(path.name)
        if key in found:
            raise InputError(f"{folder}: {found[key].name} and {path.name} are both for the case {key}")
        found[key] = path
    return found


def _key(name: str) -> str:
    suffix = max((ending for ending in NIFTI_SUFFIXES if name.lower().endswith(ending)), key=len, default="")
    return _ENDING.sub("", name[: len(name) - len(suffix)])


def _names_of(exam: Exam) -> set[str]:
    """Return the keys that files about an exam may have."""
    places = [place for place in (exam.image, exam.mask) if place is not None]
    return {exam.key, *(_key(place.name.rsplit("/", 1)[-1]) for place in places)}
