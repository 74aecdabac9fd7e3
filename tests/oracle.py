"""A segmenter that needs no network, and series that it can segment: bright blocks are bodies, brighter ones discs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from node.demo.source import write_series
from node.domain.anatomy import StructureKind
from node.domain.findings import Algorithm, Run, Segmentation
from node.domain.geometry import Grid, Volume
from node.errors import NodeError

BODY, DISC = 1000, 2000
MEANINGS = {1: StructureKind.VERTEBRAL_BODY, 2: StructureKind.INTERVERTEBRAL_DISC}

ALGORITHM = Algorithm(
    name="cspine-node",
    version="0.1.0",
    bundle_name="oracle",
    bundle_version="1.0",
    bundle_digest="ab" * 32,
    members=("oracle",),
    engine="oracle",
    intended_use="For tests.",
)

RUN = Run(
    mode="fast",
    device="cpu",
    precision="float32",
    members=ALGORITHM.members,
    stages_s={"network": 0.25},
    cpu_s={"network": 0.5},
    peak_host_bytes=1 << 20,
    peak_device_bytes=None,
    fallbacks=(),
    self_test_ppm=0.0,
)


class OracleSegmenter:
    """Reads the classes off the intensities. `failures` are raised first, one a call."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.failures = list(failures)
        self.calls = 0

    @property
    def algorithm(self) -> Algorithm:
        return ALGORITHM

    def segment(self, volume: Volume) -> Segmentation:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        classes = np.zeros(volume.grid.shape, dtype=np.uint8)
        classes[volume.voxels >= BODY] = 1
        classes[volume.voxels >= DISC] = 2
        return Segmentation(
            classes=classes,
            meanings=MEANINGS,
            probabilities={
                kind: np.where(classes == value, 255, 0).astype(np.uint8) for value, kind in MEANINGS.items()
            },
            opinions={},
            algorithm=ALGORITHM,
            run=RUN,
        )


def blocks() -> tuple[np.ndarray, Grid]:
    """Return two bodies with a disc between: (8, 40, 32) voxels of 3.5 x 1 x 1 mm, slices to the left, rows down."""
    voxels = np.full((8, 40, 32), 100, dtype=np.int16)
    voxels[2:6, 5:15, 8:22] = BODY
    voxels[2:6, 15:20, 8:22] = DISC
    voxels[2:6, 20:30, 8:22] = BODY
    affine = np.array([[3.5, 0, 0, -14.0], [0, 0, 1, -10.0], [0, -1, 0, 60.0], [0, 0, 0, 1]])
    return voxels, Grid(shape=voxels.shape, affine=affine)


def neck_blocks() -> tuple[np.ndarray, Grid]:
    """Return the top of a neck: C2 with its dens, C3 to C7, T1, and the discs between.

    (9, 190, 80) voxels of 3.5 x 1 x 1 mm, slices to the left, rows down, columns to the back; the bodies are 17.5 mm
    wide and 16 mm deep.
    """
    voxels = np.full((9, 190, 80), 100, dtype=np.int16)
    voxels[:, :, 52:62] = 600
    voxels[3:6, 12:32, 34:44] = BODY
    voxels[2:7, 30:50, 30:46] = BODY
    row = 50
    for body_mm in (13, 13, 13, 13, 14, 16):
        voxels[2:7, row : row + 5, 30:46] = DISC
        voxels[2:7, row + 5 : row + 5 + body_mm, 30:46] = BODY
        row += 5 + body_mm
    affine = np.array([[3.5, 0, 0, -14.0], [0, 0, 1, -40.0], [0, -1, 0, 90.0], [0, 0, 0, 1]])
    return voxels, Grid(shape=voxels.shape, affine=affine)


def write_blocks(folder: Path, name: str = "blocks") -> list[Path]:
    """Write the blocks as a series that the default route accepts."""
    return write_series(*blocks(), folder, name=name)


def write_neck(folder: Path, name: str = "neck") -> list[Path]:
    """Write the top of a neck as a series that the default route accepts."""
    return write_series(*neck_blocks(), folder, name=name)


def failure(error: type[NodeError], text: str = "as the test asks") -> NodeError:
    """Return an error to be raised by the segmenter."""
    return error(text)
