"""Write measurements as a Structured Report that follows TID 1500 Measurement Report (PS3.16).

    Imaging Measurement Report                                  TID 1500
    ├── language, device observer, procedure reported           TID 1204, 1002, 1004
    ├── Image Library: the source images                        TID 1600, 1602
    ├── Imaging Measurements
    │   ├── Measurement Group for each segment                  TID 1411, 1419, 4019, 300
    │   └── Measurement Group for what is about no segment      TID 1501, 4019, 300
    └── Qualitative Evaluations: of the series, and remarks

Imaging Measurements and Qualitative Evaluations are left out where they would be empty; TID 1500 asks for one of them.

The descriptors that all source images share stand once, on the Image Library Group, and a group names its source series
rather than each image again. The tree holds nothing that Enhanced SR does not allow (PS3.3 A.35.2.3.1.2), so that it is
the same in all three storage classes.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import Comprehensive3DSRStorage, ComprehensiveSRStorage, EnhancedSRStorage

from dicom_sr import codes, content
from dicom_sr.composite import CompositeClass, new_composite, seal
from dicom_sr.content import Relationship
from dicom_sr.errors import InvalidResult
from dicom_sr.items import EncodedItem, attach, code_item, item
from dicom_sr.model import AlgorithmIdentity, Equipment, ResultInstance
from dicom_sr.reported import Evaluation, MeasuredSegment, MeasurementGroup, ReportContent, ReportForm
from dicom_sr.source import SourceSeries

_STORAGE_CLASSES: Mapping[ReportForm, CompositeClass] = MappingProxyType(
    {
        ReportForm.COMPREHENSIVE_3D: CompositeClass(uid=Comprehensive3DSRStorage, modality="SR"),
        ReportForm.COMPREHENSIVE: CompositeClass(uid=ComprehensiveSRStorage, modality="SR"),
        ReportForm.ENHANCED: CompositeClass(uid=EnhancedSRStorage, modality="SR"),
    }
)


def build_report(
    *,
    source: SourceSeries,
    segmentation: Dataset | None,
    report: ReportContent,
    instance: ResultInstance,
    form: ReportForm = ReportForm.COMPREHENSIVE_3D,
) -> Dataset:
    """Return the SR, complete and unverified.

    `segmentation` is the SEG that the measured segments lie in, None when nothing was found. Raises InvalidResult when
    it does not hold a segment of the report under the same Tracking UID.
    """
    _check(segmentation, report)
    dataset = new_composite(source, instance, _STORAGE_CLASSES[form])
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.PreliminaryFlag = "PRELIMINARY"
    attach(dataset, "ReferencedPerformedProcedureStepSequence", ())
    attach(dataset, "PerformedProcedureCodeSequence", ())
    attach(dataset, "CurrentRequestedProcedureEvidenceSequence", [_evidence(source, segmentation)])
    dataset.ValueType = "CONTAINER"
    dataset.ContinuityOfContent = "SEPARATE"
    attach(dataset, "ConceptNameCodeSequence", [code_item(codes.IMAGING_MEASUREMENT_REPORT)])
    attach(dataset, "ContentTemplateSequence", [content.template_item("1500")])
    attach(dataset, "ContentSequence", _root(source, segmentation, report, instance.equipment))
    algorithms = [measured.segment.algorithm for measured in report.segments]
    algorithms += [group.algorithm for group in report.groups]
    seal(dataset, source, instance, algorithms)
    return dataset


def _check(segmentation: Dataset | None, report: ReportContent) -> None:
    described = segmentation.SegmentSequence if segmentation is not None and report.segments else ()
    tracking_uids = {int(segment.SegmentNumber): segment.get("TrackingUID") for segment in described}
    for measured in report.segments:
        segment = measured.segment
        if tracking_uids.get(segment.number) != segment.tracking_uid:
            raise InvalidResult(f"segment {segment.number} of the report is not in the segmentation")


def _evidence(source: SourceSeries, segmentation: Dataset | None) -> EncodedItem:
    """Return the study's item of Current Requested Procedure Evidence Sequence (PS3.3 C.17.2.3)."""
    series = [_evidence_of_series(source.headers)]
    if segmentation is not None:
        series.append(_evidence_of_series([segmentation]))
    return item(ReferencedSeriesSequence=series, StudyInstanceUID=source.headers[0].StudyInstanceUID)


def _evidence_of_series(instances: Iterable[Dataset]) -> EncodedItem:
    listed = list(instances)
    references = [
        item(ReferencedSOPClassUID=instance.SOPClassUID, ReferencedSOPInstanceUID=instance.SOPInstanceUID)
        for instance in listed
    ]
    return item(ReferencedSOPSequence=references, SeriesInstanceUID=listed[0].SeriesInstanceUID)


