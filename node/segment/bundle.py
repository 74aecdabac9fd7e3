"""A bundle: a folder with trained nnU-Net v2 models, and a manifest that says what they are.

    bundle.json                             the manifest: members, label meanings, orientation, digests
    nnUNetTrainer__nnUNetPlans__2d/         as nnU-Net writes it: plans.json, dataset.json,
        fold_0/checkpoint_final.pth         one folder a fold
    nnUNetTrainer__nnUNetPlans__3d_fullres/

Model files are code to a careless loader, so a bundle is read only when every file in the folder has the digest that
the manifest states, and no other file lies there.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from node.domain.anatomy import StructureKind
from node.errors import BundleError, BundleTampered

_MANIFEST = "bundle.json"

#: What DICOM's VR LO can hold in any character set (PS3.5 6.2): name and version go into every result.
_LONG_STRING = r"^[ -\[\]-~]{1,64}$"

#: The bundle that ships with the node.
STARTER = Path(__file__).parent / "starter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One configuration of the ensemble, with its folds."""

    configuration: str
    folder: Path
    checkpoints: tuple[Path, ...]
    #: One line a fold, such as "2d fold 0".
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle."""

    name: str
    version: str
    intended_use: str
    #: How the training arrays lay: directions in which slices, rows and columns grow, such as "RSP".
    orientation: str
    #: Label value of the model -> what it means; background left out.
    labels: Mapping[int, StructureKind]
    members: tuple[Member, ...]
    #: SHA-256 of the manifest, and through it of every file.
    digest: str


class _MemberEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: str
    folder: str
    folds: tuple[str, ...] = Field(min_length=1)
    checkpoint: str


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=1, le=1)
    name: str = Field(pattern=_LONG_STRING)
    version: str = Field(pattern=_LONG_STRING)
    intended_use: str = Field(pattern=r"^[ -~]+$")
    orientation: str = Field(pattern=r"^[RLAPIS]{3}$")
    labels: dict[Annotated[int, Field(ge=1, le=255)], StructureKind] = Field(min_length=1)
    members: tuple[_MemberEntry, ...] = Field(min_length=1)
    evaluation: dict[str, object] = {}
    files: dict[str, str]

    @field_validator("orientation")
    @classmethod
    def _names_each_axis_once(cls, orientation: str) -> str:
        if sorted(orientation.translate(str.maketrans("LPS", "RAI"))) != ["A", "I", "R"]:
            raise ValueError("an orientation names each patient axis once")
        return orientation

    @field_validator("labels")
    @classmethod
    def _means_each_kind_once(cls, labels: dict[int, StructureKind]) -> dict[int, StructureKind]:
        if len(set(labels.values())) != len(labels):
            raise ValueError("two labels mean the same")
        return labels


def load_bundle(folder: Path) -> Bundle:
    """Verify the bundle in `folder` and return it. Raises BundleError, or BundleTampered when a digest differs."""
    try:
        text = (folder / _MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder}: no readable {_MANIFEST}") from error
    try:
        manifest = _Manifest.model_validate(json.loads(text))
    except (ValidationError, ValueError) as error:
        raise BundleError(f"{folder / _MANIFEST}: {error}") from error
    try:
        _verify(folder, manifest.files)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read: {error.strerror}") from error
    return Bundle(
        name=manifest.name,
        version=manifest.version,
        intended_use=manifest.intended_use,
        orientation=manifest.orientation,
        labels=manifest.labels,
        members=tuple(_member(folder, entry, manifest.files) for entry in manifest.members),
        digest=hashlib.sha256(text).hexdigest(),
    )


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {_MANIFEST}
    if missing := sorted(files.keys() - present):
        raise BundleError(f"{folder}: missing {', '.join(missing)}")
    if strange := sorted(present - files.keys()):
        raise BundleTampered(f"{folder}: not in the manifest: {', '.join(strange)}")
    for name, digest in files.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise BundleTampered(f"{folder}: {name} differs from its digest in the manifest")


def _member(folder: Path, entry: _MemberEntry, files: Mapping[str, str]) -> Member:
    needed = [f"{entry.folder}/plans.json", f"{entry.folder}/dataset.json"]
    checkpoints = [f"{entry.folder}/fold_{fold}/{entry.checkpoint}" for fold in entry.folds]
    if unlisted := [name for name in (*needed, *checkpoints) if name not in files]:
        raise BundleError(f"{folder}: the manifest names {unlisted[0]} without a digest")
    return Member(
        configuration=entry.configuration,
        folder=folder / entry.folder,
        checkpoints=tuple(folder / name for name in checkpoints),
        names=tuple(f"{entry.configuration} fold {fold}" for fold in entry.folds),
    )
