"""What a SEG and an SR say alike about the device that made them, and about when."""

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.model import AlgorithmIdentity, Equipment, ResultInstance
from dicom_sr.source import SourceSeries

_ACQUISITION_EQUIPMENT = "109101"


def code_item(code: Code) -> Dataset:
    """Return an item of a code sequence (PS3.3 8.8)."""
    item = Dataset()
    item.CodeValue = code.value
    item.CodingSchemeDesignator = code.scheme_designator
    if code.scheme_version:
        item.CodingSchemeVersion = code.scheme_version
    item.CodeMeaning = code.meaning
    return item


def instance_keywords(instance: ResultInstance) -> dict[str, Any]:
    """Return the keyword arguments that every SOP class of highdicom takes for series, instance, equipment and time."""
    return {
        "series_instance_uid": instance.series_instance_uid,
        "series_number": instance.series_number,
        "sop_instance_uid": instance.sop_instance_uid,
        "instance_number": 1,
        "manufacturer": instance.equipment.manufacturer,
        "manufacturer_model_name": instance.equipment.model_name,
        "software_versions": instance.equipment.software_version,
        "device_serial_number": instance.equipment.device_serial_number,
        "series_description": instance.series_description,
        "content_date": instance.content_date,
        "content_time": instance.content_time,
        "series_date": instance.content_date,
        "series_time": instance.content_time,
    }


def settle(
    dataset: Dataset, source: SourceSeries, instance: ResultInstance, algorithms: Iterable[AlgorithmIdentity]
) -> None:
    """Replace in `dataset` what depends on the present moment, restore what the source set aside, name the equipment.

    Contributing Equipment Sequence (PS3.3 C.12.1): the scanner where the source names it, our device, and one item
    for each algorithm under our device's name, as IHE AI Results asks for.
    """
    if source.headers[0].get("SpecificCharacterSet"):
        dataset.SpecificCharacterSet = source.headers[0].SpecificCharacterSet
    for element in source.set_aside:
        dataset.add(element)
    dataset.InstanceCreationDate = instance.content_date
    dataset.InstanceCreationTime = instance.content_time
    scanners = [
        item
        for item in dataset.get("ContributingEquipmentSequence", ())
        if item.PurposeOfReferenceCodeSequence[0].CodeValue == _ACQUISITION_EQUIPMENT
    ]
    ours = [_contribution(instance.equipment, algorithm) for algorithm in dict.fromkeys((None, *algorithms))]
    dataset.ContributingEquipmentSequence = [*scanners, *ours]


def _contribution(equipment: Equipment, algorithm: AlgorithmIdentity | None) -> Dataset:
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [code_item(codes.PROCESSING_EQUIPMENT)]
    item.Manufacturer = equipment.manufacturer
    item.ManufacturerModelName = equipment.model_name
    item.DeviceSerialNumber = equipment.device_serial_number
    item.SoftwareVersions = equipment.software_version
    item.DeviceUID = equipment.device_uid
    if algorithm is not None:
        item.SoftwareVersions = [equipment.software_version, algorithm.version]
        item.ContributionDescription = f"Algorithm {algorithm.name}"
    return item


def processing_models(header: Dataset) -> Iterator[str]:
    """Yield the model names of the equipment that made a composite instance, its processing equipment included."""
    if header.get("ManufacturerModelName"):
        yield str(header.ManufacturerModelName)
    for item in header.get("ContributingEquipmentSequence", ()):
        purposes = item.get("PurposeOfReferenceCodeSequence", ())
        if any(purpose.get("CodeValue") == codes.PROCESSING_EQUIPMENT.value for purpose in purposes):
            yield str(item.get("ManufacturerModelName", ""))


def to_bytes(dataset: Dataset) -> bytes:
    """Return the DICOM file (PS3.10 7) of a SEG or SR, to be kept and sent as it is."""
    buffer = BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