def _root(
    source: SourceSeries, segmentation: Dataset | None, report: ReportContent, equipment: Equipment
) -> list[EncodedItem]:
    items = [
        content.code(Relationship.HAS_CONCEPT_MOD, codes.LANGUAGE, codes.ENGLISH),
        *_observer(equipment),
        content.code(Relationship.HAS_CONCEPT_MOD, codes.PROCEDURE_REPORTED, report.procedure_reported),
        _image_library(source, report),
    ]
    groups: list[EncodedItem] = []
    if segmentation is not None:
        groups += [_segment_group(source, segmentation, measured) for measured in report.segments]
    groups += [_group(group) for group in report.groups]
    if groups:
        items.append(content.container(codes.IMAGING_MEASUREMENTS, groups))
    overall = _evaluations(report.evaluations)
    overall += [content.text(Relationship.CONTAINS, codes.COMMENT, remark) for remark in report.remarks]
    if overall:
        items.append(content.container(codes.QUALITATIVE_EVALUATIONS, overall))
    return items


def _observer(equipment: Equipment) -> list[EncodedItem]:
    observer = Relationship.HAS_OBS_CONTEXT
    return [
        content.code(observer, codes.OBSERVER_TYPE, codes.DEVICE),
        content.uid(observer, codes.DEVICE_OBSERVER_UID, equipment.device_uid),
        content.text(observer, codes.DEVICE_OBSERVER_NAME, equipment.model_name),
        content.text(observer, codes.DEVICE_OBSERVER_MANUFACTURER, equipment.manufacturer),
        content.text(observer, codes.DEVICE_OBSERVER_MODEL_NAME, equipment.model_name),
        content.text(observer, codes.DEVICE_OBSERVER_SERIAL_NUMBER, equipment.device_serial_number),
    ]


def _image_library(source: SourceSeries, report: ReportContent) -> EncodedItem:
    acquisition = Relationship.HAS_ACQ_CONTEXT
    group = content.container(
        codes.IMAGE_LIBRARY_GROUP,
        [
            content.code(acquisition, codes.MODALITY, codes.MAGNETIC_RESONANCE),
            content.code(acquisition, codes.TARGET_REGION, report.target_region),
            content.uid(acquisition, codes.FRAME_OF_REFERENCE_UID, source.headers[0].FrameOfReferenceUID),
            *(content.image(codes.SOURCE, header) for header in source.headers),
        ],
    )
    return content.container(codes.IMAGE_LIBRARY, [group], template="1600")


def _segment_group(source: SourceSeries, segmentation: Dataset, measured: MeasuredSegment) -> EncodedItem:
    segment = measured.segment
    items = [
        *_tracking(segment.tracking_id, segment.tracking_uid),
        content.code(Relationship.CONTAINS, codes.FINDING, measured.finding),
        content.image(codes.REFERENCED_SEGMENT, segmentation, segment.number),
        content.uid(Relationship.CONTAINS, codes.SOURCE_SERIES_FOR_SEGMENTATION, source.headers[0].SeriesInstanceUID),
        *_qualifiers(measured.method, measured.finding_sites, segment.algorithm),
        *(content.number(measurement) for measurement in measured.measurements),
        *_evaluations(measured.evaluations),
    ]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1411")


def _group(group: MeasurementGroup) -> EncodedItem:
    finding = [] if group.finding is None else [content.code(Relationship.CONTAINS, codes.FINDING, group.finding)]
    items = [
        *_tracking(group.tracking_id, group.tracking_uid),
        *finding,
        *_qualifiers(group.method, group.finding_sites, group.algorithm),
        *(content.number(measurement) for measurement in group.measurements),
        *_evaluations(group.evaluations),
    ]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1501")


def _tracking(identifier: str, tracking_uid: str) -> list[EncodedItem]:
    return [
        content.text(Relationship.HAS_OBS_CONTEXT, codes.TRACKING_IDENTIFIER, identifier),
        content.uid(Relationship.HAS_OBS_CONTEXT, codes.TRACKING_UNIQUE_IDENTIFIER, tracking_uid),
    ]


def _qualifiers(
    method: Code | None, finding_sites: tuple[Code, ...], algorithm: AlgorithmIdentity | None
) -> list[EncodedItem]:
    qualifier = Relationship.HAS_CONCEPT_MOD
    items = [] if method is None else [content.code(qualifier, codes.MEASUREMENT_METHOD, method)]
    items += [content.code(qualifier, codes.FINDING_SITE, site) for site in finding_sites]
    if algorithm is not None:
        items.append(content.text(qualifier, codes.ALGORITHM_NAME, algorithm.name))
        items.append(content.text(qualifier, codes.ALGORITHM_VERSION, algorithm.version))
    return items


def _evaluations(evaluations: tuple[Evaluation, ...]) -> list[EncodedItem]:
    return [content.code(Relationship.CONTAINS, evaluation.concept, evaluation.value) for evaluation in evaluations]
