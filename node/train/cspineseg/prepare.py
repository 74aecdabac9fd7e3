"""nnU-Net's raw data set, made of the download.

Dataset108_CSpineSeg/
    imagesTr/cspine_<i>_0000.nii.gz, labelsTr/cspine_<i>.nii.gz     development
    imagesTs/cspine_<i>_0000.nii.gz, labelsTs/cspine_<i>.nii.gz     test; <i> restarts at 0
    dataset.json
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from node.batch.midrc.exam import Annotation, Exam
from node.batch.midrc.manifest import open_manifest
from node.batch.midrc.where import chosen
from node.durable import make_folder_durably, new_folder_durably, write_durably
from node.errors import InputError
from node.train.cspineseg.candidates import ARRAYS, TURNED, Candidate, doubt, write_candidate
from node.train.cspineseg.splits import (
    Person,
    Split,
    draw,
    nnunet_splits,
    published_share,
    read_split,
    split_document,
)
from node.train.cspineseg.workspace import FILE_ENDING, LABELS, Json, Workspace, write_json

Step = Callable[[str], None]
LeftOut = tuple[str, str, str]

CASE_COLUMNS = (
    "case",
    "part",
    "fold",
    "patient_id",
    "key",
    "annotation",
    "image_axes",
    "mask_axes",
    "image_written",
    "mask_written",
    "image_sha256",
    "mask_sha256",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What is asked of the data set."""

    #: The download, or a manifest of it.
    source: Path
    #: Also the masks that the ensemble drew: for training alone.
    weak: bool = False
    seed: int = 0
    #: Exams in the test part; None: as many as in the published split, or in its ratio.
    test: int | None = None
    #: Subset of the exams, such as "manufacturer == 'GE'".
    where: str = ""
    #: A split of one's own.
    split: Path | None = None


def prepare(workspace: Workspace, wishes: Wishes, step: Step = lambda _text: None) -> Json:
    """Make the raw data set, the folds and the tables of `workspace`, and return their record.

    What is there already for the same wishes is kept. Raises InputError where it was made for other wishes, and where
    the download or the split has too little in it.
    """
    asked = _document(wishes)
    with workspace.alone():
        if workspace.has("prepare"):
            record = workspace.prepared()
            if record["wishes"] != asked:
                raise InputError(
                    f"{workspace.folder}: a data set is prepared there for other wishes; take a new folder"
                )
            return record
        _clear(workspace)
        with new_folder_durably(workspace.raw) as folder:
            candidates, left_out = _candidates(wishes, folder / "staged", step)
            split, not_named = _split(wishes, candidates)
            rows = _placed(folder, candidates, split)
            shutil.rmtree(folder / "staged")
            write_json(folder / "dataset.json", dataset_json(len(split.train)))
        return _record(workspace, asked, rows, sorted([*left_out, *not_named]), split)


def dataset_json(training: int) -> Json:
    """Return nnU-Net's dataset.json for so many training cases."""
    return {
        "channel_names": {"0": "T2"},
        "labels": dict(LABELS),
        "numTraining": training,
        "file_ending": FILE_ENDING,
    }


def _document(wishes: Wishes) -> Json:
    asked = {name: value if not isinstance(value, Path) else str(value) for name, value in asdict(wishes).items()}
    asked["source"] = str(wishes.source.resolve())
    if wishes.split is not None:
        if not wishes.split.is_file():
            raise InputError(f"{wishes.split}: no such file")
        asked["split"] = hashlib.sha256(wishes.split.read_bytes()).hexdigest()
    return asked


def _clear(workspace: Workspace) -> None:
    """Remove what a run that was killed left behind."""
    make_folder_durably(workspace.raw.parent)
    for leftover in [workspace.raw, *workspace.raw.parent.glob(f".{workspace.raw.name}-*.part")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)


def _candidates(wishes: Wishes, staged: Path, step: Step) -> tuple[list[Candidate], list[LeftOut]]:
    """Write every exam that can take part to `staged`; return them, and the others with the reasons."""
    step("reading the download")
    exams = open_manifest(wishes.source).exams
    if wishes.where:
        exams = chosen(exams, wishes.where)
    annotations = frozenset(Annotation) if wishes.weak else frozenset({Annotation.EXPERT})
    found: list[Candidate] = []
    left_out: list[LeftOut] = []
    for number, exam in enumerate(exams, 1):
        step(f"exam {number} of {len(exams)}")
        if (reason := doubt(exam, annotations)) is not None:
            left_out.append((exam.key, *reason))
            continue
        try:
            found.append(_staged(exam, staged))
        except InputError as error:
            left_out.append((exam.key, error.code, str(error)))
    twice = _shared_images(found)
    left_out.extend((one.key, "image-twice", "Exams of different patients have this very image.") for one in twice)
    return [one for one in found if one not in twice], left_out


