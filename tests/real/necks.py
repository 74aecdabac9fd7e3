"""Real necks as the live node meets them, answered once for all tests."""

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from node.assemble.headers import gather
from node.domain.findings import Algorithm, Findings, Segmentation
from node.domain.geometry import Volume
from node.domain.identifiers import Digest
from node.domain.series import Series
from node.pipeline import run_case
from node.segment.bundle import STARTER, load_bundle
from node.segment.nnunet.engine import NnunetEngine
from node.settings import ModelSettings
from node.train.landmarks import Landmarks, read_landmarks
from node.train.plans import Json
from node.train.realvolumes import measured

POINTS = Path(__file__).parent / "points"
NECKS = ("errsm_20", "errsm_22", "errsm_30")


class Witness:
    """An engine that keeps its last answer."""

    def __init__(self, bundle: Path = STARTER) -> None:
        self._engine = NnunetEngine(load_bundle(bundle), ModelSettings(), "cpu")
        self.last: Segmentation | None = None

    @property
    def algorithm(self) -> Algorithm:
        return self._engine.algorithm

    def segment(self, volume: Volume) -> Segmentation:
        self.last = self._engine.segment(volume)
        return self.last


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the node made of one neck, and its figures."""

    neck: str
    volume: Volume
    segmentation: Segmentation
    findings: Findings
    landmarks: Landmarks
    figures: Json


def landmarks_of(neck: str) -> Landmarks:
    return read_landmarks(POINTS / f"{neck}.json")


def source_of(shared_data: Path, neck: str) -> Path:
    return shared_data / "cervical_t2" / f"{neck}_T2w.nii.gz"


def wrapped(source: Path, folder: Path) -> Path:
    """Write a volume as a classic series of slices of 4 mm into `folder`."""
    tool = source.parents[2] / "tools" / "nifti_to_dicom_series.py"
    subprocess.run([sys.executable, str(tool), str(source), str(folder)], check=True)
    return folder


def series_in(folder: Path) -> Series:
    (series,), unreadable = gather(folder.glob("*.dcm"))
    assert not unreadable
    return series


def thinned(series: Series, step: int, count: int) -> Series:
    """Return every `step`-th frame of a series, the middle `count` of them, from one side to the other."""
    normal = np.array(series.header.slice_orientation)
    frames = sorted(series.frames, key=lambda frame: float(np.dot(normal, frame.position_lps_mm)))
    kept = frames[::step]
    first = max(0, (len(kept) - count) // 2)
    return replace(series, frames=tuple(kept[first : first + count]))


def answered(engine: Witness, series: Series, neck: str) -> Answer:
    """Run a series through the stages of the live node."""
    result = run_case(series, _digest(frame.path for frame in series.frames), engine)
    assert engine.last is not None
    landmarks = landmarks_of(neck)
    return Answer(
        neck=neck,
        volume=result.volume,
        segmentation=engine.last,
        findings=result.findings,
        landmarks=landmarks,
        figures=measured(engine.last, result.findings, result.volume.grid, landmarks),
    )


def _digest(paths: Iterable[Path]) -> Digest:
    return Digest(hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest())
