"""Which prediction is compared with which reference.

Predictions are the results of a batch or a folder of label maps, references the masks of the dataset or a folder of
label maps. They belong together by name, whatever endings such as "_SEG" or "_0000" the names have. Of a batch the
ledger says which cases have results. No image is read before a case is computed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from node.assemble.nifti import NIFTI_SUFFIXES, NiftiImage, is_nifti, label_values, read_nifti
from node.batch.evaluate.scheme import Scheme
from node.batch.midrc.exam import Cell, Exam
from node.batch.midrc.files import exam_image, exam_mask
from node.batch.runner.batch import read_batch
from node.batch.runner.folder import case_folder
from node.batch.runner.ledger import State
from node.batch.runner.standing import read_standings
from node.batch.sources.keys import key_of
from node.domain.anatomy import StructureKind
from node.errors import InputError, NodeError

#: What names of one case differ by.
_ENDING = re.compile(r"_(seg|mask|label|labels|pred|prediction|gt)$", re.IGNORECASE)
#: What nnU-Net calls the first channel of an image.
_CHANNEL = "_0000"

#: Columns of a case's age, the better one first, and what stands for one above 89.
_AGES = ("age_at_imaging", "age_at_index")
_WITHHELD = 90.0

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
class Reference:
    """The reference of a case; `names`: what its prediction may be called, the likeliest first. Else as in `Pair`."""

    key: str
    names: tuple[str, ...]
    source: ImageSource
    image: ImageSource | None = None
    about: Mapping[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """What can be compared, in the order of the keys, and what lacks its counterpart."""

    pairs: tuple[Pair, ...]
    failures: tuple[Failure, ...]


def predictions_in(folder: Path) -> dict[str, ImageSource | Failure]:
    """Return the label maps of a folder by the names of their cases.

    Raises InputError for a folder that is missing or has two files for one case.
    """
    return {name: NiftiFile(path=path) for name, path in _by_name(folder).items()}


def predictions_of_batch(out: Path, scheme: Scheme, which: Which = "classes") -> dict[str, ImageSource | Failure]:
    """Return the results of the batch at `out` by keys and names of its cases, a Failure for one that has none.

    `which`: "classes", the network's answer before clean-up, or "labels", the structures after it. A folder of which
    the ledger says nothing is of an earlier batch, and is not looked at. Raises InputError where there is no batch,
    JournalDamaged and OSError of the ledger.
    """
    found: dict[str, ImageSource | Failure] = {}
    for record in read_standings(out, read_batch(out).task).records():
        if record.state is State.DONE:
            found[record.key] = _answer(case_folder(out, record.key), scheme, which)
        else:
            found[record.key] = Failure(key=record.key, code=record.code, reason=record.reason)
    by_name = defaultdict(list)
    for key in found:
        by_name[name_of(key)].append(key)
    for name, keys in by_name.items():
        if name not in found:
            several = Failure(key=name, code="several-predictions", reason=f"{' and '.join(keys)} are all for it")
            found[name] = found[keys[0]] if len(keys) == 1 else several
    return found


def references_in(folder: Path, images: Path | None = None) -> list[Reference]:
    """Return the label maps of a folder, with those of `images` that have their names. Raises as `predictions_in`."""
    shown = _by_name(images) if images else {}
    return [
        Reference(
            key=name,
            names=(name, key_of(Path(path.name))),
            source=NiftiFile(path=path),
            image=NiftiFile(path=shown[name]) if name in shown else None,
        )
        for name, path in sorted(_by_name(folder).items())
    ]


def references_of(exams: Iterable[Exam]) -> list[Reference]:
    """Return the masks of the exams that have one, by key."""
    return [
        Reference(
            key=exam.key,
            names=tuple(_names_of(exam)),
            source=ExamMask(exam=exam),
            image=ExamImage(exam=exam) if exam.image else None,
            about=about_exam(exam),
        )
        for exam in sorted(exams, key=lambda exam: exam.key)
        if exam.mask is not None
    ]


def paired(
    predictions: Mapping[str, ImageSource | Failure], references: Iterable[Reference], *, all_of_them: bool = False
) -> Pairs:
    """Return each reference with its prediction, which is that of no other; what lacks one is a failure.

    `all_of_them`: a prediction without a reference is a failure, too.
    """
    taken: set[int] = set()
    pairs, failures = [], []
    for one in references:
        free = (predictions[name] for name in one.names if name in predictions and id(predictions[name]) not in taken)
        prediction = next(free, _without("prediction", one.key))
        taken.add(id(prediction))
        if isinstance(prediction, Failure):
            failures.append(replace(prediction, key=one.key))
            continue
        pairs.append(Pair(key=one.key, prediction=prediction, reference=one.source, image=one.image, about=one.about))
    if all_of_them:
        failures += [_without("reference", name) for name, left in predictions.items() if id(left) not in taken]
    return Pairs(pairs=tuple(pairs), failures=tuple(sorted(failures, key=lambda failure: failure.key)))


def name_of(text: str) -> str:
    """Return the name of a case, by that of a file about it or by its key: without suffix and usual endings.

    >>> name_of("593973-000003_Study-MR-3_Series-3_SEG.nii.gz")
    '593973-000003_Study-MR-3_Series-3'
    >>> name_of("cspine_0_0000")
    'cspine_0'
    """
    suffix = max((ending for ending in NIFTI_SUFFIXES if text.lower().endswith(ending)), key=len, default="")
    return _ENDING.sub("", text[: len(text) - len(suffix)]).removesuffix(_CHANNEL)


def about_exam(exam: Exam) -> dict[str, Cell]:
    """Return what a row of `cases` says about an exam: its own columns, and those that every evaluation has."""
    columns = exam.columns
    return {
        **columns,
        "patient_id": exam.patient_id,
        "age": next((age for name in _AGES if (age := _age(columns, name)) is not None), None),
        "annotation": exam.annotation.value if exam.annotation else None,
    }


def _age(columns: Mapping[str, Cell], name: str) -> float | None:
    """Return an age in years, 90 for one above 89, which MIDRC withholds but for a "Yes" in the column beside it."""
    if str(columns.get(f"{name}_gt89")).lower() in {"yes", "true"}:
        return _WITHHELD
    try:
        return float(columns.get(name) or "")
    except ValueError:
        return None


def _answer(folder: Path, scheme: Scheme, which: Which) -> ImageSource:
    if which == "classes":
        return NiftiFile(path=folder / "classes.nii.gz")
    return CleanedUp(folder=folder, values={kind: scheme.value_of_kind(kind) for kind in StructureKind})


def _without(what: str, key: str) -> Failure:
    return Failure(key=key, code=f"no-{what}", reason=f"there is no {what} for it")


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the NIfTI files of a folder by the names of their cases."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not (path.is_file() and is_nifti(path)):
            continue
        name = name_of(path.name)
        if name in found:
            raise InputError(f"{folder}: {found[name].name} and {path.name} are both for the case {name}")
        found[name] = path
    return found


def _names_of(exam: Exam) -> Iterator[str]:
    """Yield what files about an exam may be called."""
    yield exam.key
    for place in (exam.image, exam.mask):
        if place is not None:
            yield name_of(place.name.rsplit("/", 1)[-1])