def _staged(exam: Exam, staged: Path) -> Candidate:
    folder = _stage(staged, exam.key)
    make_folder_durably(folder)
    with tempfile.TemporaryDirectory(prefix="cspine-node-") as scratch:
        return write_candidate(exam, Path(scratch), folder / f"image{FILE_ENDING}", folder / f"mask{FILE_ENDING}")


def _stage(staged: Path, key: str) -> Path:
    return staged / hashlib.sha256(key.encode()).hexdigest()


def _shared_images(found: Sequence[Candidate]) -> list[Candidate]:
    """Return those whose image another patient has too: one image must not be on both sides."""
    owners: dict[str, set[str]] = {}
    for one in found:
        owners.setdefault(one.image_sha256, set()).add(one.patient)
    return [one for one in found if len(owners[one.image_sha256]) > 1]


def _split(wishes: Wishes, candidates: Sequence[Candidate]) -> tuple[Split, list[LeftOut]]:
    """Return the split, and which exams have no place in it. Raises InputError."""
    people = [Person(key=one.key, patient=one.patient) for one in candidates]
    if wishes.split is not None:
        split = read_split(wishes.split, people, wishes.seed)
        return split, _beyond(split, people, "not-in-split", "The split file does not name it.")
    expert = [one.key for one in candidates if one.annotation is Annotation.EXPERT]
    if not expert:
        raise InputError(f"{wishes.source}: no exam with an expert's mask that can be used")
    test = wishes.test if wishes.test is not None else published_share(len(expert))
    weak = [person for person in people if person.key not in expert]
    split = draw([person for person in people if person.key in expert], wishes.seed, test, more=weak)
    return split, _beyond(split, people, "patient-tested", "A weak mask of a patient who is tested on.")


def _beyond(split: Split, people: Sequence[Person], code: str, text: str) -> list[LeftOut]:
    inside = {*split.test, *split.train}
    return [(person.key, code, text) for person in people if person.key not in inside]


def _placed(folder: Path, candidates: Sequence[Candidate], split: Split) -> list[Json]:
    """Give every case its name, move its files there, and return one row a case."""
    by_key = {one.key: one for one in candidates}
    fold_of = {key: number for number, fold in enumerate(split.folds) for key in fold}
    rows: list[Json] = []
    for part, suffix, keys in (("train", "Tr", split.train), ("test", "Ts", split.test)):
        for kind in ("images", "labels"):
            (folder / f"{kind}{suffix}").mkdir()
        for number, key in enumerate(keys):
            name, staged, one = f"cspine_{number}", _stage(folder / "staged", key), by_key[key]
            (staged / f"image{FILE_ENDING}").rename(folder / f"images{suffix}" / f"{name}_0000{FILE_ENDING}")
            (staged / f"mask{FILE_ENDING}").rename(folder / f"labels{suffix}" / f"{name}{FILE_ENDING}")
            rows.append(
                {
                    **asdict(one),
                    "case": name,
                    "part": part,
                    "fold": str(fold_of.get(key, "")),
                    "patient_id": one.patient,
                    "annotation": one.annotation.value,
                }
            )
    return rows


def _record(workspace: Workspace, asked: Json, rows: Sequence[Json], left_out: Sequence[LeftOut], split: Split) -> Json:
    """Write what lies beside the data set, the record last, and return it."""
    cases = pd.DataFrame(rows, columns=list(CASE_COLUMNS)).to_csv(None, sep="\t", index=False).encode()
    others = pd.DataFrame(left_out, columns=["key", "code", "reason"]).to_csv(None, sep="\t", index=False).encode()
    names = {row["key"]: row["case"] for row in rows if row["part"] == "train"}
    splits = nnunet_splits([[names[key] for key in fold] for fold in split.folds])
    write_durably(workspace.cases, [cases])
    write_durably(workspace.left_out, [others])
    write_json(workspace.split, split_document(split))
    write_json(workspace.splits, splits)
    record: Json = {
        "wishes": asked,
        "training": len(split.train),
        "test": len(split.test),
        "folds": [len(fold) for fold in split.folds],
        "patients": len({row["patient_id"] for row in rows}),
        "turned": [row["case"] if row["part"] == "train" else f"{row['case']} (test)" for row in rows if _turned(row)],
        "left_out": [{"key": key, "code": code, "reason": reason} for key, code, reason in left_out],
        "orientation": ARRAYS,
        "digest": workspace.digest(),
    }
    workspace.keep("prepare", record)
    return record


def _turned(row: Json) -> bool:
    return bool(row["image_written"] == TURNED)
