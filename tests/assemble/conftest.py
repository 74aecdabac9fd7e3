"""Small MR series made on the spot: slices of known voxels at known places."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from pydicom.valuerep import DSfloat

from node.assemble.headers import gather
from node.assemble.volume import build_volume
from node.domain.series import Series

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
ROOT_UID = "1.2.826.0.1.3680043.8.498.7"
SAGITTAL = (0, 1, 0, 0, 0, -1)
CORONAL = (1, 0, 0, 0, 0, -1)
AXIAL = (1, 0, 0, 0, 1, 0)


def decimals(values: Iterable[float]) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def turned(cosines: Iterable[float], about_x: float, about_z: float) -> tuple[float, ...]:
    """Turn row and column cosines about two axes, by degrees."""
    x, z = np.radians([about_x, about_z])
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    return tuple((np.reshape(list(cosines), (2, 3)) @ (turn_z @ turn_x).T).ravel())


@dataclass
class Stack:
    """A series to be written: `voxels` (slices, rows, columns), slice step along the normal in mm."""

    cosines: tuple[float, ...] = SAGITTAL
    origin: tuple[float, float, float] = (20.0, -50.5, 61.25)
    spacing: tuple[float, float] = (0.75, 0.5)
    step: float = 4.0
    count: int = 7
    acquisition: str = "2D"
    syntax: str = ExplicitVRLittleEndian
    series: int = 1
    voxels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.uint16))

    def __post_init__(self) -> None:
        if self.voxels.size == 0:
            self.voxels = np.random.default_rng(7).integers(0, 1500, (self.count, 40, 36)).astype(np.uint16)

    def datasets(self) -> list[Dataset]:
        row, column = np.array(self.cosines[:3]), np.array(self.cosines[3:])
        normal = np.cross(row, column)
        places = [np.array(self.origin) + normal * self.step * index for index in range(len(self.voxels))]
        return [self._dataset(index, place) for index, place in enumerate(places)]

    def _dataset(self, index: int, place: np.ndarray) -> Dataset:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
        ds.SpecificCharacterSet = "ISO_IR 192"
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = MRImageStorage
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{ROOT_UID}.{self.series}.{index + 1}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{ROOT_UID}.9", f"{ROOT_UID}.{self.series}"
        ds.FrameOfReferenceUID, ds.PatientName, ds.PatientID = f"{ROOT_UID}.8", "ZZSECRET^NAME", "ZZSECRET"
        ds.StudyDate, ds.AcquisitionDate, ds.AcquisitionTime = "20200102", "20200102", f"10111{index % 10}"
        ds.Modality, ds.Manufacturer, ds.BodyPartExamined = "MR", "ACME", "CSPINE"
        ds.StudyDescription, ds.SeriesDescription, ds.ProtocolName = "HWS nativ", "T2 säg", "t2_tse_sag"
        ds.ImageType = ["ORIGINAL", "PRIMARY", "M"]
        ds.ScanningSequence, ds.SequenceVariant, ds.ScanOptions = "SE", ["SK", "SP"], "PFP"
        ds.MRAcquisitionType, ds.SequenceName = self.acquisition, "*tse2d1_15"
        ds.RepetitionTime, ds.EchoTime, ds.EchoTrainLength = "3500", "105.5", "15"
        ds.SeriesNumber, ds.InstanceNumber, ds.AcquisitionNumber = self.series, index + 1, 1
        ds.SliceThickness, ds.SpacingBetweenSlices = "99", "77"
        ds.PixelSpacing, ds.ImageOrientationPatient = decimals(self.spacing), decimals(self.cosines)
        ds.ImagePositionPatient = decimals(place)
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.Rows, ds.Columns = self.voxels.shape[1:]
        bits = self.voxels.dtype.itemsize * 8
        ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
        ds.PixelRepresentation = int(self.voxels.dtype.kind == "i")
        ds.PixelData = self.voxels[index].tobytes()
        return ds


def save(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> None:
    """Write in another native syntax, or compress first."""
    syntax = UID(syntax)
    if syntax.is_compressed and not syntax.is_deflated:
        ds.compress(syntax)
    elif not syntax.is_little_endian:
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds["PixelData"].VR = "OW"
    else:
        ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, enforce_file_format=True)


def enhanced(frames: list[Dataset]) -> Dataset:
    """Return the classic `frames` as one Enhanced MR object, geometry per frame, timing shared."""
    first = frames[0]
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(ExplicitVRLittleEndian)
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = EnhancedMRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = first.SOPInstanceUID + ".77"
    copied = (
        "SpecificCharacterSet StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID PatientName Modality Manufacturer "
        "StudyDate StudyDescription SeriesDescription ProtocolName ImageType MRAcquisitionType SeriesNumber "
        "InstanceNumber SamplesPerPixel PhotometricInterpretation Rows Columns BitsAllocated BitsStored HighBit "
        "PixelRepresentation"
    )
    for keyword in copied.split():
        setattr(ds, keyword, first[keyword].value)
    ds.AcquisitionDateTime, ds.EchoPulseSequence, ds.SpectrallySelectedSuppression = "20200102101110.5", "SPIN", "FAT"
    ds.NumberOfFrames = len(frames)
    shared = Dataset()
    shared.MRTimingAndRelatedParametersSequence = [_item(RepetitionTime="3500", RFEchoTrainLength=15)]
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=first.ImageOrientationPatient)]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=first.PixelSpacing)]
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    ds.PerFrameFunctionalGroupsSequence = Sequence([_frame_groups(frame) for frame in frames])
    ds.PixelData = b"".join(frame.PixelData for frame in frames)
    return ds


def _frame_groups(frame: Dataset) -> Dataset:
    rescale = _item(
        RescaleSlope=frame.get("RescaleSlope", "1"),
        RescaleIntercept=frame.get("RescaleIntercept", "0"),
        RescaleType="US",
    )
    return _item(
        PlanePositionSequence=[_item(ImagePositionPatient=frame.ImagePositionPatient)],
        MREchoSequence=[_item(EffectiveEchoTime=float(frame.EchoTime))],
        FrameContentSequence=[_item(TemporalPositionIndex=1, FrameAcquisitionNumber=1)],
        PixelValueTransformationSequence=[rescale],
    )


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def data_set_bytes(ds: Dataset, *, implicit: bool) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, ds)
    return buffer.getvalue()


def write(folder: Path, frames: Iterable[Dataset], syntax: str = ExplicitVRLittleEndian) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for index, ds in enumerate(frames):
        save(ds, folder / f"{index:03d}.dcm", syntax)
    return folder


def series_in(folder: Path) -> Series:
    """Return the only series of a folder in which everything is readable."""
    (series,), unreadable = gather(path for path in folder.rglob("*") if path.is_file())
    assert unreadable == ()
    return series


def run_dcm2niix(folder: Path, out: Path) -> nib.Nifti1Image:
    """Return the only image that dcm2niix makes of a folder."""
    search = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("dcm2niix", path=search)
    assert program is not None
    out.mkdir()
    command = [program, "-z", "n", "-b", "n", "-f", "out", "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    (path,) = out.glob("*.nii")
    return nib.load(path)


KIT = SimpleNamespace(
    stack=Stack,
    save=save,
    enhanced=enhanced,
    data_set_bytes=data_set_bytes,
    write=write,
    series_in=series_in,
    dcm2niix=run_dcm2niix,
    turned=turned,
    decimals=decimals,
)


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Return the functions above, for tests to ask for as one fixture."""
    return KIT


@pytest.fixture
def one(kit):
    """Return the first data set of a small sagittal stack."""
    return kit.stack().datasets()[0]


@pytest.fixture
def volume_of(kit, tmp_path):
    """Return a function that writes data sets and builds their volume."""
    return lambda frames: build_volume(kit.series_in(kit.write(tmp_path / "in", frames)))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of real data, which a plain clone of the repository does not have."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data is absent: {SHARED.name}/ beside the repository")
    return SHARED


@pytest.fixture(scope="session")
def cervical(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a real neck as a classic sagittal series of 13 slices."""
    out = tmp_path_factory.mktemp("cervical")
    tool, source = shared / "tools/nifti_to_dicom_series.py", shared / "data/cervical_t2/errsm_20_T2w.nii.gz"
    subprocess.run([sys.executable, str(tool), str(source), str(out)], check=True, capture_output=True, timeout=120)
    return out
