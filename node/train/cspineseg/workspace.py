"""Where everything of one training lies.

WORK/prepare.json            what was prepared: seed, counts, digest
WORK/cases.tsv               one line a case: which exam it is, its part, its fold, how its voxels lay
WORK/left_out.tsv            one line an exam that takes no part, with the reason
WORK/split.json              the split, as `prepare --split` takes it
WORK/plan.json, run.json     what was planned and trained last
WORK/nnUNet_raw/Dataset108_CSpineSeg/
WORK/nnUNet_preprocessed/Dataset108_CSpineSeg/splits_final.json ...
WORK/nnUNet_results/Dataset108_CSpineSeg/<trainer>__<plans>__<configuration>/fold_0 ...
WORK/predictions/            of the test part
WORK/logs/                   what nnU-Net's commands printed
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.durable import make_folder_durably, write_durably
from node.errors import InputError

Json = dict[str, Any]

DATASET_ID = 108
DATASET_NAME = "Dataset108_CSpineSeg"
FILE_ENDING = ".nii.gz"
#: The data set's own spelling.
LABELS: Mapping[str, int] = {"background": 0, "vertebrae": 1, "inter-vetebral disc": 2}
CONFIGURATIONS = ("2d", "3d_fullres")
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Workspace:
    """The folder of one training. What a step needs of an earlier one it reads here, and raises InputError else."""

    folder: Path

    @property
    def raw(self) -> Path:
        """The raw data set."""
        return self.folder / "nnUNet_raw" / DATASET_NAME

    @property
    def preprocessed(self) -> Path:
        """The preprocessed data set."""
        return self.folder / "nnUNet_preprocessed" / DATASET_NAME

    @property
    def results(self) -> Path:
        """The trained models."""
        return self.folder / "nnUNet_results" / DATASET_NAME

    @property
    def splits(self) -> Path:
        """The folds, where nnU-Net looks for them."""
        return self.preprocessed / "splits_final.json"

    @property
    def cases(self) -> Path:
        """Which exam each case is."""
        return self.folder / "cases.tsv"

    @property
    def left_out(self) -> Path:
        """Which exams take no part, and why."""
        return self.folder / "left_out.tsv"

    @property
    def split(self) -> Path:
        """The split by keys of exams."""
        return self.folder / "split.json"

    def prepared(self) -> Json:
        """Return what `prepare` left, whose cases and folds are those that it wrote. Raises InputError."""
        record = self._record("prepare", "prepare")
        if record["digest"] != self.digest():
            raise InputError(f"{self.folder}: {self.cases.name} or {self.splits.name} is not as prepare wrote it")
        return record

    def digest(self) -> str:
        """Return the SHA-256 of cases and folds; they name the files of the download by their digests."""
        if not (self.cases.is_file() and self.splits.is_file()):
            raise InputError(f"{self.folder}: no {self.cases.name} or {self.splits.name}")
        return hashlib.sha256(self.cases.read_bytes() + self.splits.read_bytes()).hexdigest()

    def planned(self) -> Json:
        """Return what `plan` left, for the data set that is there now. Raises InputError."""
        record = self._record("plan", "plan")
        if record["dataset"] != self.prepared()["digest"]:
            raise InputError(f"{self.folder}: planned for another data set than is prepared now; run plan again")
        return record

    def trained(self) -> Json:
        """Return what `run` was told last. Raises InputError."""
        return self._record("run", "run")

    def model(self, trainer: str, plans: str, configuration: str) -> Path:
        """Return the folder of a trained model, which need not be there."""
        return self.results / f"{trainer}__{plans}__{configuration}"

    def keep(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a record durably: prepare, plan or run. Raises OSError."""
        write_json(self.folder / f"{name}.json", record)

    def has(self, name: str) -> bool:
        """Return whether a step has left its record."""
        return (self.folder / f"{name}.json").is_file()

    @contextmanager
    def alone(self, what: str = "work") -> Iterator[int]:
        """Hold a lock of this folder and give its descriptor. Raises InputError when another process holds it.

        Processes that inherit the descriptor hold it too, so that it is free when the last of them has ended.
        """
        make_folder_durably(self.folder)
        with (self.folder / f".{what}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(f"{self.folder}: another process is at work there ({what})") from error
            yield lock.fileno()

    def _record(self, name: str, step: str) -> Json:
        path = self.folder / f"{name}.json"
        if not path.is_file():
            raise InputError(f"{self.folder}: no {path.name}; run `cspine-node train {step}` first")
        return read_json(path)


def read_json(path: Path) -> Json:
    """Return the JSON object in a file. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable JSON file") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object")
    return content


def read_folds(path: Path) -> list[dict[str, list[str]]]:
    """Return nnU-Net's splits_final.json: for each fold the names of its cases. Raises InputError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return [{side: [str(name) for name in fold[side]] for side in ("train", "val")} for fold in content]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not folds of nnU-Net") from error


def write_json(path: Path, content: object) -> None:
    """Write JSON durably. Raises OSError."""
    write_durably(path, [(json.dumps(content, indent=2) + "\n").encode()])
