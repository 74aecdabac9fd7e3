"""What is measured: a bundle with the folds and mirrors that take part, a volume, a device."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.demo.source import files_to_send, write_series
from node.domain.geometry import Volume, turn
from node.errors import InputError
from node.segment.bundle import Bundle, Member
from node.settings import CpuSettings, ModelSettings
from node.train.phantom import generate

#: The phantom of the published figures: a common matrix, 3.3 mm slices.
SHAPE = (15, 512, 512)
SPACING_MM = (3.3, 0.43, 0.43)
SEED = 345_678

#: A full-size ensemble with mirrors takes over an hour on a CPU.
TIMEOUT_S = 4 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """One bundle and one volume on one device."""

    bundle: Bundle
    volume: Volume
    #: Where the volume comes from, in words.
    source: str
    #: "cpu" or "cuda", and which of them.
    kind: str
    index: int
    #: Folds of each configuration that take part, 1 or more.
    folds: int
    mirroring: bool
    repetitions: int
    #: As `model.tolerance_ppm`: how far the fast engine may lie from the official functions when it tests itself.
    tolerance_ppm: float
    scratch: Path
    #: Told what is done now.
    step: Callable[[str], None]

    @property
    def members(self) -> tuple[Member, ...]:
        """The members, each with the folds that take part."""
        return tuple(member.with_folds(self.folds) for member in self.bundle.members)

    @property
    def device(self) -> str:
        """The device as the settings spell it."""
        return "cpu" if self.kind == "cpu" else f"{self.kind}:{self.index}"

    def model(self, mode: Literal["fast", "reference"] = "fast") -> ModelSettings:
        """Return the settings under which the node computes just this."""
        return ModelSettings(
            bundle=str(self.bundle.folder.resolve()),
            mode=mode,
            device=self.device,
            folds=self.folds,
            mirroring=self.mirroring,
            timeout_s=TIMEOUT_S,
            tolerance_ppm=self.tolerance_ppm,
            cpu=CpuSettings(folds=self.folds, mirroring=self.mirroring),
        )

    def turned(self) -> tuple[np.ndarray, tuple[float, float, float]]:
        """Return the voxels in the bundle's orientation, and their spacing in mm."""
        voxels, grid = turn(self.volume.voxels, self.volume.grid, self.bundle.orientation)
        return voxels, grid.spacing_mm

    def document(self) -> dict[str, Any]:
        """Return what is measured, as it stands in the JSON."""
        return {
            "bundle": {"name": self.bundle.name, "version": self.bundle.version, "digest": self.bundle.digest},
            "members": [name for member in self.members for name in member.names],
            "mirroring": self.mirroring,
            "device": self.device,
            "repetitions": self.repetitions,
            "volume": {
                "source": self.source,
                "shape": list(self.volume.grid.shape),
                "spacing_mm": [round(value, 4) for value in self.volume.grid.spacing_mm],
            },
        }


def read_volume(source: Path | None, scratch: Path) -> tuple[Volume, str]:
    """Return the volume to measure with, as the node itself would build it, and where it comes from.

    `source`: a DICOM folder or zip, or a NIfTI image; a phantom for None. Raises InputError, VolumeRefused.
    """
    if source is None:
        return phantom_volume(SHAPE, SPACING_MM, scratch), f"generated neck, seed {SEED}"
    return _only_volume(files_to_send(source, scratch)), source.name


def phantom_volume(shape: tuple[int, int, int], spacing_mm: tuple[float, float, float], scratch: Path) -> Volume:
    """Return a generated neck of `shape` (slices, rows, columns) and `spacing_mm`."""
    phantom = generate(SEED, shape=shape, spacing_mm=spacing_mm)
    return _only_volume(write_series(phantom.image, phantom.grid, scratch, name="bench"))


def _only_volume(files: list[Path]) -> Volume:
    found, _ = gather(files)
    if len(found) != 1:
        raise InputError(f"the input holds {len(found)} series, one is needed")
    return build_volume(found[0])
