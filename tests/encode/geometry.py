"""Series with known geometry, written by hand, and the places of their voxels from the standard's equation alone.

PS3.3 C.7.6.2.1.1, equation C.7.6.2.1-1. Nothing of the node is used here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

_AXES = np.eye(3)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A series: `shape` slices, rows, columns; `spacing_mm` between rows, between columns; `step_mm` between slices.

    `row` and `column` are the directions in which the column and the row index grow (LPS). Instance numbers and file
    names run along row x column, or against it where `backwards`. File names run in no order.
    """

    name: str
    shape: tuple[int, int, int] = (12, 40, 37)
    row: tuple[float, ...] = (0.0, 1.0, 0.0)
    column: tuple[float, ...] = (0.0, 0.0, -1.0)
    spacing_mm: tuple[float, float] = (0.75, 0.5)
    step_mm: float = 3.3
    origin_mm: tuple[float, float, float] = (-18.5, -61.25, 40.125)
    backwards: bool = False
    multi_frame: bool = False

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)

    def positions(self) -> np.ndarray:
        """Return ImagePositionPatient of each slice in the order of the instances, LPS mm, (slices, 3)."""
        steps = np.arange(self.shape[0]) * (-self.step_mm if self.backwards else self.step_mm)
        return np.asarray(self.origin_mm) + steps[:, None] * self.normal

    def places(self, index: np.ndarray) -> np.ndarray:
        """Return the LPS places in mm of `(instance, row, column)` indices, (n, 3)."""
        between_rows, between_columns = self.spacing_mm
        return (
            self.positions()[index[:, 0]]
            + index[:, 1:2] * between_rows * np.asarray(self.column)
            + index[:, 2:3] * between_columns * np.asarray(self.row)
        )


def right_angled() -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Return every pair of row and column directions along the patient's axes: 24."""
    directions = [sign * _AXES[axis] for axis, sign in product(range(3), (1.0, -1.0))]
    return [
        (tuple(map(float, row)), tuple(map(float, column)))
        for row, column in product(directions, directions)
        if abs(row @ column) < 0.5
    ]


def tilted(
    row: Sequence[float], column: Sequence[float], degrees: Sequence[float]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return both directions turned about the patient's x, y and z axis."""
    turn = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        one = np.eye(3)
        first, second = [other for other in range(3) if other != axis]
        one[first, first] = one[second, second] = np.cos(angle)
        one[first, second], one[second, first] = -np.sin(angle), np.sin(angle)
        turn = one @ turn
    return tuple(map(float, turn @ row)), tuple(map(float, turn @ column))


def write(layout: Layout, folder: Path) -> list[Path]:
    """Write the series; the names of the files tell nothing of the order."""
    folder.mkdir(parents=True, exist_ok=True)
    return _write_enhanced(layout, folder) if layout.multi_frame else _write_classic(layout, folder)


def _write_classic(layout: Layout, folder: Path) -> list[Path]:
    paths = []
    order = np.random.default_rng(3).permutation(layout.shape[0])
    for number, position in enumerate(layout.positions()):
        header = _header(layout, MRImageStorage, str(number))
        header.InstanceNumber = number + 1
        header.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "SE", "SK", ""
        header.MRAcquisitionType, header.RepetitionTime, header.EchoTime, header.EchoTrainLength = "2D", 3500, 100, 15
        header.SliceThickness = "3"
        header.PixelSpacing, header.ImageOrientationPatient = list(layout.spacing_mm), _cosines(layout)
        header.ImagePositionPatient = _decimals(position)
        header.PixelData = _pixels(layout, 1)
        paths.append(folder / f"{order[number]:03d}.dcm")
        header.save_as(paths[-1], enforce_file_format=True)
    return paths


def _write_enhanced(layout: Layout, folder: Path) -> list[Path]:
    header = _header(layout, EnhancedMRImageStorage, "all")
    header.InstanceNumber = 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "NONE"]
    header.AcquisitionDateTime, header.MRAcquisitionType, header.EchoPulseSequence = "20260101120000", "2D", "SPIN"
    header.NumberOfFrames = layout.shape[0]
    shared = _item(
        PlaneOrientationSequence=[_item(ImageOrientationPatient=_cosines(layout))],
        PixelMeasuresSequence=[_item(PixelSpacing=list(layout.spacing_mm), SliceThickness="3")],
        MRTimingAndRelatedParametersSequence=[_item(RepetitionTime=3500.0, RFEchoTrainLength=15)],
    )
    header.SharedFunctionalGroupsSequence = [shared]
    header.PerFrameFunctionalGroupsSequence = [
        _item(
            PlanePositionSequence=[_item(ImagePositionPatient=_decimals(position))],
            FrameContentSequence=[_item(StackID="1", InStackPositionNumber=number, DimensionIndexValues=[1, number])],
            MREchoSequence=[_item(EffectiveEchoTime=100.0)],
        )
        for number, position in enumerate(layout.positions(), start=1)
    ]
    header.PixelData = _pixels(layout, layout.shape[0])
    header.save_as(folder / "all.dcm", enforce_file_format=True)
    return [folder / "all.dcm"]


def _header(layout: Layout, sop_class_uid: str, part: str) -> Dataset:
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = sop_class_uid
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID, header.SOPInstanceUID = (
        generate_uid(entropy_srcs=[layout.name, what]) for what in ("study", "series", "frame", f"instance {part}")
    )
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Matrix^Neck", "M", "", "O"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20260101"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "120000"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "", "1", ""
    header.Modality, header.SeriesNumber, header.Manufacturer, header.PatientPosition = "MR", 1, "ACME", "HFS"
    header.PositionReferenceIndicator = ""
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.Rows, header.Columns = layout.shape[1:]
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 16, 16, 15, 0
    return header


def _pixels(layout: Layout, frames: int) -> bytes:
    return bytes(frames * layout.shape[1] * layout.shape[2] * 2)


def _cosines(layout: Layout) -> list[str]:
    return _decimals((*layout.row, *layout.column))


def _decimals(values: Sequence[float] | np.ndarray) -> list[str]:
    """Return the values as VR DS: 16 characters at most."""
    return [f"{value:.9f}"[:16] for value in values]


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item
