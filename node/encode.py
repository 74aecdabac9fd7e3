"""Findings as DICOM objects: a SEG with one segment a structure, and a TID 1500 report about them.

Every object is read back before it leaves, and compared with the findings voxel by voxel and volume by volume.
"""

import io
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset

import dicom_sr
from dicom_sr import codes
from node.domain.anatomy import StructureKind, colour
from node.domain.case import EncodedObject, ObjectKind, ResultKey
from node.domain.findings import Algorithm, Findings, Structure
from node.domain.geometry import Volume
from node.domain.product import MANUFACTURER, MODEL_NAME
from node.domain.series import Series
from node.errors import EncodingError, unexpected

_NOTHING_FOUND = "No vertebral body and no intervertebral disc was found."

_CODES = {
    StructureKind.VERTEBRAL_BODY: codes.VERTEBRAL_BODY,
    StructureKind.INTERVERTEBRAL_DISC: codes.INTERVERTEBRAL_DISC,
}
_NAMES = {
    StructureKind.VERTEBRAL_BODY: "Vertebral body",
    StructureKind.INTERVERTEBRAL_DISC: "Intervertebral disc",
}

#: Series numbers of the results: high, so that a viewer lists them after the acquired series.
_SERIES_NUMBER = {ObjectKind.SEGMENTATION: 9001, ObjectKind.REPORT: 9002}
_DESCRIPTION = {
    ObjectKind.SEGMENTATION: "Cervical spine segmentation",
    ObjectKind.REPORT: "Cervical spine measurements",
}

#: How far a place or a direction may change by being written as decimal text (VR DS, 16 characters).
_PLACE_MM = 1e-3
_COSINE = 1e-5

#: A date for a series that carries none: nothing of the present moment enters a result.
_NO_DATE = datetime(1900, 1, 1)  # noqa: DTZ001 - DICOM dates of the source carry no time zone


