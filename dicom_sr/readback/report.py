"""Read a report back: groups, measurements, evaluations, remarks, evidence (PS3.16 TID 1500)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from dicom_sr import codes
from dicom_sr.errors import InvalidObject
from dicom_sr.readback.elements import Item, sequence
from dicom_sr.reported import Evaluation, Measurement, Modifier, ReportForm

_FORMS: Mapping[str, ReportForm] = MappingProxyType(
    {
        Comprehensive3DSRStorage: ReportForm.COMPREHENSIVE_3D,
        ComprehensiveSRStorage: ReportForm.COMPREHENSIVE,
        EnhancedSRStorage: ReportForm.ENHANCED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGroup:
    """A measurement group. `segment_number` and `segmentation_uid` are None in a group about no segment."""

    tracking_id: str
    tracking_uid: str
    finding: Code | None
    finding_sites: tuple[Code, ...]
    method: Code | None
    segment_number: int | None
    segmentation_uid: str | None
    measurements: tuple[Measurement, ...]
    evaluations: tuple[Evaluation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadReport:
    """An SR: its groups, evaluations and remarks in order, and the SOP Instance UIDs of its evidence."""

    form: ReportForm
    groups: tuple[ReadGroup, ...]
    evaluations: tuple[Evaluation, ...]
    remarks: tuple[str, ...]
    evidence: frozenset[str]


def read_report(dataset: Dataset) -> ReadReport:
    """Read an SR of TID 1500. Raises InvalidObject for another class or template, or a group without tracking."""
    form = _FORMS.get(str(dataset.get("SOPClassUID")))
    template = sequence(dataset, "ContentTemplateSequence")
    if form is None or not template or template[0].text("TemplateIdentifier") != "1500":
        raise InvalidObject("not a report of TID 1500")
    tree = sequence(dataset, "ContentSequence")
    overall = [item for container in _named(tree, codes.QUALITATIVE_EVALUATIONS) for item in _below(container)]
    groups = tuple(
        _read_group(group)
        for measurements in _named(tree, codes.IMAGING_MEASUREMENTS)
        for group in _named(_below(measurements), codes.MEASUREMENT_GROUP)
    )
    return ReadReport(
        form=form,
        groups=groups,
        evaluations=_evaluations(overall),
        remarks=tuple(remark.text("TextValue") for remark in _named(overall, codes.COMMENT)),
        evidence=frozenset(
            instance.text("ReferencedSOPInstanceUID")
            for study in sequence(dataset, "CurrentRequestedProcedureEvidenceSequence")
            for series in study.items("ReferencedSeriesSequence")
            for instance in series.items("ReferencedSOPSequence")
        ),
    )


def _read_group(group: Item) -> ReadGroup:
    items = _below(group)
    segment = next(_named(items, codes.REFERENCED_SEGMENT), None)
    reference = None if segment is None else segment.first("ReferencedSOPSequence")
    identifier = next(_named(items, codes.TRACKING_IDENTIFIER), None)
    unique = next(_named(items, codes.TRACKING_UNIQUE_IDENTIFIER), None)
    if identifier is None or unique is None:
        raise InvalidObject("a measurement group lacks its tracking identifiers")
    return ReadGroup(
        tracking_id=identifier.text("TextValue"),
        tracking_uid=unique.text("UID"),
        finding=_coded(items, codes.FINDING),
        finding_sites=tuple(site.code("ConceptCodeSequence") for site in _named(items, codes.FINDING_SITE)),
        method=_coded(items, codes.MEASUREMENT_METHOD),
        segment_number=None if reference is None else reference.integer("ReferencedSegmentNumber"),
        segmentation_uid=None if reference is None else reference.text("ReferencedSOPInstanceUID"),
        measurements=tuple(_read_number(item) for item in items if item.text("ValueType") == "NUM"),
        evaluations=_evaluations(items),
    )


def _read_number(number: Item) -> Measurement:
    measured = number.first("MeasuredValueSequence")
    exact = "FloatingPointValue" in measured
    derivation = method = None
    modifiers = []
    for qualifier in _below(number):
        if qualifier.text("ValueType") != "CODE" or qualifier.text("RelationshipType") != "HAS CONCEPT MOD":
            continue
        value = qualifier.code("ConceptCodeSequence")
        if _is(qualifier, codes.DERIVATION):
            derivation = value
        elif _is(qualifier, codes.MEASUREMENT_METHOD):
            method = value
        else:
            modifiers.append(Modifier(concept=qualifier.code("ConceptNameCodeSequence"), value=value))
    return Measurement(
        concept=number.code("ConceptNameCodeSequence"),
        value=measured.double("FloatingPointValue") if exact else measured.decimals("NumericValue", 1)[0],
        unit=measured.code("MeasurementUnitsCodeSequence"),
        derivation=derivation,
        method=method,
        modifiers=tuple(modifiers),
    )


def _evaluations(items: list[Item]) -> tuple[Evaluation, ...]:
    """Return what is CONTAINed as a code and is not the finding of a group."""
    return tuple(
        Evaluation(concept=item.code("ConceptNameCodeSequence"), value=item.code("ConceptCodeSequence"))
        for item in items
        if item.text("ValueType") == "CODE"
        and item.text("RelationshipType") == "CONTAINS"
        and not _is(item, codes.FINDING)
    )


def _below(item: Item) -> list[Item]:
    return item.items("ContentSequence")


def _is(item: Item, concept: Code) -> bool:
    name = item.first("ConceptNameCodeSequence")
    return (name.text("CodeValue"), name.text("CodingSchemeDesignator")) == (concept.value, concept.scheme_designator)


def _named(items: list[Item], concept: Code) -> Iterator[Item]:
    return (item for item in items if "ConceptNameCodeSequence" in item and _is(item, concept))


def _coded(items: list[Item], concept: Code) -> Code | None:
    found = next(_named(items, concept), None)
    return None if found is None else found.code("ConceptCodeSequence")
