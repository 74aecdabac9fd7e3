"""Series as classic MR Image Storage (PS3.3 A.4), one file a slice."""

import io
from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cspineseg.exams import Scan, uid
from cspineseg.necks import Picture

#: Instances by their names in the zip.
Instances = dict[str, Dataset]


def instances(scan: Scan, shown: Picture) -> Instances:
    """Return the slices of the series, numbered from the right or from the left."""
    count = shown.image.shape[0]
    grows_left = shown.affine[0, 0] > 0
    order = range(count) if grows_left == scan.from_the_right else range(count - 1, -1, -1)
    found: Instances = {}
    for number, index in enumerate(order, start=1):
        found[f"1-{number:02d}.dcm"] = _slice(scan, shown, index, number)
    return found


def encoded(data_set: Dataset) -> bytes:
    """Return the DICOM file of an instance."""
    buffer = io.BytesIO()
    dcmwrite(buffer, data_set, enforce_file_format=True)
    return buffer.getvalue()


def set_all(found: Instances, **elements: object) -> None:
    """Give elements, by keyword, the same value in all instances."""
    for data_set in found.values():
        for keyword, value in elements.items():
            setattr(data_set, keyword, value)


def _slice(scan: Scan, shown: Picture, index: int, number: int) -> Dataset:
    slice_mm, row_mm, column_mm = np.linalg.norm(shown.affine[:3, :3], axis=0)
    data_set = _header(scan)
    data_set.SOPInstanceUID = uid(scan.series_uid, number)
    data_set.InstanceNumber = number
    if scan.in_3d and scan.siemens:
        del data_set.SpacingBetweenSlices
    else:
        data_set.SpacingBetweenSlices = round(float(slice_mm), 4)
    data_set.PixelSpacing = _decimals((row_mm, column_mm), 7)
    cosines = (*shown.affine[:3, 2] / column_mm, *shown.affine[:3, 1] / row_mm)
    data_set.ImageOrientationPatient = _decimals(cosines, 9)
    data_set.ImagePositionPatient = _decimals(shown.affine[:3, 3] + index * shown.affine[:3, 0], 6)
    data_set.SliceLocation = round(float(data_set.ImagePositionPatient[0]), 3)
    data_set.Rows, data_set.Columns = shown.image.shape[1:]
    data_set.PixelData = shown.image[index].astype("<u2").tobytes()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return data_set


def _decimals(values: Sequence[float], places: int) -> list[float]:
    return [round(float(value), places) for value in values]


def _header(scan: Scan) -> Dataset:
    """Return what all slices of the series say."""
    header = Dataset()
    header.SOPClassUID = MRImageStorage
    header.StudyInstanceUID, header.SeriesInstanceUID = scan.study_uid, scan.series_uid
    header.FrameOfReferenceUID = uid(scan.series_uid, "frame of reference")
    header.PatientName = header.PatientID = scan.patient.patient_id
    header.PatientBirthDate, header.PatientSex = "", scan.patient.sex[0]
    header.PatientAge, header.PatientIdentityRemoved = f"{scan.patient.age:03d}Y", "YES"
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = "20150704"
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = "101500"
    header.AccessionNumber, header.StudyID, header.ReferringPhysicianName = "", "", ""
    header.Modality, header.BodyPartExamined, header.PatientPosition = "MR", "CSPINE", "HFS"
    header.StudyDescription = "MRI CERVICAL SPINE WITHOUT CONTRAST"
    header.SeriesDescription = header.ProtocolName = scan.description
    header.Manufacturer, header.ManufacturerModelName = scan.manufacturer, scan.model
    header.SoftwareVersions = "syngo MR E11" if scan.siemens else "25"
    header.SeriesNumber, header.AcquisitionNumber = scan.series_number, 1
    header.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"] if scan.siemens else ["ORIGINAL", "PRIMARY", "OTHER"]
    header.ScanningSequence, header.SequenceVariant = "SE", ["SK", "SP"]
    header.ScanOptions = "" if scan.siemens else "FAST_GEMS"
    header.MRAcquisitionType = "3D" if scan.in_3d else "2D"
    header.MagneticFieldStrength, header.ImagedNucleus = scan.field_t, "1H"
    header.RepetitionTime, header.EchoTime = scan.repetition_ms, scan.echo_ms
    header.EchoTrainLength, header.EchoNumbers = 15, 1
    header.SliceThickness, header.SpacingBetweenSlices = scan.thickness_mm, None
    header.PositionReferenceIndicator = ""
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    signed = not scan.siemens
    header.BitsAllocated, header.PixelRepresentation = 16, int(signed)
    header.BitsStored, header.HighBit = (16, 15) if signed else (12, 11)
    return header
