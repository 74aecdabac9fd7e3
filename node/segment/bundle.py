"""A bundle: a folder with trained nnU-Net v2 models, and a manifest that says what they are.

    bundle.json               the manifest: members, label meanings, orientation, digests
    bundle.sha256             the digest of the manifest, as `sha256sum` writes it
    2d/plans.json             as nnU-Net wrote them
    2d/dataset.json
    2d/fold_0.safetensors     the weights of a fold: each parameter once, under its first name
    3d_fullres/...

Model files are code to a careless loader, so a bundle is read only when every file in the folder has the digest that
the manifest states, and no other file lies there. The digest of the manifest names the bundle: who wants to be sure
that nobody made a new one writes it into the settings (`model.digest`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from node.domain.anatomy import StructureKind
from node.errors import BundleError, BundleTampered

MANIFEST = "bundle.json"
SEAL = "bundle.sha256"
FORMAT = 2

#: What DICOM's VR LO can hold in any character set (PS3.5 6.2): name and version go into every result.
_LONG_STRING = r"^[ -\[\]-~]{1,64}$"

#: The bundle that ships with the node.
STARTER = Path(__file__).parent / "starter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One configuration of the ensemble, with its folds."""

    configuration: str
    folder: Path
    folds: tuple[str, ...]
    #: Axes of the network's input along which it may be mirrored; 0 is the first after the channel.
    mirror_axes: tuple[int, ...]

    @property
    def weights(self) -> tuple[Path, ...]:
        """The file of each fold."""
        return tuple(self.folder / weights_name(fold) for fold in self.folds)

    @property
    def names(self) -> tuple[str, ...]:
        """One line a fold, such as "2d fold 0"."""
        return tuple(f"{self.configuration} fold {fold}" for fold in self.folds)

    def with_folds(self, count: int) -> "Member":
        """Return the member with its first `count` folds; 0 leaves it as it is."""
        return replace(self, folds=self.folds[:count]) if count else self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A verified bundle."""

    folder: Path
    name: str
    version: str
    intended_use: str
    #: How the training arrays lay: directions in which slices, rows and columns grow, such as "RSP".
    orientation: str
    #: Label value of the model -> what it means; background left out.
    labels: Mapping[int, StructureKind]
    members: tuple[Member, ...]
    #: Where the weights come from, in words.
    source: Mapping[str, str]
    #: Figures that came with the model, as they were given.
    evaluation: Mapping[str, object]
    #: SHA-256 of the manifest, and through it of every file.
    digest: str


class MemberEntry(BaseModel):
    """A member as the manifest lists it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    configuration: str = Field(pattern=r"^[A-Za-z0-9_]{1,64}$")
    folder: str
    folds: tuple[Annotated[str, Field(pattern=r"^(all|[0-9]{1,4})$")], ...] = Field(min_length=1)
    mirror_axes: tuple[Annotated[int, Field(ge=0, le=2)], ...]


class Manifest(BaseModel):
    """`bundle.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=FORMAT, le=FORMAT)
    name: str = Field(pattern=_LONG_STRING)
    version: str = Field(pattern=_LONG_STRING)
    intended_use: str = Field(pattern=r"^[ -~]+$")
    #: Where the weights come from, in words: trainer, data set, checkpoint.
    source: dict[str, str] = {}
    orientation: str = Field(pattern=r"^[RLAPIS]{3}$")
    labels: dict[Annotated[int, Field(ge=1, le=255)], StructureKind] = Field(min_length=1)
    members: tuple[MemberEntry, ...] = Field(min_length=1)
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

    @field_validator("members")
    @classmethod
    def _configurations_differ(cls, members: tuple[MemberEntry, ...]) -> tuple[MemberEntry, ...]:
        if len({member.configuration for member in members}) != len(members):
            raise ValueError("two members have the same configuration")
        return members


def weights_name(fold: str) -> str:
    """Return the file name of a fold's weights."""
    return f"fold_{fold}.safetensors"


