"""Images to send: of the size that scanners make, filled with noise."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

#: 514 x 514 pixels of 16 bits: 528 KB, a T2 slice of a modern scanner.
_SIDE = 514
_SERIES = 27
_LARGE_FRAMES, _LARGE_SIDE = 128, 1024


def write_image(folder: Path, number: int, images: int) -> Path:
    """Write image `number` of a study of 27 series."""
    per_series = -(-images // _SERIES)
    noise = np.random.default_rng(number).integers(0, 4096, (_SIDE, _SIDE), dtype=np.uint16)
    return _write(folder / f"{number:05d}.dcm", noise, series=number // per_series, number=number)


def write_large_image(path: Path) -> None:
    """Write one image of 128 frames: 256 MB."""
    frames = np.zeros((_LARGE_FRAMES, _LARGE_SIDE, _LARGE_SIDE), dtype=np.uint16)
    _write(path, frames, series=0, number=0, NumberOfFrames=_LARGE_FRAMES)


def _write(path: Path, pixels: np.ndarray[Any, np.dtype[np.uint16]], *, series: int, number: int, **more: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID = MRImageStorage
    image.SOPInstanceUID = generate_uid(entropy_srcs=["bench", path.name, str(number)])
    image.StudyInstanceUID = generate_uid(entropy_srcs=["bench study"])
    image.SeriesInstanceUID = generate_uid(entropy_srcs=["bench series", str(series)])
    image.PatientName, image.PatientID, image.Modality = "BENCH", "BENCH", "MR"
    image.StudyDate, image.StudyTime, image.AccessionNumber, image.StudyID = "20260101", "120000", "", "1"
    image.SeriesNumber, image.InstanceNumber = series + 1, number + 1
    image.Rows, image.Columns = pixels.shape[-2:]
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
    for keyword, value in more.items():
        setattr(image, keyword, value)
    image.PixelData = pixels.tobytes()
    image["PixelData"].VR = "OW"
    pydicom.dcmwrite(path, image, enforce_file_format=True)
    return path
