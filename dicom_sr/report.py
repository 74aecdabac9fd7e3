"""Write measurements as a Comprehensive 3D SR (PS3.3 A.35.13) that follows TID 1500 Measurement Report (PS3.16).

    Imaging Measurement Report                                  TID 1500
    ├── language, device observer, procedure reported           TID 1204, 1002, 1004
    ├── Image Library: the source images                        TID 1600, 1602
    ├── Imaging Measurements
    │   ├── Measurement Group for each segment                  TID 1411, 1419, 4019, 300
    │   └── Measurement Group for each total                    TID 1501, 4019, 300
    └── Qualitative Evaluations: remarks

Imaging Measurements and Qualitative Evaluations are left out where they would be empty; TID 1500 asks for one of them.

The content tree is written directly: the descriptors that all source images share stand once, on the Image Library
Group, and a group names its source series rather than each image again.
"""

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from dicom_sr import codes, content
from dicom_sr.content import Relationship
from dicom_sr.equipment import instance_keywords, settle
from dicom_sr.errors import InvalidResult
from dicom_sr.model import AlgorithmIdentity, Equipment, MeasuredSegment, ReportContent, ResultInstance, Totals
from dicom_sr.source import SourceSeries


def build_report(
    *, source: SourceSeries, segmentation: Dataset | None, report: ReportContent, instance: ResultInstance
) -> Dataset:
    """Return the SR, complete and unverified.

    `segmentation` is the SEG that the measured segments lie in, None when nothing was found. Raises InvalidResult when
    it does not hold a segment of the report under the same Tracking UID.
    """
    _check(segmentation, report)
    evidence = [*source.headers, *([segmentation] if segmentation is not None else [])]
    dataset = hd.sr.Comprehensive3DSR(
        evidence=evidence,
        content=_root(source, segmentation, report, instance.equipment),
        is_complete=True,
        is_final=False,
        is_verified=False,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        specific_character_set=None,
        **instance_keywords(instance),
    )
    algorithms = [measured.segment.algorithm for measured in report.segments]
    algorithms += [totals.algorithm for totals in report.totals]
    settle(dataset, source, instance, algorithms)
    return dataset


def _check(segmentation: Dataset | None, report: ReportContent) -> None:
    described = segmentation.SegmentSequence if segmentation is not None else ()
    tracking_uids = {int(item.SegmentNumber): str(item.TrackingUID) for item in described}
    for measured in report.segments:
        segment = measured.segment
        if tracking_uids.get(segment.number) != segment.tracking_uid:
            raise InvalidResult(f"segment {segment.number} of the report is not in the segmentation")


def _root(source: SourceSeries, segmentation: Dataset | None, report: ReportContent, equipment: Equipment) -> Dataset:
    items = [
        content.code(Relationship.HAS_CONCEPT_MOD, codes.LANGUAGE, codes.ENGLISH),
        *_observer(equipment),
        content.code(Relationship.HAS_CONCEPT_MOD, codes.PROCEDURE_REPORTED, report.procedure_reported),
        _image_library(source, report),
    ]
    groups = [_segment_group(source, segmentation, measured) for measured in report.segments if segmentation]
    groups += [_totals_group(totals) for totals in report.totals]
    if groups:
        items.append(content.container(codes.IMAGING_MEASUREMENTS, groups))
    if report.remarks:
        remarks = [content.text(Relationship.CONTAINS, codes.COMMENT, remark) for remark in report.remarks]
        items.append(content.container(codes.QUALITATIVE_EVALUATIONS, remarks))
    return content.container(codes.IMAGING_MEASUREMENT_REPORT, items, template="1500", root=True)


def _observer(equipment: Equipment) -> list[Dataset]:
    observer = Relationship.HAS_OBS_CONTEXT
    return [
        content.code(observer, codes.OBSERVER_TYPE, codes.DEVICE),
        content.uid(observer, codes.DEVICE_OBSERVER_UID, equipment.device_uid),
        content.text(observer, codes.DEVICE_OBSERVER_NAME, equipment.model_name),
        content.text(observer, codes.DEVICE_OBSERVER_MANUFACTURER, equipment.manufacturer),
        content.text(observer, codes.DEVICE_OBSERVER_MODEL_NAME, equipment.model_name),
        content.text(observer, codes.DEVICE_OBSERVER_SERIAL_NUMBER, equipment.device_serial_number),
    ]


def _image_library(source: SourceSeries, report: ReportContent) -> Dataset:
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


def _segment_group(source: SourceSeries, segmentation: Dataset, measured: MeasuredSegment) -> Dataset:
    segment = measured.segment
    items = [
        *_tracking(segment.tracking_id, segment.tracking_uid),
        content.code(Relationship.CONTAINS, codes.FINDING, measured.finding),
        content.image(codes.REFERENCED_SEGMENT, segmentation, segment.number),
        content.uid(Relationship.CONTAINS, codes.SOURCE_SERIES_FOR_SEGMENTATION, source.headers[0].SeriesInstanceUID),
        *_qualifiers(measured, segment.algorithm),
        *(content.number(measurement, codes.DERIVATION) for measurement in measured.measurements),
    ]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1411")


def _totals_group(totals: Totals) -> Dataset:
    items = [
        *_tracking(totals.tracking_id, totals.tracking_uid),
        content.code(Relationship.CONTAINS, codes.FINDING, totals.finding),
        *_qualifiers(totals, totals.algorithm),
        *(content.number(measurement, codes.DERIVATION) for measurement in totals.measurements),
    ]
    return content.container(codes.MEASUREMENT_GROUP, items, template="1501")


def _tracking(identifier: str, tracking_uid: str) -> list[Dataset]:
    return [
        content.text(Relationship.HAS_OBS_CONTEXT, codes.TRACKING_IDENTIFIER, identifier),
        content.uid(Relationship.HAS_OBS_CONTEXT, codes.TRACKING_UNIQUE_IDENTIFIER, tracking_uid),
    ]


def _qualifiers(group: MeasuredSegment | Totals, algorithm: AlgorithmIdentity) -> list[Dataset]:
    qualifier = Relationship.HAS_CONCEPT_MOD
    items = [content.code(qualifier, codes.MEASUREMENT_METHOD, group.method)]
    if group.finding_site is not None:
        items.append(content.code(qualifier, codes.FINDING_SITE, group.finding_site))
    return [
        *items,
        content.text(qualifier, codes.ALGORITHM_NAME, algorithm.name),
        content.text(qualifier, codes.ALGORITHM_VERSION, algorithm.version),
    ]
