"""What the report says (PS3.16 TID 1500): findings as groups of measurements, evaluations and remarks."""

import unicodedata
from collections.abc import Iterator, Mapping, Sequence

import dicom_sr
from dicom_sr import Code, codes
from node.domain.anatomy import StructureKind
from node.domain.findings import Findings, Measures, Missing, Pair, Quantity, Structure, Verdict
from node.encode.concepts import DOUBTS, PRESENCES, QUANTITIES, VERDICTS, confidence, property_type, sites
from node.encode.segments import Part, algorithm_identity, class_name, structure_name, tracking_uid

_NOTHING_FOUND = "No vertebral body and no intervertebral disc was found."
_REJECTED = "The automatic result was rejected. It holds no measurements and is not to be used."

#: What the groups about the curvature of the neck are called.
_CURVATURES: Mapping[Quantity, str] = {
    Quantity.LORDOSIS_COBB: "Cervical lordosis C2-C7, Cobb",
    Quantity.LORDOSIS_POSTERIOR_TANGENT: "Cervical lordosis C2-C7, posterior tangent",
}


def content_of(
    findings: Findings, parts: Sequence[Part], specs: Sequence[dicom_sr.SegmentSpec], identity: dicom_sr.ResultIdentity
) -> dicom_sr.ReportContent:
    """Return the content of a report about `parts`, whose segments are `specs` in the same order.

    A report on a rejected result has the verdict, its reasons and remarks alone. So has one where nothing was found.
    """
    rejected = findings.quality.verdict is Verdict.REJECT
    silent = rejected or not parts
    segments = () if silent else tuple(map(_segment_group, parts, specs))
    groups = () if silent else tuple(_groups(findings, identity))
    return dicom_sr.ReportContent(
        segments=segments, groups=groups, evaluations=_quality(findings), remarks=_remarks(findings, rejected=rejected)
    )


def _segment_group(part: Part, segment: dicom_sr.SegmentSpec) -> dicom_sr.MeasuredSegment:
    """Return a TID 1411 group. A segment that several structures share has the sum of their volumes and no lengths."""
    measures: Measures = {Quantity.VOLUME: part.volume_mm3}
    if part.level is not None:
        [structure] = part.structures
        measures = {**measures, **structure.measures}
    method, measurements = _measurements(measures)
    return dicom_sr.MeasuredSegment(
        segment=segment,
        finding=property_type(part.kind, part.level),
        finding_sites=sites(part.level),
        method=method,
        measurements=measurements,
        evaluations=tuple(_evaluations(part)),
    )


def _evaluations(part: Part) -> Iterator[dicom_sr.Evaluation]:
    if part.level is not None or part.uncertain:
        certainty = min(structure.level_confidence for structure in part.structures)
        yield dicom_sr.Evaluation(concept=codes.LEVEL_CONFIDENCE, value=confidence(part.level, certainty))
    yield dicom_sr.Evaluation(concept=codes.PRESENCE, value=codes.PRESENT)
    truncated = any(structure.truncated for structure in part.structures)
    yield dicom_sr.Evaluation(concept=codes.TRUNCATED_BY_FIELD_OF_VIEW, value=codes.YES if truncated else codes.NO)


def _groups(findings: Findings, identity: dicom_sr.ResultIdentity) -> Iterator[dicom_sr.MeasurementGroup]:
    """Yield the TID 1501 groups: totals, pairs, curvature, and what is missing."""
    for kind, volume in findings.class_volume_mm3.items():
        if volume > 0:
            yield _total(kind, volume, findings, identity)
    structures = {structure.label: structure for structure in findings.structures}
    for pair in findings.pairs:
        if pair.measures:
            yield _pair(pair, structures, findings, identity)
    for quantity, value in findings.curvature.items():
        yield _curvature(quantity, value, findings, identity)
    for missing in findings.missing:
        yield _missing(missing, identity)


def _total(
    kind: StructureKind, volume_mm3: float, findings: Findings, identity: dicom_sr.ResultIdentity
) -> dicom_sr.MeasurementGroup:
    concept = QUANTITIES[Quantity.VOLUME]
    total = dicom_sr.Measurement(concept=concept.name, value=volume_mm3, unit=concept.unit, derivation=codes.TOTAL)
    return dicom_sr.MeasurementGroup(
        tracking_id=f"{class_name(kind)}, total",
        tracking_uid=tracking_uid(identity, kind, "total"),
        finding=property_type(kind, None),
        finding_sites=sites(None),
        method=concept.method,
        algorithm=algorithm_identity(findings),
        measurements=(total,),
    )


