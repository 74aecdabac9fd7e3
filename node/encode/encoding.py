"""The order of things: source, segments, report, objects, proof."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydicom.dataset import Dataset

import dicom_sr
from node.domain.case import EncodedObject, ObjectKind, Order, ResultKey, SegmentationForm, SegmentsOf
from node.domain.findings import Findings, Segmentation, Verdict
from node.domain.geometry import Volume
from node.domain.picture import Picture
from node.domain.product import MANUFACTURER, MODEL_NAME
from node.domain.series import Series
from node.encode.content import content_of
from node.encode.fractions import fractions
from node.encode.objects import DEFAULT, Needed, needed_of
from node.encode.proof import Claim, prove_key_image, prove_report, prove_segmentation
from node.encode.segments import algorithm_identity, algorithm_type, divide, label_map, spec
from node.errors import EncodingError, unexpected

#: A date for a series that carries none: nothing of the present moment enters a result.
_NO_DATE = datetime(1900, 1, 1)  # noqa: DTZ001 - DICOM dates of the source carry no time zone


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """All that is known of one series; everything lies on the grid of `volume`."""

    series: Series
    volume: Volume
    #: Gives a FRACTIONAL SEG its probabilities.
    segmentation: Segmentation
    findings: Findings
    #: What becomes key images, where a destination wants them.
    pictures: Sequence[Picture]


def encode(case: Case, key: ResultKey, order: Order) -> tuple[EncodedObject, ...]:
    """Return the objects that `order` asks for. The same input gives the same bytes.

    First every form of the SEG, unless nothing was found, then the SRs, then the key images. Raises EncodingError when
    the source cannot carry results, or when an object does not say what was found.
    """
    try:
        bench = _set_up(case, key, order)
        return tuple(made for needed in bench.needed for made in _made(bench, needed))
    except dicom_sr.DicomSrError as error:
        raise EncodingError(f"{type(error).__name__}: {error}") from error
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        # A header that the writers of pydicom or highdicom stumble over; their messages quote its values.
        raise EncodingError(f"the source's header cannot be carried over: {unexpected(error)}") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bench:
    """What the objects of a case are made of. `segmentations` fills up on the way: each SR is about one of them."""

    case: Case
    segments_of: SegmentsOf
    needed: tuple[Needed, ...]
    identity: dicom_sr.ResultIdentity
    claim: Claim
    segmentations: dict[SegmentationForm, Dataset]


def _set_up(case: Case, key: ResultKey, order: Order) -> _Bench:
    identity = dicom_sr.ResultIdentity(
        series_digest=key.content_digest,
        bundle_digest=key.bundle_digest,
        settings_digest=key.settings_digest,
        software_version=key.software_version,
    )
    slices = [
        dicom_sr.FrameReference(sop_instance_uid=source.sop_instance_uid, frame_number=source.frame_number)
        for source in case.volume.sources
    ]
    parts = divide(case.findings, order.segments)
    rejected = case.findings.quality.verdict is Verdict.REJECT
    needed = needed_of(order, found=bool(parts), rejected=rejected)
    labels = label_map(case.findings, parts)
    specs = tuple(spec(part, case.findings, identity) for part in parts)
    fractional = any(one.segmentation is SegmentationForm.FRACTIONAL for one in needed)
    claim = Claim(
        source=dicom_sr.SourceSeries.from_files(sorted({frame.path for frame in case.series.frames}), slices),
        voxel_volume_mm3=case.volume.grid.voxel_volume_mm3,
        parts=parts,
        specs=specs,
        labels=labels,
        fractions=fractions(labels, parts, case.segmentation, case.volume.grid) if fractional else None,
        content=content_of(case.findings, parts, specs, identity),
    )
    return _Bench(
        case=case, segments_of=order.segments, needed=needed, identity=identity, claim=claim, segmentations={}
    )


def _made(bench: _Bench, needed: Needed) -> Iterator[EncodedObject]:
    """Yield the objects of one series, each once its bytes have been read back and compared."""
    claim = bench.claim
    if needed.kind is ObjectKind.SEGMENTATION:
        dataset = _segmentation(bench, needed)
        made = _encoded(needed, dataset, f"{needed.stem}.dcm")
        prove_segmentation(made.content, claim, needed.segmentation)
        bench.segmentations[needed.segmentation or DEFAULT.segmentation] = dataset
        yield made
    elif needed.kind is ObjectKind.REPORT:
        segmentation = bench.segmentations[needed.segmentation] if needed.segmentation is not None else None
        made = _encoded(needed, _report(bench, needed, segmentation), f"{needed.stem}.dcm")
        prove_report(made.content, claim, segmentation)
        yield made
    else:
        for number, (picture, dataset) in enumerate(_key_images(bench, needed), start=1):
            made = _encoded(needed, dataset, f"{needed.stem}-{number}.dcm")
            prove_key_image(made.content, picture)
            yield made


def _segmentation(bench: _Bench, needed: Needed) -> Dataset:
    claim = bench.claim
    form = needed.segmentation or DEFAULT.segmentation
    return dicom_sr.build_segmentation(
        source=claim.source,
        labels=claim.labels,
        segments=claim.specs,
        instance=_instance(bench, needed),
        form=dicom_sr.SegmentationForm[form.name],
        fractions=claim.fractions if form is SegmentationForm.FRACTIONAL else None,
    )


def _report(bench: _Bench, needed: Needed, segmentation: Dataset | None) -> Dataset:
    form = needed.report or DEFAULT.report
    return dicom_sr.build_report(
        source=bench.claim.source,
        segmentation=segmentation,
        report=bench.claim.content,
        instance=_instance(bench, needed),
        form=dicom_sr.ReportForm[form.name],
    )


def _key_images(bench: _Bench, needed: Needed) -> Iterable[tuple[dicom_sr.KeyImage, Dataset]]:
    slices, findings = bench.claim.source.slices, bench.case.findings
    named = algorithm_identity(findings)
    pictures = [
        dicom_sr.KeyImage(pixels=picture.pixels, sources=tuple(slices[index] for index in picture.slices))
        for picture in bench.case.pictures
    ]
    datasets = dicom_sr.build_key_images(
        source=bench.claim.source,
        pictures=pictures,
        instance=_instance(bench, needed),
        algorithms=[named] if named is not None else [],
        algorithm_type=algorithm_type(findings),
    )
    return zip(pictures, datasets, strict=True)


def _instance(bench: _Bench, needed: Needed) -> dicom_sr.ResultInstance:
    """Return how an object is named: its UIDs follow from what determined its content."""
    findings = bench.case.findings
    mask = findings.algorithm.bundle_name if findings.origin.is_mask else None
    purpose = (needed.stem, bench.segments_of.value)
    return dicom_sr.ResultInstance(
        series_instance_uid=bench.identity.uid(*purpose, "series"),
        sop_instance_uid=bench.identity.uid(*purpose, "instance"),
        series_number=needed.series_number,
        series_description=needed.description if mask is None else needed.description_of_mask(mask),
        content_datetime=bench.claim.source.acquired_at or _NO_DATE,
        equipment=_equipment(findings, bench.identity),
    )


def _equipment(findings: Findings, identity: dicom_sr.ResultIdentity) -> dicom_sr.Equipment:
    """Return the node as a device: one with each model, and one that converts all masks of a release."""
    algorithm = findings.algorithm
    digest = algorithm.bundle_digest
    if findings.origin.is_mask:
        digest = hashlib.sha256(f"{algorithm.bundle_name} {algorithm.bundle_version}".encode()).hexdigest()
        identity = replace(identity, bundle_digest=digest)
    return dicom_sr.Equipment(
        manufacturer=MANUFACTURER,
        model_name=MODEL_NAME,
        software_version=algorithm.version,
        device_serial_number=digest[:16],
        device_uid=identity.device_uid(),
    )


def _encoded(needed: Needed, dataset: Dataset, name: str) -> EncodedObject:
    return EncodedObject(
        kind=needed.kind,
        name=name,
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        content=dicom_sr.to_bytes(dataset),
        wanted=needed.wanted,
    )
