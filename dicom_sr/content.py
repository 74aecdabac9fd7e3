"""Content items of an SR document tree (PS3.3 C.17.3), one function for each value type."""

from collections.abc import Sequence
from enum import Enum

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.valuerep import format_number_as_ds

from dicom_sr import codes
from dicom_sr.items import EncodedItem, code_item, item
from dicom_sr.reported import Measurement


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


def container(concept: Code, items: Sequence[EncodedItem], template: str | None = None) -> EncodedItem:
    """Return a CONTAINER; `template` is the TID (PS3.16) that it follows."""
    identification = {"ContentTemplateSequence": [template_item(template)]} if template is not None else {}
    return item(
        RelationshipType=Relationship.CONTAINS.value,
        ValueType="CONTAINER",
        ConceptNameCodeSequence=[code_item(concept)],
        ContinuityOfContent="SEPARATE",
        ContentSequence=list(items),
        **identification,
    )


def template_item(template: str) -> EncodedItem:
    """Return an item of Content Template Sequence (PS3.3 C.18.8.1.2)."""
    return item(MappingResource="DCMR", TemplateIdentifier=template)


def code(relationship: Relationship, concept: Code, value: Code) -> EncodedItem:
    """Return a CODE."""
    return item(
        RelationshipType=relationship.value,
        ValueType="CODE",
        ConceptNameCodeSequence=[code_item(concept)],
        ConceptCodeSequence=[code_item(value)],
    )


def text(relationship: Relationship, concept: Code, value: str) -> EncodedItem:
    """Return a TEXT."""
    return item(
        RelationshipType=relationship.value,
        ValueType="TEXT",
        ConceptNameCodeSequence=[code_item(concept)],
        TextValue=value,
    )


def uid(relationship: Relationship, concept: Code, value: str) -> EncodedItem:
    """Return a UIDREF."""
    return item(
        RelationshipType=relationship.value, ValueType="UIDREF", ConceptNameCodeSequence=[code_item(concept)], UID=value
    )


def image(concept: Code, instance: Dataset, segment_number: int | None = None) -> EncodedItem:
    """Return an IMAGE that refers to an instance, or to a segment of it (PS3.3 C.18.4)."""
    segment = {} if segment_number is None else {"ReferencedSegmentNumber": segment_number}
    reference = item(
        ReferencedSOPClassUID=instance.SOPClassUID, ReferencedSOPInstanceUID=instance.SOPInstanceUID, **segment
    )
    return item(
        RelationshipType=Relationship.CONTAINS.value,
        ValueType="IMAGE",
        ConceptNameCodeSequence=[code_item(concept)],
        ReferencedSOPSequence=[reference],
    )


def number(measurement: Measurement) -> EncodedItem:
    """Return a NUM (PS3.3 C.18.1, TID 300) under its modifiers, method and derivation.

    Floating Point Value is there where the decimal string cannot hold the value exactly.
    """
    exact = float(measurement.value)
    decimal = format_number_as_ds(exact)
    floating = {} if float(decimal) == exact else {"FloatingPointValue": exact}
    measured = item(NumericValue=decimal, MeasurementUnitsCodeSequence=[code_item(measurement.unit)], **floating)
    qualifiers = [(modifier.concept, modifier.value) for modifier in measurement.modifiers]
    if measurement.method is not None:
        qualifiers.append((codes.MEASUREMENT_METHOD, measurement.method))
    if measurement.derivation is not None:
        qualifiers.append((codes.DERIVATION, measurement.derivation))
    below = [code(Relationship.HAS_CONCEPT_MOD, concept, value) for concept, value in qualifiers]
    return item(
        RelationshipType=Relationship.CONTAINS.value,
        ValueType="NUM",
        ConceptNameCodeSequence=[code_item(measurement.concept)],
        MeasuredValueSequence=[measured],
        **({"ContentSequence": below} if below else {}),
    )