def encode(series: Series, volume: Volume, findings: Findings, key: ResultKey) -> tuple[EncodedObject, ...]:
    """Return the SEG, unless nothing was found, and the SR. The same input gives the same bytes.

    Raises EncodingError when the source cannot carry results, or when an object does not say what was found.
    """
    identity = dicom_sr.ResultIdentity(
        series_digest=key.content_digest,
        bundle_digest=key.bundle_digest,
        settings_digest=key.settings_digest,
        software_version=key.software_version,
    )
    slices = [
        dicom_sr.FrameReference(sop_instance_uid=source.sop_instance_uid, frame_number=source.frame_number)
        for source in volume.sources
    ]
    paths = sorted({frame.path for frame in series.frames})
    try:
        source = dicom_sr.SourceSeries.from_files(paths, slices)
        segments = [_segment(structure, findings.algorithm, identity) for structure in findings.structures]
        segmentation = None
        if segments:
            segmentation = dicom_sr.build_segmentation(
                source=source,
                labels=findings.labels,
                segments=segments,
                instance=_instance(ObjectKind.SEGMENTATION, source, findings, identity),
            )
        report = dicom_sr.build_report(
            source=source,
            segmentation=segmentation,
            report=_content(findings, segments, identity),
            instance=_instance(ObjectKind.REPORT, source, findings, identity),
        )
        made = [(ObjectKind.SEGMENTATION, segmentation), (ObjectKind.REPORT, report)]
        objects = tuple(_encoded(kind, dataset) for kind, dataset in made if dataset is not None)
        _prove(objects, source, findings)
    except dicom_sr.DicomSrError as error:
        raise EncodingError(f"{type(error).__name__}: {error}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # A header that the writers of pydicom or highdicom stumble over; their messages quote its values.
        raise EncodingError(f"the source's header cannot be carried over: {unexpected(error)}") from error
    return objects


def _segment(structure: Structure, algorithm: Algorithm, identity: dicom_sr.ResultIdentity) -> dicom_sr.SegmentSpec:
    name = f"{_NAMES[structure.kind]} {structure.level or structure.ordinal}"
    return dicom_sr.SegmentSpec(
        number=structure.label,
        label=name,
        property_type=_CODES[structure.kind],
        color=dicom_sr.CIELab.from_srgb(*colour(structure.kind, structure.ordinal - 1)),
        tracking_id=name,
        tracking_uid=identity.uid("tracking", str(structure.label)),
        algorithm=_algorithm(algorithm),
        anatomic_region=codes.CERVICAL_SPINE,
    )


def _content(
    findings: Findings, segments: Sequence[dicom_sr.SegmentSpec], identity: dicom_sr.ResultIdentity
) -> dicom_sr.ReportContent:
    """Return a group for each structure with its volume, and one for each kind with the total."""
    measured = tuple(
        dicom_sr.MeasuredSegment(
            segment=segment,
            finding=_CODES[structure.kind],
            finding_site=codes.CERVICAL_SPINE,
            method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES,
            measurements=(dicom_sr.Measurement(concept=codes.VOLUME, value=structure.volume_mm3, unit=codes.MM3),),
        )
        for segment, structure in zip(segments, findings.structures, strict=True)
    )
    totals = tuple(
        dicom_sr.Totals(
            tracking_id=f"{_NAMES[kind]} total",
            tracking_uid=identity.uid("tracking", "total", kind.value),
            finding=_CODES[kind],
            finding_site=codes.CERVICAL_SPINE,
            method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES,
            algorithm=_algorithm(findings.algorithm),
            measurements=(
                dicom_sr.Measurement(concept=codes.VOLUME, value=volume, unit=codes.MM3, derivation=codes.TOTAL),
            ),
        )
        for kind, volume in findings.class_volume_mm3.items()
        if volume > 0
    )
    remarks = () if measured else (_NOTHING_FOUND,)
    return dicom_sr.ReportContent(segments=measured, totals=totals, remarks=(*remarks, findings.algorithm.intended_use))


def _instance(
    kind: ObjectKind, source: dicom_sr.SourceSeries, findings: Findings, identity: dicom_sr.ResultIdentity
) -> dicom_sr.ResultInstance:
    return dicom_sr.ResultInstance(
        series_instance_uid=identity.uid(kind.value, "series"),
        sop_instance_uid=identity.uid(kind.value, "instance"),
        series_number=_SERIES_NUMBER[kind],
        series_description=_DESCRIPTION[kind],
        content_datetime=source.acquired_at or _NO_DATE,
        equipment=dicom_sr.Equipment(
            manufacturer=MANUFACTURER,
            model_name=MODEL_NAME,
            software_version=findings.algorithm.version,
            device_serial_number=findings.algorithm.bundle_digest[:16],
            device_uid=identity.device_uid(),
        ),
    )


def _algorithm(algorithm: Algorithm) -> dicom_sr.AlgorithmIdentity:
    return dicom_sr.AlgorithmIdentity(name=algorithm.bundle_name, version=algorithm.bundle_version)


def _encoded(kind: ObjectKind, dataset: Dataset) -> EncodedObject:
    return EncodedObject(
        kind=kind,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        content=dicom_sr.to_bytes(dataset),
    )


def _prove(objects: Sequence[EncodedObject], source: dicom_sr.SourceSeries, findings: Findings) -> None:
    """Read the bytes back and compare them with the findings. Raises EncodingError at the first difference."""
    for made in objects:
        dataset = dcmread(io.BytesIO(made.content))
        if made.kind is ObjectKind.SEGMENTATION:
            _prove_segmentation(dicom_sr.read_segmentation(dataset, source.slices), source, findings)
        else:
            _prove_report(dicom_sr.read_report(dataset), findings)


def _prove_segmentation(read: dicom_sr.ReadSegmentation, source: dicom_sr.SourceSeries, findings: Findings) -> None:
    """Compare labels, and the place of every frame with the place of the image that it refers to."""
    if not np.array_equal(read.labels, findings.labels):
        raise EncodingError("the SEG does not hold the labels that were found")
    placed = ~np.isnan(read.image_positions).any(axis=1)
    same_place = np.allclose(read.image_positions[placed], source.image_positions[placed], rtol=0, atol=_PLACE_MM)
    same_axes = np.allclose(read.image_orientation, source.image_orientation, rtol=0, atol=_COSINE)
    if not (same_place and same_axes and np.allclose(read.pixel_spacing_mm, source.pixel_spacing_mm, rtol=_COSINE)):
        raise EncodingError("the SEG does not lie where its source images lie")


def _prove_report(read: dicom_sr.ReadReport, findings: Findings) -> None:
    """Compare the volume of every structure."""
    written = {
        group.segment_number: measurement.value
        for group in read.groups
        for measurement in group.measurements
        if group.segment_number is not None
    }
    found = {structure.label: structure.volume_mm3 for structure in findings.structures}
    if written.keys() != found.keys() or not np.allclose(
        [written[label] for label in found], list(found.values()), rtol=1e-6
    ):
        raise EncodingError("the SR does not hold the volumes that were measured")