def read_manifest(folder: Path) -> tuple[Manifest, str]:
    """Return what the bundle in `folder` says of itself, and its digest: the SHA-256 of the manifest.

    No other file is looked at. Raises BundleError, or BundleTampered for another manifest than the one that was sealed.
    """
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder}: no readable {MANIFEST}") from error
    _verify_seal(folder, text)
    try:
        return Manifest.model_validate(json.loads(text)), hashlib.sha256(text).hexdigest()
    except (ValidationError, ValueError) as error:
        raise BundleError(f"{folder / MANIFEST}: {error}") from error


def load_bundle(folder: Path) -> Bundle:
    """Verify the bundle in `folder` and return it. Raises BundleError, or BundleTampered when a digest differs."""
    manifest, digest = read_manifest(folder)
    try:
        _verify(folder, manifest.files)
    except OSError as error:
        raise BundleError(f"{folder}: cannot be read: {error.strerror}") from error
    return Bundle(
        folder=folder,
        name=manifest.name,
        version=manifest.version,
        intended_use=manifest.intended_use,
        orientation=manifest.orientation,
        labels=manifest.labels,
        members=tuple(_member(folder, entry, manifest.files) for entry in manifest.members),
        source=manifest.source,
        evaluation=manifest.evaluation,
        digest=digest,
    )


def seal(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest over all files that lie in `folder`, and its digest. Raises BundleError when it is not sound.

    `manifest`: the fields of `Manifest` without `format` and `files`.
    """
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in _content(folder)}
    whole = sound_manifest(manifest, files)
    text = json.dumps(whole.model_dump(mode="json"), indent=2, sort_keys=True).encode("ascii") + b"\n"
    (folder / MANIFEST).write_bytes(text)
    (folder / SEAL).write_text(_seal_line(text), encoding="ascii")


def sound_manifest(manifest: Mapping[str, Any], files: Mapping[str, str]) -> Manifest:
    """Return the manifest with these `files` (name -> digest). Raises BundleError when it says something impossible."""
    try:
        return Manifest.model_validate({**manifest, "format": FORMAT, "files": files})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BundleError(f"{MANIFEST}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _seal_line(manifest: bytes) -> str:
    return f"{hashlib.sha256(manifest).hexdigest()}  {MANIFEST}\n"


def _verify_seal(folder: Path, manifest: bytes) -> None:
    try:
        stated = (folder / SEAL).read_bytes()
    except OSError as error:
        raise BundleError(f"{folder}: no readable {SEAL}") from error
    if stated != _seal_line(manifest).encode("ascii"):
        raise BundleTampered(f"{folder}: {MANIFEST} differs from its digest in {SEAL}")


def _content(folder: Path) -> list[Path]:
    """Return every file of a bundle but the manifest and its seal, sorted."""
    own = {folder / MANIFEST, folder / SEAL}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in own)


def _verify(folder: Path, files: Mapping[str, str]) -> None:
    present = {path.relative_to(folder).as_posix() for path in _content(folder)}
    if missing := sorted(files.keys() - present):
        raise BundleError(f"{folder}: missing {', '.join(missing)}")
    if strange := sorted(present - files.keys()):
        raise BundleTampered(f"{folder}: not in the manifest: {', '.join(strange)}")
    for name, digest in files.items():
        if _sha256(folder / name) != digest:
            raise BundleTampered(f"{folder}: {name} differs from its digest in the manifest")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _member(folder: Path, entry: MemberEntry, files: Mapping[str, str]) -> Member:
    names = ["plans.json", "dataset.json", *map(weights_name, entry.folds)]
    needed = [f"{entry.folder}/{name}" for name in names]
    if unlisted := [name for name in needed if name not in files]:
        raise BundleError(f"{folder}: the manifest names {unlisted[0]} without a digest")
    return Member(
        configuration=entry.configuration,
        folder=folder / entry.folder,
        folds=entry.folds,
        mirror_axes=entry.mirror_axes,
    )
