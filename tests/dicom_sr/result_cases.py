"""Real source series, and a synthetic label map to lie on them."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers import SHARED, missing
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_sr import (
    AlgorithmIdentity,
    CIELab,
    Equipment,
    FrameReference,
    MeasuredSegment,
    Measurement,
    ReportContent,
    ResultIdentity,
    ResultInstance,
    SegmentSpec,
    SourceSeries,
    Totals,
    build_report,
    build_segmentation,
    codes,
)

IDENTITY = ResultIdentity(series_digest="s", bundle_digest="b", settings_digest="t", software_version="1.2.3")
ALGORITHM = AlgorithmIdentity(name="cspine-ensemble", version="2026.1")
EQUIPMENT = Equipment(
    manufacturer="cspine-node project",
    model_name="cspine-node",
    software_version="1.2.3",
    device_serial_number="1",
    device_uid=IDENTITY.device_uid(),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A source series with a label map of ellipsoids, `(slices, rows, columns)`, and what is said about it."""

    source: SourceSeries
    labels: NDArray[np.uint16]
    segments: tuple[SegmentSpec, ...]
    report: ReportContent

    def segmentation(self) -> Dataset:
        return build_segmentation(
            source=self.source, labels=self.labels, segments=self.segments, instance=result_instance("seg")
        )

    def sr(self, segmentation: Dataset) -> Dataset:
        return build_report(
            source=self.source, segmentation=segmentation, report=self.report, instance=result_instance("sr")
        )


def result_instance(kind: str) -> ResultInstance:
    return ResultInstance(
        series_instance_uid=IDENTITY.uid(kind, "series"),
        sop_instance_uid=IDENTITY.uid(kind, "instance"),
        series_number={"seg": 901, "sr": 902}[kind],
        series_description={"seg": "Cervical spine segmentation", "sr": "Cervical spine measurements"}[kind],
        content_datetime=datetime(2020, 1, 2, 10, 11, 12),  # noqa: DTZ001
        equipment=EQUIPMENT,
    )


def ellipsoids(shape: tuple[int, int, int], count: int) -> NDArray[np.uint16]:
    """Return `count` ellipsoids down the rows, the slices at both ends left empty."""
    slices, rows, columns = shape
    grid = np.indices(shape, dtype=np.float64)
    labels = np.zeros(shape, dtype=np.uint16)
    pitch = rows / (count + 1)
    for number in range(1, count + 1):
        centre = ((slices - 1) / 2, pitch * number, columns / 2 + number)
        radii = (slices / 2 - 1.2, pitch * 0.45, columns / 6)
        distance = sum(((grid[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3))
        labels[distance <= 1] = number
    return labels


def segment_specs(count: int) -> tuple[SegmentSpec, ...]:
    kinds = (("Body", codes.VERTEBRAL_BODY), ("Disc", codes.INTERVERTEBRAL_DISC))
    return tuple(
        SegmentSpec(
            number=number,
            label=f"{kinds[number % 2][0]} {number}",
            property_type=kinds[number % 2][1],
            color=CIELab(lightness=60.0, a=30.0, b=-40.0 + number),
            tracking_id=f"{kinds[number % 2][0]} {number}",
            tracking_uid=IDENTITY.uid("tracking", str(number)),
            algorithm=ALGORITHM,
            anatomic_region=codes.CERVICAL_SPINE,
        )
        for number in range(1, count + 1)
    )


def make_case(source: SourceSeries, count: int) -> Case:
    labels = ellipsoids(source.shape, count)
    voxel_mm3 = float(np.prod(source.pixel_spacing_mm)) * float(source.headers[0].get("SpacingBetweenSlices") or 1.0)
    volumes = [float(np.count_nonzero(labels == number)) * voxel_mm3 for number in range(1, count + 1)]
    segments = segment_specs(count)
    measured = tuple(
        MeasuredSegment(
            segment=segment,
            finding=segment.property_type,
            finding_site=codes.CERVICAL_SPINE,
            method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES,
            measurements=(Measurement(concept=codes.VOLUME, value=volume, unit=codes.MM3),),
        )
        for segment, volume in zip(segments, volumes, strict=True)
    )
    totals = Totals(
        tracking_id="Vertebral bodies",
        tracking_uid=IDENTITY.uid("tracking", "bodies"),
        finding=codes.VERTEBRAL_BODY,
        finding_site=codes.CERVICAL_SPINE,
        method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES,
        algorithm=ALGORITHM,
        measurements=(Measurement(concept=codes.VOLUME, value=sum(volumes), unit=codes.MM3, derivation=codes.TOTAL),),
    )
    report = ReportContent(segments=measured, totals=(totals,), remarks=("For research use only.",))
    return Case(source=source, labels=labels, segments=segments, report=report)


def in_order(paths: list[Path]) -> list[FrameReference]:
    """Return single-frame instances by position along the slice normal."""
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    cosines = np.array(headers[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    headers.sort(key=lambda header: float(normal @ np.array(header.ImagePositionPatient, dtype=float)))
    return [FrameReference(sop_instance_uid=str(header.SOPInstanceUID)) for header in headers]


def shared_files(*parts: str) -> list[Path]:
    folder = SHARED.joinpath("data", *parts)
    if not folder.exists():
        missing(f"../shared/data/{'/'.join(parts)}")
    return sorted(folder.glob("*.dcm"))


def altered(files: list[Path], folder: Path, alter: Callable[[int, Dataset], None]) -> list[Path]:
    """Write copies of the files, each changed by `alter(place, header)`."""
    paths = []
    for place, path in enumerate(files):
        header = dcmread(path)
        alter(place, header)
        header.save_as(folder / path.name)
        paths.append(folder / path.name)
    return paths


def nothing_found(case: Case) -> Dataset:
    return build_report(
        source=case.source,
        segmentation=None,
        report=ReportContent(remarks=("No vertebral body and no intervertebral disc was found.",)),
        instance=result_instance("sr"),
    )
