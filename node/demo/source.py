"""The series that the demo sends: the user's own, or a phantom wrapped as a classic sagittal MR series."""

import hashlib
import io
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from node.assemble.headers import gather
from node.assemble.nifti import is_nifti, read_nifti
from node.domain.geometry import Grid, turn
from node.errors import InputError, NotAnImage, NotDicom, NothingToSegment
from node.receive.archive import unpack
from node.train.phantom import generate

_PHANTOM_SEED = 300_011


def files_to_send(source: Path | None, scratch: Path) -> list[Path]:
    """Return the DICOM files to send, made in `scratch` where the input is none: a phantom for None, or a NIfTI image.

    Raises NothingToSegment when there is no image among them, InputError for a path that does not exist.
    """
    if source is None:
        phantom = generate(_PHANTOM_SEED)
        return write_series(phantom.image, phantom.grid, scratch, name="phantom")
    if not source.exists():
        raise InputError(f"{source}: no such file or folder")
    if is_nifti(source):
        image = read_nifti(source)
        return write_series(image.voxels, image.grid, scratch, name=hashlib.sha256(source.read_bytes()).hexdigest())
    if source.suffix.lower() == ".zip":
        scratch.mkdir(parents=True, exist_ok=True)
        files = list(unpack(source, scratch))
    else:
        files = sorted(path for path in source.rglob("*") if path.is_file()) if source.is_dir() else [source]
    found, unreadable = gather(files)
    for item in unreadable:
        if not isinstance(item.error, NotDicom | NotAnImage):
            raise item.error
    if not found:
        raise NothingToSegment(f"{source}: no DICOM image")
    return sorted({frame.path for series in found for frame in series.frames})


def write_series(voxels: np.ndarray, grid: Grid, folder: Path, *, name: str) -> list[Path]:
    """Write a volume `(slices, rows, columns)` as classic MR Image Storage (PS3.3 A.4), sagittal, head up, face left.

    UIDs derive from `name`. The header says T2 cervical, which is what the demo claims of its input.
    """
    image, grid = turn(voxels, grid, "LIP")
    pixels = np.clip(np.rint(image.astype(np.float64)), 0, 32767).astype(np.uint16)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write_slice(pixels, grid, index, folder, name) for index in range(grid.shape[0])]


def _write_slice(pixels: np.ndarray, grid: Grid, index: int, folder: Path, name: str) -> Path:
    slice_mm, row_mm, column_mm = grid.spacing_mm
    position = grid.to_lps_mm(np.array([index, 0, 0]))
    cosines = (*grid.affine[:3, 2] / column_mm, *grid.affine[:3, 1] / row_mm)
    data_set = _series_header(name)
    data_set.SOPInstanceUID = generate_uid(entropy_srcs=[name, str(index)])
    data_set.InstanceNumber = index + 1
    data_set.SliceThickness = data_set.SpacingBetweenSlices = round(slice_mm, 6)
    data_set.PixelSpacing = [round(row_mm, 6), round(column_mm, 6)]
    data_set.ImageOrientationPatient = [round(float(value), 8) for value in cosines]
    data_set.ImagePositionPatient = [round(float(value), 5) for value in position]
    data_set.SamplesPerPixel, data_set.PhotometricInterpretation = 1, "MONOCHROME2"
    data_set.Rows, data_set.Columns = pixels.shape[1:]
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 16, 16, 15, 0
    data_set.PixelData = pixels[index].tobytes()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    path = folder / f"{index:04d}.dcm"
    path.write_bytes(buffer.getvalue())
    return path


def _series_header(name: str) -> Dataset:
    """Return what all slices of the demo's series say."""
    header = Dataset()
    header.SOPClassUID = MRImageStorage
    header.StudyInstanceUID, header.SeriesInstanceUID, header.FrameOfReferenceUID = (
        generate_uid(entropy_srcs=[name, part]) for part in ("study", "series", "frame of reference")
    )
    header.PatientName, header.PatientID, header.PatientBirthDate, header.PatientSex = "Demo^Neck", "DEMO", "", "O"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20260101"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "120000"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "", "1", ""
    header.Modality, header.BodyPartExamined, header.PatientPosition = "MR", "CSPINE", "HFS"
    header.StudyDescription, header.SeriesDescription = "MRI CERVICAL SPINE WITHOUT CONTRAST", "SAG T2"
    header.Manufacturer, header.SeriesNumber, header.AcquisitionNumber = "", 1, 1
    header.ImageType = ["DERIVED", "SECONDARY"]
    header.ScanningSequence, header.SequenceVariant, header.ScanOptions = "SE", "SK", ""
    header.MRAcquisitionType, header.RepetitionTime, header.EchoTime, header.EchoTrainLength = "2D", 3500, 100, 15
    header.PositionReferenceIndicator = ""
    return header
