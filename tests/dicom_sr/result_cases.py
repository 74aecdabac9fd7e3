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
    Evaluation,
    FrameReference,
    KeyImage,
    MeasuredSegment,
    Measurement,
    MeasurementGroup,
    Modifier,
    ReportContent,
    ReportForm,
    ResultIdentity,
    ResultInstance,
    SegmentationForm,
    SegmentSpec,
    SourceSeries,
    build_key_images,
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

    def segmentation(self, form: SegmentationForm = SegmentationForm.BINARY) -> Dataset:
        return build_segmentation(
            source=self.source,
            labels=self.labels,
            segments=self.segments,
            instance=result_instance("seg"),
            form=form,
            fractions=self.fractions() if form is SegmentationForm.FRACTIONAL else None,
        )

    def fractions(self) -> NDArray[np.uint8]:
        """Return 200 of 255 within a segment, 50 in one voxel to the right of it: `(segments, *labels.shape)`."""
        masks = np.stack([self.labels == segment.number for segment in self.segments])
        fractions = np.where(np.roll(masks, 1, axis=-1), 50, 0).astype(np.uint8)
        fractions[masks] = 200
        return fractions

    def sr(self, segmentation: Dataset, form: ReportForm = ReportForm.COMPREHENSIVE_3D) -> Dataset:
        return build_report(
            source=self.source, segmentation=segmentation, report=self.report, instance=result_instance("sr"), form=form
        )

    def key_images(self) -> tuple[Dataset, ...]:
        """Return two pictures, one of odd size."""
        pictures = [
            KeyImage(pixels=np.full((*size, 3), 90, dtype=np.uint8), sources=self.source.slices[place : place + 1])
            for place, size in ((0, (101, 77)), (1, (64, 48)))
        ]
        return build_key_images(
            source=self.source, pictures=pictures, instance=result_instance("key"), algorithms=(ALGORITHM,)
        )


def result_instance(kind: str) -> ResultInstance:
    return ResultInstance(
        series_instance_uid=IDENTITY.uid(kind, "series"),
        sop_instance_uid=IDENTITY.uid(kind, "instance"),
        series_number={"seg": 901, "sr": 902, "key": 903}[kind],
        series_description={
            "seg": "Cervical spine segmentation",
            "sr": "Cervical spine measurements",
            "key": "Cervical spine key images",
        }[kind],
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
            color=CIELab(lightness=60.0, a=30.0, b=-40.0 + number % 100),
            tracking_id=f"{kinds[number % 2][0]} {number}",
            tracking_uid=IDENTITY.uid("tracking", str(number)),
            algorithm=ALGORITHM,
            anatomic_regions=(codes.VERTEBRAE["C3"], codes.VERTEBRAE["C4"]) if number == 2 else (codes.CERVICAL_SPINE,),
        )
        for number in range(1, count + 1)
    )


def make_case(source: SourceSeries, count: int) -> Case:
    labels = ellipsoids(source.shape, count)
    voxel_mm3 = float(np.prod(source.pixel_spacing_mm)) * float(source.planes[0].spacing_between_slices or 1.0)
    volumes = [float(np.count_nonzero(labels == number)) * voxel_mm3 for number in range(1, count + 1)]
    segments = segment_specs(count)
    measured = tuple(
        MeasuredSegment(
            segment=segment,
            finding=segment.property_type,
            finding_sites=segment.anatomic_regions,
            measurements=measurements(volume),
            evaluations=(
                Evaluation(concept=codes.LEVEL_CONFIDENCE, value=codes.HIGH_CONFIDENCE),
                Evaluation(concept=codes.TRUNCATED_BY_FIELD_OF_VIEW, value=codes.NO),
            ),
        )
        for segment, volume in zip(segments, volumes, strict=True)
    )
    report = ReportContent(
        segments=measured,
        groups=groups(sum(volumes)),
        evaluations=(
            Evaluation(concept=codes.QUALITY_VERDICT, value=codes.REVIEW),
            Evaluation(concept=codes.QUALITY_REASON, value=codes.LOW_SIGNAL),
        ),
        remarks=("For research use only.",),
    )
    return Case(source=source, labels=labels, segments=segments, report=report)


def measurements(volume_mm3: float) -> tuple[Measurement, ...]:
    """Return a volume, two heights that differ by where they were taken, and a ratio."""
    heights = tuple(
        Measurement(
            concept=codes.HEIGHT,
            value=value,
            unit=codes.MM,
            method=codes.MID_SAGITTAL_ENDPLATE_METHOD,
            modifiers=(Modifier(concept=codes.TOPOGRAPHICAL_MODIFIER, value=place),),
        )
        for value, place in ((12.5, codes.ANTERIOR), (11.25, codes.MIDDLE))
    )
    ratio = Measurement(concept=codes.RELATIVE_T2_SIGNAL, value=0.875, unit=codes.RATIO, derivation=codes.MEAN)
    volume = Measurement(
        concept=codes.VOLUME, value=volume_mm3, unit=codes.MM3, method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES
    )
    return volume, *heights, ratio


def groups(total_mm3: float) -> tuple[MeasurementGroup, ...]:
    """Return a total, what is between two neighbours, and a disc that is not there."""
    total = MeasurementGroup(
        tracking_id="Vertebral bodies",
        tracking_uid=IDENTITY.uid("tracking", "bodies"),
        finding=codes.VERTEBRAL_BODY,
        finding_sites=(codes.CERVICAL_SPINE,),
        method=codes.SUM_OF_SEGMENTED_VOXEL_VOLUMES,
        algorithm=ALGORITHM,
        measurements=(Measurement(concept=codes.VOLUME, value=total_mm3, unit=codes.MM3, derivation=codes.TOTAL),),
    )
    slip = MeasurementGroup(
        tracking_id="C4 on C5",
        tracking_uid=IDENTITY.uid("tracking", "C4 on C5"),
        finding_sites=(codes.VERTEBRAE["C4"], codes.VERTEBRAE["C5"]),
        method=codes.POSTERIOR_WALL_OFFSET_METHOD,
        algorithm=ALGORITHM,
        measurements=(Measurement(concept=codes.VERTEBRAL_SLIP, value=-0.5, unit=codes.MM),),
    )
    absent = MeasurementGroup(
        tracking_id="Disc C2/C3",
        tracking_uid=IDENTITY.uid("tracking", "C2/C3"),
        finding=codes.INTERVERTEBRAL_DISC,
        finding_sites=(codes.DISCS["C2/C3"],),
        algorithm=ALGORITHM,
        evaluations=(Evaluation(concept=codes.PRESENCE, value=codes.ABSENT),),
    )
    return total, slip, absent


def in_order(paths: list[Path]) -> list[FrameReference]:
    """Return single-frame instances by position along the slice normal."""
    headers = [dcmread(path, stop_before_pixels=True) for path in paths]
    cosines = np.array(headers[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(cosines[:3], cosines[3:])
    headers.sort(key=lambda header: float(normal @ np.array(header.ImagePositionPatient, dtype=float)))
    return [FrameReference(sop_instance_uid=str(header.SOPInstanceUID)) for header in headers]


def source_affine(source: SourceSeries) -> NDArray[np.float64]:
    """Return the 4 x 4 affine from `(slice, row, column)` to LPS mm."""
    positions, orientation = source.image_positions, source.image_orientation
    affine = np.eye(4)
    affine[:3, 0] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 1] = orientation[3:] * source.pixel_spacing_mm[0]
    affine[:3, 2] = orientation[:3] * source.pixel_spacing_mm[1]
    affine[:3, 3] = positions[0]
    return affine


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
