"""The devices that a result names: the scanner, our device, its algorithms (PS3.3 C.7.5.1, C.12.1)."""

from collections.abc import Iterable, Iterator

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_sr import codes
from dicom_sr.model import AlgorithmIdentity, Equipment

#: What the scanner's item takes over from the header of an image.
_SCANNER_ATTRIBUTES = (
    "Manufacturer",
    "InstitutionName",
    "InstitutionAddress",
    "StationName",
    "InstitutionalDepartmentName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)


def contributing_equipment(
    header: Dataset, equipment: Equipment, algorithms: Iterable[AlgorithmIdentity]
) -> list[Dataset]:
    """Return the items of Contributing Equipment Sequence (PS3.3 C.12.1).

    The scanner where the source names it, our device, and one item for each algorithm under our device's name, as IHE
    AI Results asks for; one that ran elsewhere under the name of its source.
    """
    ours = [_contribution(equipment, algorithm) for algorithm in dict.fromkeys((None, *algorithms))]
    return [*_scanner(header), *ours]


def processing_models(header: Dataset) -> Iterator[str]:
    """Yield the model names of the equipment that made a composite instance, its processing equipment included."""
    if header.get("ManufacturerModelName"):
        yield str(header.ManufacturerModelName)
    for contribution in header.get("ContributingEquipmentSequence", ()):
        purposes = contribution.get("PurposeOfReferenceCodeSequence", ())
        if any(purpose.get("CodeValue") == codes.PROCESSING_EQUIPMENT.value for purpose in purposes):
            yield str(contribution.get("ManufacturerModelName", ""))


def _scanner(header: Dataset) -> Iterator[Dataset]:
    if not header.get("Manufacturer"):
        return
    contribution = Dataset()
    for keyword in _SCANNER_ATTRIBUTES:
        if header.get(keyword):
            contribution.add(header[keyword])
    if header.get("AcquisitionDateTime"):
        contribution.ContributionDateTime = header.AcquisitionDateTime
    contribution.ContributionDescription = "Acquisition equipment of the source image(s)"
    contribution.PurposeOfReferenceCodeSequence = [_purpose(codes.ACQUISITION_EQUIPMENT)]
    yield contribution


def _contribution(equipment: Equipment, algorithm: AlgorithmIdentity | None) -> Dataset:
    contribution = Dataset()
    contribution.PurposeOfReferenceCodeSequence = [_purpose(codes.PROCESSING_EQUIPMENT)]
    if algorithm is not None and algorithm.source is not None:
        contribution.Manufacturer = algorithm.source
        contribution.ManufacturerModelName = algorithm.name
        contribution.SoftwareVersions = algorithm.version
        contribution.ContributionDescription = f"Algorithm {algorithm.name}"
        return contribution
    contribution.Manufacturer = equipment.manufacturer
    contribution.ManufacturerModelName = equipment.model_name
    contribution.DeviceSerialNumber = equipment.device_serial_number
    contribution.SoftwareVersions = equipment.software_version
    contribution.DeviceUID = equipment.device_uid
    if algorithm is not None:
        contribution.SoftwareVersions = [equipment.software_version, algorithm.version]
        contribution.ContributionDescription = f"Algorithm {algorithm.name}"
    return contribution


def _purpose(code: Code) -> Dataset:
    purpose = Dataset()
    purpose.CodeValue = code.value
    purpose.CodingSchemeDesignator = code.scheme_designator
    purpose.CodeMeaning = code.meaning
    return purpose
