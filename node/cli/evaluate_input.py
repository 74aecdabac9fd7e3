"""What `evaluate` compares: predictions as a batch or as label maps, references as a dataset or as label maps."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from node.assemble.nifti import NIFTI_SUFFIXES, is_nifti
from node.batch.evaluate.pairs import (
    CleanedUp,
    ExamImage,
    ExamMask,
    Failure,
    NiftiFile,
    Pair,
    Pairs,
    Which,
    about_exam,
    pairs_of_batch,
    pairs_of_folders,
)
from node.batch.evaluate.scheme import Scheme
from node.batch.midrc.exam import Exam
from node.batch.midrc.manifest import open_manifest
from node.batch.midrc.where import chosen
from node.batch.runner.folder import case_folder, checked_key
from node.domain.anatomy import StructureKind
from node.errors import InputError, SettingsError


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The exams of a dataset that have masks, or a folder of label maps, `images` beside it."""

    exams: tuple[Exam, ...] | None = None
    folder: Path | None = None
    images: Path | None = None


def reference_of(path: Path, where: str | None, images: Path | None) -> Reference:
    """Return the reference at `path`: a folder of NIfTI files, or else a dataset or its manifest, of which `where`.

    Raises InputError where it is none of them, SettingsError for an expression that is wrong or has no tables.
    """
    if images is not None and not images.is_dir():
        raise InputError(f"{images}: no such folder")
    if path.is_dir() and any(is_nifti(inner) for inner in path.iterdir()):
        if where:
            raise SettingsError("--where: a folder of label maps has no columns; give the dataset or its manifest")
        return Reference(folder=path, images=images)
    exams = open_manifest(path).exams
    return Reference(exams=tuple(exam for exam in (chosen(exams, where) if where else exams) if exam.mask))


def pairs_of(prediction: Path, reference: Reference, scheme: Scheme, which: Which) -> Pairs:
    """Return what of `prediction` can be compared. Raises InputError where nothing can."""
    is_batch = (prediction / "cases").is_dir()
    if reference.exams is not None:
        if is_batch:
            return pairs_of_batch(prediction, reference.exams, scheme, which)
        return _maps_with_exams(prediction, reference.exams)
    if reference.folder is None:
        raise InputError("no reference")
    if is_batch:
        return _batch_with_maps(prediction, reference, scheme, which)
    return pairs_of_folders(prediction, reference.folder, reference.images)


def model_of(prediction: Path, found: Pairs) -> Mapping[str, str]:
    """Return name, version and digest of the model that made a batch, by its first case; nothing where nobody says."""
    if not found.pairs or not (prediction / "cases").is_dir():
        return {}
    try:
        document = json.loads((case_folder(prediction, found.pairs[0].key) / "findings.json").read_bytes())
        made = document["algorithm"]
        return {
            "Model": f"{made['bundle_name']} {made['bundle_version']}, {', '.join(made['members'])}",
            "Bundle digest": str(made["bundle_digest"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _maps_with_exams(prediction: Path, exams: tuple[Exam, ...]) -> Pairs:
    """Return the pairs of label maps, named as the images or the masks of the dataset or by key, and its masks."""
    if not prediction.is_dir():
        raise InputError(f"{prediction}: no such folder")
    maps = {_stem(path.name): path for path in sorted(prediction.iterdir()) if is_nifti(path)}
    pairs, failures = [], []
    for exam in sorted(exams, key=lambda exam: exam.key):
        path = next((maps[name] for name in _names(exam) if name in maps), None)
        if path is None:
            failures.append(_missing(exam.key))
            continue
        image = ExamImage(exam=exam) if exam.image else None
        pairs.append(
            Pair(
                key=exam.key,
                prediction=NiftiFile(path=path),
                reference=ExamMask(exam=exam),
                image=image,
                about=about_exam(exam),
            )
        )
    return _some(pairs, failures, prediction)


def _batch_with_maps(prediction: Path, reference: Reference, scheme: Scheme, which: Which) -> Pairs:
    """Return the pairs of a batch and label maps that are named by the keys of its cases, such as of NIfTI input."""
    pairs, failures = [], []
    values = {kind: scheme.value_of_kind(kind) for kind in StructureKind} if which == "labels" else {}
    images = {_stem(path.name): path for path in reference.images.iterdir()} if reference.images else {}
    for path in sorted((reference.folder or prediction).iterdir()):
        if not is_nifti(path):
            continue
        key = checked_key(_stem(path.name))
        folder = case_folder(prediction, key)
        if not (folder / f"{which}.nii.gz").is_file():
            failures.append(_missing(key))
            continue
        answer = CleanedUp(folder=folder, values=values) if values else NiftiFile(path=folder / "classes.nii.gz")
        image = NiftiFile(path=images[key]) if key in images else None
        pairs.append(Pair(key=key, prediction=answer, reference=NiftiFile(path=path), image=image))
    return _some(pairs, failures, prediction)


def _some(pairs: list[Pair], failures: list[Failure], prediction: Path) -> Pairs:
    if not pairs:
        raise InputError(f"nothing of {prediction} has a reference")
    return Pairs(pairs=tuple(pairs), failures=tuple(failures))


def _missing(key: str) -> Failure:
    return Failure(key=key, code="no-prediction", reason="there is no prediction for it")


def _names(exam: Exam) -> Iterator[str]:
    yield exam.key
    for place in (exam.image, exam.mask):
        if place is not None:
            yield _stem(place.name.rsplit("/", 1)[-1])


def _stem(name: str) -> str:
    """Return the name of a file without what marks it as a NIfTI image, as a mask, or as nnU-Net's first channel."""
    suffix = max((ending for ending in NIFTI_SUFFIXES if name.lower().endswith(ending)), key=len, default="")
    return name[: len(name) - len(suffix)].removesuffix("_SEG").removesuffix("_0000")
