"""What the viewer shows of a case: the images it was made from, and the labels of its SEG on the same voxels.

Both are turned as a radiologist reads a sagittal series: slices from the patient's right to the left, rows from the
head to the feet, columns from the front to the back. Nothing is resampled: a voxel of the viewer is one of the images.
"""

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from node.assemble.elements import read_elements
from node.assemble.functional_groups import group_of_frame
from node.assemble.volume import build_volume, lay_out
from node.domain.geometry import Grid, turn
from node.domain.series import Frame
from node.encode import LabelsShown, SegmentShown, read_labels
from node.errors import ResultDamaged
from node.journal.casefiles import CaseFiles, case_files
from node.journal.store import Store
from node.verdict import read_back

#: PS3.3 C.11.2.1.3.
VoiLutFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
_FUNCTIONS: Mapping[str, VoiLutFunction] = {name: name for name in get_args(VoiLutFunction)}

_SAGITTAL = "LIP"
_SEG = "seg.dcm"
_FINDINGS = "findings.json"
_OVERLAY = "overlay.png"
#: Bytes of voxels and labels that are kept at hand; the newest scene is kept however large it is.
_KEPT_BYTES = 512 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A way to show grey values (PS3.3 C.11.2.1.2): `centre` and `width` in values of the images, and the function."""

    name: str
    centre: float
    width: float
    function: VoiLutFunction = "LINEAR"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """A case as the viewer shows it.

    `voxels`: `(slices, rows, columns)`, values after the modality's rescale, little endian. `labels`: uint8 or uint16
    of the same shape, 0 = background, else the number of a segment; None where the case has no SEG. `grid`: from those
    indices to LPS mm. `key` names the content: other images or another SEG have another key. `lowest_is_white`: the
    images are MONOCHROME1, or of Presentation LUT Shape INVERSE: what a window makes black is shown white.
    """

    key: str
    voxels: NDArray[np.generic]
    labels: NDArray[np.uint8] | NDArray[np.uint16] | None
    grid: Grid
    segments: tuple[SegmentShown, ...]
    windows: tuple[Window, ...]
    lowest_is_white: bool

    @property
    def size(self) -> int:
        """Bytes of voxels and labels."""
        return self.voxels.nbytes + (0 if self.labels is None else self.labels.nbytes)

    @property
    def first(self) -> int:
        """The slice to begin with: the one with the largest area of structures, or else the middle one."""
        if self.labels is None or not self.labels.any():
            return int(self.voxels.shape[0] // 2)
        return int(np.count_nonzero(self.labels, axis=(1, 2)).argmax())

    @property
    def largest_at(self) -> Mapping[int, int]:
        """The slice with the largest area of each segment, by its number; the first slice for one without a voxel."""
        if self.labels is None:
            return {}
        count = 1 + max((segment.number for segment in self.segments), default=0)
        areas = np.array([np.bincount(plane.ravel(), minlength=count) for plane in self.labels])
        return {segment.number: int(areas[:, segment.number].argmax()) for segment in self.segments}


class Scenes:
    """The scenes of a state folder, the last ones at hand. Safe to be asked from many threads."""

    def __init__(self, store: Store, state_dir: Path) -> None:
        self._store = store
        self._state_dir = state_dir
        self._loading = threading.Lock()
        self._kept: OrderedDict[str, Scene] = OrderedDict()

    def scene(self, case_id: int) -> Scene:
        """Return a case as it is now. Raises UnknownCase, ResultDamaged, InputError, OSError, JournalError.

        ResultDamaged also where its images are not those any more that it was made from.
        """
        files = self._files(case_id)
        key = _key(files)
        with self._loading:  # one at a time: two would decode the same images twice
            if key not in self._kept:
                self._kept[key] = self._load(files, key)
            self._kept.move_to_end(key)
            while len(self._kept) > 1 and sum(scene.size for scene in self._kept.values()) > _KEPT_BYTES:
                self._kept.popitem(last=False)
            return self._kept[key]

    def findings(self, case_id: int) -> dict[str, Any] | None:
        """Return `findings.json` of a case, None where it has no results.

        Raises UnknownCase, JournalDamaged, ResultDamaged, OSError.
        """
        folder = case_files(self._store, case_id).result_folder
        if folder is None:
            return None
        try:
            document = json.loads((self._state_dir / folder / _FINDINGS).read_bytes())
        except ValueError as error:
            raise ResultDamaged(f"{_FINDINGS} is not as it was written") from error
        if not isinstance(document, dict):
            raise ResultDamaged(f"{_FINDINGS} is not as it was written")
        return document

    def overlay(self, case_id: int) -> Path | None:
        """Return the path of `overlay.png` of a case, None where there is none. Raises UnknownCase, JournalDamaged."""
        folder = case_files(self._store, case_id).result_folder
        path = None if folder is None else self._state_dir / folder / _OVERLAY
        return path if path is not None and path.is_file() else None

    def _files(self, case_id: int) -> CaseFiles:
        files = case_files(self._store, case_id)
        if files.purged:
            raise ResultDamaged("the files of this case have been purged")
        if files.received_digest != files.set_digest:
            raise ResultDamaged("the series has other images now than those that this case was made from")
        return files

    def _load(self, files: CaseFiles, key: str) -> Scene:
        series = read_back([self._state_dir / path for path in files.received])
        frames, _ = lay_out(series)
        volume = build_volume(series)
        voxels, grid = turn(volume.voxels, volume.grid, _SAGITTAL)
        read = self._labels(files, frames)
        labels = None
        if read is not None:
            turned, _ = turn(read.labels, volume.grid, _SAGITTAL)
            labels = turned.astype(np.uint8 if len(read.segments) < 256 else "<u2")
        return Scene(
            key=key,
            voxels=voxels.astype(voxels.dtype.newbyteorder("<"), copy=False),
            labels=labels,
            grid=grid,
            segments=() if read is None else read.segments,
            windows=_windows(voxels, frames, lowest_is_white=volume.lowest_is_white),
            lowest_is_white=volume.lowest_is_white,
        )

    def _labels(self, files: CaseFiles, frames: Sequence[Frame]) -> LabelsShown | None:
        made = files.result(_SEG)
        if made is None:
            return None
        content = (self._state_dir / made.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != made.digest:
            raise ResultDamaged("the SEG of this case differs from its digest")
        return read_labels(content, frames)


def _key(files: CaseFiles) -> str:
    made = files.result(_SEG)
    content = f"{files.set_digest} {made.digest if made is not None else ''}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _windows(voxels: NDArray[np.generic], frames: Sequence[Frame], *, lowest_is_white: bool) -> tuple[Window, ...]:
    """Return the windows to choose from: by the distribution of the values, and what the scanner recommends."""
    values: Any = voxels  # numpy's own types know no percentile of just any number
    low, dark, bright, high = (float(value) for value in np.percentile(values, (0, 1, 99, 100)))
    if lowest_is_white:
        dark, bright = bright, dark
    scanner = _scanner_window(frames[len(frames) // 2])
    return (
        _between("automatic", dark, bright),
        *((scanner,) if scanner is not None else ()),
        _between("bright discs", dark + 0.25 * (bright - dark), bright + 0.25 * (bright - dark)),
        _between("dark bones", dark, dark + 0.6 * (bright - dark)),
        _between("everything", low, high),
    )


def _between(name: str, one: float, other: float) -> Window:
    """Return the window whose ends are two values."""
    low, high = sorted((one, other))
    width = max(high - low, 1.0) + 1.0
    return Window(name=name, centre=low + (width - 1.0) / 2 + 0.5, width=width)


def _scanner_window(frame: Frame) -> Window | None:
    """Return the first Window Center and Window Width of a frame (PS3.3 C.11.2, C.7.6.16.2.10), None without one.

    A VOI LUT Function that the standard does not know makes it none: nobody could say what the window shows.
    """
    elements = group_of_frame(read_elements(frame.path).elements, frame.frame_number, "FrameVOILUTSequence")
    centre, width = elements.numbers("WindowCenter"), elements.numbers("WindowWidth")
    function = _FUNCTIONS.get(elements.text("VOILUTFunction") or "LINEAR")
    if function is None or not centre or not width:
        return None
    is_width = width[0] >= 1 if function == "LINEAR" else width[0] > 0
    if not (is_width and width[0] < 1e6) or abs(centre[0]) > 1e6:
        return None
    return Window(name="scanner", centre=centre[0], width=width[0], function=function)
