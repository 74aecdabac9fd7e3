"""What a SEG, an SR and a key image have alike: patient and study of the source, equipment, time (PS3.3 A.1.2)."""

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from dicom_sr import codes
from dicom_sr.equipment import contributing_equipment
from dicom_sr.items import attach, item
from dicom_sr.model import AlgorithmIdentity, ResultInstance
from dicom_sr.modules import PATIENT_AND_STUDY
from dicom_sr.source import SourceSeries


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositeClass:
    """A storage class as it stands in a file: its UID (PS3.4 B.5), its Modality and its transfer syntax."""

    uid: UID
    modality: str
    transfer_syntax: UID = ExplicitVRLittleEndian


def new_composite(
    source: SourceSeries, instance: ResultInstance, composite_class: CompositeClass, number: int = 1
) -> Dataset:
    """Return an instance with the modules that are alike in all, up to `seal`. `number` is its Instance Number."""
    header = source.headers[0]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = composite_class.transfer_syntax
    for keyword in PATIENT_AND_STUDY:
        if keyword in header:
            dataset.add(header[keyword])
    dataset.SOPClassUID = composite_class.uid
    dataset.SOPInstanceUID = instance.sop_instance_uid
    dataset.Modality = composite_class.modality
    dataset.SeriesInstanceUID = instance.series_instance_uid
    dataset.SeriesNumber = instance.series_number
    dataset.SeriesDescription = instance.series_description
    dataset.InstanceNumber = number
    for time in ("Series", "Content", "InstanceCreation"):
        setattr(dataset, f"{time}Date", instance.content_date)
        setattr(dataset, f"{time}Time", instance.content_time)
    equipment = instance.equipment
    dataset.Manufacturer = equipment.manufacturer
    dataset.ManufacturerModelName = equipment.model_name
    dataset.SoftwareVersions = equipment.software_version
    dataset.DeviceSerialNumber = equipment.device_serial_number
    return dataset


def seal(
    dataset: Dataset, source: SourceSeries, instance: ResultInstance, algorithms: Iterable[AlgorithmIdentity | None]
) -> None:
    """Complete an instance once all else is in it.

    Restores what the source set aside, names the equipment, identifies the coding schemes (PS3.3 C.12.1), and has
    pydicom write encoded sequences as they are.
    """
    header = source.headers[0]
    if header.get("SpecificCharacterSet"):
        dataset.SpecificCharacterSet = header.SpecificCharacterSet
    for element in source.set_aside:
        dataset.add(element)
    named = [algorithm for algorithm in algorithms if algorithm is not None]
    dataset.ContributingEquipmentSequence = contributing_equipment(header, instance.equipment, named)
    _identify_schemes(dataset)
    character_set = dataset.get("SpecificCharacterSet")
    encoding = convert_encodings(character_set) if character_set else default_encoding
    dataset.set_original_encoding(is_implicit_vr=False, is_little_endian=True, character_encoding=encoding)


def to_bytes(dataset: Dataset) -> bytes:
    """Return the DICOM file (PS3.10 7) of a result, to be kept and sent as it is."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _identify_schemes(dataset: Dataset) -> None:
    """Add Coding Scheme Identification Sequence for the schemes that encoded sequences use, if any."""
    encoded = [
        element.value
        for element in dataset.elements()
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes)
    ]
    identified = []
    for scheme in codes.CODING_SCHEMES.values():
        designator = item(CodingSchemeDesignator=scheme.designator)[8:]
        if any(designator in value for value in encoded):
            registry = {"CodingSchemeRegistry": scheme.registry} if scheme.registry else {}
            identified.append(
                item(
                    CodingSchemeDesignator=scheme.designator,
                    CodingSchemeUID=scheme.uid,
                    CodingSchemeName=scheme.name,
                    CodingSchemeResponsibleOrganization=scheme.responsible_organization,
                    **registry,
                )
            )
    if identified:
        attach(dataset, "CodingSchemeIdentificationSequence", identified)
