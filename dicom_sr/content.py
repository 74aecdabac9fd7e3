"""Content items of an SR document tree (PS3.3 C.17.3), one function for each value type."""

from collections.abc import Sequence
from enum import Enum

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import format_number_as_ds

from dicom_sr.equipment import code_item
from dicom_sr.model import Measurement


class Relationship(Enum):
    """How an item relates to the one above it (PS3.3 C.17.3.2.4)."""

    #: The target is part of the source.
    CONTAINS = "CONTAINS"
    #: The source was observed in this context: by whom, about what.
    HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
    #: The source was acquired in this context.
    HAS_ACQ_CONTEXT = "HAS ACQ CONTEXT"
    #: The target qualifies the concept name of the source.
    HAS_CONCEPT_MOD = "HAS CONCEPT MOD"


def container(concept: Code, items: Sequence[Dataset], *, template: str | None = None, root: bool = False) -> Dataset:
    """Return a CONTAINER; `template` is the TID (PS3.16) that it follows, `root` whether it is the document itself."""
    item = Dataset() if root else _item(Relationship.CONTAINS, "CONTAINER", concept)
    if root:
        item.ValueType = "CONTAINER"
        item.ConceptNameCodeSequence = [code_item(concept)]
    item.ContinuityOfContent = "SEPARATE"
    if template is not None:
        identification = Dataset()
        identification.MappingResource = "DCMR"
        identification.TemplateIdentifier = template
        item.ContentTemplateSequence = [identification]
    if items:
        item.ContentSequence = list(items)
    return item


def code(relationship: Relationship, concept: Code, value: Code, items: Sequence[Dataset] = ()) -> Dataset:
    """Return a CODE with the items below it."""
    item = _item(relationship, "CODE", concept)
    item.ConceptCodeSequence = [code_item(value)]
    if items:
        item.ContentSequence = list(items)
    return item


def text(relationship: Relationship, concept: Code, value: str) -> Dataset:
    """Return a TEXT."""
    item = _item(relationship, "TEXT", concept)
    item.TextValue = value
    return item


def uid(relationship: Relationship, concept: Code, value: str) -> Dataset:
    """Return a UIDREF."""
    item = _item(relationship, "UIDREF", concept)
    item.UID = value
    return item


def image(concept: Code, instance: Dataset, segment_number: int | None = None) -> Dataset:
    """Return an IMAGE that refers to an instance, or to a segment of it (PS3.3 C.18.4)."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = instance.SOPClassUID
    reference.ReferencedSOPInstanceUID = instance.SOPInstanceUID
    if segment_number is not None:
        reference.ReferencedSegmentNumber = segment_number
    item = _item(Relationship.CONTAINS, "IMAGE", concept)
    item.ReferencedSOPSequence = [reference]
    return item


def number(measurement: Measurement, derivation_concept: Code) -> Dataset:
    """Return a NUM (PS3.3 C.18.1), with Floating Point Value where the decimal string cannot hold the value exactly."""
    value = Dataset()
    value.NumericValue = format_number_as_ds(float(measurement.value))
    if float(value.NumericValue) != measurement.value:
        value.FloatingPointValue = float(measurement.value)
    value.MeasurementUnitsCodeSequence = [code_item(measurement.unit)]
    item = _item(Relationship.CONTAINS, "NUM", measurement.concept)
    item.MeasuredValueSequence = [value]
    if measurement.derivation is not None:
        item.ContentSequence = [code(Relationship.HAS_CONCEPT_MOD, derivation_concept, measurement.derivation)]
    return item


def _item(relationship: Relationship, value_type: str, concept: Code) -> Dataset:
    item = Dataset()
    item.RelationshipType = relationship.value
    item.ValueType = value_type
    item.ConceptNameCodeSequence = [code_item(concept)]
    return item