def _pair(
    pair: Pair, structures: Mapping[int, Structure], findings: Findings, identity: dicom_sr.ResultIdentity
) -> dicom_sr.MeasurementGroup:
    """Return what is measured between two bodies. Where a name is missing, both are told by their order alone."""
    upper, lower = structures[pair.upper], structures[pair.lower]
    if upper.level is not None and lower.level is not None:
        name = f"{upper.level.last}/{lower.level.first} slip"
        places = (*sites(upper.level)[-1:], *sites(lower.level)[:1])
    else:
        name = f"Vertebral bodies {upper.ordinal} and {lower.ordinal} slip, level uncertain"
        places = sites(None)
    method, measurements = _measurements(pair.measures)
    return dicom_sr.MeasurementGroup(
        tracking_id=name,
        tracking_uid=tracking_uid(identity, StructureKind.VERTEBRAL_BODY, name),
        finding=codes.VERTEBRAL_BODY,
        finding_sites=places,
        method=method,
        algorithm=algorithm_identity(findings),
        measurements=measurements,
    )


def _curvature(
    quantity: Quantity, value: float, findings: Findings, identity: dicom_sr.ResultIdentity
) -> dicom_sr.MeasurementGroup:
    method, measurements = _measurements({quantity: value})
    return dicom_sr.MeasurementGroup(
        tracking_id=_CURVATURES[quantity],
        tracking_uid=identity.uid("tracking", "curvature", quantity.key),
        finding=codes.CERVICAL_SPINE,
        finding_sites=sites(None),
        method=method,
        algorithm=algorithm_identity(findings),
        measurements=measurements,
    )


def _missing(missing: Missing, identity: dicom_sr.ResultIdentity) -> dicom_sr.MeasurementGroup:
    """Return why a level that a reader expects has no segment; its tracking UID is that of the segment it would be."""
    presence = dicom_sr.Evaluation(concept=codes.PRESENCE, value=PRESENCES[missing.presence])
    return dicom_sr.MeasurementGroup(
        tracking_id=structure_name(missing.level),
        tracking_uid=tracking_uid(identity, missing.level.kind, missing.level.name),
        finding=property_type(missing.level.kind, missing.level),
        finding_sites=sites(missing.level),
        evaluations=(presence,),
    )


def _measurements(measures: Measures) -> tuple[Code | None, tuple[dicom_sr.Measurement, ...]]:
    """Return the method that all measurements share, or None, and the measurements, with their own methods then."""
    concepts = [QUANTITIES[quantity] for quantity in measures]
    shared = concepts[0].method if len({concept.method for concept in concepts}) == 1 else None
    return shared, tuple(
        dicom_sr.Measurement(
            concept=concept.name,
            value=value,
            unit=concept.unit,
            derivation=concept.derivation,
            method=concept.method if shared is None else None,
            modifiers=_modifiers(concept.place),
        )
        for concept, value in zip(concepts, measures.values(), strict=True)
    )


def _modifiers(place: Code | None) -> tuple[dicom_sr.Modifier, ...]:
    return () if place is None else (dicom_sr.Modifier(concept=codes.TOPOGRAPHICAL_MODIFIER, value=place),)


def _quality(findings: Findings) -> tuple[dicom_sr.Evaluation, ...]:
    """Return the verdict, and each kind of doubt once."""
    quality = findings.quality
    doubts = dict.fromkeys(objection.doubt for objection in quality.objections)
    return (
        dicom_sr.Evaluation(concept=codes.QUALITY_VERDICT, value=VERDICTS[quality.verdict]),
        *(dicom_sr.Evaluation(concept=codes.QUALITY_REASON, value=DOUBTS[doubt]) for doubt in doubts),
    )


def _remarks(findings: Findings, *, rejected: bool) -> tuple[str, ...]:
    remarks = [_REJECTED] if rejected else []
    remarks += [] if findings.structures else [_NOTHING_FOUND]
    remarks += [objection.text for objection in findings.quality.objections]
    return tuple(filter(None, map(_ascii, (*remarks, findings.algorithm.intended_use))))


def _ascii(text: str) -> str:
    """Return the text in ASCII, which every Specific Character Set holds (PS3.5 6.1): letters lose their accents.

    >>> _ascii("T2 säg")
    'T2 sag'
    """
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return "".join(letters).encode("ascii", "replace").decode("ascii")
