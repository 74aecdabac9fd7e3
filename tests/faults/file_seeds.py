"""Sound series for the file fuzz: small ones in every transfer syntax that is decoded, and a few of real scanners.

Every text element of them that may hold a person's data holds the canary.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from fakes import CANARY
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRBigEndian, ExplicitVRLittleEndian, MRImageStorage

_ROOT = "1.2.826.0.1.3680043.9.3811.8"
_IMPLICIT, _RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
_J2K = "1.2.840.10008.1.2.4.90"
#: Written by pydicom's encoders.
_BY_PYDICOM = (ExplicitVRLittleEndian, _IMPLICIT, ExplicitVRBigEndian, _RLE, _J2K)
#: Written by GDCM.
_BY_GDCM = {
    "1.2.840.10008.1.2.4.50": (gdcm.TransferSyntax.JPEGBaselineProcess1, 8),
    "1.2.840.10008.1.2.4.57": (gdcm.TransferSyntax.JPEGLosslessProcess14, 16),
    "1.2.840.10008.1.2.4.70": (gdcm.TransferSyntax.JPEGLosslessProcess14_1, 16),
    "1.2.840.10008.1.2.4.91": (gdcm.TransferSyntax.JPEG2000, 16),
    "1.2.840.10008.1.2.4.80": (gdcm.TransferSyntax.JPEGLSLossless, 16),
    "1.2.840.10008.1.2.4.81": (gdcm.TransferSyntax.JPEGLSNearLossless, 16),
}
_ENHANCED = (ExplicitVRLittleEndian, _IMPLICIT, _RLE, _J2K)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A series: the bytes of the file that is mutated, and the files that lie beside it."""

    name: str
    raw: bytes
    beside: tuple[Path, ...]
    #: How often it is taken, relative to the others: large files take long.
    weight: int


def seeds(folder: Path, real: Path | None) -> list[Seed]:
    """Write all series below `folder` and return them; `real`: the folder with the series of real scanners, if any."""
    return [*_synthetic(folder), *(() if real is None else _real(folder, real))]


def _synthetic(folder: Path) -> Iterator[Seed]:
    for number, syntax in enumerate((*_BY_PYDICOM, *_BY_GDCM)):
        bits = _BY_GDCM[syntax][1] if syntax in _BY_GDCM else 16
        paths = [folder / f"classic {number} {index}.dcm" for index in range(3)]
        for index, path in enumerate(paths):
            _save(_classic(number, index, bits), path, syntax)
        yield Seed(name=f"classic {syntax}", raw=paths[0].read_bytes(), beside=tuple(paths[1:]), weight=6)
    for number, syntax in enumerate(_ENHANCED):
        path = folder / f"enhanced {number}.dcm"
        _save(_enhanced([_classic(100 + number, index, 16) for index in range(3)]), path, syntax)
        yield Seed(name=f"enhanced {syntax}", raw=path.read_bytes(), beside=(), weight=8)


def _real(folder: Path, real: Path) -> Iterator[Seed]:
    for name, count, weight in (
        ("siemens_sagittal_t1_head", 2, 6),
        ("siemens_sagittal_epi/classic", 2, 6),
        ("siemens_sagittal_epi/enhanced", 1, 1),
    ):
        paths = []
        for index, source in enumerate(sorted((real / name).glob("*.dcm"))[:count]):
            ds = pydicom.dcmread(source)
            for keyword in ("PatientName", "PatientID", "StudyDescription", "SeriesDescription", "ProtocolName"):
                setattr(ds, keyword, CANARY)
            paths.append(folder / f"{name.replace('/', ' ')} {index}.dcm")
            ds.save_as(paths[-1], enforce_file_format=True)
        yield Seed(name=name, raw=paths[0].read_bytes(), beside=tuple(paths[1:]), weight=weight)


def _classic(series: int, index: int, bits: int) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    ds.SpecificCharacterSet, ds.ImageType = "ISO_IR 192", ["ORIGINAL", "PRIMARY", "M", CANARY.replace("^", " ")]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{_ROOT}.{series}.{index + 1}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = f"{_ROOT}.1", f"{_ROOT}.2.{series}", _ROOT
    ds.PatientName, ds.PatientID, ds.PatientComments, ds.InstitutionName = CANARY, CANARY, CANARY, CANARY
    ds.StudyDate, ds.AcquisitionDate, ds.AcquisitionTime = "20200102", "20200102", "101110"
    ds.Modality, ds.Manufacturer, ds.BodyPartExamined = "MR", CANARY, "CSPINE"
    ds.StudyDescription, ds.SeriesDescription, ds.ProtocolName = f"HWS {CANARY}", f"T2 säg {CANARY}", "t2_tse_sag"
    ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", ["SK", "SP"], "PFP"
    ds.MRAcquisitionType, ds.SequenceName, ds.ContrastBolusAgent = "2D", CANARY, CANARY
    ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "3500", "105.5", "15"
    ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = 1, index + 1, 1
    ds.PixelSpacing, ds.ImageOrientationPatient = ["0.75", "0.5"], [0, 1, 0, 0, 0, -1]
    ds.ImagePositionPatient = [str(20 - 4 * index), "-50.5", "61.25"]
    ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType = "1", "0", "US"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.Rows, ds.Columns = 1, "MONOCHROME2", 40, 36
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = bits, bits, bits - 1, 0
    values = np.random.default_rng([series, index]).integers(0, 250, (40, 36))
    ds.PixelData = values.astype(f"<u{bits // 8}").tobytes()
    ds["PixelData"].VR = "OW"
    return ds


def _enhanced(frames: list[Dataset]) -> Dataset:
    ds = Dataset()
    ds.update(frames[0])
    ds.file_meta = frames[0].file_meta
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedMRImageStorage
    shared = _item(
        MRTimingAndRelatedParametersSequence=[_item(RepetitionTime="3500", RFEchoTrainLength=15)],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=ds.ImageOrientationPatient)],
        PixelMeasuresSequence=[_item(PixelSpacing=ds.PixelSpacing)],
    )
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([_groups(frame) for frame in frames])
    ds.NumberOfFrames = len(frames)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RepetitionTime", "EchoTime"):
        delattr(ds, keyword)
    ds.PixelData = b"".join(frame.PixelData for frame in frames)
    ds["PixelData"].VR = "OW"
    return ds


def _groups(frame: Dataset) -> Dataset:
    return _item(
        PlanePositionSequence=[_item(ImagePositionPatient=frame.ImagePositionPatient)],
        MREchoSequence=[_item(EffectiveEchoTime=105.5)],
        FrameContentSequence=[_item(TemporalPositionIndex=1, FrameAcquisitionNumber=1, FrameComments=CANARY)],
        PixelValueTransformationSequence=[_item(RescaleSlope="1", RescaleIntercept="0", RescaleType="US")],
    )


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _save(ds: Dataset, path: Path, syntax: str) -> None:
    if syntax in _BY_GDCM:
        ds.save_as(path, enforce_file_format=True)
        _compress(path, _BY_GDCM[syntax][0])
        return
    if UID(syntax).is_compressed:
        ds.compress(UID(syntax))
    elif syntax == ExplicitVRBigEndian:
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds["PixelData"].VR = "OW"
    ds.file_meta.TransferSyntaxUID = UID(syntax)
    ds.save_as(path, enforce_file_format=True)


def _compress(path: Path, syntax: int) -> None:
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
